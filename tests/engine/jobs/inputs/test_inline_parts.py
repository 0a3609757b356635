"""Assets that a request brings as inline parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import samples
from tests.support.references import check, local, node, story
from video_pipeline.engine.errors import AssetReferenceError
from video_pipeline.engine.jobs.inputs.references import (
    Inbox,
    check_references,
    inbox_names,
)


def test_inline_parts_are_stored_by_their_content(root: Path) -> None:
    data = story(
        {"image": "inline:1"},
        {"image": "inline:1", "font": "inline:0"},
        {"video": "inline:2"},
        music="inline:3",
    )
    parts = (samples.font().read_bytes(), samples.picture("PNG"), samples.clip(), samples.sound(".flac"))
    found = check(data, root, config={"watermark": {"image": "inline:1"}}, parts=parts)
    scenes = found[0]["scenes"]
    assert scenes[0]["image"] == scenes[1]["image"] == found[1]["watermark"]["image"]
    assert scenes[0]["image"].startswith("inbox:")
    names = inbox_names(json.dumps(found))
    assert {Path(name).suffix for name in names} == {".ttf", ".png", ".mp4", ".flac"}
    assert {path.name for path in (root.parent / "inbox").iterdir()} == names
    rendered = local(found, root)
    assert Path(rendered.story["scenes"][2]["video"]["path"]).read_bytes() == parts[2]
    assert Path(rendered.story["scenes"][1]["font"]).suffix == ".ttf"
    assert Path(rendered.story["music"]["path"]).read_bytes() == parts[3]
    assert Path(rendered.config["watermark"]["image"]).read_bytes() == parts[1]


def test_with_an_inbox_the_caller_syncs(root: Path) -> None:
    box = Inbox(root.parent / "inbox")
    found, _ = check_references(
        story({"image": "inline:0"}), {}, node=node(root), parts=(samples.picture(),), inbox=box
    )
    assert box.path(found["scenes"][0]["image"]) is None
    box.sync()
    assert box.path(found["scenes"][0]["image"]) is not None


def test_parts_that_nothing_refers_to_are_an_error(root: Path) -> None:
    with pytest.raises(AssetReferenceError, match="got '0, 2'") as caught:
        check(story({"image": "inline:1"}), root, parts=(samples.picture(),) * 3)
    assert caught.value.field == "parts"
    assert not (root.parent / "inbox").exists()


@pytest.mark.parametrize(
    ("field", "part", "what"),
    [
        ("image", b"", "is empty"),
        ("image", b"<html xmlns='http://www.w3.org/1999/xhtml'/>", "not a known format"),
        ("image", b"#EXTM3U\nhttp://127.0.0.1/", "not a known format"),
        ("image", samples.clip(), "is MP4/MOV"),
        ("video", samples.picture("WEBP"), "is WebP"),
        ("video", samples.picture(), "is JPEG"),
        ("video", b"#EXTM3U\nhttp://127.0.0.1/", "not a known format"),
        ("font", samples.picture(), "is JPEG"),
        ("music", samples.picture(), "is JPEG"),
    ],
)
def test_an_inline_part_must_have_a_format_of_its_field(
    root: Path, field: str, part: bytes, what: str
) -> None:
    data = story(music="inline:0") if field == "music" else story({field: "inline:0"})
    with pytest.raises(AssetReferenceError, match=what):
        check(data, root, parts=(part,))
    assert not (root.parent / "inbox").exists()


def test_an_inline_part_has_the_limit_of_assets(root: Path) -> None:
    with pytest.raises(AssetReferenceError, match="asset_max_mb"):
        check(story({"image": "inline:0"}), root, parts=(samples.picture(),), asset_max_mb=0.0001)


def test_a_job_whose_part_was_swept_from_the_inbox_fails_permanently(root: Path) -> None:
    found = check(story({"image": "inline:0"}), root, parts=(samples.picture(),))
    (root.parent / "inbox" / found[0]["scenes"][0]["image"].removeprefix("inbox:")).unlink()
    with pytest.raises(AssetReferenceError, match=r"scene_id 's0'.*no longer in the inbox"):
        local(found, root)
