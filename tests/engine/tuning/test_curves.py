"""Bjøntegaard deltas have a value where curves can be compared, and a reason where they cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.tuning_runs import grid, make_run
from video_pipeline.engine.tuning.curves import NoDeltaError, bd_percent, curves, deltas
from video_pipeline.engine.tuning.samples import sample_run

pytest.importorskip("bjontegaard", reason="the extra `tune` is not installed")

RATES = np.array([1.0, 2.0, 4.0, 8.0])
QUALITY = np.array([90.0, 94.0, 97.0, 98.0])
ANCHOR = (RATES, QUALITY)


def test_half_the_bits_at_every_quality_are_minus_fifty_percent() -> None:
    percent, note = bd_percent(ANCHOR, (RATES / 2, QUALITY))
    assert percent == pytest.approx(-50)
    assert note is None


def test_curves_of_different_lengths_are_compared() -> None:
    finer = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0])
    percent, _ = bd_percent(ANCHOR, (finer, np.interp(np.log(finer), np.log(RATES), QUALITY)))
    assert abs(percent) < 5


def test_time_at_equal_quality_needs_no_order_of_its_own() -> None:
    times = np.array([3.0, 3.1, 3.05, 3.2])  # noise
    percent, _ = bd_percent(ANCHOR, ANCHOR, costs=(times, times * 4))
    assert percent == pytest.approx(300)


@pytest.mark.parametrize(
    ("rates", "quality", "reason"),
    [
        (RATES[:3], QUALITY[:3], "the test's curve has 3 points; 4 are needed"),
        (
            RATES,
            [90.0, 97.0, 94.0, 98.0],
            "quality does not rise with the bit rate along the whole test's curve",
        ),
        (RATES, [90.0, 94.0, 94.0, 98.0], "quality does not rise"),
        ([1.0, 2.0, 2.0, 8.0], QUALITY, "two points of the test's curve have the same bit rate"),
        (RATES, [70.0, 71.0, 72.0, 73.0], "the curves have 0 % of their range of quality in common"),
        (RATES, [80.0, 85.0, 88.0, 91.0], "the curves have 6 % of their range"),
        ([0.0, 2.0, 4.0, 8.0], QUALITY, "without a rate or quality"),
        (RATES, [90.0, float("nan"), 97.0, 98.0], "without a rate or quality"),
    ],
)
def test_what_cannot_be_compared_has_a_reason_and_no_number(
    rates: object, quality: object, reason: str
) -> None:
    with pytest.raises(NoDeltaError, match=reason):
        bd_percent(ANCHOR, (np.array(rates), np.array(quality)))


def test_a_small_common_range_and_too_coarse_points_are_noted() -> None:
    _, note = bd_percent(ANCHOR, (RATES, QUALITY - 4))
    assert note == "the curves share only 33 % of their range of quality"
    steep = (np.array([1.0, 1.01, 50.0, 51.0]), np.array([90.0, 90.1, 97.9, 98.0]))
    _, note = bd_percent(ANCHOR, steep)
    assert note is not None
    assert note.startswith("interpolations disagree")


def test_curves_are_trials_that_differ_in_the_rate_alone() -> None:
    found = curves(sample_run(make_run()))
    assert sorted((str(curve.settings["preset"]), len(curve)) for curve in found) == [
        ("faster", 5),
        ("medium", 5),
        ("superfast", 5),
        ("veryfast", 5),
    ]
    assert all(curve.rate_key == "crf" for curve in found)


def test_the_deltas_of_a_preset_are_those_that_the_run_was_made_with() -> None:
    samples = sample_run(make_run())
    by_preset = {curve.settings["preset"]: curve for curve in curves(samples)}
    rate, time = deltas(samples, by_preset["veryfast"], by_preset["superfast"])
    assert rate.percent is not None
    assert time.percent is not None
    assert rate.percent.value == pytest.approx(12, abs=0.1)
    assert time.percent.low < -45 < time.percent.high or time.percent.value == pytest.approx(-45, abs=2)
    assert rate.clips == 6


def test_a_point_that_is_there_twice_counts_once() -> None:
    once = sample_run(make_run(held_out={}))
    twice = sample_run(make_run([*grid(), {"preset": "medium", "crf": 20.0, "tune": None}], held_out={}))
    assert [len(curve) for curve in curves(twice) if curve.settings["preset"] == "medium"] == [5]
    doubled = sample_run(make_run([*grid(), *grid()], held_out={}))
    first, second, *_ = curves(doubled)
    assert len(first) == 10
    rate, _ = deltas(doubled, first, second)
    expected, _ = deltas(once, curves(once)[0], curves(once)[1])
    assert rate.percent is not None
    assert expected.percent is not None
    assert rate.percent.value == pytest.approx(expected.percent.value)


def test_a_clip_without_a_usable_curve_is_left_out_and_named() -> None:
    data = make_run()
    saturated = tuple(
        replace(each, vmaf=100.0) if each.clip == "still" else each for each in data.measurements
    )
    samples = sample_run(replace(data, measurements=saturated))
    first, second, *_ = curves(samples)
    rate, _ = deltas(samples, first, second)
    assert rate.percent is not None
    assert rate.clips == 5
    assert list(rate.without) == ["still"]


def test_without_any_usable_clip_there_is_a_reason() -> None:
    samples = sample_run(make_run(grid(rates=(18, 20, 22))))
    first, second, *_ = curves(samples)
    rate, time = deltas(samples, first, second)
    assert rate.percent is None
    assert time.percent is None
    assert rate.reason == "the anchor's curve has 3 points; 4 are needed"
