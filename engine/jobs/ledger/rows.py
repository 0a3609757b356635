"""Convert rows of the ledger to the models of engine/jobs/model.py, and values to what a row can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from video_pipeline.engine.jobs.model import PRIORITIES, Job, JobEvent, JobStatus

Row = tuple[Any, ...]

_ENCODER = json.JSONEncoder(separators=(",", ":"))

JOB_COLUMNS = (
    "job_id, owner, story_id, status, priority, attempts, max_attempts, interruptions, fence, created_at, "
    "scheduled_for, started_at, finished_at, cancel_requested, key, stage, percent, fps, eta_seconds, "
    "error_type, error_message, log_tail, result"
)
EVENT_COLUMNS = "seq, at, job_id, events.owner, kind, events.status, attempt, details"


NO_ERROR = {"error_type": None, "error_message": None, "log_tail": None}


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


def job_from_row(row: Row) -> Job:
    """Return the job of a row of JOB_COLUMNS."""
    values = list(row)
    values[3] = JobStatus(row[3])
    values[4] = PRIORITIES[row[4]]
    values[13] = bool(row[13])
    values[21] = tuple(json.loads(row[21])) if row[21] else ()
    values[22] = json.loads(row[22]) if row[22] else None
    return Job(*values)


def event_from_row(row: Row) -> JobEvent:
    """Return the event of a row of EVENT_COLUMNS."""
    seq, at, job_id, owner, kind, status, attempt, details = row
    return JobEvent(seq, at, job_id, owner, kind, JobStatus(status), attempt, json.loads(details))


def encodable_text(value: str | None) -> str | None:
    """Return text that UTF-8 can encode: lone surrogates, as in a log with broken bytes, become `?`."""
    return None if value is None else value.encode("utf-8", "replace").decode()


def json_of(value: Mapping[str, Any] | Iterable[str]) -> str:
    """Return plain data as compact JSON."""
    try:
        return to_json(value, inf_nan_mode="constants").decode()  # several times as fast as json
    except ValueError:  # a lone surrogate, which only JSON's escapes can hold
        return _ENCODER.encode(value)
