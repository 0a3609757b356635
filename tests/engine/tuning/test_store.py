"""The file of a run: everything that is written is read again, and nothing is lost when a disk is full."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.tuning.records import Measurement, Run, Trial
from video_pipeline.engine.tuning.store import RunStore, read_run

RUN = Run(
    id="abc",
    created="2026-01-01T00:00:00+00:00",
    machine={"cpu": "A", "cores": 2},
    versions={"ffmpeg": "8"},
    material={"clips": []},
    space={"name": "test"},
    objective={"goals": ["cpu"]},
    command=("video-pipeline", "tune"),
)


def _measured(trial: int, clip: str = "a", repeat: int = 0, **fields: float) -> Measurement:
    return Measurement(
        trial=trial,
        clip=clip,
        repeat=repeat,
        cpu_s=1.5,
        wall_s=2.0,
        peak_mb=80.0,
        frames=30,
        fps=15.0,
        bytes=1000,
        mbit_s=0.008,
        **{"vmaf": 97.5, **fields},  # type: ignore[arg-type]
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    settings = {"encoder": "libx264", "preset": "fast", "crf": 20.5, "mbtree": False, "bf": 2}
    with RunStore.create(path, RUN, {"jobs": 1}) as store:
        first, second, third = store.add_trials("training", [settings] * 3)
        store.add_measurement(_measured(first), seconds=2.5)
        store.add_measurement(_measured(first, repeat=1), seconds=1.5)
        store.add_measurement(_measured(third), seconds=0)
        store.end_trial(first, "done")
        store.end_trial(second, "failed", "libx264: no")
        assert store.seconds() == 4.0
        assert store.request() == {"jobs": 1}
    data = read_run(path)
    assert data.run == RUN
    kept = {key: value for key, value in settings.items() if key != "encoder"}
    assert data.trials == (
        Trial(number=1, settings=kept, encoder="libx264", status="done"),
        Trial(number=2, settings=kept, encoder="libx264", status="failed", error="libx264: no"),
    )
    assert data.measurements == (_measured(1), _measured(1, repeat=1))


def test_an_unfinished_trial_is_there_for_who_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with RunStore.create(path, RUN, {}) as store:
        (number,) = store.add_trials("held_out", [{"encoder": "libx264", "crf": 20}])
        store.add_measurement(_measured(number), seconds=1)
    with RunStore.open(path) as store:
        assert store.trials() == {number: ("held_out", {"encoder": "libx264", "crf": 20}, None)}
        assert store.measurements() == (_measured(number),)
        assert store.add_trials("training", [{"encoder": "libx264"}]) == (number + 1,)


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with RunStore.create(path, RUN, {}) as store:
        store.add_trials("training", [{"encoder": "libx264"}])
        assert read_run(path).run == RUN
        with pytest.raises(InputError, match="another process is searching it"):
            RunStore.open(path)


def test_a_run_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    path.write_text("kept")
    with pytest.raises(InputError, match="exists; name another file, or go on with it"):
        RunStore.create(path, RUN, {})
    assert path.read_text() == "kept"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    missing, text, other = tmp_path / "missing", tmp_path / "text", tmp_path / "other"
    text.write_text("not a database, but long enough to be read as one" * 20)
    sqlite3.connect(other).execute("CREATE TABLE run (id)").connection.close()
    for path, words in (
        (missing, "cannot be read: No such file or directory"),
        (text, "is no tuning run"),
        (other, "is no tuning run .* of this version"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(InputError, match=words):
            read_run(path)
        with pytest.raises(InputError, match=words):
            RunStore.open(path)
    assert not missing.exists()


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_what_was_stored_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with RunStore.create(path, RUN, {}) as store:
        (number,) = store.add_trials("training", [{"encoder": "libx264"}])
        store.add_measurement(_measured(number), seconds=1)
        before = read_run(path), store.measurements()
        with _largest_file(path.stat().st_size), pytest.raises(RenderingError, match="tune resume"):
            _add_without_end(store, number)
        stored = store.measurements()
        assert stored[: len(before[1])] == before[1]
        store.add_measurement(_measured(number, clip="b"), seconds=1)
        store.end_trial(number, "done")
    assert _measured(number, clip="b") in read_run(path).measurements


def _add_without_end(store: RunStore, number: int) -> None:
    for repeat in range(1, 10_000):
        store.add_measurement(_measured(number, clip="a" * 200, repeat=repeat), seconds=1)


def test_no_file_is_left_if_a_run_cannot_be_created(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with _largest_file(1000), pytest.raises(RenderingError):
        RunStore.create(path, RUN, {})
    assert not path.exists()
    with pytest.raises(InputError, match="cannot be written"):
        RunStore.create(tmp_path / "no" / "run.sqlite", RUN, {})
