"""Frames and exact seconds."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.timing import (
    FrameRange,
    exact_seconds,
    frame_time,
    frames_ceil,
    frames_round,
    parse_fps,
)

RATES = st.sampled_from(
    [
        Fraction(24000, 1001),
        Fraction(24),
        Fraction(25),
        Fraction(30000, 1001),
        Fraction(30),
        Fraction(60000, 1001),
    ]
)
SECONDS = st.fractions(min_value=0, max_value=36000, max_denominator=48000)
FRAMES = st.integers(0, 10**7)


@settings(deadline=None)
@given(FRAMES, RATES)
def test_a_frame_comes_back_from_its_time(frame: int, fps: Fraction) -> None:
    time = frame_time(frame, fps)
    assert frames_round(time, fps) == frames_ceil(time, fps) == frame


@settings(deadline=None)
@given(SECONDS, RATES)
def test_the_ceiling_is_the_least_number_of_frames_that_lasts_as_long(
    seconds: Fraction, fps: Fraction
) -> None:
    frames = frames_ceil(seconds, fps)
    assert frame_time(frames, fps) >= seconds
    assert frames == 0 or frame_time(frames - 1, fps) < seconds


@settings(deadline=None)
@given(SECONDS, RATES)
def test_rounding_is_never_more_than_half_a_frame_off(seconds: Fraction, fps: Fraction) -> None:
    off = frame_time(frames_round(seconds, fps), fps) - seconds
    assert -1 / (2 * fps) < off <= 1 / (2 * fps)


def test_halves_round_up() -> None:
    assert [frames_round(Fraction(n, 60), Fraction(30)) for n in (1, 3, 5)] == [1, 2, 3]


@settings(deadline=None)
@given(st.decimals(min_value=0, max_value=3600, places=3))
def test_float_seconds_mean_the_decimal_that_was_written(written: object) -> None:
    assert exact_seconds(float(str(written))) == Fraction(str(written))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_seconds_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        exact_seconds(value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (29.97, Fraction(30000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (47.952, Fraction(48000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        (30, Fraction(30)),
        (24.0, Fraction(24)),
        (25, Fraction(25)),
        ("50", Fraction(50)),
        (12.5, Fraction(25, 2)),
    ],
)
def test_frame_rates_are_exact_fractions(written: float | str, meant: Fraction) -> None:
    assert parse_fps(written) == meant


@pytest.mark.parametrize("nominal", [24, 30, 48, 60])
def test_a_rate_is_read_as_an_ntsc_rate_only_within_a_hundredth(nominal: int) -> None:
    ntsc, near, away = (
        Fraction(nominal * 1000, 1001),
        Fraction(9, 1000) + Fraction(99, 100_000),
        Fraction(1, 100),
    )
    for sign in (1, -1):
        assert parse_fps(ntsc + sign * near) == ntsc
        assert parse_fps(ntsc + sign * away) == ntsc + sign * away
        assert parse_fps(ntsc + sign * Fraction(1, 10)) == ntsc + sign * Fraction(1, 10)
    assert parse_fps(nominal) == nominal
    assert parse_fps(ntsc) == ntsc


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_an_intersection_is_the_frames_in_both_ranges(a: int, b: int, c: int, d: int) -> None:
    one, other = FrameRange(min(a, b), max(a, b)), FrameRange(min(c, d), max(c, d))
    both = set(range(one.start, one.stop)) & set(range(other.start, other.stop))
    shared = one.intersection(other)
    assert (set(range(shared.start, shared.stop)) if shared else set()) == both
    assert shared is None or len(shared) == len(both) > 0


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4)])
def test_a_range_that_is_none_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=r"allowed: 0 <= start <= stop"):
        FrameRange(start, stop)
