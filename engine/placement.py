"""Place scenes on the timeline: the one place that computes the overlap of transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.timing import FrameRange


@dataclass(frozen=True, slots=True)
class SceneTiming:
    """The inputs of a scene's placement: its own frames and the transition into the next scene."""

    scene_id: str
    frames: int
    transition: str
    transition_frames: int
    transition_given: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """The range of each scene; `overlaps[i]` is the number of frames that scene i shares with the next."""

    ranges: tuple[FrameRange, ...]
    overlaps: tuple[int, ...]
    warnings: tuple[str, ...]


def place_scenes(timings: Sequence[SceneTiming], *, fps: Fraction) -> Placement:
    """Place scenes one after the other, each overlapping the next by its transition.

    Raises StoryError, naming the scenes, if a transition that the story asks for is longer than they allow. A
    default transition is shortened instead, with a warning.
    """
    overlaps = [timing.transition_frames for timing in timings[:-1]] + [0]
    warnings: list[str] = []
    for index, timing in enumerate(timings):
        before = overlaps[index - 1] if index else 0
        after = overlaps[index]
        if before + after <= timing.frames:
            continue
        defaults = [
            at for at in (index - 1, index) if at >= 0 and overlaps[at] and not timings[at].transition_given
        ]
        given = sum(overlaps[at] for at in (index - 1, index) if at >= 0 and at not in defaults)
        if not defaults or given > timing.frames:
            raise StoryError(_too_long(timings, index, before, after, fps))
        share = (timing.frames - given) // len(defaults)
        for at in defaults:
            overlaps[at] = min(overlaps[at], share)
        warnings.append(
            f"scene {timing.scene_id!r} lasts {float(timing.frames / fps):.2f} s: its default transitions are shortened"
        )
    ranges: list[FrameRange] = []
    start = 0
    for timing, overlap in zip(timings, overlaps, strict=True):
        ranges.append(FrameRange(start, start + timing.frames))
        start += timing.frames - overlap
    return Placement(tuple(ranges), tuple(overlaps), tuple(warnings))


def _too_long(timings: Sequence[SceneTiming], index: int, before: int, after: int, fps: Fraction) -> str:
    parts = []
    if before:
        last = timings[index - 1]
        parts.append(f"{last.transition!r} from scene {last.scene_id!r} takes {float(before / fps):.2f} s")
    if after:
        name, following = timings[index].transition, timings[index + 1].scene_id
        parts.append(f"{name!r} to scene {following!r} takes {float(after / fps):.2f} s")
    return (
        f"scene {timings[index].scene_id!r}: field 'transition': the scene lasts "
        f"{float(timings[index].frames / fps):.2f} s, but {' and '.join(parts)}; shorten "
        f"{'the transitions' if len(parts) > 1 else 'the transition'}, make the scene longer, or use 'cut'"
    )
