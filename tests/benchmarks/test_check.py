"""A loss of speed, quality or size beside the recorded run is found, and noise is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from benchmarks import check as bench_check
from benchmarks.check import (
    METRICS,
    PLAIN_CRF,
    SAME_MACHINE,
    Times,
    check,
    choose_clips,
    find_references,
    find_trial,
    speed_verdict,
    verdict_table,
)
from tests.support.tuning_runs import CLIPS, GUIDE, grid, make_run
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.common.cache import FileDigests
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.profiles import Profile
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.corpus import corpus_stretches
from video_pipeline.engine.tuning.environment import describe_machine
from video_pipeline.engine.tuning.metrics import find_measuring_ffmpeg
from video_pipeline.engine.tuning.objective import Objective
from video_pipeline.engine.tuning.records import RunData, Trial
from video_pipeline.engine.tuning.runs import load_run
from video_pipeline.engine.tuning.samples import sample_run
from video_pipeline.engine.tuning.search import Search
from video_pipeline.engine.tuning.space import load_space
from video_pipeline.engine.tuning.store import RunStore

CHOSEN = {"preset": "superfast", "crf": 20}
PROFILE = Profile.model_validate({"name": "mine", "video": CHOSEN})


def times(number: int, *repeats: float) -> Times:
    trial = Trial(number=number, settings={"preset": "medium"}, encoder="libx264", status="done")
    return Times(trial, {"a": [each * 0.25 for each in repeats], "b": [each * 0.75 for each in repeats]})


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        ((2.0, 2.0), False),
        ((2.06, 2.06), False),  # within the recorded run's spread
        ((2.3, 2.3), True),
        ((2.0, 2.6), False),  # too noisy to tell
        ((1.5, 1.5), False),  # faster
    ],
)
def test_a_loss_of_speed_is_real_beyond_the_spread_of_both_runs(now: tuple[float, ...], lost: bool) -> None:
    verdict = speed_verdict(
        chosen=(times(1, 2.0, 2.1), times(1, *now)),
        reference=(times(2, 10.0, 10.0), times(2, 10.0, 10.0)),
        clips=["a", "b"],
        least=SAME_MACHINE,
    )
    assert verdict.lost is lost


def test_a_slower_machine_is_no_loss() -> None:
    verdict = speed_verdict(
        chosen=(times(1, 2.0), times(1, 5.0)),
        reference=(times(2, 10.0), times(2, 25.0)),
        clips=["a", "b"],
        least=0.05,
    )
    assert verdict.loss == pytest.approx(0.0)


def test_the_profile_is_found_among_the_trials_whatever_is_null_or_the_default() -> None:
    longer = {**CHOSEN, "segment_seconds": 8}
    as_rendered = {**CHOSEN, "gop": 2.0, "tune": None, "segment_seconds": 4, "threads": 1}
    samples = sample_run(make_run([GUIDE, longer, as_rendered]))
    assert find_trial(samples, PROFILE).number == 2
    with pytest.raises(InputError, match="profile mine: the recorded run has no trial with its settings"):
        find_trial(sample_run(make_run([GUIDE, {**CHOSEN, "gop": 4.0}])), PROFILE)


def test_the_references_are_medium_at_8000k_and_plain_veryfast_near_crf_21() -> None:
    samples = sample_run(make_run(grid(rates=(18, 20.5, 23))))
    found = find_references(
        samples, find_trial(samples, Profile.model_validate({"name": "x", "video": GUIDE}))
    )
    assert [dict(trial.settings) for trial in found] == [{"preset": "veryfast", "crf": 20.5}]
    assert PLAIN_CRF == 21
    chosen = samples.trials[1]
    assert [trial.settings["preset"] for trial in find_references(samples, chosen)] == ["medium", "veryfast"]
    alone = sample_run(make_run([CHOSEN]))
    with pytest.raises(InputError, match="has neither x264's medium at 8000k nor its veryfast"):
        find_references(alone, alone.trials[0])


def test_as_many_clips_are_chosen_as_fit_into_the_time() -> None:
    data = make_run([CHOSEN, GUIDE])
    samples = sample_run(data)
    every = choose_clips(data, samples, samples.trials, repeats=2, cpu_seconds=1e6)
    some = choose_clips(data, samples, samples.trials, repeats=2, cpu_seconds=60)
    assert sorted(every) == sorted(CLIPS)
    assert 1 < len(some) < len(CLIPS)
    assert choose_clips(data, samples, samples.trials, repeats=2, cpu_seconds=0.01) == ["still"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A real run on two clips of the corpus in a small size."""
    folder = tmp_path_factory.mktemp("recorded")
    config = load_config({}, environ=False).override("video", size=(160, 288), fps=Fraction(30))
    cache = open_asset_cache(config)
    drawable = corpus_stretches(
        "training", seconds=1.0, config=config, cache=cache, names=("fast_pan", "text")
    )
    clips = [each.draw(cache, FileDigests()) for each in drawable]
    space = folder / "space.yaml"
    space.write_text(
        "description: two\nfixed: {encoder: libx264, preset: superfast}\nsearch: {crf: [20]}\n"
        "always: [{encoder: libx264, preset: medium, bitrate: 8000k}]\n"
    )
    material = {"clips": [clip.describe() for clip in clips]}
    run = replace(make_run().run, material=material, machine=describe_machine())
    with RunStore.create(folder / "run.sqlite", run, {}) as store:
        Search(
            store,
            clips,
            load_space(str(space)),
            Objective(repeats=2, metrics=METRICS),
            ffmpeg=find_measuring_ffmpeg(METRICS),
            scratch=folder,
        ).run()
    return load_run(folder / "run.sqlite")


def changed(data: RunData, of: int, change: Callable[[Any], Mapping[str, Any]]) -> RunData:
    measured = tuple(
        replace(each, **change(each)) if each.trial == of else each for each in data.measurements
    )
    return replace(data, measurements=measured)


def chosen_number(data: RunData) -> int:
    return next(trial.number for trial in data.trials if trial.settings.get("crf") == 20)


def test_the_same_settings_on_the_same_machine_lost_nothing_but_what_became_slower_or_worse_is_found(
    recorded: RunData, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {verdict.what: verdict for verdict in check(recorded, PROFILE)}
    assert [what for what in same if not what.startswith("CPU")] == ["VMAF", "XPSNR of luma, dB", "MB"]
    for what in ("VMAF", "XPSNR of luma, dB", "MB"):
        assert same[what].loss == pytest.approx(0.0, abs=1e-9)
    monkeypatch.setattr(bench_check, "SAME_MACHINE", 0.0)
    better = changed(
        recorded,
        chosen_number(recorded),
        lambda each: {"cpu_s": each.cpu_s / 30, "vmaf": each.vmaf + 0.3, "bytes": round(each.bytes * 0.9)},
    )
    lost = [verdict for verdict in check(better, PROFILE) if verdict.lost]
    assert [verdict.what for verdict in lost] == [
        "CPU time beside libx264 medium, bitrate 8000k",
        "VMAF",
        "MB",
    ]
    assert "CPU time" in verdict_table(lost)


def test_clips_that_are_not_of_the_corpus_are_an_error(tmp_path: Path) -> None:
    data = make_run([CHOSEN, GUIDE])
    clips = [{**clip, "source": "story.json"} for clip in data.run.material["clips"]]
    with pytest.raises(InputError, match="not of the corpus"):
        check(replace(data, run=replace(data.run, material={"clips": clips})), PROFILE)
