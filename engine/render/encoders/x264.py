"""libx264: H.264 on the CPU, with the same bytes on every machine."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np

from video_pipeline.engine.config.rate_control import BUFFER_SECONDS
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.render.encoders.base import Encoder
from video_pipeline.engine.render.encoders.options import quality_options, table_options

DEADZONES: Final = ("deadzone_inter", "deadzone_intra")

_BUILD: Final = re.compile(rb"x264 - (core \d+[ -~]*?) - H\.264")


def x264_options(video: Video, gop_frames: int) -> dict[str, str]:
    """Return the options of libx264; raise ConfigError naming a wrong key."""
    options = table_options(video, LIBX264.name)
    # stitchable: headers depend on the settings alone, so all segments share them; keyint is fixed, without open GOP.
    # cpu-independent: the same bytes from every CPU. Without it, mbtree of x264 (core 165) with AVX-512 depends on the
    # earlier content of its memory: one segment encoded twice could differ.
    params = f"stitchable=1:cpu-independent=1:open-gop=0:keyint={gop_frames}"
    rate = video.rate_control()
    if rate.buffer_bits is not None and rate.max_bit_rate is None:
        raise ConfigError(
            f"video.bufsize: got {video.bufsize!r}; {LIBX264.name} has a buffer only with video.max_bitrate"
        )
    if rate.max_bit_rate is not None:
        kilobits = max(1, rate.max_bit_rate // 1000)
        buffer = BUFFER_SECONDS * kilobits if rate.buffer_bits is None else max(1, rate.buffer_bits // 1000)
        params += f":vbv-maxrate={kilobits}:vbv-bufsize={buffer}"
    for key in DEADZONES:  # FFmpeg's libx264 has no options for them
        if getattr(video, key) is not None:
            params += f":{key.replace('_', '-')}={getattr(video, key)}"
    options["x264-params"] = params
    if rate.bitrate is not None:
        options["b"] = rate.bitrate
        # Segments are short, so their average is kept to more closely than x264 does by itself (1.0).
        options["x264-params"] += ":ratetol=0.1"
    elif rate.crf is not None:
        options |= quality_options(rate.crf, LIBX264.name)
    return options


def x264_versions() -> dict[str, Any]:
    """Return the version of the x264 in PyAV, which x264 writes into its output."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 32, 32, "yuv420p"
    context.framerate, context.time_base = Fraction(30), Fraction(1, 30)
    context.thread_count = 1
    context.options = {"preset": "ultrafast"}
    picture = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), format="yuv420p")
    written = b"".join(bytes(packet) for frame in (picture, None) for packet in context.encode(frame))
    found = _BUILD.search(written)
    return {"x264": found.group(1).decode("ascii") if found else None}


LIBX264: Final = Encoder(name="libx264", options=x264_options, versions=x264_versions)
