"""Two runs are compared on what they share, and only what is more than noise is called a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.tuning_runs import CLIPS, grid, make_run
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.compare import compare_runs
from video_pipeline.engine.tuning.records import RunData
from video_pipeline.engine.tuning.report.comparing import comparison_data, comparison_lines


def changed(data: RunData, clip: str, **fields: Any) -> RunData:
    measured = tuple(replace(each, **fields) if each.clip == clip else each for each in data.measurements)
    return replace(data, measurements=measured)


def with_clips(data: RunData, changes: Mapping[str, str]) -> RunData:
    clips = [
        {**clip, "sha256": changes.get(clip["name"], clip["sha256"])} for clip in data.run.material["clips"]
    ]
    return replace(data, run=replace(data.run, material={"clips": clips}))


def test_noise_alone_is_no_change() -> None:
    """In twenty pairs of runs that differ by noise, not one of 21 settings is called changed."""
    for seed in range(20):
        first, second = (make_run(noise=0.02, seed=each, held_out={}) for each in (seed, 1000 + seed))
        found = compare_runs(first, second)
        assert not any(change.real for change in found.changes)
        assert found.overall.low is not None
        assert found.overall.high is not None
        assert found.overall.low < 1.005
        assert found.overall.high > 0.995


def test_one_preset_that_became_slower_is_found() -> None:
    first = make_run(noise=0.01, held_out={})
    second = make_run(noise=0.01, seed=2, held_out={}, slower={"faster": 1.06})
    real = [change for change in compare_runs(first, second).changes if change.real]
    assert {change.before.settings["preset"] for change in real} == {"faster"}
    assert len(real) == 5
    assert all(1.03 < change.beyond.value < 1.09 for change in real)


def test_what_all_settings_have_in_common_is_one_change() -> None:
    everything = dict.fromkeys(("superfast", "veryfast", "faster", "medium"), 1.1)
    found = compare_runs(
        make_run(noise=0.01, held_out={}), make_run(noise=0.01, seed=2, held_out={}, slower=everything)
    )
    assert found.overall.low is not None
    assert found.overall.low > 1.08
    assert found.overall.value == pytest.approx(1.1, abs=0.01)
    assert not any(change.real for change in found.changes)


@pytest.mark.parametrize("clips", [{"still": 0.3}, CLIPS])
def test_times_that_were_measured_once_say_nothing_about_noise(clips: Mapping[str, float]) -> None:
    first, second = (
        make_run(clips=clips, repeats=repeats, noise=0.05, seed=repeats, held_out={}) for repeats in (1, 3)
    )
    found = compare_runs(first, second)
    assert {(change.real, change.chance, change.beyond.low) for change in found.changes} == {
        (None, None, None)
    }
    lines = comparison_lines(found)
    assert "21 trials of 21: speed measured once: its spread is not known; repeat with --repeats 3." in lines
    (common,) = (line for line in lines if line.startswith("CPU time, the median"))
    assert common.endswith(" %.")
    assert not any("by chance" in line or "beyond" in line or "more than noise" in line for line in lines)


def test_counts_of_one_are_singular() -> None:
    first, second = (
        make_run([{"preset": "medium", "crf": 20}, {"preset": preset, "crf": 20}], clips={"still": 0.3})
        for preset in ("faster", "veryfast")
    )
    lines = comparison_lines(compare_runs(first, second))
    assert lines[0] == "1 trial with the same settings in runs a and a, on 1 clip with the same frames."
    assert "1 trial is only in the first run, 1 only in the second." in lines


def test_every_difference_of_bytes_or_quality_is_said_with_the_clip_that_lost_most() -> None:
    first = make_run(grid(rates=(20,)), held_out={})
    by_clip = {each.clip: each for each in first.measurements if each.trial == 2}
    grain = by_clip["grain"]
    assert grain.vmaf is not None
    second = replace(
        first,
        measurements=tuple(
            replace(each, bytes=each.bytes + 500, vmaf=grain.vmaf - 0.6)
            if (each.trial, each.clip) == (2, "grain")
            else each
            for each in first.measurements
        ),
    )
    (moved,) = (change for change in compare_runs(first, second).changes if change.output_changed)
    assert moved.before.number == 2
    assert moved.bits > 1
    assert moved.vmaf == pytest.approx(-0.1)
    assert moved.worst_clip == ("grain", pytest.approx(-0.6))


def test_only_clips_with_the_same_frames_are_compared() -> None:
    first = make_run()
    second = with_clips(make_run(seed=2), {"text": "0" * 64})
    found = compare_runs(first, second)
    assert found.clips == tuple(clip for clip in CLIPS if clip != "text")
    assert found.other_clips == {"text": "has other frames in the second"}
    fewer = make_run(seed=2, clips={"text": CLIPS["text"], "rain": 1.0})
    assert compare_runs(first, fewer).clips == ("text",)
    assert compare_runs(first, fewer).other_clips["rain"] == "is only in the second"


def test_runs_without_a_common_clip_or_settings_are_an_error() -> None:
    with pytest.raises(InputError, match="have no clip in common: still is only in the first"):
        compare_runs(make_run(), make_run(clips={"rain": 1.0}))
    with pytest.raises(InputError, match="no trial with the same settings"):
        compare_runs(make_run([{"preset": "medium", "crf": 20}]), make_run([{"preset": "medium", "crf": 21}]))


def test_settings_that_only_one_run_has_are_counted_and_null_is_left_out() -> None:
    first = make_run([{"preset": "medium", "crf": 20, "tune": None}, {"preset": "faster", "crf": 20}])
    second = make_run([{"crf": 20, "preset": "medium"}])
    found = compare_runs(first, second)
    assert len(found.changes) == 1
    assert found.unmatched == (1, 0)


def test_other_machines_and_versions_are_named() -> None:
    other = make_run(machine={"cpu": "Other CPU", "cores": 8, "memory_gib": 32, "system": "Linux"}, seed=2)
    found = compare_runs(make_run(), other)
    assert not found.same_machine
    assert found.differences == (("cpu", "Test CPU", "Other CPU"),)
    assert any("The machines differ" in line for line in comparison_lines(found))
    assert compare_runs(make_run(), make_run(seed=2)).same_machine


def test_the_plain_values_and_the_words_have_every_change() -> None:
    found = compare_runs(make_run(noise=0.01), make_run(noise=0.01, seed=2, slower={"faster": 1.2}))
    data = comparison_data(found)
    assert len(data["changes"]) == 21
    assert data["text"] == list(comparison_lines(found))
    assert sum(line.startswith("libx264 faster") for line in data["text"]) == 5
