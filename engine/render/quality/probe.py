"""Encode a few frames of a segment, seen through tiles, and measure what the encoder keeps of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
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
from video_pipeline.engine.timeline import Footage, Timeline
from video_pipeline.engine.timing import FrameRange

RUN_FRAMES: Final = 3
LATER: Final = 2
"""The frame of a run that is measured besides its first one; the last of a short one."""

PROBE_CRF: Final = 20.0

HELD_FRAMES: Final = 9
"""Frames beyond a fade that are held if drawing starts a program: over so many, shaking has about its mean motion."""

FADE_FRAMES: Final = 18
"""The longest fade whose frames are held until the segment is encoded, to bound their memory."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """Frames of a run as mosaics of tiles, and the motion in it."""

    mosaics: tuple[Buffer, ...]
    tiles: Tiles
    frame_pixels: int
    motion: float


@dataclass(frozen=True, slots=True)
class SegmentProbe:
    """What a run keeps at PROBE_CRF, in its first frame and later, and its motion.

    `ahead_frames` is how far the encoder looks ahead in a whole segment, `tree_strength` how strongly it acts on what it
    sees there. `unpredicted` is the size of a later frame as a share of the first one's: what noise has, motion does not
    explain. `joins` are the names of the segment's transitions and their shares of its frames.
    """

    first: Kept
    later: Kept
    motion: float
    frame_pixels: int
    ahead_frames: int = 20
    tree_strength: float = 2.0
    unpredicted: float = 0.0
    joins: tuple[tuple[str, float], ...] = ()


class Opening:
    """The first frames of a segment, which a probe has seen, and what draws the others."""

    def __init__(self, drawn: Generator[Buffer, None, None], count: int) -> None:
        self._drawn = drawn
        self.held = tuple(frame.copy() for frame in islice(drawn, count))

    def frames(self) -> Generator[Buffer, None, None]:
        """Yield all frames of the segment, once."""
        held, self.held = self.held, ()
        with contextlib.closing(self._drawn):
            yield from held
            del held
            yield from self._drawn

    def close(self) -> None:
        """Stop drawing."""
        self._drawn.close()


def probe_segment(
    compositor: Compositor,
    segment: FrameRange,
    settings: EncoderSettings,
    children: Children,
    *,
    threads: int = 1,
) -> tuple[SegmentProbe, Opening | None]:
    """Draw and encode a few frames of a segment; raise RenderingError, EncoderError.

    If drawing starts a program, they are the first frames, which need not be drawn again: the caller closes the opening
    that is returned with the probe.
    """
    if starts_program(compositor, segment):
        fade, count = opening_of(compositor.timeline, segment)
        opening = Opening(compositor.frames(segment, threads=threads, children=children), count)
        run = see_opening(opening.held[fade:])
    else:
        opening, wanted = None, run_of(compositor.timeline, segment)
        drawn = compositor.frames(wanted, threads=threads, children=children.unheard())
        with contextlib.closing(drawn):
            run = see_run(drawn, len(wanted))
    try:
        first, later, unpredicted = measure_run(run, settings)
    except BaseException:
        if opening:
            opening.close()
        raise
    joins = joins_of(compositor.timeline, segment)
    tree = tree_of(settings)
    return SegmentProbe(first, later, run.motion, run.frame_pixels, *tree, unpredicted, joins), opening


def starts_program(compositor: Compositor, segment: FrameRange) -> bool:
    """Return whether drawing any of a segment's frames starts a program, which costs more than the frames."""
    clips = compositor.timeline.clips
    shown = (clip for clip in clips if clip.frames.intersection(segment))
    return compositor.name == "ffmpeg" or any(isinstance(clip.source, Footage) for clip in shown)


def opening_of(timeline: Timeline, segment: FrameRange) -> tuple[int, int]:
    """Return how many of a segment's first frames are those of a fade, and how many are held with those after it."""
    faded = [clip.frames.start + clip.fade_in_frames - segment.start for clip in timeline.clips]
    fade = max((stop for stop in faded if 0 < stop <= FADE_FRAMES), default=0)
    fade = max(0, min(fade, len(segment) - RUN_FRAMES))
    return fade, min(len(segment), fade + HELD_FRAMES)


PRESET_AHEAD: Final = {
    **{"ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "medium": 40},
    **{"slow": 50, "slower": 60, "veryslow": 60, "placebo": 60},
}
"""The lookahead of x264's presets in frames; without mbtree it does not count."""


def tree_of(settings: EncoderSettings) -> tuple[int, float]:
    """Return over how many frames x264 propagates what later frames need of earlier ones, and how strongly.

    That is its mbtree; without it, 0 frames. The strength is x264's own, 5 (1 - qcomp).
    """
    given = dict(part.partition("=")[::2] for part in settings.options.get("x264-params", "").split(":"))
    preset = PRESET_AHEAD.get(settings.options.get("preset", "medium"), 40)
    options = {**settings.options, **given}
    strength = 5 * (1 - float(options.get("qcomp", 0.6)))
    if options.get("mbtree", "1" if preset else "0") == "0":
        return 0, strength
    return int(options.get("rc-lookahead", preset)), strength


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


def see_opening(held: Sequence[Buffer]) -> SeenRun:
    """Return what is needed of the first frames of an opening, with the mean motion of all of them."""
    run = see_run(iter(held), min(RUN_FRAMES, len(held)))
    lumas = [frame[: frame.shape[0] * 2 // 3] for frame in held]
    speeds = [motion(before, after) for before, after in pairwise(lumas)]
    # As in VMAF, a frame's motion is the smaller one of those to its neighbours.
    return replace(run, motion=float(np.mean([min(pair) for pair in pairwise(speeds)] or speeds or [0.0])))


def see_run(frames: Iterator[Buffer], count: int) -> SeenRun:
    """Return what is needed of `count` frames; the tiles are those of the first frame."""
    mosaics: list[Buffer] = []
    speeds: list[float] = []
    tiles: Tiles | None = None
    before: Luma | None = None
    pixels = 0
    for number, frame in enumerate(islice(frames, count)):
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
    return SeenRun(tuple(mosaics), tiles, pixels, min(speeds, default=0.0))


def measure_run(
    run: SeenRun, settings: EncoderSettings, *, crf: float = PROBE_CRF
) -> tuple[Kept, Kept, float]:
    """Encode a run with the settings of a render at a crf.

    Return what its first frame and a later one keep, and the mean size of the later frames as a share of the first one's.
    """
    width, height = run.tiles.mosaic_px
    options = {**settings.options, "crf": f"{crf:g}"}
    small = replace(settings, width_px=width, height_px=height, options=options, quality=None)
    data = encode_segment(iter(run.mosaics), small)
    later = min(LATER, len(run.mosaics) - 1)
    shown, sizes = _decoded(data, (0, later))
    first, last = compare(
        np.concatenate([run.tiles.of_mosaic(run.mosaics[number][:height]) for number in (0, later)]),
        np.concatenate([run.tiles.of_mosaic(shown[number][:height]) for number in (0, later)]),
        np.array(run.tiles.weights),
        frame_pixels=run.frame_pixels,
    )
    return first, last, float(np.mean(sizes[1:] or (0,))) / sizes[0]


def _decoded(data: bytes, wanted: Sequence[int]) -> tuple[dict[int, Luma], list[int]]:
    """Return the luma of some frames of a segment by their numbers, and the bytes of all packets, the first frame's first."""
    found: dict[int, Luma] = {}
    sizes: list[int] = []
    with av.open(io.BytesIO(data), "r", format="mp4") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        number = 0
        for packet in container.demux(stream):
            if packet.size:
                sizes.append(packet.size)
            for frame in packet.decode():
                if number in wanted:
                    plane = frame.planes[0]
                    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                    found[number] = np.ascontiguousarray(rows[:, : plane.width])
                number += 1
    return found, sizes
