"""Read a tuning run from its database or from its JSON file, and write the JSON file.

The JSON file holds the whole run and is the same for the same run, so that a profile can name it by its hash.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.parsing import parse_run
from video_pipeline.engine.tuning.records import Measurement, Run, RunData, Trial
from video_pipeline.engine.tuning.store import read_run

FORMAT: Final = "video-pipeline tuning run"
VERSION: Final = 1
RUN_MAX_BYTES: Final = 256 * 1024 * 1024
SQLITE_MAGIC: Final = b"SQLite format 3\0"
COLUMNS: Final = tuple(field.name for field in dataclasses.fields(Measurement))


def load_run(path: Path) -> RunData:
    """Return the run of a file that `tune run` or `tune report --json` wrote; raise InputError.

    A run without measurements is an error too, since nothing can be said about it.
    """
    data = read_any_run(path)
    if not data.measurements:
        raise InputError(f"run {path}: has no measurements yet; let `tune run` finish a trial")
    return data


def read_any_run(path: Path) -> RunData:
    """Return the run of a database or of a JSON file, also one without measurements; raise InputError."""
    return read_run(path) if is_database(path) else _from_json(path)


def is_database(path: Path) -> bool:
    """Return whether a run is in the database that `tune run` writes, and not in JSON; raise InputError."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"run {path}: cannot be read: {reason}") from error


def run_as_json(data: RunData, *, more: Mapping[str, Any] | None = None) -> str:
    """Return a run as JSON: measurements as rows, one a line. `more` has further parts, which load_run passes over."""

    def plain(record: Run | Trial) -> str:
        fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, default=_as_plain_json)

    rows = (
        json.dumps([getattr(each, name) for name in COLUMNS], allow_nan=False) for each in data.measurements
    )
    parts = {
        "format": json.dumps(FORMAT),
        "version": json.dumps(VERSION),
        "run": plain(data.run),
        "trials": _json_lines(plain(trial) for trial in data.trials),
        "columns": json.dumps(COLUMNS),
        "measurements": _json_lines(rows),
        **{
            name: json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
            for name, value in (more or {}).items()
        },
    }
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "\n}\n"


def _json_lines(items: Any) -> str:
    return "[\n" + ",\n".join(items) + "\n]"


def _as_plain_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"got {type(value).__name__}; allowed: plain values")


def _from_json(path: Path) -> RunData:
    if path.stat().st_size > RUN_MAX_BYTES:
        raise InputError(f"run {path}: is too large; allowed: at most {RUN_MAX_BYTES} bytes")
    not_a_run = (
        f"run {path}: is no tuning run (the file of `tune run`, or the JSON that `tune report` writes)"
    )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(not_a_run) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(not_a_run)
    if found.get("version") != VERSION:
        raise InputError(f"run {path}: version: got {found.get('version')!r}; allowed: {VERSION}")
    columns, rows = found.get("columns"), found.get("measurements")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise InputError(f"run {path}: columns or measurements are missing")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise InputError(f"run {path}: measurements[{number}]: has not one value for each of the columns")
    fields = {
        "run": found.get("run"),
        "trials": found.get("trials"),
        "measurements": [dict(zip(map(str, columns), row, strict=True)) for row in rows],
    }
    return parse_run(fields, path=path)
