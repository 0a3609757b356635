"""Find the encoders that work on this machine, by a real encode each, and choose one for a render."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from typing import Final, cast

import av
import numpy as np

from video_pipeline.engine.common.registry import Probe, Selection
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.encoders.base import Encoder

PROBE_PX = (320, 256)
"""Large enough for NVENC, which refuses very small pictures."""

_LOG_LOCK: Final = threading.Lock()
"""Held while PyAV's log settings are changed, because they apply to the whole process."""


def load_encoder(name: str) -> Encoder:
    """Return the record of an encoder; raise UnavailableError if ENCODERS has none of that name."""
    return cast(Encoder, ENCODERS.load(name))


@contextmanager
def ffmpeg_errors() -> Iterator[list[tuple[int, str, str]]]:
    """Collect the error lines that FFmpeg logs in this thread, as tuples of level, source and message."""
    with _LOG_LOCK:
        level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        # Otherwise PyAV drops a line that equals the one before it, even that of another probe.
        av.logging.set_skip_repeated(False)
        try:
            with av.logging.Capture() as lines:
                yield lines
        finally:
            av.logging.set_skip_repeated(skips)
            av.logging.set_level(level)


@cache
def probe_encoder(name: str) -> Probe:
    """Report whether an encoder works, by encoding three frames with PyAV's FFmpeg, as a render does."""
    try:
        encoder = load_encoder(name)
    except UnavailableError as error:
        return Probe(name, False, str(error))
    width, height = PROBE_PX
    with ffmpeg_errors() as lines:
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
            return Probe(name, False, encoder.explain_log(log) or str(error), log)
        except ValueError:
            return Probe(name, False, f"PyAV {av.__version__} was built without it")
    if packets < 3:
        return Probe(name, False, f"{packets} of 3 probe frames were encoded")
    return Probe(name, True, "a probe encode succeeded")


def choose_encoder(wanted: str) -> Selection:
    """Return the encoder to use; raise UnavailableError if the one named in `wanted` does not work."""
    return ENCODERS.select(wanted, probe_encoder)
