"""Encode a few frames of a segment, seen through tiles, and measure what the encoder keeps of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import av
import numpy as np

from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.render.quality.detail import Kept, compare, motion
from video_pipeline.engine.render.quality.tiles import Luma, Tiles, choose_tiles
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange

RUN_FRAMES: Final = 6
LATER: Final = 5
"""The frame of a run that is measured besides its first one; the last of a short one."""

PROBE_CRF: Final = 20.0


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of a run as mosaics of tiles, and the motion in it."""

    mosaics: tuple[Buffer, ...]
    tiles: Tiles
    frame_pixels: int
    motion: float


@dataclass(frozen=True, slots=True)
class Probe:
    """What a run keeps at PROBE_CRF, in its first frame and later, its motion, and the segment's transitions.

    `joins` are the transitions' names and shares of the segment's frames.
    """

    first: Kept
    later: Kept
    motion: float
    frame_pixels: int
    joins: tuple[tuple[str, float], ...] = ()


def probe_segment(
    compositor: Compositor, segment: FrameRange, settings: EncoderSettings, children: Children
) -> Probe:
    """Draw and encode a few frames of a segment; raise RenderingError, EncoderError."""
    run = _draw_run(compositor, run_of(compositor.timeline, segment), children)
    first, later = measure_run(run, settings)
    joins = joins_of(compositor.timeline, segment)
    return Probe(first, later, run.motion, run.frame_pixels, joins)


def run_of(timeline: Timeline, segment: FrameRange) -> FrameRange:
    """Return the middle frames of the longest part of a segment that shows one scene, or else one transition."""
    parts = [(seen, join) for seen, _, join in timeline.stretches(segment)]
    longest = max([seen for seen, join in parts if join is None] or [seen for seen, _ in parts], key=len)
    count = min(RUN_FRAMES, len(longest))
    start = longest.start + (len(longest) - count) // 2
    return FrameRange(start, start + count)


def joins_of(timeline: Timeline, segment: FrameRange) -> tuple[tuple[str, float], ...]:
    """Return the transitions in a segment that also shows a scene alone, with their shares of its frames."""
    parts = [(seen, join) for seen, _, join in timeline.stretches(segment)]
    if all(join for _, join in parts):
        return ()
    return tuple((join.name, len(seen) / len(segment)) for seen, join in parts if join)


def see_run(frames: Iterator[Buffer], count: int) -> Run:
    """Return what is needed of `count` frames; the tiles are those of the first frame."""
    mosaics: list[Buffer] = []
    speeds: list[float] = []
    tiles: Tiles | None = None
    before: Luma | None = None
    pixels = 0
    for number, frame in enumerate(frames):
        height, width = frame.shape[0] * 2 // 3, frame.shape[1]
        luma = frame[:height]
        if tiles is None:
            tiles, pixels = choose_tiles(luma), width * height
        mosaics.append(tiles.mosaic(frame))
        if abs(number - count // 2) <= 1:
            if before is not None:
                speeds.append(motion(before, luma))
            before = luma.copy()
    assert tiles is not None, "a segment has frames"
    return Run(tuple(mosaics), tiles, pixels, min(speeds, default=0.0))


def _draw_run(compositor: Compositor, frames: FrameRange, children: Children) -> Run:
    return see_run(compositor.frames(frames, threads=1, children=children), len(frames))


def measure_run(run: Run, settings: EncoderSettings, *, crf: float = PROBE_CRF) -> tuple[Kept, Kept]:
    """Encode a run with the settings of a render at a crf; return what its first frame and a later one keep."""
    width, height = run.tiles.mosaic_px
    options = {**settings.options, "crf": f"{crf:g}"}
    small = replace(settings, width_px=width, height_px=height, options=options, quality=None)
    data = encode_segment(iter(run.mosaics), small)
    later = min(LATER, len(run.mosaics) - 1)
    shown = _decoded(data, (0, later))
    weights = np.array(run.tiles.weights)
    kept = {
        number: compare(
            run.tiles.of_mosaic(run.mosaics[number][:height]),
            run.tiles.of_mosaic(luma[:height]),
            weights,
            frame_pixels=run.frame_pixels,
        )
        for number, luma in shown.items()
    }
    return kept[0], kept[later]


def _decoded(data: bytes, wanted: Sequence[int]) -> dict[int, Luma]:
    """Return the luma of some frames of a segment by their numbers."""
    found: dict[int, Luma] = {}
    with av.open(io.BytesIO(data), "r", format="mp4") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                found[number] = np.ascontiguousarray(rows[:, : plane.width])
    return found
