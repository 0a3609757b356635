"""The FFmpeg compositor: one filter graph for a range of the timeline."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Final

from video_pipeline.engine.common.registry import Probe
from video_pipeline.engine.config import Config
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.machine.hwaccel import try_hwaccel
from video_pipeline.engine.render.captions.draw import CaptionArt, in_range
from video_pipeline.engine.render.compositors.base import CompositorBackend
from video_pipeline.engine.render.compositors.footage_graph import draw_footage
from video_pipeline.engine.render.compositors.overlay_graph import (
    overlay_caption,
    overlay_progress,
    overlay_watermark,
)
from video_pipeline.engine.render.compositors.raw_frames import (
    Children,
    read_frames,
    read_frames_of_gpu,
)
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timeline import (
    MAX_SEGMENT_SECONDS,
    Clip,
    Footage,
    Still,
    Timeline,
    Transition,
)
from video_pipeline.engine.timing import FrameRange, frame_time
from video_pipeline.filters import fade, ken_burns
from video_pipeline.filters.color import (
    Converter,
    scale_to_bt709,
    tag_bt709,
    to_pix_fmt,
)
from video_pipeline.filters.crop import COARSEST_GRID_PX, crop
from video_pipeline.filters.fit import compose_fit
from video_pipeline.filters.frames import repeat, retime, trim
from video_pipeline.filters.geometry import (
    MAX_STAGE,
    Camera,
    Rect,
    enclosing_window,
    even,
)
from video_pipeline.filters.grade import grade_colours
from video_pipeline.filters.graph import PROTOCOLS, Stream, argv, concat, open_input
from video_pipeline.filters.ken_burns import MotionFilter
from video_pipeline.filters.transitions import xfade

PIX_FMT = "yuv420p"
PERSPECTIVE_MAX_ZOOM = 1.8
"""Largest zoom of the perspective filter, which enlarges a frame-sized picture: beyond it, the result looks soft."""

SCALE_CONVERTS_FROM = (8,)
"""The first FFmpeg release whose scale filter converts primaries and transfers."""

GLOBAL_OPTIONS = ("-hide_banner", "-nostdin", "-loglevel", "error", "-max_error_rate", "1")
"""With a maximum error rate of 1, a clip with few decodable frames does not fail: its last frame is held."""


@dataclass(frozen=True, slots=True)
class FfmpegCompositor:
    """A compositor that draws any frame range of a timeline with FFmpeg filters.

    `motion` is the filter that moves the camera: `auto` uses perspective (subpixel) if it keeps the
    picture sharp, otherwise an oversampled zoompan, within zoompan's largest zoom. `version` is the
    version line of the ffmpeg program.
    """

    max_segment_seconds: ClassVar[int] = MAX_SEGMENT_SECONDS

    timeline: Timeline
    captions: tuple[CaptionArt, ...]
    program: Path
    motion: str = "auto"
    oversample: int = 4
    has_perspective: bool = True
    converter: Converter = "zscale"
    decoders: frozenset[str] = frozenset()
    version: str = ""
    hwaccel: str | None = None
    """FFmpeg's acceleration for decoding video clips; the graphs that `compile` prints have none."""
    on_gpu: bool = False
    """Whether this object's graphs use it."""
    name: ClassVar[str] = "ffmpeg"

    def with_timeline(self, timeline: Timeline) -> FfmpegCompositor:
        """Return a compositor of another timeline, without captions."""
        return replace(self, timeline=timeline, captions=())

    def with_captions(self, captions: tuple[CaptionArt, ...]) -> FfmpegCompositor:
        """Return a compositor of the same timeline that draws these captions."""
        return replace(self, captions=captions)

    def without_captions(self) -> FfmpegCompositor:
        """Return a compositor of the same timeline that draws the clips alone."""
        return replace(self, captions=(), timeline=replace(self.timeline, watermark=None, progress=None))

    def identity(self) -> dict[str, Any]:
        """Return all that frames depend on besides the timeline and its captions, for the cache key of a segment."""
        return {
            "name": self.name,
            "version": self.version,
            "motion": self.motion,
            "oversample": self.oversample,
            "has_perspective": self.has_perspective,
            "converter": self.converter,
        }

    def segments(self) -> tuple[FrameRange, ...]:
        """Return the ranges in which the timeline is drawn, each by an ffmpeg process of its own."""
        return self.timeline.segments(max_frames=max(1, int(self.max_segment_seconds * self.timeline.fps)))

    def prepare(self, frames: FrameRange) -> None:
        """Do nothing: the ffmpeg process of a range loads its own files."""

    def frames(
        self, wanted: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range; each overwrites the array of the one before. Raises SubprocessError."""
        clips = [clip for clip in self.timeline.clips if clip.frames.intersection(wanted)]

        def command(compositor: FfmpegCompositor) -> list[str]:
            return compositor.frames_command(wanted, threads=threads)

        yield from self._read(command, wanted, clips, children)

    def _read(
        self,
        command: Callable[[FfmpegCompositor], list[str]],
        wanted: FrameRange,
        clips: Sequence[Clip],
        children: Children,
    ) -> Generator[Buffer, None, None]:
        """Yield the frames of a command; if decoding on the GPU fails, of the same command without it."""
        size_px = (self.timeline.width_px, self.timeline.height_px)
        drawn = read_frames(command(self), wanted, size_px=size_px, children=children, clips=clips)
        if any(isinstance(clip.source, Footage) and self._accelerates(clip.source) for clip in clips):
            on_gpu = command(replace(self, on_gpu=True))
            drawn = read_frames_of_gpu(
                on_gpu, wanted, size_px=size_px, children=children, clips=clips, otherwise=drawn
            )
        yield from drawn

    def _accelerates(self, footage: Footage) -> bool:
        """Return whether a clip's frames are decoded on the GPU."""
        return (
            self.hwaccel is not None and footage.exact_pix_fmt is not None and try_hwaccel(self.program).works
        )

    def motion_of(self, clip: Clip) -> MotionFilter | None:
        """Return the filter that moves a clip's camera, or None if the camera is fixed."""
        if not isinstance(clip.source, Still) or clip.camera is None or not clip.camera.moves:
            return None
        if not self.has_perspective:
            return "zoompan"
        start, end = clip.camera.start, clip.camera.end
        deep = max(start.width / end.width, end.width / start.width) > PERSPECTIVE_MAX_ZOOM
        bounds = self._padded(clip.camera.bounds(), self._stage(clip, clip.source))
        fits = ken_burns.zoompan_zoom(clip.camera, bounds=bounds) <= ken_burns.ZOOMPAN_MAX_ZOOM
        wanted = self.motion == "zoompan" or (self.motion == "auto" and deep)
        return "zoompan" if wanted and fits else "perspective"

    # -- one range ----------------------------------------------------------------------------

    def compose(self, frames: FrameRange) -> Stream:
        """Return the graph of the frames in a range: 4:2:0, BT.709 limited, constant rate, from time 0."""
        base = self._base(frames)
        for art in in_range(self.captions, frames):
            base = overlay_caption(base, art, frames, fps=self.timeline.fps)
        if self.timeline.progress is not None:
            base = overlay_progress(base, self.timeline.progress, frames, fps=self.timeline.fps)
        if self.timeline.watermark is not None:
            base = overlay_watermark(base, self.timeline.watermark, fps=self.timeline.fps)
        return to_pix_fmt(base, PIX_FMT)

    def frames_command(self, frames: FrameRange, *, threads: int) -> list[str]:
        """Return the ffmpeg command that writes the raw frames of a range to its standard output."""
        return self._raw_command(self.compose(frames), frames, threads=threads)

    def clip_frames(
        self, clip: Clip, span: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield frames `span` of one clip, counted from its first, without transitions and captions."""

        def command(compositor: FfmpegCompositor) -> list[str]:
            return compositor._raw_command(compositor._clip(clip, span), span, threads=threads)

        yield from self._read(command, span, [clip], children)

    def _raw_command(self, stream: Stream, frames: FrameRange, *, threads: int) -> list[str]:
        # Without xerror, the frames that a lost GPU does not decode would show the one before them.
        strict = ("-xerror",) if self.on_gpu else ()
        return argv(
            self.program,
            [stream],
            "pipe:1",
            global_options=(*GLOBAL_OPTIONS, *strict, "-filter_complex_threads", str(threads)),
            f="rawvideo",
            pix_fmt=PIX_FMT,
            fps_mode="passthrough",
            **{"frames:v": len(frames)},
        )

    def whole(self) -> Stream:
        """Return one graph of the whole timeline, joined from the segments that a render encodes."""
        parts = [self._retimed(self.compose(segment)) for segment in self.segments()]
        return tag_bt709(self._retimed(concat(parts)))

    # -- pieces ---------------------------------------------------------------------------------

    def _base(self, frames: FrameRange) -> Stream:
        """Return the clips and transitions of a range, without captions."""
        timeline = self.timeline
        wanted: dict[int, list[FrameRange]] = {}
        order: list[tuple[int, Transition | None, FrameRange]] = []
        for seen, index, transition in timeline.stretches(frames):
            # A transition is drawn whole and then cut.
            piece = transition.frames if transition else seen
            wanted.setdefault(index, []).append(piece)
            if transition:
                wanted.setdefault(index + 1, []).append(piece)
            order.append((index, transition, piece))
        streams = {
            (index, piece): stream
            for index, pieces in wanted.items()
            for piece, stream in zip(pieces, self._cut(timeline.clips[index], pieces), strict=True)
        }
        parts: list[Stream] = []
        for index, transition, piece in order:
            if transition is None:
                parts.append(streams[index, piece])
                continue
            joined = xfade(
                streams[index, piece],
                streams[index + 1, piece],
                name=transition.name,
                frames=len(piece),
                fps=timeline.fps,
            )
            joined = to_pix_fmt(joined, PIX_FMT)
            shown = piece.intersection(frames)
            if shown and shown != piece:
                joined = self._trim(joined, shown.start - piece.start, shown.stop - piece.start)
            parts.append(joined)
        return self._retimed(concat(parts))

    def _cut(self, clip: Clip, pieces: Sequence[FrameRange]) -> list[Stream]:
        """Return one stream for each piece of a clip, all split from one chain that draws their common span."""
        first = min(piece.start for piece in pieces)
        last = max(piece.stop for piece in pieces)
        span = FrameRange(first - clip.frames.start, last - clip.frames.start)
        copies = self._clip(clip, span).split(len(pieces))
        return [
            copy
            if piece.start == first and piece.stop == last
            else self._trim(copy, piece.start - first, piece.stop - first)
            for copy, piece in zip(copies, pieces, strict=True)
        ]

    def _trim(self, stream: Stream, start: int, stop: int) -> Stream:
        return trim(stream, start, stop, fps=self.timeline.fps)

    def _retimed(self, stream: Stream, offset: int = 0) -> Stream:
        return retime(stream, offset, fps=self.timeline.fps)

    # -- one clip ---------------------------------------------------------------------------------

    def _clip(self, clip: Clip, span: FrameRange) -> Stream:
        """Return frames `span` of a clip, counted from the clip's first frame."""
        if isinstance(clip.source, Footage):
            stream = draw_footage(
                clip.source,
                span,
                fit=clip.fit,
                shown=clip.effective_camera(self.timeline.width_px / self.timeline.height_px).start,
                canvas_px=(self.timeline.width_px, self.timeline.height_px),
                fps=self.timeline.fps,
                converter=self.converter,
                decoders=self.decoders,
                hwaccel=self.hwaccel if self.on_gpu and self._accelerates(clip.source) else None,
                lut=clip.grade.path if clip.grade is not None else None,
            )
        else:
            stream = self._still(clip, clip.source, span)
        return self._fades(to_pix_fmt(stream, PIX_FMT), clip, span)

    def _fades(self, stream: Stream, clip: Clip, span: FrameRange) -> Stream:
        fps, length = self.timeline.fps, len(clip.frames)
        fades_in = clip.fade_in_frames > span.start
        fades_out = length - clip.fade_out_frames < span.stop and clip.fade_out_frames > 0
        if not (fades_in or fades_out):
            return stream
        stream = self._retimed(stream, span.start)
        if fades_in:
            stream = fade.fade_in(stream, start=Fraction(0), duration=frame_time(clip.fade_in_frames, fps))
        if fades_out:
            start = frame_time(length - clip.fade_out_frames, fps)
            stream = fade.fade_out(stream, start=start, duration=frame_time(clip.fade_out_frames, fps))
        return self._retimed(stream)

    def _still(self, clip: Clip, still: Still, span: FrameRange) -> Stream:
        width, height = self.timeline.width_px, self.timeline.height_px
        stream = open_input(still.path, demuxer=still.demuxer, framerate=self.timeline.fps)
        if clip.grade is not None:
            stream = grade_colours(stream, clip.grade.path)
        motion = self.motion_of(clip)
        camera = clip.effective_camera(width / height)
        bounds = camera.bounds()
        stage = self._stage(clip, still)
        if clip.fit != "cover":
            source = (still.width_px, still.height_px)
            stream = compose_fit(stream, fit=clip.fit, source_px=source, pixels_px=source, canvas_px=stage)
        stream, bounds = self._crop(stream, bounds, stage)
        if motion is None:
            stream = scale_to_bt709(stream, width_px=width, height_px=height)
            return repeat(stream, len(span), fps=self.timeline.fps)
        if motion == "perspective":
            canvas = (width, height)
            plane = ken_burns.plane_px(camera, bounds=bounds, canvas_px=canvas)
            plain = scale_to_bt709(stream, width_px=plane[0], height_px=plane[1])
            stream = repeat(plain, len(span), fps=self.timeline.fps)
            return ken_burns.perspective(
                stream,
                camera,
                bounds=bounds,
                canvas_px=canvas,
                first_frame=span.start,
                frames=len(clip.frames),
            )
        return self._zoompan(stream, camera, clip, span, bounds=bounds, stage=stage)

    def _stage(self, clip: Clip, still: Still) -> tuple[int, int]:
        """Return the size in pixels of the picture that the camera moves in."""
        if clip.fit == "cover":
            return still.width_px, still.height_px
        # Larger than the frame by the camera's zoom, so that nothing is enlarged twice.
        camera = clip.camera
        closer = min(MAX_STAGE, 1 / max(camera.start.width, camera.end.width)) if camera else 1.0
        return even(self.timeline.width_px * closer), even(self.timeline.height_px * closer)

    def _padded(self, bounds: Rect, stage: tuple[int, int]) -> Rect:
        """Return `bounds` extended at the right or bottom to the canvas's aspect, which zoompan requires."""
        ratio = self.timeline.width_px / self.timeline.height_px * stage[1] / stage[0]
        return Rect(
            bounds.x,
            bounds.y,
            max(bounds.width, bounds.height * ratio),
            max(bounds.height, bounds.width / ratio),
        )

    def _crop(self, stream: Stream, bounds: Rect, stage: tuple[int, int]) -> tuple[Stream, Rect]:
        """Crop a picture to the whole pixels around `bounds`; return it and the cropped rectangle."""
        window = enclosing_window(bounds, stage)
        stream = crop(stream, window, size_px=stage, chroma_grid_px=COARSEST_GRID_PX)
        return stream, Rect(
            window.x / stage[0], window.y / stage[1], window.width / stage[0], window.height / stage[1]
        )

    def _zoompan(
        self,
        stream: Stream,
        camera: Camera,
        clip: Clip,
        span: FrameRange,
        *,
        bounds: Rect,
        stage: tuple[int, int],
    ) -> Stream:
        width, height = self.timeline.width_px, self.timeline.height_px
        padded = self._padded(bounds, stage)
        large = (width * self.oversample, height * self.oversample)
        # Rounded up with repeated edge pixels, because zoompan rounds too and must not show pixels beyond the crop.
        inner_width = min(large[0], 2 * math.ceil(large[0] * bounds.width / padded.width / 2 - 1e-6))
        inner_height = min(large[1], 2 * math.ceil(large[1] * bounds.height / padded.height / 2 - 1e-6))
        stream = scale_to_bt709(stream, width_px=inner_width, height_px=inner_height, pix_fmt="yuv444p")
        if (inner_width, inner_height) != large:
            right = min(8, inner_width // 2, large[0] - inner_width)
            bottom = min(8, inner_height // 2, large[1] - inner_height)
            stream = stream.filter("pad", inner_width + right, inner_height + bottom, 0, 0)
            stream = stream.filter("fillborders", left=0, top=0, right=right, bottom=bottom, mode="smear")
            stream = stream.filter("pad", large[0], large[1], 0, 0)
        moved = ken_burns.zoompan(
            stream,
            camera,
            bounds=padded,
            first_frame=span.start,
            count=len(span),
            frames=len(clip.frames),
            canvas_px=(width, height),
            fps=self.timeline.fps,
        )
        return self._retimed(moved)


__all__ = ["GLOBAL_OPTIONS", "PIX_FMT", "PROTOCOLS", "FfmpegCompositor"]


def open_graphs(
    timeline: Timeline,
    captions: tuple[CaptionArt, ...] = (),
    *,
    ffmpeg: FfmpegProgram,
    config: Config,
) -> FfmpegCompositor:
    """Return the FFmpeg compositor of a timeline."""
    return FfmpegCompositor(
        timeline=timeline,
        captions=captions,
        program=ffmpeg.path,
        motion=config.video.motion,
        oversample=config.video.zoompan_oversample,
        has_perspective="perspective" in ffmpeg.filters,
        converter=_converter(ffmpeg),
        decoders=ffmpeg.decoders,
        version=ffmpeg.version,
        hwaccel=ffmpeg.hwaccel,
    )


def _converter(ffmpeg: FfmpegProgram) -> Converter:
    if {"zscale", "tonemap"} <= ffmpeg.filters:
        return "zscale"
    return "scale" if ffmpeg.release >= SCALE_CONVERTS_FROM else "none"


def probe_graphs(config: Config) -> Probe:
    """Report that filter graphs work everywhere; a missing ffmpeg program is an error found later."""
    del config
    return Probe("ffmpeg", True, "needs only the ffmpeg program")


BACKEND: Final = CompositorBackend(name="ffmpeg", probe=probe_graphs, open=open_graphs, filter_captions=True)
