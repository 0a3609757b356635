"""Frames and exact seconds. Float seconds are converted here; lower layers do not use them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

Seconds = Fraction


@dataclass(frozen=True, slots=True)
class FrameRange:
    """A range of frame indices, inclusive of `start` and exclusive of `stop`."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ValueError(f"frame range: got [{self.start}, {self.stop}); allowed: 0 <= start <= stop")

    def __len__(self) -> int:
        return self.stop - self.start

    def intersection(self, other: FrameRange) -> FrameRange | None:
        """Return the frames in both ranges, or None if they share none."""
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return FrameRange(start, stop) if start < stop else None


def exact_seconds(value: float | int | str | Fraction) -> Seconds:
    """Turn a user's seconds into a Fraction: the decimal that was written, not its binary neighbour."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number of seconds")
        return Fraction(repr(value))
    return Fraction(value)


def frames_ceil(seconds: Seconds, fps: Fraction) -> int:
    """Return the least number of frames that lasts at least `seconds`."""
    return math.ceil(seconds * fps)


def frames_round(seconds: Seconds, fps: Fraction) -> int:
    """Return the number of frames nearest to `seconds` (halves go up)."""
    return math.floor(seconds * fps + Fraction(1, 2))


def frame_time(frame: int, fps: Fraction) -> Seconds:
    """Return the time in seconds at which `frame` is first shown."""
    return Fraction(frame) / fps


def parse_fps(value: float | int | str | Fraction) -> Fraction:
    """Return a frame rate as a Fraction; 29.97 and similar values become exact NTSC rates."""
    fps = exact_seconds(value)
    for nominal in (24, 30, 48, 60):
        ntsc = Fraction(nominal * 1000, 1001)
        if abs(fps - ntsc) < Fraction(1, 100) and fps != nominal:
            return ntsc
    return fps
