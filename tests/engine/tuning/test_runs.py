"""Runs are read from the database and from JSON alike; what is no run, or cannot be true, is a clear error."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run
from tests.support.tuning_runs import make_run
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning import store
from video_pipeline.engine.tuning.records import RunData
from video_pipeline.engine.tuning.run import resume_run
from video_pipeline.engine.tuning.runs import is_database, load_run, read_any_run, run_as_json
from video_pipeline.engine.tuning.store import RunStore

TWO = ({"preset": "superfast", "crf": 20}, {"preset": "veryfast", "crf": 20.5, "mbtree": True, "me": None})


def in_database(path: Path, data: RunData) -> None:
    with RunStore.create(path, data.run, {}) as writer:
        for trial in data.trials:
            (number,) = writer.add_trials(trial.part, [{"encoder": trial.encoder, **trial.settings}])
            for each in data.measurements:
                if each.trial == trial.number:
                    writer.add_measurement(each.__class__(**{**_fields(each), "trial": number}), seconds=0.0)
            writer.end_trial(number, trial.status, trial.error)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_a_run_in_a_database_and_its_json_are_the_same_run(tmp_path: Path) -> None:
    database, text = tmp_path / "run.sqlite", tmp_path / "run.json"
    in_database(database, make_run(TWO))
    stored = load_run(database)
    text.write_text(run_as_json(stored), encoding="utf-8")
    assert is_database(database)
    assert not is_database(text)
    assert load_run(text) == stored


def test_the_json_of_a_run_is_always_the_same_and_may_hold_more(tmp_path: Path) -> None:
    data, path = make_run(TWO), tmp_path / "run.json"
    assert run_as_json(data) == run_as_json(make_run(TWO))
    path.write_text(run_as_json(data, more={"report": {"answer": None}}), encoding="utf-8")
    assert load_run(path) == data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"[]",
        b'{"format": "other"}',
        b"\xff\xfe\x00",
        b"SQLite format 3\0 and nothing",
        b"[" * 5000,
    ],
)
def test_a_file_that_is_no_run_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "story.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"run .*story\.json: is no (tuning run|file of a tuning run)"):
        load_run(path)


def test_a_file_that_is_not_there_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.sqlite", tmp_path):
        with pytest.raises(InputError, match=f"run {path}: cannot be read"):
            load_run(path)


def test_a_run_without_measurements_is_an_error(tmp_path: Path) -> None:
    database = tmp_path / "run.sqlite"
    with RunStore.create(database, make_run(TWO).run, {}):
        pass
    with pytest.raises(InputError, match=r"run .*: has no measurements yet"):
        load_run(database)


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        found["measurements"][0][found["columns"].index(name)] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set("cpu_s", 0.0),
            r"measurement of trial 0, clip 'still', repeat 0: cpu_s: got 0.0; a number above 0",
        ),
        (_set("bytes", -5), r"bytes: got -5; a number above 0"),
        (_set("vmaf", float("nan")), r"vmaf: got nan; a finite number"),
        (_set("trial", 99), r"measurement of trial 99.*the run has no such trial"),
        (_set("repeat", 1), r"repeat 1: is there twice"),
        (_set("cpu_s", "fast"), r"measurements\[0\].cpu_s: Input should be a valid number"),
        (lambda found: found["measurements"][0].pop(), r"measurements\[0\]: has not one value for each"),
        (lambda found: found.pop("trials"), r"trials: Input should be a valid tuple"),
        (
            lambda found: found["trials"][0].update(status="fine"),
            r"trials\[0\].status: Input should be 'done'",
        ),
        (lambda found: found["trials"].append(found["trials"][0]), r"trials: a number is given twice"),
        (lambda found: found.update(version=2), r"version: got 2; allowed: 1"),
        (lambda found: found.update(run=None), r"run: Input should be"),
        (
            lambda found: found["run"]["material"].update(clips=5),
            r"run .*run\.json: material\.clips: got 5; a list",
        ),
        (
            lambda found: found["run"]["material"].update(clips=[None]),
            r"material\.clips\[0\]: got None; a clip",
        ),
        (
            lambda found: found["trials"][0]["settings"].update(bitrate="zzz"),
            r"run .*run\.json: trial 0: bitrate: got 'zzz'",
        ),
        (lambda found: found["trials"][0]["settings"].update(crf="zzz"), r"trial 0: crf: got 'zzz'"),
        (
            lambda found: found["trials"][0]["settings"].update(threads="many"),
            r"trial 0: threads: got 'many'",
        ),
    ],
)
def test_what_cannot_be_true_is_an_error_that_names_the_place(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = tmp_path / "run.json"
    found = json.loads(run_as_json(make_run(TWO)))
    change(found)
    path.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_run(path)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE trials",
        "DROP TABLE run",
        "DELETE FROM run",
        "UPDATE run SET machine = '{'",
        "UPDATE run SET machine = '5'",
        "UPDATE run SET material = '{\"clips\": 5}'",
        "UPDATE run SET command = 'null'",
        'UPDATE trials SET settings = \'{"bitrate": "zzz"}\'',
        "UPDATE trials SET settings = 'x'",
        "UPDATE trials SET status = 'fine'",
        "UPDATE measurements SET cpu_s = 9e999",
        "UPDATE measurements SET bytes = 'many'",
    ],
)
def test_a_database_with_wrong_content_is_one_error_that_names_the_file(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "run.sqlite"
    in_database(path, make_run(TWO))
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)
    for read in (load_run, read_any_run, resume_run):
        with pytest.raises(InputError, match=f"run {path}: "):
            read(path)


@pytest.mark.parametrize("request_text", ["{}", "5", "{", '{"sources": {}, "jobs": 1}'])
def test_a_run_that_does_not_say_what_was_asked_for_is_not_resumed(tmp_path: Path, request_text: str) -> None:
    path = tmp_path / "run.sqlite"
    in_database(path, make_run(TWO))
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE run SET request = ?", (request_text,))
    with pytest.raises(InputError, match=f"run {path}: is damaged"):
        resume_run(path)


def test_a_run_that_is_no_run_has_one_message_whether_it_is_shown_or_asked(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no run")
    said = {run("tune", verb, path).stderr for verb in ("show", "best")}
    assert said == {
        f"error: run {path}: is no tuning run (the file of `tune run`, or the JSON that `tune report` writes)\n"
    }
    path.write_text(run_as_json(make_run(TWO)))
    assert "superfast" in run("tune", "show", path).stdout


def test_a_run_is_read_as_it_was_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.sqlite"
    data = make_run(TWO)
    in_database(path, data)
    wanted = read_any_run(path)
    read, refused = store._read_record, []

    def read_while_another_writes(database: sqlite3.Connection) -> dict[str, Any]:
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
            try:
                other.execute("DELETE FROM measurements")
                other.commit()
            except sqlite3.OperationalError as error:
                refused.append(error)
        return read(database)

    monkeypatch.setattr(store, "_read_record", read_while_another_writes)
    assert read_any_run(path) == wanted
    assert refused
