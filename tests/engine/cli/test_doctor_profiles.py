"""What `doctor` says of profiles and of the runs that they were chosen from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from video_pipeline.engine.cli.doctor_profiles import examine_profiles, profile_lines
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Video


def mine(folder: Path, run: bytes) -> Video:
    """Return a configuration with a profile from a file, whose run has a content."""
    evidence = {"run": "run.json", "sha256": hashlib.sha256(run).hexdigest()}
    data: dict[str, Any] = {
        "name": "mine",
        "video": {"preset": "fast", "crf": 20.5, "mbtree": False},
        "encoders": {"libx264": {"measured": True}, "h264_nvenc": {"measured": False}},
        "evidence": evidence,
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return load_config({"video": {"profile": path}}, environ=False).video


def test_the_profiles_are_listed_with_their_keys_and_the_used_one_is_marked() -> None:
    found = examine_profiles(Video())
    assert [profile["name"] for profile in found] == ["draft", "social", "archive", "guide"]
    assert [profile["name"] for profile in found if profile["used"]] == ["social"]
    lines = profile_lines(found)
    assert [line.split()[1].rstrip(":") for line in lines] == ["draft", "social", "archive", "guide"]
    guide = next(line for line in lines if " guide" in line)
    assert "preset medium, bitrate 8000k, gop 2; libx264 " in guide
    assert "h264_nvenc not measured" in guide


def test_a_profile_of_the_configuration_is_listed_too_and_its_run_is_checked(tmp_path: Path) -> None:
    video = mine(tmp_path, b"{}")
    assert examine_profiles(video)[-1]["evidence"] == "not here"
    (tmp_path / "run.json").write_bytes(b"{}")
    assert examine_profiles(video)[-1]["evidence"] == "matches"
    assert profile_lines(examine_profiles(video))[-1] == (
        "profile       mine (used): preset fast, crf 20.5, mbtree off; libx264 measured, h264_nvenc not measured"
    )
    (tmp_path / "run.json").write_bytes(b"[]")
    assert examine_profiles(video)[-1]["evidence"] == "differs"
    warning = profile_lines(examine_profiles(video))[-1]
    assert warning.startswith(f"warning       profile mine: evidence.sha256: {tmp_path / 'run.json'} has ")
