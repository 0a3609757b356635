"""The video encoders of this machine, each tried with a real encode."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

from video_pipeline.engine.errors import UnavailableError

PROBE_PX = (320, 256)
"""NVENC refuses very small pictures, which says nothing of larger ones."""


# The first decisive line of FFmpeg's log, what it means, and what helps. "No capable devices found" follows
# most of them and decides nothing.
NVENC_FAULTS: tuple[tuple[str, str], ...] = (
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
    (r"No NVENC capable devices found|No capable devices found", "no GPU here can encode"),
    (r"less than the minimum", "the picture is smaller than NVENC encodes"),
)


def classify_nvenc(log: str) -> str:
    """Return what the log of a failed NVENC probe means, by its first decisive line."""
    generic = NVENC_FAULTS[-2]
    for line in log.splitlines():
        for pattern, meaning in NVENC_FAULTS:
            if pattern != generic[0] and re.search(pattern, line):
                return meaning
    if re.search(generic[0], log):
        return generic[1]
    return "the probe encode failed"


@dataclass(frozen=True, slots=True)
class EncoderProbe:
    """Whether an encoder encoded a real picture just now, and why not."""

    name: str
    works: bool
    reason: str
    log: str = ""


@cache
def probe_encoder(name: str) -> EncoderProbe:
    """Encode a few real frames with an encoder of PyAV's FFmpeg, the one that will do the work."""
    width, height = PROBE_PX
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture() as lines:
        try:
            context = av.CodecContext.create(name, "w")
            assert isinstance(context, av.VideoCodecContext)
            context.width, context.height = width, height
            context.pix_fmt = "yuv420p"
            context.framerate = Fraction(30)
            packets = 0
            for value in (16, 128, 235):
                frame = av.VideoFrame.from_ndarray(
                    np.full((height * 3 // 2, width), value, np.uint8), format="yuv420p"
                )
                packets += len(context.encode(frame))
            packets += len(context.encode(None))
        except av.FFmpegError as error:
            log = "\n".join(line[2].strip() for line in lines)
            meaning = classify_nvenc(log) if "nvenc" in name else str(error)
            return EncoderProbe(name, False, meaning, log)
        except ValueError:
            return EncoderProbe(name, False, f"PyAV {av.__version__} was built without it")
        finally:
            av.logging.set_level(level)
    if packets < 3:
        return EncoderProbe(name, False, f"{packets} of 3 probe frames came back")
    return EncoderProbe(name, True, "a probe encode succeeded")


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """The encoder of a render and why it was chosen. Made once, before rendering."""

    name: str
    reason: str


def choose_encoder(wanted: str) -> EncoderChoice:
    """Return the encoder to use; raise UnavailableError where one asked for by name does not work."""
    if wanted == "auto":
        nvenc = probe_encoder("h264_nvenc")
        if nvenc.works:
            return EncoderChoice("h264_nvenc", nvenc.reason)
        return EncoderChoice("libx264", f"h264_nvenc is not usable: {nvenc.reason}")
    probe = probe_encoder(wanted)
    if not probe.works:
        detail = f"\n  {probe.log.strip().splitlines()[0]}" if probe.log.strip() else ""
        raise UnavailableError(
            f"encoder {wanted!r} is not usable here: {probe.reason}; allowed on this machine: auto, libx264{detail}"
        )
    return EncoderChoice(wanted, "asked for by name")
