"""Fade scenes from and to black, and captions by their opacity."""

from __future__ import annotations

from fractions import Fraction

from video_pipeline.filters.graph import Stream


def fade_in(stream: Stream, *, start: Fraction, duration: Fraction, alpha: bool = False) -> Stream:
    """Fade in from black (or from transparent) over `duration` seconds from `start` in stream time."""
    options = {"alpha": 1} if alpha else {}
    return stream.filter("fade", t="in", st=float(start), d=float(duration), **options)


def fade_out(stream: Stream, *, start: Fraction, duration: Fraction, alpha: bool = False) -> Stream:
    """Fade out to black (or to transparent) over `duration` seconds from `start` in stream time."""
    options = {"alpha": 1} if alpha else {}
    return stream.filter("fade", t="out", st=float(start), d=float(duration), **options)
