"""Encode frames into closed segments."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator
from typing import Final

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from video_pipeline.engine.config.sections import parse_bit_rate
from video_pipeline.engine.errors import EncoderError
from video_pipeline.engine.render.encoders.base import EncoderSettings, find_fault, load_encoder
from video_pipeline.engine.render.encoders.log import FfmpegLog, ffmpeg_log
from video_pipeline.engine.render.encoders.watched import CALL_SECONDS, StalledError, Watch, call_watched
from video_pipeline.engine.render.planes import Buffer, video_frame

REORDERED_FRAMES: Final = 2
"""How far decoding runs ahead of showing with B-frames. Encoders run less far ahead in a segment of one or two frames,
and its decoding times would then overlap those of the next."""


def encode_segment(frames: Iterator[Buffer], settings: EncoderSettings, *, threads: int = 1) -> bytes:
    """Encode 4:2:0 frames into an MP4 in memory: one closed segment that starts with an IDR frame.

    `frames` yields arrays of shape (height * 3 / 2, width): stacked planes Y, U, V, BT.709 limited range.
    The bytes of x264 depend on the number of threads, which is one by default. Raises EncoderError, also if a GPU's
    driver does not return from a call.
    """
    if not load_encoder(settings.encoder).on_gpu:
        return _encode(frames, settings, threads, contextlib.nullcontext)
    try:
        return call_watched(lambda watch: _encode(frames, settings, threads, watch), seconds=CALL_SECONDS)
    except StalledError as error:
        what = f"{settings.encoder}: {error}"
        raise EncoderError(what, log=(), machine=True, options=settings.describe()) from error


def _encode(frames: Iterator[Buffer], settings: EncoderSettings, threads: int, watch: Watch) -> bytes:
    """Encode frames as encode_segment does; calls into the encoder are made in the context that `watch` returns."""
    buffer = io.BytesIO()
    opening = FfmpegLog()
    with ffmpeg_log() as log:
        try:
            with av.open(buffer, "w", format="mp4") as container:
                stream = container.add_stream(settings.encoder, rate=settings.fps)
                assert isinstance(stream, av.VideoStream)
                context = stream.codec_context
                _configure(context, settings, threads)
                numbers = itertools.count()

                def encode(frame: av.VideoFrame | None) -> None:
                    with watch():
                        packets = stream.encode(frame)
                    for packet in packets:
                        packet.dts = next(numbers) - (REORDERED_FRAMES if context.has_b_frames else 0)
                        container.mux(packet)

                for number, array in enumerate(frames):
                    frame = video_frame(array)
                    frame.pts, frame.time_base = number, 1 / settings.fps
                    frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.ITU709
                    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
                    if number:
                        encode(frame)
                        continue
                    # The first call opens the encoder, which says in warnings what a GPU cannot do.
                    with ffmpeg_log(av.logging.WARNING) as opening:
                        encode(frame)
                    if context.options:  # what the encoder has not taken
                        unknown = ", ".join(context.options)
                        raise EncoderError(
                            f"{settings.encoder}: FFmpeg's encoder has no option {unknown}",
                            log=(),
                            options=settings.describe(),
                        )
                encode(None)
        except av.FFmpegError as error:
            lines = [*opening.lines(), *log.lines()]
            fault = find_fault(lines, load_encoder(settings.encoder).faults)
            raise EncoderError(
                f"{settings.encoder}: {fault.meaning if fault else error.strerror or error}",
                log=lines,
                machine=fault is not None and fault.kind == "machine",
                options=settings.describe(),
            ) from error
    return buffer.getvalue()


def _configure(context: av.VideoCodecContext, settings: EncoderSettings, threads: int) -> None:
    context.width, context.height = settings.width_px, settings.height_px
    context.pix_fmt = "yuv420p"
    tag = load_encoder(settings.encoder).tag
    if tag:
        context.codec_tag = tag
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
