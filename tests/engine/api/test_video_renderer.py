"""The stage classes of the high-level API, used one after another."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from video_pipeline import (
    AssetGenerator,
    InputError,
    MetadataGenerator,
    SceneComposer,
    StoryError,
    StoryProcessor,
    VideoRenderer,
)

CONFIG: dict[str, Any] = {
    "video": {"size": [180, 320], "fps": 24, "preset": "ultrafast", "crf": 28},
    "scenes": {"default_duration": 1.0},
}


def test_the_high_level_stages_work_one_after_the_other(tmp_path: Path) -> None:
    story = {
        "id": "s1",
        "title": "Stages",
        "content": "A door opened in the hill. Nobody had ever seen it before. It was painted blue.",
        "metadata": {"genre": "fantasy"},
    }
    scenes = StoryProcessor(CONFIG).process(story)
    assert [set(scene) for scene in scenes] == [{"scene_id", "title", "text"}] * len(scenes)
    assets = asyncio.run(AssetGenerator(CONFIG).generate_assets(scenes))
    assert set(assets["images"]) == {scene["scene_id"] for scene in scenes}
    composed = SceneComposer(CONFIG).compose_scenes(scenes, assets)
    assert composed[0]["start_time"] == 0
    result = VideoRenderer(CONFIG).render_video(
        composed, str(tmp_path / "out.mp4"), audio_path=assets["audio"]
    )
    assert result["status"] == "success"
    assert result["video_info"]["duration"] == pytest.approx(composed[-1]["end_time"], abs=1 / 24)
    metadata = MetadataGenerator(CONFIG).generate_metadata(story, result["video_info"])
    assert metadata["title"] == "Stages"


def test_a_longer_voice_holds_the_last_scene(tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    with wave.open(str(voice), "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        tone = np.sin(np.arange(24000 * 3) * 0.05) * 8000
        file.writeframes(tone.astype("<i2").tobytes())
    result = VideoRenderer(CONFIG).render_video(
        [
            {"image_path": "/nowhere/a.png", "duration": 1.0},
            {"image_path": "/nowhere/b.png", "duration": 1.0},
        ],
        tmp_path / "out.mp4",
        audio_path=voice,
    )
    assert result["video_info"]["frame_count"] == 72
    assert any("/nowhere/a.png" in warning for warning in result["warnings"])


def test_scenes_without_transitions_are_cut_and_add_up(tmp_path: Path) -> None:
    result = VideoRenderer(CONFIG).render_video(
        [{"image_path": "x.png", "duration": 0.5}, {"image_path": "y.png", "duration": 0.75}],
        tmp_path / "o.mp4",
    )
    assert result["video_info"]["frame_count"] == 30


def test_wrong_scenes_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match=r"scenes\[1\].*field 'duration'.*got -1.*more than 0, at most 3600"):
        VideoRenderer(CONFIG).render_video(
            [{"image_path": "x.png", "duration": 1.0}, {"image_path": "x.png", "duration": -1}],
            tmp_path / "o.mp4",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("handling", "images", "replaced"),
    [
        ({}, {}, True),
        ({"fallback_enabled": False}, {}, False),
        ({}, {"fallback_enabled": False}, False),
        ({"policy": "standard"}, {}, False),
        ({"policy": "strict"}, {}, False),
        ({"policy": "lenient", "fallback_enabled": False}, {}, True),
    ],
)
def test_a_missing_picture_is_replaced_if_fallbacks_are_on_or_the_policy_says_so(
    tmp_path: Path, handling: dict[str, Any], images: dict[str, Any], replaced: bool
) -> None:
    config = {**CONFIG, "error_handling": handling, "images": images}
    scenes = [{"image_path": "/nowhere/a.png", "duration": 0.5}]
    target = tmp_path / "o.mp4"
    if replaced:
        (warning,) = VideoRenderer(config).render_video(scenes, target)["warnings"]
        assert warning.endswith("a drawn picture is shown instead")
        (warning,) = AssetGenerator(config).generate([{"scene_id": "a", "image": "/nowhere/a.png"}])[
            "warnings"
        ]
        assert warning.endswith("a drawn picture is shown instead")
    else:
        with pytest.raises(StoryError, match="does not exist"):
            VideoRenderer(config).render_video(scenes, target)
        with pytest.raises(StoryError, match="does not exist"):
            AssetGenerator(config).generate([{"scene_id": "a", "image": "/nowhere/a.png"}])


def test_the_strict_policy_forbids_warnings_of_the_asset_stage(tmp_path: Path) -> None:
    config = {**CONFIG, "error_handling": {"policy": "strict"}}
    with pytest.raises(InputError, match="no offline voice speaks the text"):
        AssetGenerator(config).generate([{"scene_id": "a", "text": "Привет, мир."}])
