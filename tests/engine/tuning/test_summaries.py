"""A trial's clips count as one video, times are medians, and what stands out is said."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from tests.support.tuning_runs import CLIPS, FRAMES, make_run
from video_pipeline.engine.tuning.samples import sample_run
from video_pipeline.engine.tuning.summaries import outliers, stated_spread, summarise

TWO = ({"preset": "superfast", "crf": 20}, {"preset": "veryfast", "crf": 20})


def test_times_are_medians_over_repeats_added_up_over_clips() -> None:
    data = make_run(TWO, noise=0.05)
    summary = summarise(sample_run(data))[0]
    of_trial = [each for each in data.measurements if each.trial == 0]
    cpu_s = sum(statistics.median(each.cpu_s for each in of_trial if each.clip == clip) for clip in CLIPS)
    megabits = sum(each.bytes for each in of_trial if each.repeat == 0) * 8 / 1e6
    assert summary.cpu_s_per_minute == pytest.approx(cpu_s / (len(CLIPS) * FRAMES / 30) * 60)
    assert summary.core_fps == pytest.approx(len(CLIPS) * FRAMES / cpu_s)
    assert summary.mbit_s == pytest.approx(megabits / (len(CLIPS) * FRAMES / 30), rel=1e-5)


def test_quality_is_the_mean_over_frames_not_over_clips() -> None:
    data = make_run(TWO[:1], clips={"still": 0.3, "grain": 2.6}, held_out={})
    longer = tuple(
        replace(each, frames=3 * each.frames, bytes=3 * each.bytes) if each.clip == "grain" else each
        for each in data.measurements
    )
    by_clip = {each.clip: each.vmaf for each in data.measurements}
    assert by_clip["still"]
    assert by_clip["grain"]
    summary = summarise(sample_run(replace(data, measurements=longer)))[0]
    assert summary.vmaf == pytest.approx((by_clip["still"] + 3 * by_clip["grain"]) / 4)
    assert (summary.worst_clip, summary.worst_vmaf) == ("grain", by_clip["grain"])


def test_a_metric_that_was_not_measured_is_none() -> None:
    data = make_run(TWO)
    without = replace(data, measurements=tuple(replace(each, xpsnr_y=None) for each in data.measurements))
    assert [summary.xpsnr_y for summary in summarise(sample_run(without))] == [None, None]


def test_the_spread_is_of_repeats_and_unknown_with_one() -> None:
    quiet, loud, single = (
        summarise(sample_run(make_run(TWO, noise=noise, repeats=repeats)))[0].spread
        for noise, repeats in ((0.0, 3), (0.1, 3), (0.1, 1))
    )
    assert quiet == pytest.approx(0.0)
    assert loud is not None
    assert 0.05 < loud < 0.5
    assert single is None
    assert stated_spread(sample_run(make_run(TWO, repeats=1))) is None


def test_a_slow_repeat_is_an_outlier_and_does_not_move_the_median() -> None:
    data = make_run(TWO, noise=0.005, repeats=3)
    slowed = tuple(
        replace(each, cpu_s=each.cpu_s * 1.4)
        if (each.trial, each.clip, each.repeat) == (1, "text", 2)
        else each
        for each in data.measurements
    )
    samples = sample_run(replace(data, measurements=slowed))
    (found,) = outliers(samples)
    assert (found.trial, found.clip, found.repeat) == (1, "text", 2)
    assert found.deviation == pytest.approx(0.4, abs=0.03)
    before, after = summarise(sample_run(data))[1], summarise(samples)[1]
    assert after.cpu_s_per_minute == pytest.approx(before.cpu_s_per_minute, rel=0.01)


@pytest.mark.parametrize(("noise", "repeats"), [(0.01, 2), (0.0, 3), (0.004, 3)])
def test_usual_noise_and_two_repeats_have_no_outliers(noise: float, repeats: int) -> None:
    assert outliers(sample_run(make_run(TWO, noise=noise, repeats=repeats))) == ()
