"""Questions to a run have the right answer, how sure it is, and a clear error if nothing fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tuning_runs import GUIDE, grid, make_run
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.analysis import analyse, find_reference
from video_pipeline.engine.tuning.answers import answer
from video_pipeline.engine.tuning.density import density
from video_pipeline.engine.tuning.queries import LIMITS, Query

ANALYSIS = analyse(make_run())


def test_the_fastest_settings_within_limits_are_found() -> None:
    found = answer(ANALYSIS, Query(goal="fastest", limits={"min_vmaf": 97, "max_mbit": 7}))
    best = min(
        (each for each in ANALYSIS.summaries if (each.vmaf or 0) >= 97 and each.mbit_s <= 7),
        key=lambda each: each.cpu_s_per_minute,
    )
    assert found.chosen == best
    assert found.chosen.trial.settings == {"preset": "veryfast", "crf": 20}
    assert {held.limit.name for held in found.held} == {"min_vmaf", "max_mbit"}


def test_the_smallest_settings_at_a_speed_are_found() -> None:
    found = answer(ANALYSIS, Query(goal="smallest", limits={"min_fps": 30, "min_vmaf": 96}))
    best = min(
        (each for each in ANALYSIS.summaries if each.fps >= 30 and (each.vmaf or 0) >= 96),
        key=lambda each: each.mbit_s,
    )
    assert found.chosen == best


def test_the_best_quality_within_a_rate_is_found() -> None:
    found = answer(ANALYSIS, Query(goal="best", limits={"max_mbit": 5}))
    best = max((each for each in ANALYSIS.summaries if each.mbit_s <= 5), key=lambda each: each.vmaf or 0)
    assert found.chosen == best


def test_among_settings_of_equal_speed_the_smallest_file_is_chosen_again_and_again() -> None:
    """Two settings differ in bits alone; noise decides which is measured as faster, never which is chosen."""
    tried = [{"preset": "veryfast", "crf": 20.0}, {"preset": "veryfast", "crf": 20.1}]
    for seed in range(8):
        analysis = analyse(make_run(tried, noise=0.01, seed=seed, held_out={}))
        assert answer(analysis, Query(limits={"min_vmaf": 97})).chosen.trial.settings["crf"] == 20.1


def test_a_clear_winner_is_sure_and_one_within_noise_is_not() -> None:
    clear = answer(analyse(make_run(grid(rates=(20,)))), Query(limits={"min_vmaf": 90}))
    assert clear.confidence.again == 1.0
    assert clear.confidence.elsewhere == 1.0
    assert clear.rivals == ()
    near = answer(ANALYSIS, Query(limits={"min_vmaf": 97.4}))
    assert near.confidence.again == 1.0
    assert near.confidence.elsewhere is not None
    assert near.confidence.elsewhere < 0.9
    assert near.rivals


def test_the_share_that_a_limit_holds_on_other_clips_falls_towards_it() -> None:
    shares = [
        answer(ANALYSIS, Query(goal="smallest", limits={"min_vmaf": bound})).held[0].share
        for bound in (97.0, 97.46)
    ]
    assert shares[0] is not None
    assert shares[1] is not None
    assert shares[0] > 0.9
    assert 0.3 < shares[1] < 0.7


def test_of_speed_that_was_measured_once_no_share_is_stated() -> None:
    once = analyse(make_run(repeats=1))
    found = answer(once, Query(limits={"min_vmaf": 97, "min_fps": 30}))
    assert (found.confidence.again, found.confidence.elsewhere, found.rivals) == (None, None, ())
    by_name = {held.limit.name: held for held in found.held}
    assert by_name["min_fps"].share is None
    assert by_name["min_fps"].value.low is None
    assert by_name["min_vmaf"].share is not None  # quality is told by clips
    assert found.against is not None
    assert found.against.faster is None
    assert found.against.speedup.low is None
    assert found.against.bits.low is not None


def test_size_and_quality_are_sure_without_repeats_since_encoding_is_deterministic() -> None:
    once = analyse(make_run(repeats=1))
    found = answer(once, Query(goal="smallest", limits={"min_vmaf": 97}))
    assert found.confidence.again == 1.0
    assert found.confidence.elsewhere is not None
    with_speed = answer(once, Query(goal="smallest", limits={"min_vmaf": 97, "min_fps": 1}))
    assert with_speed.confidence.again is None


def test_one_candidate_that_was_measured_once_makes_the_choice_by_speed_unsure() -> None:
    data = make_run(held_out={})
    kept = tuple(each for each in data.measurements if each.trial != 2 or each.repeat == 0)
    found = answer(analyse(replace(data, measurements=kept)), Query(limits={"min_vmaf": 90}))
    assert found.chosen.repeats == 3
    assert found.confidence.repeats == 1
    assert found.confidence.again is None


def test_of_one_clip_nothing_is_stated_about_others() -> None:
    one = answer(analyse(make_run(clips={"still": 0.3}, held_out={})), Query(limits={"min_vmaf": 90}))
    assert one.confidence.again is not None
    assert one.confidence.elsewhere is None
    assert one.rivals == ()
    assert one.held[0].share is None
    assert one.against is not None
    assert one.against.vmaf is not None
    assert one.against.vmaf.low is None
    assert one.against.faster == 1.0


def test_the_reference_is_x264_medium_at_8000k_and_is_compared_on_the_same_clips() -> None:
    assert find_reference(ANALYSIS.samples) == 0
    found = answer(ANALYSIS, Query(limits={"min_vmaf": 97})).against
    assert found is not None
    assert dict(found.reference.trial.settings) == dict(GUIDE)
    assert found.speedup.low is not None
    assert found.speedup.high is not None
    assert found.speedup.low < found.speedup.value < found.speedup.high
    assert found.speedup.value == pytest.approx(3.2 / 0.55, rel=0.1)
    assert found.faster == 1.0
    assert find_reference(analyse(make_run(grid()[1:])).samples) is None


def test_the_same_settings_are_looked_up_in_the_held_out_part() -> None:
    found = answer(ANALYSIS, Query(limits={"min_vmaf": 97})).held_out
    assert found is not None
    assert found.summary.clips == 3
    assert found.missed == ()
    assert found.against is not None
    assert answer(analyse(make_run(held_out={})), Query()).held_out is None


def test_limits_that_do_not_hold_on_held_out_clips_are_named() -> None:
    analysis = analyse(make_run(held_out={"grain": 2.6}))
    found = answer(analysis, Query(limits={"min_vmaf": 97})).held_out
    assert found is not None
    assert found.missed == ("min_vmaf",)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"min_vmaf": 99.5},
            r"min_vmaf: got 99.5; no trial of run a has it; allowed: at most 98.05 \(VMAF of trial",
        ),
        ({"max_mbit": 0.1}, r"max_mbit: got 0.1; no trial .* allowed: at least 2.98"),
        (
            {"min_vmaf": 98, "max_mbit": 5},
            r"meets min_vmaf 98 and max_mbit 5 together; trial \d+ comes nearest: VMAF",
        ),
        ({"min_vmaf": 101}, r"min_vmaf: got 101; allowed: above 0, to 100"),
        ({"max_mbit": -1}, r"max_mbit: got -1; allowed: a number above 0"),
        ({"max_mbit": float("nan")}, r"max_mbit: got nan; allowed: a number above 0"),
        ({"min_psnr": 40}, r"limits: got 'min_psnr'; allowed: min_vmaf, min_p1"),
    ],
)
def test_limits_that_nothing_meets_are_errors_that_say_what_there_is(
    limits: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        answer(ANALYSIS, Query(limits=limits))


def test_an_encoder_or_metric_that_the_run_does_not_have_is_an_error() -> None:
    with pytest.raises(InputError, match=r"encoder: got 'h264_nvenc'; allowed: libx264"):
        answer(ANALYSIS, Query(encoder="h264_nvenc"))
    data = make_run()
    without = replace(data, measurements=tuple(replace(each, xpsnr_y=None) for each in data.measurements))
    with pytest.raises(InputError, match=r"min_xpsnr: got 38, but the run has not measured XPSNR"):
        answer(analyse(without), Query(limits={"min_xpsnr": 38}))


def test_every_limit_bounds_a_field_of_summaries() -> None:
    for limit in LIMITS:
        assert getattr(ANALYSIS.summaries[0], limit.field) is not None, limit.name


def test_density_follows_from_cpu_time_cores_and_price() -> None:
    summary = replace(ANALYSIS.summaries[0], cpu_s_per_minute=30.0, core_fps=60.0)
    found = density(summary, ANALYSIS.data.run, price=0.8)
    assert found is not None
    assert found.streams == pytest.approx(16)  # 8 cores, 60 frames a second each
    assert found.minutes_per_core_hour == pytest.approx(120)
    assert found.cost_per_hour == pytest.approx(0.5 * 0.8 / 8)  # half a core-hour


@pytest.mark.parametrize("price", [-0.01, float("nan"), float("inf")])
def test_a_price_below_zero_is_an_error(price: float) -> None:
    with pytest.raises(
        InputError, match=r"price: got .*; allowed: the price of an hour of the machine, 0 or more"
    ):
        answer(ANALYSIS, Query(), price=price)


def test_a_gpu_encoder_is_compared_by_its_speed_and_has_no_density_of_cores() -> None:
    data = make_run(held_out={})
    trials = tuple(
        replace(trial, encoder="h264_nvenc") if trial.number == 3 else trial for trial in data.trials
    )
    measured = tuple(
        replace(each, cpu_s=0.1, fps=20.0, wall_s=6.0) if each.trial == 3 else each
        for each in data.measurements
    )
    analysis = analyse(replace(data, trials=trials, measurements=measured))
    assert answer(analysis, Query()).chosen.trial.encoder == "libx264"
    found = answer(analysis, Query(encoder="h264_nvenc"))
    assert found.chosen.trial.number == 3
    assert found.density is None


def test_of_a_gpu_s_settings_the_one_with_the_most_frames_a_second_is_the_fastest() -> None:
    data = make_run(held_out={})
    trials = tuple(replace(trial, encoder="h264_nvenc") for trial in data.trials)
    speeds = {trial.number: 100.0 + trial.number for trial in trials}
    measured = tuple(replace(each, wall_s=each.frames / speeds[each.trial]) for each in data.measurements)
    found = answer(analyse(replace(data, trials=trials, measurements=measured)), Query())
    assert found.chosen.trial.number == trials[-1].number


def test_limits_without_a_reference_are_checked_on_held_out_clips() -> None:
    data = make_run(grid()[1:], held_out={"grain": 2.6})
    found = answer(analyse(data), Query(limits={"min_vmaf": 97})).held_out
    assert found is not None
    assert found.missed == ("min_vmaf",)


def test_a_goal_that_was_not_measured_is_an_error_of_the_goal() -> None:
    data = make_run()
    without = replace(data, measurements=tuple(replace(each, vmaf=None) for each in data.measurements))
    with pytest.raises(InputError, match=r"^goal: got best, but the run has not measured VMAF"):
        answer(analyse(without), Query(goal="best"))
