"""Move the cuts between scenes onto the beats of the music, without cutting any speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from video_pipeline.engine.placement import Placement, SceneTiming
from video_pipeline.engine.timing import Seconds, frame_time, frames_round

MOST_SECONDS: Final = Fraction(15, 100)
"""The furthest that a cut is moved."""


def timings_on_beat(
    timings: Sequence[SceneTiming],
    placement: Placement,
    *,
    shortest_frames: Sequence[int],
    beat: Seconds,
    fps: Fraction,
) -> list[SceneTiming]:
    """Return the timings with cuts on beats where one is within `MOST_SECONDS` of where the cut was.

    A cut, or the middle of a transition, goes to the frame nearest to a beat; beats are multiples of `beat` seconds. No
    scene becomes shorter than its `shortest_frames` (its speech) or its transitions. The last scene takes up what the cut
    before it was moved, so the video's length changes only if that scene's speech needs it.
    """
    most = int(MOST_SECONDS * fps)
    moved, before = list(timings), 0
    for index, timing in enumerate(timings):
        shortest = max(shortest_frames[index], sum(placement.overlaps[max(0, index - 1) : index + 1]), 1)
        # A shift of this scene's end and of the one before change its length by their difference. Where the scene has its
        # shortest length already, the end may go along with the beginning.
        lowest = before + min(0, shortest - timing.frames)
        shift = max(0, lowest)
        if index < len(timings) - 1:
            end = placement.ranges[index].stop - placement.overlaps[index] + placement.overlaps[index] // 2
            on_beat = _to_beats(end, beat=beat, fps=fps, low=max(-most, lowest), high=most)
            if on_beat is not None:
                shift = on_beat
        moved[index] = replace(timing, frames=timing.frames + shift - before)
        before = shift
    return moved


def _to_beats(frame: int, *, beat: Seconds, fps: Fraction, low: int, high: int) -> int | None:
    """Return the smallest shift in [low, high] that brings a frame to the one nearest to a beat, or None."""
    near = frame_time(frame, fps) // beat
    shifts = [frames_round(beat * number, fps) - frame for number in range(int(near) - 1, int(near) + 3)]
    return min(
        (shift for shift in shifts if low <= shift <= high),
        key=lambda shift: (abs(shift), shift),
        default=None,
    )
