"""Jobs for other machines: each file becomes one of the inbox, and no path of this machine goes along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import AssetReferenceError
from video_pipeline.engine.jobs.inputs.inbox import Inbox
from video_pipeline.engine.jobs.inputs.references import PortableJob, localise, make_portable


class Places:
    def __init__(self, folder: Path) -> None:
        self.root, self.inbox, self.temp = folder / "assets", folder / "inbox", folder / "temp"
        for each in (self.root, self.inbox, self.temp):
            each.mkdir()
        Image.new("RGB", (8, 8), "red").save(self.root / "red.png")
        self.node = load_config({"node": {"asset_roots": [str(self.root)]}}, environ=False).node

    def portable(self, image: str, **config: Any) -> PortableJob:
        return make_portable(story_with(image), config, node=self.node, inbox=self.inbox, temp=self.temp)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def story_with(image: str) -> dict[str, Any]:
    return {
        "title": "A story",
        "metadata": {"genre": "mystery", "language": "en"},
        "scenes": [{"scene_id": "a", "text": "Words", "image": image}],
    }


def test_a_file_of_an_asset_folder_and_one_of_the_inbox_travel_alike(places: Places, tmp_path: Path) -> None:
    box = Inbox(places.inbox)
    sent = box.keep((places.root / "red.png").read_bytes(), ".png")
    box.sync()
    for image in (str(places.root / "red.png"), sent):
        found = places.portable(image)
        assert str(tmp_path) not in json.dumps([found.story, found.config])
        ((name, path),) = found.files.items()
        assert found.story["scenes"][0]["image"] == f"inbox:{name}" == sent
        assert path.read_bytes() == (places.root / "red.png").read_bytes()


def test_the_machine_renders_what_it_was_sent(places: Places, tmp_path: Path) -> None:
    found = places.portable("red.png")
    there = tmp_path / "there"
    there.mkdir()
    for name, path in found.files.items():
        (there / name).write_bytes(path.read_bytes())
    local = localise(
        found.story,
        found.config,
        node=load_config({}, environ=False).node,
        inbox=there,
        temp=tmp_path,
        fetch=lambda url, folder, kind: pytest.fail(url),
    )
    assert Path(local.story["scenes"][0]["image"]).parent == there


def test_a_link_that_leads_out_of_the_folder_is_not_followed(places: Places, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (places.root / "link.png").symlink_to(tmp_path / "secret")
    with pytest.raises(AssetReferenceError, match="leads out of the asset folders"):
        places.portable("link.png")
    assert not list(places.temp.iterdir())


def test_a_missing_file_fails_or_stays_for_the_machine_to_replace(places: Places) -> None:
    with pytest.raises(AssetReferenceError, match="does not exist"):
        places.portable("none.png", error_handling={"policy": "strict"})
    found = places.portable("none.png", error_handling={"policy": "lenient"})
    assert not found.files
    assert found.story["scenes"][0]["image"] == "none.png"
