"""Jobs whose asset folder is swapped with a link all the time: no video shows a file from outside."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.support.swapping import swapping
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import FileChangedError, InputError, RenderingError
from video_pipeline.engine.jobs.inputs.references import Localised, check_references, localise
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.story.asset_fields import AssetKind

BLUE, WHITE = (0, 0, 255), (255, 255, 255)
LUMA = {"inside": range(26, 36), "outside": range(225, 245)}
"""BT.709 limited range: blue is 32, white 235."""


def no_fetch(url: str, folder: Path, kind: AssetKind) -> Path:
    raise AssertionError(f"{url} was fetched")


class Workplace:
    """An asset folder with a blue picture, and a white one of the same name outside."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.outside = folder, folder / "root", folder / "outside"
        for place, colour in ((self.root / "d", BLUE), (self.outside, WHITE)):
            place.mkdir(parents=True)
            Image.new("RGB", (200, 300), colour).save(place / "x.png")
        self.config = load_config(
            {
                "video": {"size": [64, 112], "preset": "ultrafast", "fps": 24},
                "tts": {"service": "none"},
                "storage": {"cache_path": str(folder / "cache")},
            },
            environ=False,
        )

    def job(self, name: str) -> Localised:
        """Return a job as the worker gets it, with its references checked twice."""
        scene = {"scene_id": "a", "text": "", "image": name, "duration": 0.1, "effects": []}
        node = Node(asset_roots=(self.root,))
        stored = check_references(
            {"title": name, "scenes": [scene]}, {}, node=node, parts=(), inbox=self.folder / "inbox"
        )
        return localise(
            *stored, node=node, inbox=self.folder / "inbox", temp=self.folder / "temp", fetch=no_fetch
        )

    def luma(self, job: Localised) -> int:
        """Render a job as the worker does and return the brightness of its first frame."""
        done = render_story(
            parse_story(job.story),
            self.folder / "out.mp4",
            config=self.config,
            beneath=job.beneath,
        )
        with av.open(str(done.outputs.video)) as container:
            return int(next(container.decode(video=0)).to_ndarray(format="gray").mean())


def test_no_video_shows_a_picture_from_outside_and_none_is_kept_for_later(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    seen = Counter[str]()
    with swapping("relink", place.root / "d", place.root / "d", place.outside, pause_s=0.004):
        began = time.monotonic()
        while time.monotonic() - began < 12 or not (seen["inside"] and seen["FileChangedError"]):
            assert time.monotonic() - began < 240, dict(seen)
            try:
                luma = place.luma(place.job("d/x.png"))
            except (InputError, FileChangedError, RenderingError) as error:
                seen[type(error).__name__] += 1
            else:
                assert luma not in LUMA["outside"]
                seen["inside" if luma in LUMA["inside"] else "drawn"] += 1
    print(dict(seen))
    # The swapper may have been stopped between two steps.
    if (place.root / "d").is_symlink() or not (place.root / "d").exists():
        (place.root / "d").unlink(missing_ok=True)
        (place.root / "d.real").rename(place.root / "d")
    assert place.luma(place.job("d/x.png")) in LUMA["inside"]


def test_a_link_that_takes_the_place_of_a_folder_after_the_check_ends_the_job(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    job = place.job("d/x.png")
    (place.root / "d").rename(tmp_path / "d.real")
    (place.root / "d").symlink_to(place.outside)
    with pytest.raises(FileChangedError) as caught:
        place.luma(job)
    path = place.root / "d" / "x.png"
    assert str(caught.value) == (
        f"scenes[0] (scene_id 'a'): field 'image': {path}: a link took its place after it was checked"
    )
