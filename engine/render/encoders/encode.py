"""Encode frames into closed segments."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import av
import numpy as np
from av.video.frame import CudaContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from video_pipeline.engine.config.values import parse_bit_rate
from video_pipeline.engine.errors import EncoderError
from video_pipeline.engine.render.cuda.surfaces import GpuFrame
from video_pipeline.engine.render.encoders.base import EncoderSettings, find_fault, load_encoder
from video_pipeline.engine.render.encoders.log import FfmpegLog, ffmpeg_log
from video_pipeline.engine.render.encoders.sessions import SESSIONS, SessionReport
from video_pipeline.engine.render.encoders.watched import (
    OPENINGS,
    StalledError,
    Watch,
    call_watched,
)
from video_pipeline.engine.render.planes import Buffer, video_frame, write_nv12

REORDERED_FRAMES: Final = 2
"""How far decoding runs ahead of showing with B-frames. Encoders run less far ahead in a segment of one or two frames,
and its decoding times would then overlap those of the next."""

GPU_PIX_FMT: Final = "nv12"
"""What a GPU's encoder is given, from whichever memory, so that a segment's bytes do not depend on where its frames were."""

Frame = Buffer | GpuFrame


def encode_segment(
    frames: Iterator[Buffer],
    settings: EncoderSettings,
    *,
    threads: int = 1,
    session_wait: float = 0.0,
    sessions: SessionReport | None = None,
    check: Callable[[], None] = lambda: None,
    frames_for: Callable[[int], Iterator[Frame]] | None = None,
) -> bytes:
    """Encode 4:2:0 frames into an MP4 in memory: one closed segment that starts with an IDR frame.

    `frames` yields arrays of shape (height * 3 / 2, width): stacked planes Y, U, V, BT.709 limited range.
    The bytes of x264 depend on the number of threads, which is one by default. If `settings` names a GPU, the least
    loaded one of that model encodes. A session that its driver refuses is tried again for `session_wait` seconds, and
    longer while this process has others; `check` is called meanwhile and may raise. `sessions` counts what happens.
    `frames_for` returns, instead of `frames`, those for the GPU that has the session, which may be in its memory.
    Raises EncoderError, also if a GPU's driver does not return from a call; then that GPU is no longer used.
    """
    if not settings.gpu:
        return encode_frames(frames, settings, threads=threads)
    report = sessions or SessionReport()
    begun: dict[int, tuple[list[Frame], Iterator[Frame]]] = {}

    def whole(gpu: int) -> Iterator[Frame]:
        place = gpu if frames_for else 0
        if place not in begun:
            begun.clear()
            source: Iterator[Frame] = frames_for(gpu) if frames_for else frames
            begun[place] = list(itertools.islice(source, 1)), source  # kept while its session is refused
        first, rest = begun[place]
        return itertools.chain(first, rest)

    if frames_for is None:
        whole(0)  # the first frame is drawn before a session is taken
    waited = 0.0
    while True:
        check()
        with SESSIONS.session(settings.gpu) as device:
            check()
            try:
                data = encode_frames(whole(device.index), settings, threads=threads, gpu=device.index)
            except EncoderError as error:
                if not error.refused:
                    if error.machine:
                        SESSIONS.lose(device, error.what, log=error.log)
                        report.lose(device.index, error.what)
                    raise
                SESSIONS.refuse(device)
                refusal = error
            else:
                report.count(gpu=device.index)
                return data
        report.count(refused=1)
        held = SESSIONS.held(settings.gpu)
        if waited >= session_wait and not held:
            raise refusal
        started = time.monotonic()
        SESSIONS.wait()
        taken = time.monotonic() - started
        waited = 0.0 if held else waited + taken
        report.count(waited_seconds=taken)


def encode_frames(
    frames: Iterator[Frame], settings: EncoderSettings, *, threads: int = 1, gpu: int | None = None
) -> bytes:
    """Encode a segment as encode_segment does, on a GPU by CUDA's count or on the one that FFmpeg finds first."""
    if not load_encoder(settings.encoder).on_gpu:
        return _encode(frames, settings, threads, contextlib.nullcontext)
    if gpu is not None:
        settings = replace(settings, options={**settings.options, "gpu": str(gpu)})
    try:
        return call_watched(lambda watch: _encode(frames, settings, threads, watch))
    except StalledError as error:
        what = f"{settings.encoder}: {error}"
        raise EncoderError(what, log=(), machine=True, options=settings.describe()) from error


def _encode(frames: Iterator[Frame], settings: EncoderSettings, threads: int, watch: Watch) -> bytes:
    """Encode frames as encode_segment does; calls into the encoder are made in the context that `watch` returns."""
    buffer = io.BytesIO()
    opening = FfmpegLog()
    on_gpu = load_encoder(settings.encoder).on_gpu
    opening_call = OPENINGS.call() if on_gpu else contextlib.nullcontext()
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

                cuda: CudaContext | None = None
                room: Buffer | None = None
                for number, drawn in enumerate(frames):
                    if isinstance(drawn, GpuFrame):
                        with watch():
                            if cuda is None:
                                context.pix_fmt = "cuda"
                                cuda = _cuda_context(drawn)
                            frame = av.VideoFrame.from_dlpack(
                                drawn.planes(), format=GPU_PIX_FMT, cuda_context=cuda
                            )
                    elif on_gpu:
                        room = np.empty_like(drawn) if room is None else room
                        write_nv12(drawn, room)
                        frame = video_frame(room, pix_fmt=GPU_PIX_FMT)
                    else:
                        frame = video_frame(drawn)
                    frame.pts, frame.time_base = number, 1 / settings.fps
                    frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.ITU709
                    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
                    if number:
                        encode(frame)
                        continue
                    # The first call opens the encoder, which says in warnings what a GPU cannot do.
                    with ffmpeg_log(av.logging.WARNING) as opening, opening_call:
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
                machine=fault is not None and fault.kind in ("machine", "refused"),
                refused=fault is not None and fault.kind == "refused",
                options=settings.describe(),
            ) from error
    return buffer.getvalue()


def h264_level(settings: EncoderSettings) -> int:
    """Return the level (level_idc) that libx264 writes into the headers for these settings, without encoding."""
    context = av.CodecContext.create(settings.encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    _configure(context, settings, threads=1)
    context.framerate = settings.fps
    context.flags |= av.codec.context.Flags.global_header
    try:
        context.open()
    except av.FFmpegError as error:
        raise EncoderError(
            f"{settings.encoder}: {error.strerror or error}", log=(), options=settings.describe()
        ) from error
    headers = bytes(context.extradata or b"")
    return headers[headers.index(b"\x00\x00\x01\x67") + 6]  # after the NAL's header, profile and constraints


def _cuda_context(frame: GpuFrame) -> CudaContext:
    """Return what FFmpeg needs of the GPU that has a frame, for one encoder.

    It is the context that drew the frame, whatever the flags of that are; with `primary_ctx` FFmpeg would refuse others.
    """
    frame.make_current()
    return CudaContext(device_id=frame.gpu, primary_ctx=False, current_ctx=True)


def _configure(context: av.VideoCodecContext, settings: EncoderSettings, threads: int) -> None:
    context.width, context.height = settings.width_px, settings.height_px
    encoder = load_encoder(settings.encoder)
    context.pix_fmt = GPU_PIX_FMT if encoder.on_gpu else "yuv420p"
    if encoder.tag:
        context.codec_tag = encoder.tag
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
