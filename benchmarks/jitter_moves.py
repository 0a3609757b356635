"""Jitter of many moves (zooms in and out, slow pans), drawn by the native compositor and by FFmpeg filters.

python -m benchmarks.jitter --moves
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.handwritten import Move, perspective_argv, zoompan_argv
from benchmarks.jitter import Jitter, Luma, blob_workload, luma_frames, measure_luma
from benchmarks.workload import Workload
from video_pipeline import native

if TYPE_CHECKING:
    from video_pipeline.engine.timeline import Still
    from video_pipeline.filters.geometry import Rect

ZOOMS = (0.01, 0.02, 0.05, 0.10)
PANS_PX = (2.0, 5.0, 10.0)
PAN_ZOOM = 1.2
"""The scale during a pan, large enough that the view stays inside the picture."""


def moves(*, seconds: float) -> dict[str, Move]:
    """Return the moves by name; a zoom out ends at scale 1, which fills the frame."""
    found = {}
    for rate in ZOOMS:
        found[f"zoom in {100 * rate:g} %/s"] = Move(1.0, rate)
    for rate in ZOOMS:
        found[f"zoom out {100 * rate:g} %/s"] = Move(1 + rate * seconds, -rate)
    for pan in PANS_PX:
        found[f"pan {pan:g} px/s"] = Move(PAN_ZOOM, pan_px_per_second=pan)
    return found


def native_frames(work: Workload, move: Move, *, ffmpeg: str) -> Iterator[Luma]:
    """Yield the luma planes, shape (height, width), that the native compositor draws for a move over a still.

    The still has the frame's aspect ratio. Every plane is overwritten by the next one.
    """
    from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
    from video_pipeline.engine.render.compositors.native import NativeCompositor
    from video_pipeline.engine.render.compositors.raw_frames import Children
    from video_pipeline.engine.timeline import Clip, Timeline
    from video_pipeline.engine.timing import FrameRange
    from video_pipeline.filters.geometry import Camera

    width, height = work.size_px
    last = (work.frames - 1) / work.fps
    camera = Camera(view(move, 0.0, width_px=width), view(move, last, width_px=width))
    frames = FrameRange(0, work.frames)
    clip = Clip("blobs", frames, _still(work.pictures[0]), camera=camera)
    timeline = Timeline(width, height, Fraction(work.fps), "blobs", (clip,))
    graphs = FfmpegCompositor(timeline, (), Path(ffmpeg))
    compositor = NativeCompositor(timeline=timeline, captions=(), graphs=graphs)
    for frame in compositor.frames(frames, threads=1, children=Children()):
        yield frame[:height]


def view(move: Move, time_s: float, *, width_px: int) -> Rect:
    """Return the visible rectangle after `seconds` of a move, in fractions of the picture."""
    from video_pipeline.filters.geometry import Rect

    size = 1 / (move.start_zoom + move.zoom_per_second * time_s)
    return Rect(move.left(time_s, width_px=width_px), 0.5 - size / 2, size, size)


def _still(path: Path) -> Still:
    from PIL import Image

    from video_pipeline.engine.timeline import Still

    with Image.open(path) as image:
        return Still(path, *image.size, hashlib.sha256(path.read_bytes()).hexdigest())


Draw = Callable[[str, Workload, Move], Iterator[Luma]]


def _perspective(ffmpeg: str, work: Workload, move: Move) -> Iterator[Luma]:
    return luma_frames(perspective_argv(ffmpeg, work, pix_fmt="yuv420p", move=move), size_px=work.size_px)


def _zoompan(oversample: int) -> Draw:
    def draw(ffmpeg: str, work: Workload, move: Move) -> Iterator[Luma]:
        argv = zoompan_argv(ffmpeg, work, oversample=oversample, pix_fmt="yuv420p", move=move)
        return luma_frames(argv, size_px=work.size_px)

    return draw


def drawers() -> dict[str, Draw]:
    """Return the functions that draw a move, by name; with the native compositor if its extension was built."""
    found: dict[str, Draw] = {}
    if native.available():
        found["native"] = lambda ffmpeg, work, move: native_frames(work, move, ffmpeg=ffmpeg)
    return found | {"perspective": _perspective, "zoompan-1x": _zoompan(1), "zoompan-4x": _zoompan(4)}


def measure_moves(
    ffmpeg: str,
    *,
    seconds: float,
    size_px: tuple[int, int] = (1080, 1920),
    report: Callable[[str], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the jitter of each move and each drawing function, measured before encoding."""
    work = blob_workload(seconds=seconds, size_px=size_px)
    rows: dict[str, dict[str, Any]] = {}
    for name, move in moves(seconds=seconds).items():
        rows[name] = {}
        for drawer, draw in drawers().items():
            jitter: Jitter = measure_luma(draw(ffmpeg, work, move), work, start_zoom=move.start_zoom)
            rows[name][drawer] = asdict(jitter)
            if report:
                report(
                    f"{name:16} {drawer:12} {jitter.rms_px:8.4f} px/frame²  {jitter.backward_steps:5d} backward"
                )
    return rows
