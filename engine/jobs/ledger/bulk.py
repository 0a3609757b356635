"""Find and insert the rows of many submitted jobs with a few statements, which is much faster than one per job."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from video_pipeline.engine.jobs.ledger.rows import DamagedValueError, encodable_text, status_of
from video_pipeline.engine.jobs.model import PRIORITIES, TITLE_MAX, JobStatus, NewJob

ROWS_AT_ONCE = 32
"""Rows of one statement: SQLite before 3.32 takes at most 999 values in one."""

_JOBS = (
    "jobs (job_id, owner, key, digest, story_id, status, priority, ageing_us, order_key, due_wall, max_attempts, "
    "created_at, scheduled_for, title)"
)
_PAYLOADS = "payloads (position, story, config)"
_EVENTS = "events (at, position, owner, kind, status, attempt, details)"


class JobWithKey(NamedTuple):
    """The job that an idempotency key was used for."""

    job_id: str
    status: JobStatus
    digest: str


def find_by_keys(db: sqlite3.Connection, jobs: Sequence[NewJob]) -> dict[tuple[str, str], JobWithKey]:
    """Return the jobs that the keys of new jobs were used for, by owner and key."""
    keys = [(new.owner, new.key) for new in jobs if new.key is not None]
    found: dict[tuple[str, str], JobWithKey] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        some = keys[start : start + ROWS_AT_ONCE]
        values = [value for pair in some for value in pair]
        for owner, key, job_id, status, digest in db.execute(_find_keys(len(some)), values):
            found[owner, key] = JobWithKey(job_id, _status_or_failed(status), digest)
    return found


def insert_jobs(
    db: sqlite3.Connection,
    jobs: Sequence[tuple[str, NewJob]],
    *,
    now: float,
    first_us: int,
    ageing_us: int,
) -> None:
    """Insert new jobs with their ids, payloads and events.

    `now`: wall time of the submit. `first_us`: queue time of the first job; each other joins 1 µs after the one
    before. `ageing_us`: µs that one step of priority is worth in the queue.
    """
    order_us = first_us
    for start in range(0, len(jobs), ROWS_AT_ONCE):
        some = jobs[start : start + ROWS_AT_ONCE]
        rows: list[object] = []
        for job_id, new in some:
            rank = PRIORITIES.index(new.priority)
            waits = new.scheduled_for is not None and new.scheduled_for > now
            rows += (job_id, new.owner, new.key, new.digest, encodable_text(new.story_id), "queued", rank)
            rows += (rank * ageing_us, order_us + rank * ageing_us, new.scheduled_for if waits else None)
            rows += (new.max_attempts, now, new.scheduled_for, encodable_text(new.title[:TITLE_MAX]))
            order_us += 1
        # Positions are consecutive: no other connection can insert in this transaction, and AUTOINCREMENT adds 1 to the last.
        last = db.execute(_insert_into(_JOBS, len(some)), rows).lastrowid
        assert last is not None
        first = last - len(some) + 1
        payloads: list[object] = []
        events: list[object] = []
        for position, (_, new) in enumerate(some, start=first):
            payloads += (position, new.story, new.config)
            events += (now, position, new.owner, "queued", "queued", 0, "{}")
        db.execute(_insert_into(_PAYLOADS, len(some)), payloads)
        db.execute(_insert_into(_EVENTS, len(some)), events)


def _status_or_failed(value: object) -> JobStatus:
    try:
        return status_of(value)
    except DamagedValueError:
        return JobStatus.FAILED


@cache
def _find_keys(rows: int) -> str:
    return (
        f"SELECT owner, key, job_id, status, digest FROM (VALUES {_placeholders(2, rows)}) AS asked CROSS JOIN jobs "
        "ON jobs.owner = asked.column1 AND jobs.key = asked.column2"
    )


@cache
def _insert_into(table: str, rows: int) -> str:
    return f"INSERT INTO {table} VALUES {_placeholders(table.count(',') + 1, rows)}"


def _placeholders(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)
