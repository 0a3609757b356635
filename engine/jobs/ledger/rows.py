"""Convert rows of the ledger to the models of engine/jobs/model.py, and values to what a row can hold.

Converting a damaged row (its bytes have changed on the disk) never raises: its job is shown as failed with the
reason, its event is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, get_args

from pydantic_core import from_json, to_json

from video_pipeline.engine.jobs.model import (
    JOB_ID_PATTERN,
    PRIORITIES,
    TIME_MAX,
    EventKind,
    Job,
    JobEvent,
    JobStatus,
)

Row = tuple[Any, ...]

_ENCODER = json.JSONEncoder(separators=(",", ":"))

_COLUMNS: Final = (
    *(
        "job_id",
        "owner",
        "story_id",
        "status",
        "priority",
        "attempts",
        "max_attempts",
        "interruptions",
        "fence",
    ),
    *(
        "created_at",
        "scheduled_for",
        "started_at",
        "finished_at",
        "cancel_requested",
        "key",
        "stage",
        "percent",
    ),
    *("fps", "eta_seconds", "error_type", "error_message", "log_tail", "result", "title"),
)
JOB_COLUMNS: Final = ", ".join(_COLUMNS)
EVENT_COLUMNS: Final = "seq, at, job_id, events.owner, kind, events.status, attempt, details"

NO_ERROR = {"error_type": None, "error_message": None, "log_tail": None}

DAMAGED: Final = "DamagedRow"
"""The `error_type` of a job whose row cannot be read."""

_COUNT_MAX: Final = 2**31
_KINDS: Final = frozenset(get_args(EventKind))


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """The job that answers a submit. `created`: False if an earlier submit with the same key created it."""

    job_id: str
    status: JobStatus
    created: bool


@dataclass(frozen=True, slots=True)
class InterruptedJob:
    """A job that was processing when the node ended. `publishing`: its output may have been published."""

    job: Job
    publishing: bool


class DamagedValueError(ValueError):
    """A column of the ledger has a value that no version of this program writes."""


def job_from_row(row: Row) -> Job:
    """Return the job of a row of JOB_COLUMNS; if the row is damaged, a failed job that says so."""
    try:
        return _job(row)
    except DamagedValueError as error:
        return _damaged_job(row, error)


def damage_of(row: Row) -> str | None:
    """Return what is wrong with a row of JOB_COLUMNS, or None."""
    try:
        _job(row)
    except DamagedValueError as error:
        return str(error)
    return None


def event_from_row(row: Row) -> JobEvent | None:
    """Return the event of a row of EVENT_COLUMNS, or None if the row is damaged."""
    seq, at, job_id, owner, kind, status, attempt, details = row
    try:
        return JobEvent(
            seq,
            _time_column("at", at),
            _text_column("job_id", job_id),
            _text_column("owner", owner),
            kind if kind in _KINDS else _damaged_value("kind", kind),
            status_of(status),
            _count_column("attempt", attempt),
            json_object("details", details),
        )
    except DamagedValueError:
        return None


def status_of(value: object) -> JobStatus:
    """Return a value as a job state; raise DamagedValueError if it is not one."""
    try:
        return JobStatus(value)  # type: ignore[arg-type]
    except ValueError:
        _damaged_value("status", value)


def json_object(column: str, value: object) -> dict[str, Any]:
    """Return the JSON object that a column holds; raise DamagedValueError if it holds none."""
    loaded = _loaded(column, value)
    return loaded if isinstance(loaded, dict) else _damaged_value(column, value)


def encodable_text(value: str | None) -> str | None:
    """Return text that UTF-8 can encode: lone surrogates, as in a log with broken bytes, become `?`."""
    return None if value is None else value.encode("utf-8", "replace").decode()


def json_of(value: Mapping[str, Any] | Iterable[str]) -> str:
    """Return plain data as compact JSON."""
    try:
        return to_json(value, inf_nan_mode="constants").decode()  # several times as fast as json
    except ValueError:  # a lone surrogate, which only JSON's escapes can hold
        return _ENCODER.encode(value)


def _job(row: Row) -> Job:
    values = list(row)
    if not isinstance(row[0], str) or not JOB_ID_PATTERN.fullmatch(row[0]):
        _damaged_value("job_id", row[0])
    for index in (1, 2):
        _text_column(_COLUMNS[index], row[index])
    values[3] = status_of(row[3])
    if row[4] not in (0, 1, 2):
        _damaged_value("priority", row[4])
    values[4] = PRIORITIES[row[4]]
    for index in (5, 6, 7, 8):
        _count_column(_COLUMNS[index], row[index])
    values[9] = _time_column("created_at", row[9])
    for index in (10, 11, 12):
        if row[index] is not None:
            _time_column(_COLUMNS[index], row[index])
    values[13] = bool(row[13])
    for index in (14, 15, 19, 20):
        if row[index] is not None:
            _text_column(_COLUMNS[index], row[index])
    for index in (16, 17, 18):
        if row[index] is not None and not (_is_number(row[index]) and math.isfinite(row[index])):
            _damaged_value(_COLUMNS[index], row[index])
    lines = _loaded("log_tail", row[21]) if row[21] else []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        _damaged_value("log_tail", row[21])
    values[21] = tuple(lines)
    values[22] = json_object("result", row[22]) if row[22] else None
    _text_column("title", row[23])
    return Job(*values)


def _damaged_job(row: Row, error: DamagedValueError) -> Job:
    """Return a failed job with what can be kept of a damaged row."""

    def text(value: object) -> str:
        return value if isinstance(value, str) else ""

    def count(value: object) -> int:
        return value if isinstance(value, int) and 0 <= value < _COUNT_MAX else 0

    def time(value: object) -> float | None:
        return value if _is_number(value) and 0 <= value < TIME_MAX else None  # type: ignore[operator, return-value]

    created = time(row[9]) or 0.0
    return Job(
        job_id=text(row[0]),
        owner=text(row[1]),
        story_id=text(row[2]),
        status=JobStatus.FAILED,
        priority=PRIORITIES[row[4]] if row[4] in (0, 1, 2) else "normal",
        attempts=count(row[5]),
        max_attempts=count(row[6]) or 1,
        interruptions=count(row[7]),
        fence=row[8] if isinstance(row[8], int) else 0,
        created_at=created,
        scheduled_for=time(row[10]),
        started_at=time(row[11]),
        finished_at=time(row[12]) or created,
        cancel_requested=bool(row[13]),
        key=row[14] if isinstance(row[14], str) else None,
        stage=None,
        percent=None,
        fps=None,
        eta_seconds=None,
        error_type=DAMAGED,
        error_message=damage_message(str(error)),
        log_tail=(),
        result=None,
        title=text(row[23]),
    )


def damage_message(what: str) -> str:
    """Return the `error_message` of a job with a damaged row."""
    return f"the job's row in the ledger is damaged: {what}; submit the story again"


def _damaged_value(column: str, value: object) -> NoReturn:
    shown = repr(value)
    raise DamagedValueError(f"{column}: got {shown if len(shown) <= 60 else shown[:57] + '...'}")


def _text_column(column: str, value: object) -> str:
    return value if isinstance(value, str) else _damaged_value(column, value)


def _count_column(column: str, value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < _COUNT_MAX else _damaged_value(column, value)


def _time_column(column: str, value: object) -> float:
    if not _is_number(value) or not 0 <= value < TIME_MAX:  # type: ignore[operator]
        _damaged_value(column, value)
    return float(value)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _loaded(column: str, value: object) -> Any:
    """Return JSON text as plain data; raise DamagedValueError for anything else."""
    if not isinstance(value, str):
        _damaged_value(column, value)
    try:
        return from_json(value)
    except ValueError:
        _damaged_value(column, value)
