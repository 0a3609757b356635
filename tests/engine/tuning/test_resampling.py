"""The bootstrap says how far results would move, and the same seed says the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.tuning_runs import make_run
from video_pipeline.engine.tuning.resampling import Confidence, draw_samples, interval
from video_pipeline.engine.tuning.samples import sample_run
from video_pipeline.engine.tuning.summaries import summarise

TWO = ({"preset": "superfast", "crf": 20}, {"preset": "veryfast", "crf": 20})


def test_the_same_seed_draws_the_same_resamples_and_another_seed_others() -> None:
    samples = sample_run(make_run(TWO))
    first, again, other = (draw_samples(samples, seed=seed).cpu_s_per_minute for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_resamples_lie_about_what_was_measured() -> None:
    samples = sample_run(make_run(TWO))
    drawn, measured = draw_samples(samples), summarise(samples)[0]
    for name in ("cpu_s_per_minute", "mbit_s", "fps", "vmaf", "vmaf_harmonic", "xpsnr_y"):
        within = interval(getattr(measured, name), drawn.values(name)[:, 0])
        assert within.low is not None, name
        assert within.high is not None, name
        assert within.low < within.value < within.high, name


def test_without_other_clips_only_times_move() -> None:
    samples = sample_run(make_run(TWO, noise=0.02))
    drawn = draw_samples(samples, same_clips=True)
    assert np.ptp(drawn.mbit_s, axis=0) == pytest.approx(0.0)
    assert np.ptp(drawn.quality["vmaf"], axis=0) == pytest.approx(0.0)
    assert np.all(np.ptp(drawn.cpu_s_per_minute, axis=0) > 0)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Of forty runs with noise, the ratio's interval holds the true ratio in most."""
    truth = 1 / 0.55
    covered = 0
    for seed in range(40):
        samples = sample_run(make_run(TWO, noise=0.03, repeats=5, seed=seed, held_out={}))
        times = draw_samples(samples, resamples=300, seed=seed).cpu_s_per_minute
        found = interval(truth, times[:, 1] / times[:, 0])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert covered >= 32


def test_little_data_is_said() -> None:
    few = Confidence(again=None, elsewhere=None, resamples=1000, clips=1, repeats=1).caveats()
    assert few == (
        "one clip: nothing is known about other material",
        "speed measured once: its spread is not known; repeat with --repeats 3",
    )
    some = Confidence(again=1.0, elsewhere=1.0, resamples=1000, clips=3, repeats=2).caveats()
    assert [each.split(":")[0] for each in some] == ["only 3 clips", "only 2 repeats"]
    assert Confidence(again=1.0, elsewhere=1.0, resamples=1000, clips=5, repeats=3).caveats() == ()


def test_a_value_whose_spread_is_not_known_has_no_bounds() -> None:
    found = interval(2.0, np.array([2.0, 2.0]), known=False)
    assert (found.value, found.low, found.high) == (2.0, None, None)


def test_quality_on_other_clips_weighs_each_clip_by_its_frames() -> None:
    """A long clip of low quality among short ones of high quality: resamples are about the mean over frames."""
    data = make_run(TWO, clips={"long": 2.6, "short": 0.3}, held_out={})
    measured = tuple(
        replace(each, frames=1200, bytes=10 * each.bytes, vmaf=80.0)
        if each.clip == "long"
        else replace(each, vmaf=100.0)
        for each in data.measurements
    )
    samples = sample_run(replace(data, measurements=measured))
    both = draw_samples(samples, same_clips=True).quality["vmaf"]
    assert both == pytest.approx((80 * 1200 + 100 * 120) / 1320)
