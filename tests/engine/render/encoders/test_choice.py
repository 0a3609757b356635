"""Encoders, tried with real encodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.encoders.choice import choose_encoder, probe_encoder
from video_pipeline.engine.render.encoders.nvenc import explain_log

NO_DEVICE = "[h264_nvenc @ 0x55d] No capable devices found"


# Logs of failed encodes as FFmpeg writes them, by the first line that decides.
NVENC_LOGS = {
    "no driver": ("Cannot load libcuda.so.1\n" + NO_DEVICE, "no NVIDIA driver"),
    "no driver on Windows": ("Cannot load nvcuda.dll\n" + NO_DEVICE, "no NVIDIA driver"),
    "no video capability": (
        "Loaded lib: libcuda.so.1\nCannot load libnvidia-encode.so.1\nThe minimum required Nvidia driver for nvenc is 570.0 or newer",
        "encoder library is missing",
    ),
    "old driver": (
        "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1\n"
        "The minimum required Nvidia driver for nvenc is 570.0 or newer",
        "driver is too old",
    ),
    "a GPU without NVENC": (
        "OpenEncodeSessionEx failed: unsupported device (2): (no details)\n" + NO_DEVICE,
        "this GPU has no NVENC",
    ),
    "session limit of current drivers": (
        "OpenEncodeSessionEx failed: incompatible client key (21): (no details)\n" + NO_DEVICE,
        "every NVENC session",
    ),
    "session limit of old drivers": (
        "OpenEncodeSessionEx failed: out of memory (10): (no details)\n" + NO_DEVICE,
        "out of sessions or memory",
    ),
    "a small probe": (
        "InitializeEncoder failed: invalid param (8): Frame Dimension less than the minimum supported value.",
        "smaller than NVENC supports",
    ),
    "CUDA does not start": (
        "dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\n"
        + NO_DEVICE,
        "CUDA could not be started",
    ),
    "nothing else is said": (NO_DEVICE, "no GPU here can encode"),
    "an unknown fault": ("something new happened", "the probe encode failed"),
    "silence": ("", "the probe encode failed"),
}


@pytest.mark.parametrize("case", NVENC_LOGS)
def test_a_failed_nvenc_probe_is_explained_by_its_first_decisive_line(case: str) -> None:
    log, meaning = NVENC_LOGS[case]
    assert meaning in explain_log(log)


def test_a_line_that_decides_nothing_does_not_hide_the_one_that_follows() -> None:
    log = f"{NO_DEVICE}\nOpenEncodeSessionEx failed: unsupported device (2): (no details)"
    assert explain_log(log) == "this GPU has no NVENC"


def test_libx264_is_probed_by_a_real_encode() -> None:
    probe = probe_encoder("libx264")
    assert probe.works
    assert probe.reason == "a probe encode succeeded"


def test_an_encoder_that_does_not_exist_is_reported_as_such() -> None:
    probe = probe_encoder("h264_nonsense")
    assert not probe.works
    assert (
        probe.reason
        == "video.codec: got 'h264_nonsense' (did you mean 'h264_nvenc'?); allowed: auto, h264_nvenc, libx264"
    )


def test_probes_in_several_threads_all_read_the_same_log() -> None:
    probe = probe_encoder.__wrapped__
    first = probe("h264_nvenc")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(probe, ["h264_nvenc"] * 32)) == {first}
    assert first.works or first.log


def test_asking_for_nvenc_works_or_says_why_not() -> None:
    probe = probe_encoder("h264_nvenc")
    if probe.works:
        assert choose_encoder("h264_nvenc").name == choose_encoder("auto").name == "h264_nvenc"
        return
    with pytest.raises(UnavailableError) as caught:
        choose_encoder("h264_nvenc")
    text = str(caught.value)
    assert "video.codec: got 'h264_nvenc', which is not usable here" in text
    assert probe.reason in text
    assert probe.reason != "the probe encode failed"
    assert "allowed on this machine: auto, libx264" in text
    assert probe.log.splitlines()[0].strip() in text
    auto = choose_encoder("auto")
    assert auto.name == "libx264"
    assert probe.reason in auto.reason
