"""Encode frames into closed segments."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any, Final

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from video_pipeline.engine.config.sections import parse_bit_rate
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.planes import Buffer, video_frame

REORDERED_FRAMES: Final = 2
"""How far decoding runs ahead of showing with B-frames. Encoders run less far ahead in a segment of one or two frames,
and its decoding times would then overlap those of the next."""


def encode_segment(frames: Iterator[Buffer], settings: EncoderSettings, *, threads: int = 1) -> bytes:
    """Encode 4:2:0 frames into an MP4 in memory: one closed segment that starts with an IDR frame.

    `frames` yields arrays of shape (height * 3 / 2, width): stacked planes Y, U, V, BT.709 limited range.
    The bytes of x264 depend on the number of threads, which is one by default. Raises RenderingError.
    """
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream(settings.encoder, rate=settings.fps)
            assert isinstance(stream, av.VideoStream)
            context = stream.codec_context
            context.width, context.height = settings.width_px, settings.height_px
            context.pix_fmt = "yuv420p"
            context.time_base = 1 / settings.fps
            context.gop_size = settings.gop_frames
            context.thread_count = threads
            context.color_range = ColorRange.MPEG
            context.colorspace = Colorspace.ITU709
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
            options = dict(settings.options)
            if "b" in options:
                context.bit_rate = parse_bit_rate(options.pop("b"))
            context.options = options
            numbers = itertools.count()

            def mux(packets: list[av.Packet[Any]]) -> None:
                for packet in packets:
                    packet.dts = next(numbers) - (REORDERED_FRAMES if context.has_b_frames else 0)
                    container.mux(packet)

            for number, array in enumerate(frames):
                frame = video_frame(array)
                frame.pts, frame.time_base = number, 1 / settings.fps
                frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.ITU709
                frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
                mux(stream.encode(frame))
            mux(stream.encode(None))
    except av.FFmpegError as error:
        raise RenderingError(f"{settings.encoder}: {error}", options=settings.describe()) from error
    return buffer.getvalue()
