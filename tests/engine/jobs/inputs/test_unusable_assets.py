"""Assets that cannot be used, under each error policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from tests.support.references import check, failing, local, story
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.policy import POLICIES
from video_pipeline.engine.errors import AssetReferenceError, StoryError
from video_pipeline.engine.story import parse_story

EVERYWHERE = (
    story(
        {"image": "https://example.com/a"},
        {"video": "https://example.com/v"},
        {"font": "https://example.com/f"},
        music="https://example.com/m",
    ),
    {
        "watermark": {"image": "https://example.com/w", "opacity": 0.5},
        "audio": {"music": "https://example.com/m"},
        "scenes": {"text_font": "https://example.com/t"},
    },
)
INSTEAD = (
    ("scenes[0] (scene_id 's0'): field 'image'", "a drawn picture is shown instead"),
    ("scenes[1] (scene_id 's1'): field 'video'", "a drawn picture is shown instead"),
    ("scenes[2] (scene_id 's2'): field 'font'", "the default font is used instead"),
    ("field 'music'", "there is no music"),
    ("watermark.image", "there is no watermark"),
    ("audio.music", "there is no music"),
    ("scenes.text_font", "the default font is used instead"),
)
LENIENT = load_config({"error_handling": {"policy": "lenient"}}, environ=False)


def test_a_url_that_is_no_asset_is_under_the_lenient_policy_left_out_with_a_warning(root: Path) -> None:
    found = check(EVERYWHERE[0], root, config=EVERYWHERE[1])
    rendered = local(found, root, failing("unusable"), settings=LENIENT)
    assert [set(scene) for scene in rendered.story["scenes"]] == [{"scene_id", "narration"}] * 3
    assert "music" not in rendered.story
    assert rendered.config == {"watermark": {"opacity": 0.5}, "audio": {}, "scenes": {}}
    parse_story(rendered.story)
    assert len(rendered.warnings) == len(INSTEAD)
    for warning, (place, instead) in zip(rendered.warnings, INSTEAD, strict=True):
        assert warning.startswith(f"{place}: got 'https://example.com/")
        assert warning.endswith(f"no luck; {instead}")


@pytest.mark.parametrize("number", range(len(INSTEAD)))
def test_a_url_that_is_no_asset_is_an_error_under_other_policies_in_every_field(
    root: Path, number: int
) -> None:
    data, config = json.loads(json.dumps(EVERYWHERE))
    found = check(data, root, config=config)
    place, _ = INSTEAD[number]
    for earlier in range(number):
        _drop(*found, earlier)
    for policy in (None, "standard", "strict"):
        settings = load_config({"error_handling": {"policy": policy}}, environ=False)
        with pytest.raises(AssetReferenceError) as caught:
            local(found, root, failing("unusable"), settings=settings)
        assert str(caught.value).startswith(f"{place}: got ")
        assert str(caught.value).endswith("no luck")


def _drop(data: dict[str, Any], config: dict[str, Any], number: int) -> None:
    """Delete the field of INSTEAD[number]."""
    if number < 3:
        del data["scenes"][number][("image", "video", "font")[number]]
    else:
        holder, key = ((data, "music"), (config, "watermark"), (config, "audio"))[number - 3]
        del holder[key]


@pytest.mark.parametrize("name", ["gone.jpg", "deep"])
def test_a_file_that_is_missing_or_a_folder_is_left_out_under_the_lenient_policy_only(
    root: Path, name: str
) -> None:
    data, config = story({"image": name}), {"watermark": {"image": name}}
    for policy in (POLICIES["standard"], POLICIES["strict"]):
        with pytest.raises(AssetReferenceError, match=r"scene_id 's0'\): field 'image': got"):
            check(data, root, config=config, policy=policy)
    found = check(data, root, config=config, policy=POLICIES["lenient"])
    with pytest.raises(AssetReferenceError, match="scene_id 's0'"):
        local(found, root)
    rendered = local(found, root, settings=LENIENT)
    assert "image" not in rendered.story["scenes"][0]
    assert rendered.config == {"watermark": {}}
    assert [warning.rpartition("; ")[2] for warning in rendered.warnings] == [INSTEAD[0][1], INSTEAD[4][1]]


def test_a_part_of_another_format_is_kept_under_the_lenient_policy_for_the_worker_to_report(
    root: Path,
) -> None:
    data, parts = story({"image": "inline:0"}, {"video": "inline:1"}), (b"words", samples.clip())
    with pytest.raises(AssetReferenceError, match="is not a known format"):
        check(data, root, parts=parts)
    found = check(data, root, parts=parts, policy=POLICIES["lenient"])
    rendered = local(found, root, settings=LENIENT)
    assert Path(rendered.story["scenes"][0]["image"]).read_bytes() == parts[0]
    assert Path(rendered.story["scenes"][1]["video"]["path"]).read_bytes() == parts[1]


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a\0b", "inline:3", "inbox:x", "ftp://x/y"])
def test_a_forbidden_asset_is_an_error_under_each_policy(root: Path, name: str) -> None:
    for policy in POLICIES.values():
        with pytest.raises((AssetReferenceError, StoryError)):
            check(story({"image": name}), root, policy=policy)


def test_a_refused_address_is_an_error_under_each_policy(root: Path) -> None:
    found = check(story({"image": "https://example.com/a"}), root)
    for settings in (None, LENIENT):
        with pytest.raises(AssetReferenceError, match=r"scene_id 's0'.*no luck"):
            local(found, root, failing("refused"), settings=settings)
