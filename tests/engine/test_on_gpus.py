"""Whole renders and jobs on emulated GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.jobs import job_of, node_config, submit, tiny_story, turn_until
from video_pipeline.engine.jobs.node.running_node import RunningNode

SIZE = ("--size", "320x256")


def rendered(
    driver: EmulatedDriver, folder: Path, *options: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run `video-pipeline render` of a short story on an emulated machine."""
    story = folder / "story.json"
    story.write_text(json.dumps(tiny_story()), encoding="utf-8")
    command = (sys.executable, "-m", "video_pipeline", "render", story, "-o", folder / "video.mp4")
    return driver.run(*command, *SIZE, *options, **settings)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "video.manifest.json").read_text(encoding="utf-8"))
    return found


def test_a_story_is_rendered_by_nvenc(driver: EmulatedDriver, tmp_path: Path) -> None:
    done = rendered(driver, tmp_path, "--encoder", "h264_nvenc", "--no-cache")
    assert done.returncode == 0, done.stderr
    encoder = manifest_of(tmp_path)["encoder"]
    assert (encoder["name"], encoder["log"]) == ("h264_nvenc", [])
    with av.open(str(tmp_path / "video.mp4")) as container:
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    assert len(frames) == manifest_of(tmp_path)["frame_count"]
    assert any(frame[:256].std() > 10 for frame in frames)


def test_why_the_processor_encoded_instead_is_in_log_and_manifest_with_ffmpegs_lines(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    done = rendered(driver, tmp_path, "--no-cache", "-v", faults="OpenEncodeSessionEx=2")
    assert done.returncode == 0, done.stderr
    encoder = manifest_of(tmp_path)["encoder"]
    assert (encoder["name"], encoder["reason"]) == (
        *("libx264", "h264_nvenc is not usable: this GPU has no NVENC"),
    )
    line = "h264_nvenc: OpenEncodeSessionEx failed: unsupported device (2): (no details)"
    assert line in encoder["log"]
    assert line in done.stderr


def test_a_card_lost_in_the_middle_ends_the_render_with_ffmpegs_lines(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    # The probe's calls are counted in its own process.
    done = rendered(driver, tmp_path, "--encoder", "h264_nvenc", "--no-cache", lost="0:12")
    assert done.returncode == 1, done.stderr
    assert "the GPU stopped encoding: EncodePicture failed!: generic error (20)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "video.mp4").exists()


# A probe makes fewer calls of EncodePicture and opens one session; the job's worker makes more.
@pytest.mark.parametrize(
    ("faults", "words", "uncharged"),
    [
        ("EncodePicture=20:12", "\n  EncodePicture failed!: generic error (20)", True),
        ("EncodePicture=hang:12", "h264_nvenc: the GPU's driver did not return from a call for 7 s", True),
        ("InitializeEncoder=hang:1", "no heartbeat for 3 s", False),
    ],
    ids=["fails", "does not return", "stands still"],
)
def test_a_job_on_a_broken_card_ends_in_time_and_says_why(
    driver: EmulatedDriver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: str,
    words: str,
    uncharged: bool,
) -> None:
    for name, value in driver.environment(faults=faults).items():
        monkeypatch.setenv(name, value)
    video = {"codec": "h264_nvenc", "size": [320, 256]}
    config = node_config(tmp_path, video=video, node={"lease": 3})
    with RunningNode(config) as node:
        job_id = submit(node.ledger, tiny_story(seconds=5))
        turn_until(node, lambda: job_of(node.ledger, job_id).error_message, what="a failed attempt")
        job = job_of(node.ledger, job_id)
    assert words in (job.error_message or ""), job.error_message
    assert (job.attempts, job.interruptions) == ((0, 1) if uncharged else (1, 0))
    assert job.status == "queued"
