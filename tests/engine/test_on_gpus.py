"""Whole renders and jobs on emulated GPUs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.emulator import EmulatedDriver, av1_picture
from tests.support.jobs import job_of, node_config, submit, tiny_story, turn_until
from video_pipeline.engine.jobs.node.running_node import RunningNode

SIZE = ("--size", "320x256")
NVENC = {"codec": "h264_nvenc", "size": [320, 256]}
"""What most renders here have chosen before."""


def rendered(
    driver: EmulatedDriver, folder: Path, *options: str, seconds: float = 0.5, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run `video-pipeline render` of a short story on an emulated machine."""
    story = folder / "story.json"
    story.write_text(json.dumps(tiny_story(seconds=seconds)), encoding="utf-8")
    return driver.video_pipeline("render", story, "-o", folder / "video.mp4", *SIZE, *options, **settings)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "video.manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("encoder", "tag"), [("h264_nvenc", "avc1"), ("hevc_nvenc", "hvc1"), ("av1_nvenc", "av01")]
)
def test_a_story_is_rendered_by_nvenc(driver: EmulatedDriver, tmp_path: Path, encoder: str, tag: str) -> None:
    unit = av1_picture(tmp_path / "picture.obu", width=320, height=256) if encoder == "av1_nvenc" else ""
    done = rendered(
        driver, tmp_path, "--encoder", encoder, "--no-cache", codecs="h264,hevc,av1", av1=unit, seconds=2
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
    assert (
        "--encoder: got 'av1_nvenc', which is not usable here: this GPU has no encoder for this codec"
        in done.stderr
    )
    assert "Codec not supported" in done.stderr


def test_the_ffmpeg_command_of_a_story_has_the_encoders_options_and_tag(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    story = tmp_path / "story.json"
    story.write_text(json.dumps(tiny_story()), encoding="utf-8")
    options = ("--as", "command", *SIZE, "--encoder", "hevc_nvenc", "-o", tmp_path / "x.mp4")
    done = driver.video_pipeline("compile", story, *options)
    assert done.returncode == 0, done.stderr
    for words in ("-c:v hevc_nvenc", "-tag:v hvc1", "-cq 16", "-preset p1"):
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
    done = rendered(driver, tmp_path, "--encoder", "h264_nvenc", "--no-cache", chosen=NVENC, lost="0:12")
    assert done.returncode == 1, done.stderr
    assert "the GPU stopped encoding: EncodePicture failed!: generic error (20)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "video.mp4").exists()


def hashes_of(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the hashes of video and thumbnail."""
    found = {output["role"]: output["sha256"] for output in manifest["outputs"]}
    return {role: found[role] for role in ("video", "thumbnail")}


def test_segments_are_spread_over_two_cards_and_make_the_video_of_one(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    options = ("--encoder", "h264_nvenc", "--no-cache")
    long = {"seconds": 3, "chosen": NVENC}
    assert rendered(driver, tmp_path / "one", *options, **long, cards=1).returncode == 0
    done = rendered(driver, tmp_path, *options, **long, cards=2)
    assert done.returncode == 0, done.stderr
    encoder = manifest_of(tmp_path)["encoder"]
    assert encoder["options"]["gpu"] == "Emulated GPU, driver 580.00"
    assert set(encoder["sessions"]["by_gpu"]) == {"0", "1"}
    assert sum(encoder["sessions"]["by_gpu"].values()) == len(manifest_of(tmp_path)["segments"])
    assert hashes_of(manifest_of(tmp_path)) == hashes_of(manifest_of(tmp_path / "one"))
    # One of them is lost in the middle.
    (tmp_path / "lost").mkdir()
    done = rendered(driver, tmp_path / "lost", *options, **long, cards=2, lost="0:20")
    assert done.returncode == 0, done.stderr
    assert "encoded again on another GPU" in done.stderr
    lost = manifest_of(tmp_path / "lost")
    assert list(lost["encoder"]["sessions"]["lost_gpus"]) == ["0"]
    # Whichever notices first: the encoder, or what copies frames to the card.
    assert lost["encoder"]["sessions"]["lost_gpus"]["0"].startswith(
        ("h264_nvenc: ", "Emulated GPU (GPU 0): ")
    )
    assert hashes_of(lost) == hashes_of(manifest_of(tmp_path))


def test_more_segments_than_sessions_wait_for_each_other(driver: EmulatedDriver, tmp_path: Path) -> None:
    options = ("--encoder", "h264_nvenc", "--no-cache")
    done = rendered(driver, tmp_path, *options, chosen=NVENC, seconds=3, sessions=1)
    assert done.returncode == 0, done.stderr
    sessions = manifest_of(tmp_path)["encoder"]["sessions"]
    assert sessions["refused"] > 0
    assert sessions["waited_seconds"] > 0


@pytest.mark.parametrize(
    ("faults", "kind"),
    [("EncodePicture=20:12", "machine"), ("OpenEncodeSessionEx=21:1", "refused")],
    ids=["fails", "refuses"],
)
def test_auto_encodes_again_on_the_processor_where_the_only_card_fails_or_refuses(
    driver: EmulatedDriver, tmp_path: Path, faults: str, kind: str
) -> None:
    wait = tmp_path / "config.yaml"
    wait.write_text("video: {session_wait: 0.5}", encoding="utf-8")
    options = ("--no-cache", "--config", str(wait))
    done = rendered(driver, tmp_path, *options, chosen=NVENC, seconds=2, faults=faults)
    assert done.returncode == 0, done.stderr
    assert "the video is encoded again with libx264" in done.stderr
    manifest = manifest_of(tmp_path)
    assert (manifest["encoder"]["name"], manifest["encoder"]["fallback"]) == ("libx264", kind)
    assert manifest["encoder"]["reason"].startswith("h264_nvenc is not usable: h264_nvenc: ")
    assert any(line.startswith("h264_nvenc: ") for line in manifest["encoder"]["log"])
    with av.open(str(tmp_path / "video.mp4"), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == manifest["frame_count"]


LEASE = 5
"""Seconds: more than a worker that works is silent on a busy computer."""


# A probe makes fewer calls of EncodePicture and opens one session; the job's worker makes more.
@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ("EncodePicture=20:12", "\n  EncodePicture failed!: generic error (20)"),
        ("EncodePicture=hang:12", f"h264_nvenc: the GPU's driver did not return from a call for {LEASE} s"),
        ("InitializeEncoder=hang:1", f"the GPU's driver did not open an encoder for {LEASE} s"),
    ],
    ids=["fails", "does not return", "stands still"],
)
def test_a_job_on_a_broken_card_ends_in_time_and_says_why(
    driver: EmulatedDriver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: str,
    words: str,
) -> None:
    for name, value in driver.environment(faults=faults).items():
        monkeypatch.setenv(name, value)
    video = {"codec": "h264_nvenc", "size": [320, 256]}
    config = node_config(tmp_path, video=video, node={"lease": LEASE})
    with RunningNode(config) as node:
        job_id = submit(node.ledger, tiny_story(seconds=3))
        turn_until(
            node, lambda: job_of(node.ledger, job_id).error_message, seconds=120, what="a failed attempt"
        )
        job = job_of(node.ledger, job_id)
    assert words in (job.error_message or ""), job.error_message
    assert (job.attempts, job.interruptions) == (0, 1)
    assert job.status == "queued"
