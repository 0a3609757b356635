"""Fade scenes from and to black, and captions by their opacity."""

from __future__ import annotations

from fractions import Fraction

from video_pipeline.filters.graph import Stream


def light(at: int, frames: int, fade_in_frames: int, fade_out_frames: int) -> float:
    """Return the brightness, 0 to 1, of frame number `at` of `frames` with a fade at either end.

    Where both fades overlap they multiply, as two of FFmpeg's fade filters do.
    """
    rising = at / fade_in_frames if at < fade_in_frames else 1.0
    left = frames - at
    return rising * (left / fade_out_frames if left < fade_out_frames else 1.0)


def fade_in(stream: Stream, *, start: Fraction, duration: Fraction, alpha: bool = False) -> Stream:
    """Fade in from black (or from transparent) over `duration` seconds from `start` in stream time."""
    options = {"alpha": 1} if alpha else {}
    return stream.filter("fade", t="in", st=float(start), d=float(duration), **options)


def fade_out(stream: Stream, *, start: Fraction, duration: Fraction, alpha: bool = False) -> Stream:
    """Fade out to black (or to transparent) over `duration` seconds from `start` in stream time."""
    options = {"alpha": 1} if alpha else {}
    return stream.filter("fade", t="out", st=float(start), d=float(duration), **options)
