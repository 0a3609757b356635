"""NVENC's faults, as FFmpeg's real encoder logs them on emulated GPUs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.on_gpus import outcomes
from video_pipeline.engine.render.encoders.base import find_fault
from video_pipeline.engine.render.encoders.nvenc import FAULTS

OPTIONS = {"preset": "p4", "tune": "hq", "rc": "vbr", "bf": "2", "cq": "21", "b": "0"}

# What the driver or the card is asked to do, what the error says of it, and whose fault a node takes it for.
DRIVER_FAULTS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"cards": 0}, "CUDA could not be started: it sees no GPU", "machine"),
    ({"faults": "cuInit=999"}, "CUDA could not be started: CUDA_ERROR_UNKNOWN", "machine"),
    ({"faults": "cuInit=803"}, "kernel module have different versions", "machine"),
    ({"faults": "cuDeviceGetCount=999"}, "CUDA could not be started", "machine"),
    ({"faults": "cuDeviceGet=999"}, "CUDA could not be started", "machine"),
    ({"faults": "cuCtxCreate_v2=999"}, "CUDA could not be started", "machine"),
    ({"faults": "cuCtxCreate_v2=2"}, "the GPU's memory is full", "machine"),
    ({"faults": "cuCtxPushCurrent_v2=700:20"}, "the GPU failed: CUDA_ERROR_ILLEGAL_ADDRESS", "machine"),
    ({"faults": "OpenEncodeSessionEx=2"}, "this GPU has no NVENC", "machine"),
    ({"faults": "OpenEncodeSessionEx=10"}, "NVENC is out of sessions or memory", "machine"),
    ({"faults": "OpenEncodeSessionEx=21"}, "every NVENC session that the driver allows is taken", "machine"),
    ({"faults": "OpenEncodeSessionEx=4"}, "NVENC opens no session: invalid device (4)", "machine"),
    ({"faults": "GetMaxSupportedVersion=15"}, "encoder library does not start", "retryable"),
    ({"faults": "CreateInstance=15"}, "encoder library does not start", "retryable"),
    ({"api": 0xC2}, "the NVIDIA driver is too old for this FFmpeg: its NVENC API is 12.2", "retryable"),
    ({"faults": "GetEncodePresetConfigEx=12"}, "does not have this preset and tune", "retryable"),
    ({"faults": "InitializeEncoder=8"}, "NVENC does not take these options: invalid param (8)", "retryable"),
    ({"faults": "InitializeEncoder=12"}, "NVENC does not take these options", "retryable"),
    ({"faults": "InitializeEncoder=10"}, "the GPU's memory is full", "machine"),
    ({"faults": "CreateInputBuffer=10"}, "the GPU's memory is full", "machine"),
    ({"faults": "GetSequenceParams=20"}, "the GPU stopped encoding: GetSequenceParams failed", "machine"),
    ({"faults": "LockInputBuffer=20:2"}, "the GPU stopped encoding: Failed locking", "machine"),
    ({"faults": "UnlockInputBuffer=20:2"}, "the GPU stopped encoding: Failed unlocking", "machine"),
    (
        {"faults": "EncodePicture=20:3"},
        "the GPU stopped encoding: EncodePicture failed!: generic error (20)",
        "machine",
    ),
    ({"faults": "EncodePicture=8:4"}, "the GPU stopped encoding: EncodePicture failed!", "machine"),
    ({"faults": "LockBitstream=20:2"}, "the GPU stopped encoding: Failed locking bitstream", "machine"),
    ({"faults": "UnlockBitstream=20:2"}, "the GPU stopped encoding: Failed unlocking bitstream", "machine"),
)

# What the card lacks, what is asked of it, and what the error says.
CARD_FAULTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("NUM_MAX_BFRAMES=0", {}, "this GPU encodes no B-frames with this codec (video.bf)"),
    ("NUM_MAX_BFRAMES=1", {}, "this GPU encodes at most 1 B-frames in a row (video.bf), not 2"),
    ("WIDTH_MAX=256", {}, "pictures of at most 256 pixels width, not 320"),
    ("HEIGHT_MAX=128", {}, "pictures of at most 128 pixels height, not 256"),
    ("SUPPORT_LOOKAHEAD=0", {"options": {"rc-lookahead": "16"}}, "no lookahead (video.lookahead)"),
    ("SUPPORT_TEMPORAL_AQ=0", {"options": {"temporal-aq": "1"}}, "no temporal AQ (video.aq)"),
    ("SUPPORT_MULTIPLE_REF_FRAMES=0", {"options": {"refs": "3"}}, "one reference frame only (video.refs)"),
    ("SUPPORT_LOSSLESS_ENCODE=0", {"options": {"tune": "lossless"}}, "nothing lossless (video.tune)"),
    ("SUPPORT_BFRAME_REF_MODE=0", {"options": {"b_ref_mode": "middle"}}, "B frames as references are not"),
    ("SUPPORT_WEIGHTED_PREDICTION=0", {"options": {"weighted_pred": "1"}}, "Weighted Prediction not"),
    ("SUPPORT_CABAC=0", {"options": {"coder": "cabac"}}, "CABAC entropy coding not supported"),
    ("", {"codecs": "hevc"}, "this GPU has no encoder for this codec"),
    ("", {"size": (96, 32)}, "the picture is smaller than NVENC supports"),
    ("", {"size": (4100, 64)}, "pictures of at most 4096 pixels width, not 4100"),
    ("", {"options": {"tune": "uhq"}}, "this FFmpeg's encoder has no tune named uhq"),
    ("", {"options": {"preset": "p9"}}, "this FFmpeg's encoder has no preset named p9"),
    ("", {"options": {"cq": "99"}}, "cq: got 99"),
    ("", {"options": {"nonsense": "1"}}, "FFmpeg's encoder has no option nonsense"),
    ("", {"options": {"gpu": "5"}}, "no GPU here can encode"),
)


def test_every_fault_of_a_driver_is_told_with_ffmpegs_lines_and_blamed_rightly(
    driver: EmulatedDriver,
) -> None:
    cases = [{"options": OPTIONS, "emulator": settings} for settings, _, _ in DRIVER_FAULTS]
    for (settings, meaning, kind), found in zip(DRIVER_FAULTS, outcomes(driver, cases), strict=True):
        assert found["error"] == "EncoderError", (settings, found)
        assert found["message"].startswith("h264_nvenc: "), (settings, found)
        assert meaning in found["message"].splitlines()[0], (settings, found)
        assert found["log"], settings
        assert found["message"].endswith("\n  ".join(["", *found["log"]])), (settings, found)
        assert found["kind"] == kind, (settings, found)


def test_what_a_card_cannot_do_is_told_by_the_configurations_key(driver: EmulatedDriver) -> None:
    cases = [
        {
            **case,
            "options": {**OPTIONS, **case.get("options", {})},
            "emulator": {"capabilities": lacks, "codecs": case.get("codecs", "h264,hevc")},
        }
        for lacks, case, _ in CARD_FAULTS
    ]
    for (lacks, case, meaning), found in zip(CARD_FAULTS, outcomes(driver, cases), strict=True):
        assert meaning in found["message"].splitlines()[0], (lacks, case, found)
        assert found["error"] == "EncoderError", (lacks, case, found)


def test_libraries_that_are_missing_or_too_old_are_named(driver: EmulatedDriver) -> None:
    for settings, meaning in (
        ({"without": ("libcuda.so.1",)}, "no NVIDIA driver on this machine"),
        ({"without": ("libnvidia-encode.so.1",)}, "the driver's encoder library is missing"),
        ({"old": True}, "the NVIDIA driver is too old for this FFmpeg: it has no cuArrayDestroy"),
    ):
        (found,) = outcomes(driver, [{"video": {"codec": "auto"}}], **settings)
        assert (found["encoder"], found["log"] != []) == ("libx264", True), (settings, found)
        assert meaning in found["reason"], (settings, found)
        assert "Cannot load" in found["log"][0]


NO_DEVICE = "[h264_nvenc @ 0x55d] No capable devices found"

# Logs as FFmpeg writes them where nothing here can emulate it.
LOGS = {
    "no driver on Windows": ("Cannot load nvcuda.dll", "no NVIDIA driver"),
    "a context of another library": (
        "Primary context already active with incompatible flags.",
        "another library of this process",
    ),
    "a GPU that is not there": ("Requested GPU 3, but only 2 GPUs are available!", "there is no GPU 3"),
    "no features": ("Provided device doesn't support required NVENC features", "cannot do what the options"),
    "an older nvenc": ("No NVENC capable devices found", "no GPU here can encode"),
}


@pytest.mark.parametrize("case", LOGS)
def test_a_log_is_explained_by_its_first_decisive_line(case: str) -> None:
    log, meaning = LOGS[case]
    found = find_fault([log, NO_DEVICE], FAULTS)
    assert found is not None
    assert meaning in found.meaning


def test_a_line_that_decides_nothing_does_not_hide_the_one_that_follows() -> None:
    session = "OpenEncodeSessionEx failed: unsupported device (2): (no details)"
    for lines in itertools.permutations([NO_DEVICE, session, "something else"]):
        found = find_fault(lines, FAULTS)
        assert found is not None
        assert found.meaning == "this GPU has no NVENC"
    assert find_fault(["something else", ""], FAULTS) is None
