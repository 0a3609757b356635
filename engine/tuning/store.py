"""A tuning run in one SQLite file: what was asked for, trials and measurements, each stored as soon as it is made."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from video_pipeline.engine.common.files import private_file
from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.tuning.parsing import parse_run
from video_pipeline.engine.tuning.records import Measurement, Part, Run, RunData, Status, Value

APPLICATION_ID: Final = 0x56505455
"""Marks the file as a tuning run ("VPTU")."""

FORMAT: Final = 1

_MEASURED: Final = tuple(each.name for each in fields(Measurement))

_SCHEMA: Final = (
    "CREATE TABLE run (id TEXT NOT NULL, created TEXT NOT NULL, machine TEXT NOT NULL, versions TEXT NOT NULL, "
    "material TEXT NOT NULL, space TEXT NOT NULL, objective TEXT NOT NULL, command TEXT NOT NULL, "
    "request TEXT NOT NULL, seconds REAL NOT NULL DEFAULT 0)",
    "CREATE TABLE trials (number INTEGER PRIMARY KEY, part TEXT NOT NULL, encoder TEXT NOT NULL, "
    "settings TEXT NOT NULL, status TEXT, error TEXT)",
    "CREATE TABLE measurements (trial INTEGER NOT NULL REFERENCES trials, clip TEXT NOT NULL, "
    "repeat INTEGER NOT NULL, cpu_s REAL NOT NULL, wall_s REAL NOT NULL, peak_mb REAL NOT NULL, "
    "frames INTEGER NOT NULL, fps REAL NOT NULL, bytes INTEGER NOT NULL, mbit_s REAL NOT NULL, vmaf REAL, "
    "vmaf_harmonic REAL, vmaf_p1 REAL, vmaf_phone REAL, xpsnr_y REAL, ssim REAL, psnr_y REAL, worst_frame INTEGER, "
    "PRIMARY KEY (trial, clip, repeat)) WITHOUT ROWID",
)


class RunStore:
    """The file of a run that this process adds to. A context manager.

    Each call is one transaction, on the disk when it returns. Raises RenderingError if the disk is full or fails.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self._path, self._lock = path, lock
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")

    @classmethod
    def create(cls, path: Path, run: Run, request: Mapping[str, Any]) -> Self:
        """Create the file of a new run, complete or not at all; `request` is what resume needs.

        Raises InputError if the file exists or cannot be made.
        """
        check_free(path)
        with private_file(path) as partial, contextlib.ExitStack() as stack:
            lock = _lock_run(partial, os.O_CREAT | os.O_EXCL)
            stack.callback(os.close, lock)
            stack.callback(partial.with_name(f"{partial.name}-journal").unlink, missing_ok=True)
            store = cls(partial, lock)
            with contextlib.closing(store._database), store._transaction() as database:
                _write_run(database, run, request)
            partial.replace(path)
            stack.pop_all()
            return cls(path, lock)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file of a run to go on with it; raise InputError if it is none or another process has it."""
        with _reading_run(path) as database:
            _read_data(database, path)
            _request(database)
            _stored_trials(database)
            _measurements(database, finished=False)
        return cls(path, _lock_run(path, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        os.close(self._lock)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise RenderingError(
                f"{self._path}: cannot be written: {error}; `tune resume` goes on with what is stored"
            ) from error

    def request(self) -> dict[str, Any]:
        """Return what the run was asked for."""
        return _request(self._database)

    def run(self) -> Run:
        """Return the run's record."""
        fields = _read_record(self._database)
        return Run(**fields | {"command": tuple(fields["command"])})

    def seconds(self) -> float:
        """Return for how long the run has been searching, in all its sessions."""
        return float(self._database.execute("SELECT seconds FROM run").fetchone()[0])

    def trials(self) -> dict[int, tuple[Part, dict[str, Value], Status | None]]:
        """Return every trial by number, also those that are not finished: part, settings with encoder, status."""
        return _stored_trials(self._database)

    def measurements(self) -> tuple[Measurement, ...]:
        """Return every measurement, also those of unfinished trials."""
        return _measurements(self._database, finished=False)

    def add_trials(self, part: Part, settings: Sequence[Mapping[str, Value]]) -> tuple[int, ...]:
        """Add trials and return their numbers; each has its encoder among the settings."""
        with self._transaction() as database:
            (last,) = database.execute("SELECT coalesce(max(number), 0) FROM trials").fetchone()
            rows = [
                (
                    last + at,
                    part,
                    each["encoder"],
                    _as_json({k: v for k, v in each.items() if k != "encoder"}),
                )
                for at, each in enumerate(settings, start=1)
            ]
            database.executemany(
                "INSERT INTO trials (number, part, encoder, settings) VALUES (?, ?, ?, ?)", rows
            )
        return tuple(row[0] for row in rows)

    def add_measurement(
        self,
        measured: Measurement,
        *,
        seconds: float,
        status: Status | None = None,
        error: str | None = None,
    ) -> None:
        """Add a measurement, the seconds of searching that it took, and what became of its trial if it is the last one."""
        row = asdict(measured)
        names, marks = ", ".join(_MEASURED), ", ".join(f":{name}" for name in _MEASURED)
        with self._transaction() as database:
            database.execute(f"INSERT OR REPLACE INTO measurements ({names}) VALUES ({marks})", row)
            database.execute("UPDATE run SET seconds = seconds + ?", (seconds,))
            if status is not None:
                _end_trial(database, measured.trial, status, error)

    def end_trial(self, number: int, status: Status, error: str | None = None) -> None:
        """Set what became of a trial."""
        with self._transaction() as database:
            _end_trial(database, number, status, error)


def _end_trial(database: sqlite3.Connection, number: int, status: Status, error: str | None) -> None:
    database.execute("UPDATE trials SET status = ?, error = ? WHERE number = ?", (status, error, number))


def check_free(path: Path) -> None:
    """Raise InputError if the file of a new run exists."""
    if path.exists():
        raise InputError(
            f"run {path}: exists; name another file, or go on with it: video-pipeline tune resume {path}"
        )


def _write_run(database: sqlite3.Connection, run: Run, request: Mapping[str, Any]) -> None:
    for statement in _SCHEMA:
        database.execute(statement)
    plain = {key: _as_json(value) for key, value in asdict(run).items() if not isinstance(value, str)}
    row = {"id": run.id, "created": run.created, **plain, "request": _as_json(dict(request))}
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    database.execute(f"INSERT INTO run ({names}) VALUES ({marks})", row)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {FORMAT}")


def read_run(path: Path) -> RunData:
    """Return a run with its finished trials and their measurements, while it is searched too; raise InputError."""
    with _reading_run(path) as database:
        return _read_data(database, path)


def read_asked(path: Path) -> dict[str, Any]:
    """Return what a run was asked for, also while it is searched; raise InputError."""
    with _reading_run(path) as database:
        return _request(database)


@contextlib.contextmanager
def _reading_run(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file of a run for reading in one transaction; raise InputError for one with other content than a run's."""
    with contextlib.closing(_opened(path)) as database:
        try:
            database.execute("BEGIN")
            yield database
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise InputError(f"run {path}: is damaged: {error}") from error


def _read_data(database: sqlite3.Connection, path: Path) -> RunData:
    rows = database.execute(
        "SELECT number, settings, encoder, status, error, part FROM trials WHERE status IS NOT NULL ORDER BY number"
    )
    names = ("number", "settings", "encoder", "status", "error", "part")
    trials = [dict(zip(names, row, strict=True)) for row in rows]
    fields = {
        "run": _read_record(database),
        "trials": [{**trial, "settings": json.loads(trial["settings"])} for trial in trials],
        "measurements": [asdict(each) for each in _measurements(database, finished=True)],
    }
    return parse_run(fields, path=path)


def _stored_trials(
    database: sqlite3.Connection,
) -> dict[int, tuple[Part, dict[str, Value], Status | None]]:
    rows = database.execute("SELECT number, part, encoder, settings, status FROM trials ORDER BY number")
    return {
        number: (part, {"encoder": encoder, **json.loads(settings)}, status)
        for number, part, encoder, settings, status in rows
    }


def _request(database: sqlite3.Connection) -> dict[str, Any]:
    (text,) = database.execute("SELECT request FROM run").fetchone()
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"request: got {type(found).__name__}; a mapping is needed")
    return found


def _read_record(database: sqlite3.Connection) -> dict[str, Any]:
    names = [each.name for each in fields(Run)]
    row = database.execute(f"SELECT {', '.join(names)} FROM run").fetchone()
    if row is None:
        raise ValueError("its record is missing")
    values = dict(zip(names, row, strict=True))
    return values | {key: json.loads(value) for key, value in values.items() if key not in ("id", "created")}


def _measurements(database: sqlite3.Connection, *, finished: bool) -> tuple[Measurement, ...]:
    names = ", ".join(_MEASURED)
    where = "WHERE trial IN (SELECT number FROM trials WHERE status IS NOT NULL)" if finished else ""
    rows = database.execute(f"SELECT {names} FROM measurements {where} ORDER BY trial, clip, repeat")
    return tuple(Measurement(**dict(zip(_MEASURED, row, strict=True))) for row in rows)


def _opened(path: Path) -> sqlite3.Connection:
    """Return a connection (which may roll a killed process back); raise InputError for a file that is no run of this version."""
    if not path.is_file():
        reason = "Is a directory" if path.is_dir() else "No such file or directory"
        raise InputError(f"run {path}: cannot be read: {reason}")
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        (mark,) = database.execute("PRAGMA application_id").fetchone()
        (form,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        database.close()
        raise InputError(f"run {path}: is no tuning run (the file of `tune run`): {error}") from error
    if mark != APPLICATION_ID or form != FORMAT:
        database.close()
        raise InputError(f"run {path}: is no tuning run (the file of `tune run`) of this version")
    try:
        (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        state = str(error)
    if state != "ok":
        database.close()
        raise InputError(f"run {path}: is damaged: {state.splitlines()[-1]}")
    return database


def _lock_run(path: Path, flags: int) -> int:
    """Return a descriptor that holds the file's lock; raise InputError if another process holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o666)
    except OSError as error:
        raise InputError(f"run {path}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InputError(f"run {path}: another process is searching it") from error
    except OSError:
        pass  # a file system without locks
    return descriptor


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=False)
