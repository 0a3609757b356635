"""NVENC: the H.264 encoder of NVIDIA GPUs."""

from __future__ import annotations

import re
from typing import Any, Final

from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.machine.gpus import gpus
from video_pipeline.engine.render.encoders.base import Encoder, check_option, quality_text

PRESETS: Final = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
TUNES: Final = ("hq", "uhq", "ll", "ull", "lossless")

PRESET_FOR_X264: Final = {
    "ultrafast": "p1",
    "superfast": "p1",
    "veryfast": "p2",
    "faster": "p3",
    "fast": "p4",
    "medium": "p4",
    "slow": "p5",
    "slower": "p6",
    "veryslow": "p7",
    "placebo": "p7",
}
"""The NVENC preset to use if the configuration names an x264 preset."""

NO_DEVICE: Final = r"No NVENC capable devices found|No capable devices found"
"""FFmpeg's last line after most faults, ignored if an earlier line explains the fault."""

FAULTS: Final[tuple[tuple[str, str], ...]] = (
    (r"Cannot load libcuda\.so", "no NVIDIA driver on this machine"),
    (r"Cannot load nvcuda\.dll", "no NVIDIA driver on this machine"),
    (
        r"Cannot load (libnvidia-encode\.so|nvEncodeAPI)",
        "the driver's encoder library is missing (in a container: the `video` driver capability)",
    ),
    (
        r"Driver does not support the required nvenc API version",
        "the NVIDIA driver is too old for this FFmpeg",
    ),
    (r"unsupported device \(2\)", "this GPU has no NVENC"),
    (r"incompatible client key \(21\)", "every NVENC session that the driver allows is taken"),
    (r"out of memory \(10\)", "NVENC is out of sessions or memory"),
    (r"cu(Init|DeviceGet\w*|Ctx\w+)\(.*failed", "CUDA could not be started"),
    (r"less than the minimum", "the picture is smaller than NVENC supports"),
)
"""Patterns of FFmpeg's log lines and their meaning; the first log line that matches one is used."""


def explain_log(log: str) -> str:
    """Return the meaning of a failed encode's log, by its first line that matches one of FAULTS."""
    for line in log.splitlines():
        for pattern, meaning in FAULTS:
            if re.search(pattern, line):
                return meaning
    return "no GPU here can encode" if re.search(NO_DEVICE, log) else "the probe encode failed"


def nvenc_options(video: Video, gop_frames: int) -> dict[str, str]:
    """Return the options of NVENC; raise ConfigError naming a wrong key."""
    del gop_frames  # set on the encoder's context
    preset = PRESET_FOR_X264.get(video.preset, video.preset)
    check_option("preset", preset, PRESETS, H264_NVENC.name)
    check_option("tune", video.tune, TUNES, H264_NVENC.name)
    options = {
        "preset": preset,
        "tune": "hq",
        "rc": "vbr",
        "spatial-aq": "1",
        "bf": "2",
        "forced-idr": "1",
    }
    rate = video.rate_control()
    if rate.bitrate is not None:
        return options | {"b": rate.bitrate}
    if rate.crf is not None:
        options |= {"cq": quality_text(rate.crf), "b": "0"}
    if rate.max_bit_rate is not None:
        options |= {"maxrate": str(rate.max_bit_rate), "bufsize": str(2 * rate.max_bit_rate)}
    return options


def nvenc_versions() -> dict[str, Any]:
    """Return the GPUs and their driver version, on which the encoded bytes depend."""
    return {"gpus": [[gpu.name, gpu.driver] for gpu in gpus()[0]]}


H264_NVENC: Final = Encoder(
    name="h264_nvenc", options=nvenc_options, versions=nvenc_versions, explain_log=explain_log, on_gpu=True
)
