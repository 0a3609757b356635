"""What a video took from its profile, as the manifest says it."""

from __future__ import annotations

from typing import Any

from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.render.encoders.profile_use import describe_profile

MINE: dict[str, Any] = {
    "name": "mine",
    "video": {"preset": "fast", "crf": 20, "trellis": 1},
    "encoders": {"libx264": {"measured": True}, "h264_nvenc": {"measured": False}},
    "evidence": {"run": "run.json", "sha256": "ab" * 32},
}


def video(**given: Any) -> Video:
    return load_config({"video": given}, environ=False).video


def test_a_profile_is_described_with_its_evidence_and_what_was_changed() -> None:
    assert describe_profile(video(profile=MINE), "libx264") == {
        "name": "mine",
        "evidence": "ab" * 32,
        "measured": True,
        "changed": [],
        "left_out": [],
    }
    other = describe_profile(video(profile=MINE, bitrate="2M", refs=3), "h264_nvenc")
    assert other is not None
    assert (other["measured"], other["left_out"]) == (False, ["trellis"])
    assert set(other["changed"]) == {"crf", "bitrate", "refs"}


def test_the_default_is_described_and_no_profile_is_none() -> None:
    default = describe_profile(Video(), "libx264")
    assert default is not None
    assert (default["name"], default["changed"], default["left_out"]) == ("social", [], [])
    assert describe_profile(video(preset="slow"), "libx264") is None
    assert describe_profile(video(profile="none"), "libx264") is None
