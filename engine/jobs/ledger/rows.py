"""Rows of the ledger as the models of engine/jobs/model.py, and the ledger's own small answers."""

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


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a submit is answered with."""

    job_id: str
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A job that was processing when the node ended. `publishing`: its output may have been published."""

    job: Job
    publishing: bool


def job_from_row(row: Row) -> Job:
    """Return a job from JOB_COLUMNS."""
    values = list(row)
    values[3] = JobStatus(row[3])
    values[4] = PRIORITIES[row[4]]
    values[13] = bool(row[13])
    values[21] = tuple(json.loads(row[21])) if row[21] else ()
    values[22] = json.loads(row[22]) if row[22] else None
    return Job(*values)


def event_of(row: Row) -> JobEvent:
    """Return an event from EVENT_COLUMNS."""
    seq, at, job_id, owner, kind, status, attempt, details = row
    return JobEvent(seq, at, job_id, owner, kind, JobStatus(status), attempt, json.loads(details))


def text_of(value: str | None) -> str | None:
    """Return text that UTF-8 can hold: halves of surrogate pairs, as in a log with broken bytes, become `?`."""
    return None if value is None else value.encode("utf-8", "replace").decode()


def json_of(value: Mapping[str, Any] | Iterable[str]) -> str:
    """Return plain data as compact JSON."""
    try:
        return to_json(value, inf_nan_mode="constants").decode()  # several times as fast
    except ValueError:  # half of a surrogate pair, which only JSON's escapes can hold
        return _ENCODER.encode(value)
