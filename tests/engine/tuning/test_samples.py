"""Only complete trials are compared, all on the same clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.tuning_runs import CLIPS, GUIDE, make_run
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.samples import differing_bytes, sample_run

TWO = ({"preset": "superfast", "crf": 20}, {"preset": "veryfast", "crf": 20})


def test_trials_clips_and_repeats_are_the_axes_of_the_arrays() -> None:
    samples = sample_run(make_run(TWO, repeats=4))
    assert samples.cpu_s.shape == (2, len(CLIPS), 4)
    assert samples.bytes.shape == samples.quality["vmaf"].shape == (2, len(CLIPS))
    assert samples.clips == tuple(CLIPS)
    assert samples.seconds == pytest.approx(4.0, abs=1e-3)


def test_a_trial_that_was_stopped_amid_its_clips_is_left_out_with_the_clips_that_it_lacks() -> None:
    data = make_run(TWO)
    kept = tuple(each for each in data.measurements if (each.trial, each.clip) != (1, "grain"))
    samples = sample_run(replace(data, measurements=kept))
    assert [trial.number for trial in samples.trials] == [0]
    (left,) = samples.left_out
    assert (left.trial.number, left.reason) == (1, "lacks measurements of grain")


def test_a_failed_trial_is_left_out_with_its_error() -> None:
    data = make_run([*TWO, GUIDE])
    trials = tuple(
        replace(trial, status="failed", error="libx264: no option <b>") if trial.number == 2 else trial
        for trial in data.trials
    )
    samples = sample_run(replace(data, trials=trials))
    assert [each.reason for each in samples.left_out] == ["failed: libx264: no option <b>"]
    with pytest.raises(InputError, match=r"trial: got 2, which failed: .*allowed: 0, 1"):
        samples.position(2)


def test_missing_repeats_are_not_a_number_and_do_not_count() -> None:
    data = make_run(TWO, repeats=3)
    kept = tuple(
        each for each in data.measurements if not (each.trial == 0 and each.clip == "text" and each.repeat)
    )
    samples = sample_run(replace(data, measurements=kept))
    assert np.isnan(samples.cpu_s[0, samples.clips.index("text"), 1:]).all()
    assert samples.repeats().tolist() == [1, 3]


def test_a_run_without_a_complete_trial_is_an_error_that_says_why() -> None:
    data = make_run(TWO)
    failed = tuple(replace(trial, status="failed", error="disk full") for trial in data.trials)
    with pytest.raises(
        InputError, match=r"run a: no trial of the part training is complete.*failed: disk full"
    ):
        sample_run(replace(data, trials=failed))


def test_trials_that_encoded_different_numbers_of_frames_of_a_clip_are_not_compared() -> None:
    data = make_run(TWO)
    changed = tuple(
        replace(each, frames=119) if (each.trial, each.clip) == (1, "text") else each
        for each in data.measurements
    )
    with pytest.raises(InputError, match="clip 'text': trials encoded 119 and 120 frames"):
        sample_run(replace(data, measurements=changed))


def test_repeats_of_different_sizes_are_found() -> None:
    data = make_run(TWO)
    first, *rest = data.measurements
    assert differing_bytes(data) == ()
    changed = replace(data, measurements=(replace(first, bytes=first.bytes + 1), *rest))
    assert differing_bytes(changed) == ((first.trial, first.clip),)
