"""Whole renders and jobs on emulated GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.emulator import EmulatedDriver, av1_picture
from tests.support.jobs import job_of, node_config, submit, tiny_story, turn_until
from video_pipeline.engine.jobs.node.running_node import RunningNode

SIZE = ("--size", "320x256")


def rendered(
    driver: EmulatedDriver, folder: Path, *options: str, seconds: float = 0.5, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run `video-pipeline render` of a short story on an emulated machine."""
    story = folder / "story.json"
    story.write_text(json.dumps(tiny_story(seconds=seconds)), encoding="utf-8")
    command = (sys.executable, "-m", "video_pipeline", "render", story, "-o", folder / "video.mp4")
    return driver.run(*command, *SIZE, *options, **settings)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "video.manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("encoder", "tag"), [("h264_nvenc", "avc1"), ("hevc_nvenc", "hvc1"), ("av1_nvenc", "av01")]
)
def test_a_story_is_rendered_by_nvenc(driver: EmulatedDriver, tmp_path: Path, encoder: str, tag: str) -> None:
    unit = av1_picture(tmp_path / "picture.obu", width=320, height=256) if encoder == "av1_nvenc" else ""
    done = rendered(
        driver, tmp_path, "--encoder", encoder, "--no-cache", codecs="h264,hevc,av1", av1=unit, seconds=5
    )
    assert done.returncode == 0, done.stderr
    chosen = manifest_of(tmp_path)["encoder"]
    assert (chosen["name"], chosen["log"]) == (encoder, [])
    assert len(driver.configured()) > 2  # the probe's session and several segments'
    with av.open(str(tmp_path / "video.mp4"), "r") as container:
        assert container.streams.video[0].codec_context.codec_tag == tag
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    assert len(frames) == manifest_of(tmp_path)["frame_count"]
    if encoder != "av1_nvenc":
        assert any(frame[:256].std() > 10 for frame in frames)


def test_a_gpu_that_has_no_encoder_for_a_codec_is_told_by_the_codecs_name(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    done = rendered(driver, tmp_path, "--encoder", "av1_nvenc", "--no-cache")
    assert done.returncode == 2, done.stderr
    assert "encoder 'av1_nvenc' is not usable here: this GPU has no encoder for this codec" in done.stderr
    assert "Codec not supported" in done.stderr


def test_the_ffmpeg_command_of_a_story_has_the_encoders_options_and_tag(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    story = tmp_path / "story.json"
    story.write_text(json.dumps(tiny_story()), encoding="utf-8")
    command = (sys.executable, "-m", "video_pipeline", "compile", story, "--as", "command")
    done = driver.run(*command, *SIZE, "--encoder", "hevc_nvenc", "-o", tmp_path / "x.mp4")
    assert done.returncode == 0, done.stderr
    for words in ("-c:v hevc_nvenc", "-tag:v hvc1", "-cq 21", "-preset p2"):
        assert words in done.stdout


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
