"""A real search: grid, repeats, failures, limits, and going on after an end of any kind."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.tuning import raw_clip
from video_pipeline.engine.errors import CancelledError, InputError, RenderingError, UnavailableError
from video_pipeline.engine.machine.cores import usable_cores
from video_pipeline.engine.tuning import search as module
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.metrics import METRICS, find_measuring_ffmpeg
from video_pipeline.engine.tuning.objective import Objective, check_objective, reach
from video_pipeline.engine.tuning.records import Measurement, Run, RunData
from video_pipeline.engine.tuning.search import Search, SearchProgress
from video_pipeline.engine.tuning.space import Space, parse_space
from video_pipeline.engine.tuning.store import RunStore, read_run
from video_pipeline.engine.tuning.trial import EncodedClip, TrialTask

RUN = Run(id="a", created="", machine={}, versions={}, material={}, space={}, objective={})
SMALL = {"search": {"preset": ["ultrafast"], "crf": [20, 35]}}


def _space(data: dict[str, Any] = SMALL) -> Space:
    return parse_space(data, where="space")


@pytest.fixture
def clips(tmp_path: Path) -> tuple[RawClip, ...]:
    return (raw_clip(tmp_path), raw_clip(tmp_path, "other"), raw_clip(tmp_path, "last", part="held_out"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[TrialTask]:
    """Trials that encode in this process: only the order and number of encodings are looked at."""
    tasks: list[TrialTask] = []

    def run(task: TrialTask, **options: Any) -> EncodedClip:
        tasks.append(task)
        size = 1000 * (60 - int(float(task.settings.options["crf"])))
        return EncodedClip(cpu_s=0.1 + size / 1e6, wall_s=0.1, peak_mb=50, bytes=size)

    monkeypatch.setattr(module, "run_trial", run)
    return tasks


def _search(
    folder: Path,
    clips: tuple[RawClip, ...],
    space: Space,
    *,
    jobs: int = 1,
    progress: Callable[[SearchProgress], None] | None = None,
    stop: threading.Event | None = None,
    afresh: bool = False,
    **objective: Any,
) -> tuple[str, RunData]:
    path = folder / "run.sqlite"
    aim = Objective(**{"metrics": (), "repeats": 1, **objective})
    with RunStore.open(path) if path.exists() else RunStore.create(path, RUN, {}) as store:
        found = find_measuring_ffmpeg(aim.metrics) if aim.metrics else None
        options: dict[str, Any] = {"jobs": jobs, "progress": progress, "stop": stop, "afresh": afresh}
        ended = Search(store, clips, space, aim, ffmpeg=found, scratch=folder, **options).run()
    return ended, read_run(path)


def test_a_grid_is_encoded_and_measured(tmp_path: Path, clips: tuple[RawClip, ...]) -> None:
    seen: list[SearchProgress] = []
    ended, data = _search(
        tmp_path, clips, _space(), repeats=2, metrics=METRICS, every=2, progress=seen.append
    )
    assert ended == "complete"
    assert [(each.part, each.status, each.settings["crf"]) for each in data.trials] == [
        ("training", "done", 20),
        ("training", "done", 35),
        ("held_out", "done", data.trials[2].settings["crf"]),
        ("held_out", "done", data.trials[3].settings["crf"]),
    ]
    assert len(data.measurements) == 2 * 2 * 2 + 2 * 2
    good, bad = (
        [each for each in data.measurements if each.trial == number and each.clip == "clip"]
        for number in (1, 2)
    )
    assert [each.repeat for each in good] == [0, 1]
    assert good[0].vmaf == good[1].vmaf
    assert good[0].vmaf > bad[0].vmaf  # type: ignore[operator]
    assert good[0].bytes == good[1].bytes > bad[0].bytes
    assert all(each.cpu_s > 0 and each.fps > 0 and each.peak_mb > 10 for each in data.measurements)
    assert good[0].mbit_s == pytest.approx(good[0].bytes * 8e-6 / 0.4)
    assert (seen[-1].done, seen[-1].total, seen[-1].seconds_left) == (12, 12, 0)
    assert any(each.seconds_left for each in seen)
    assert not list(tmp_path.glob("*.mp4"))


def test_repeats_are_interleaved_in_an_order_of_their_own(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    space = _space({"search": {"preset": ["ultrafast"], "crf": list(range(10, 22))}})
    _search(tmp_path, clips[:1], space, repeats=3)
    order = [float(task.settings.options["crf"]) for task in quick[1:]]
    rounds = [order[at : at + 12] for at in (0, 12, 24)]
    assert all(sorted(each) == sorted(rounds[0]) for each in rounds)
    assert rounds[0] != rounds[1] != rounds[2] != rounds[0]
    (tmp_path / "run.sqlite").unlink()
    again = len(quick)
    _search(tmp_path, clips[:1], space, repeats=3)
    assert [float(task.settings.options["crf"]) for task in quick[again + 1 :]] == order


def test_settings_that_do_not_work_are_marked_and_the_search_goes_on(
    tmp_path: Path, clips: tuple[RawClip, ...]
) -> None:
    data = {"search": {"preset": ["ultrafast", "fastest"], "crf": [30], "multipass": [None, "qres"]}}
    ended, found = _search(tmp_path, clips[:1], _space(data))
    assert ended == "complete"
    results = {(each.settings["preset"], each.settings.get("multipass")): each for each in found.trials}
    assert results["ultrafast", None].status == "done"
    assert "got 'fastest'" in str(results["fastest", None].error)
    assert "which libx264 does not have" in str(results["ultrafast", "qres"].error)
    assert [each.trial for each in found.measurements] == [results["ultrafast", None].number]


def test_an_encoder_that_is_not_here_is_said_and_the_others_are_searched(
    tmp_path: Path, clips: tuple[RawClip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    both = {"search": {"encoder": ["libx264", "h264_nvenc"], "preset": ["ultrafast"], "crf": [30]}}
    _, data = _search(tmp_path, clips[:1], _space(both))
    assert {each.encoder: each.status for each in data.trials} == {"libx264": "done", "h264_nvenc": "failed"}
    (tmp_path / "run.sqlite").unlink()
    alone = {"fixed": {"encoder": "h264_nvenc"}, **SMALL}
    with pytest.raises(UnavailableError, match="h264_nvenc"):
        _search(tmp_path, clips[:1], _space(alone))


def test_a_search_that_was_stopped_goes_on_with_what_is_stored(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    stop = threading.Event()

    def stop_after_three(now: SearchProgress) -> None:
        if now.done == 3:
            stop.set()

    with pytest.raises(CancelledError):
        _search(tmp_path, clips, _space(), repeats=2, progress=stop_after_three, stop=stop)
    before = read_run(tmp_path / "run.sqlite")
    assert len(quick) == 1 + 3
    assert [each.status for each in before.trials] == ["done"]
    ended, data = _search(tmp_path, clips, _space(), repeats=2)
    assert ended == "complete"
    assert len(quick) == 4 + 1 + 7
    assert len(data.measurements) == 10  # without quality, the smaller of two is the whole front
    assert set(before.measurements) <= set(data.measurements)


def test_time_that_is_up_leaves_some_for_the_held_out_clips(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))  # type: ignore[attr-defined]
    space = _space({"search": {"preset": ["ultrafast"], "crf": list(range(10, 50))}})
    ended, data = _search(tmp_path, clips, space, minutes=1)
    assert ended == "time"
    parts = [each.part for each in data.trials]
    assert 0 < parts.count("training") < 40
    assert parts.count("held_out") > 0


def test_a_disk_that_is_full_ends_the_search_and_no_trial_is_blamed(
    tmp_path: Path, clips: tuple[RawClip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    monkeypatch.setattr(Search, "_output", lambda search, job: full)
    with pytest.raises(RenderingError, match="No space left on device"):
        _search(tmp_path, clips, _space())
    assert read_run(tmp_path / "run.sqlite").trials == ()
    monkeypatch.undo()
    assert _search(tmp_path, clips, _space())[0] == "complete"


def test_frames_that_vanish_end_the_search_and_say_what_to_do(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    def delete(now: SearchProgress) -> None:
        clips[0].path.unlink(missing_ok=True)

    with pytest.raises(
        RenderingError, match="its frames are gone from the cache; `tune resume` draws them again"
    ):
        _search(tmp_path, clips, _space(), progress=delete, repeats=2)


@pytest.mark.skipif(len(usable_cores()) < 2, reason="needs two cores")
def test_jobs_run_on_cores_of_their_own(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    ended, data = _search(tmp_path, clips, _space(), jobs=2, repeats=2)
    assert ended == "complete"
    assert len(data.measurements) == 10
    assert {task.core for task in quick[1:]} == set(usable_cores()[:2])


def test_jobs_need_cores(tmp_path: Path, clips: tuple[RawClip, ...]) -> None:
    with pytest.raises(InputError, match="jobs: got 1000; allowed: 1 to"):
        _search(tmp_path, clips, _space(), jobs=1000)
    with pytest.raises(InputError, match="jobs: got 0"):
        _search(tmp_path, clips, _space(), jobs=0)
    threads = {"fixed": {"threads": 2}, **SMALL}
    if len(usable_cores()) > 1:
        with pytest.raises(InputError, match="the space searches threads, which need every core"):
            _search(tmp_path, clips, _space(threads), jobs=2)


def test_a_grid_may_be_sampled(tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]) -> None:
    space = _space({"search": {"preset": ["ultrafast"], "crf": list(range(10, 50))}})
    _, data = _search(tmp_path, clips[:1], space, trials=6)
    found = [each.settings["crf"] for each in data.trials]
    assert len(set(found)) == 6
    assert found != list(range(10, 16))


def test_more_trials_of_a_grid_go_on_with_those_of_fewer(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    space = _space({"search": {"preset": ["ultrafast"], "crf": {"from": 0, "to": 40, "step": 0.5}}})
    _, first = _search(tmp_path, clips[:1], space, trials=20)
    _, more = _search(tmp_path, clips[:1], space, trials=50)
    assert len(more.trials) == 50
    assert more.trials[:20] == first.trials


def test_a_search_that_dies_while_it_stores_loses_no_trial(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "end_trial", die)
        _search(tmp_path, clips[:1], _space())
    assert [each.status for each in read_run(tmp_path / "run.sqlite").trials] == ["done", "done"]


def test_a_trial_that_is_complete_but_not_marked_is_settled_by_who_goes_on(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    _, whole = _search(tmp_path, clips[:1], _space())
    with sqlite3.connect(tmp_path / "run.sqlite") as database:
        database.execute("UPDATE trials SET status = NULL WHERE number = 1")
    database.close()
    encoded = len(quick)
    _, settled = _search(tmp_path, clips[:1], _space())
    assert settled == whole
    assert len(quick) == encoded + 1  # the one before the others, which is not counted


def test_further_minutes_do_not_depend_on_those_before(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = _space({"search": {"preset": ["ultrafast"], "crf": {"from": 0, "to": 50, "step": 0.25}}})
    clock = itertools.count()
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))  # type: ignore[attr-defined]
    before = _search(tmp_path, clips, space, minutes=2)[1]
    with RunStore.open(tmp_path / "run.sqlite") as store:
        spent = store.seconds()
    assert spent > 60
    ended, after = _search(tmp_path, clips, space, minutes=1, afresh=True)
    assert ended == "time"
    more = [len([each for each in data.trials if each.part == "training"]) for data in (before, after)]
    assert more[1] > more[0] + 4


def test_segments_threads_and_workers_are_those_of_the_settings(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    own = {"segment_seconds": [0.1], "threads": [2], "workers": [3]}
    _search(tmp_path, clips[:1], _space({"search": {"preset": ["ultrafast"], "crf": [20], **own}}))
    task = quick[-1]
    assert (task.threads, task.workers, len(task.segments)) == (2, 3, 4)
    assert not {"segment_seconds", "threads", "workers"} & set(task.settings.options)


def test_a_guided_search_tries_what_it_asks_for_and_goes_on_after_an_end(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    data = {
        "search": {"preset": ["ultrafast"], "crf": list(range(10, 50))},
        "always": [{"preset": "medium", "crf": 23}],
    }
    aim: dict[str, Any] = {"strategy": "guided", "goals": ("cpu", "size")}
    _, first = _search(tmp_path, clips, _space(data), trials=10, **aim)
    training = [each for each in first.trials if each.part == "training"]
    assert len(training) == 11
    assert training[0].settings["preset"] == "medium"
    assert len({str(each.settings) for each in training}) == 11
    _, second = _search(tmp_path, clips, _space(data), trials=14, **aim)
    assert first.trials == second.trials[: len(first.trials)]
    searched = [str(each.settings) for each in second.trials if each.part == "training"]
    assert len(searched) == len(set(searched)) == 15


def test_a_trial_that_is_clearly_behind_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = tuple(raw_clip(tmp_path, f"clip{number}") for number in range(6))

    def run(task: TrialTask, **options: Any) -> EncodedClip:
        # Every preset but the first one takes twice as long and gives twice the size.
        factor = 1 if task.settings.options["preset"] == "ultrafast" else 2
        return EncodedClip(cpu_s=0.1 * factor, wall_s=0.1, peak_mb=50, bytes=1000 * factor)

    monkeypatch.setattr(module, "run_trial", run)
    presets = ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
    data = {"search": {"preset": presets}, "always": [{"preset": "placebo"}]}
    aim: dict[str, Any] = {"strategy": "guided", "trials": 9, "goals": ("cpu", "size")}
    _, found = _search(tmp_path, clips, _space(data), **aim)
    status = {each.settings["preset"]: each.status for each in found.trials}
    assert status["ultrafast"] == status["placebo"] == "done"
    assert list(status.values()).count("pruned") >= 1
    for each in found.trials:
        count = len([one for one in found.measurements if one.trial == each.number])
        assert count == (2 if each.status == "pruned" else 6)
        if each.status == "pruned":
            assert "is better in cpu, size on 2 clips" in str(each.error)


def test_how_far_a_trial_comes_counts_medians_and_all_clips() -> None:
    def measured(clip: str, repeat: int, cpu_s: float, vmaf: float) -> Measurement:
        return Measurement(
            trial=1,
            clip=clip,
            repeat=repeat,
            cpu_s=cpu_s,
            wall_s=1,
            peak_mb=1,
            frames=30,
            fps=1,
            bytes=125_000,
            mbit_s=1.0,
            vmaf=vmaf,
        )

    found = [measured("a", repeat, cpu_s, 90) for repeat, cpu_s in enumerate((1.0, 50.0, 1.2))]
    found += [measured("b", 0, 0.8, 96)]
    cpu, size, vmaf = reach(("cpu", "size", "vmaf"), found)
    assert (cpu, size, vmaf) == pytest.approx((0.0, 0.0, -93))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"goals": ("speed",)}, "goals: got 'speed'"),
        ({"goals": ()}, "goals: got none"),
        ({"goals": ("cpu", "cpu")}, "each once"),
        ({"metrics": ("vmav",)}, r"metrics: got 'vmav' \(did you mean 'vmaf'\?\)"),
        (
            {"metrics": ("psnr",)},
            "goals: got 'vmaf', which needs the metric vmaf; allowed with metrics psnr: cpu, wall, size, psnr",
        ),
        (
            {"metrics": (), "goals": ("cpu",), "min_vmaf": 95},
            "min_vmaf: got 95, which needs the metric vmaf; metrics: got none",
        ),
        ({"repeats": 0}, "repeats: got 0; allowed: 1 to 100"),
        ({"every": 0}, "every: got 0"),
        ({"minutes": 0}, "minutes: got 0; allowed: more than 0, to 1000000"),
        ({"minutes": -1}, "minutes: got -1; allowed: more than 0, to 1000000"),
        ({"strategy": "guided"}, "guided: got neither trials nor minutes; set the most of one of them"),
    ],
)
def test_a_wrong_objective_says_what_is_allowed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_objective(Objective(**wrong))


def test_time_is_counted_over_all_sessions(
    tmp_path: Path, clips: tuple[RawClip, ...], quick: list[TrialTask]
) -> None:
    started = time.monotonic()
    _search(tmp_path, clips, _space())
    with RunStore.open(tmp_path / "run.sqlite") as store:
        assert 0 < store.seconds() < time.monotonic() - started
