"""Costs are compared at one quality: between two trials of a curve, or of trials that are at least as good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tuning_runs import grid, make_run
from video_pipeline.engine.tuning.curves import curves
from video_pipeline.engine.tuning.levels import choose_levels, cost_at
from video_pipeline.engine.tuning.samples import sample_run
from video_pipeline.engine.tuning.summaries import summarise

SAMPLES = sample_run(make_run())
SUMMARIES = summarise(SAMPLES)
CURVES = curves(SAMPLES)


def test_a_curve_costs_at_a_level_what_lies_between_its_two_nearest_trials() -> None:
    points = [point for point in cost_at(97.0, SUMMARIES, CURVES) if point.interpolated]
    assert len(points) == 4
    for point in points:
        low, high = point.trials
        assert low.vmaf is not None
        assert high.vmaf is not None
        assert low.vmaf <= 97 <= high.vmaf
        assert low.mbit_s < point.mbit_s < high.mbit_s
        assert point.vmaf == 97


def test_a_trial_without_a_curve_counts_if_it_is_good_enough() -> None:
    points = cost_at(97.0, SUMMARIES, CURVES)
    (single,) = (point for point in points if not point.interpolated)
    assert single.trials[0].trial.settings == {"preset": "medium", "bitrate": "8000k"}
    assert all(point.trials[0].trial.number for point in cost_at(97.9, SUMMARIES, CURVES))


def test_the_front_is_what_no_other_point_beats_in_both() -> None:
    points = cost_at(97.0, SUMMARIES, CURVES)
    for point in points:
        beaten = any(
            other.cpu_s_per_minute <= point.cpu_s_per_minute and other.mbit_s <= point.mbit_s
            for other in points
            if other is not point
        )
        assert point.front is not beaten


def test_a_level_that_nothing_reaches_has_no_points() -> None:
    assert cost_at(99.9, SUMMARIES, CURVES) == ()


def test_levels_tell_trials_apart_and_include_the_one_that_is_asked_for() -> None:
    assert choose_levels(SUMMARIES) == (96.0, 97.0, 98.0)
    assert choose_levels(SUMMARIES, wanted=97.62) == (96.0, 97.0, 97.62, 98.0)
    assert choose_levels(SUMMARIES, wanted=97.0) == (96.0, 97.0, 98.0)
    assert choose_levels(SUMMARIES, wanted=99.9) == (96.0, 97.0, 98.0)
    one = summarise(sample_run(make_run(grid(("medium",), (20,))[1:])))
    assert len(choose_levels(one)) == 1
    assert choose_levels(one)[0] == pytest.approx(97.4)


def test_a_level_within_a_hundredth_of_the_one_that_is_asked_for_is_not_shown_twice() -> None:
    assert choose_levels(SUMMARIES, wanted=97.003) == (96.0, 97.003, 98.0)


def test_a_level_is_shown_if_two_trials_reach_it_and_one_does_not() -> None:
    def levels(*values: float) -> tuple[float, ...]:
        return choose_levels([replace(SUMMARIES[0], vmaf=value) for value in values])

    assert levels(95.5, 97.2, 97.4) == (96.0, 97.0)
    assert levels(96.12, 96.58) == (96.1,)
