"""New jobs into the ledger, many in a few statements: each costs a fraction of one that is written by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.jobs.ledger.errors import KeyConflict, QueueFull
from video_pipeline.engine.jobs.ledger.queue import join_queue
from video_pipeline.engine.jobs.ledger.rows import Receipt, text_of
from video_pipeline.engine.jobs.model import PRIORITIES, JobStatus, NewJob, new_job_id

AGEING_MAX_SECONDS = 10 * 366 * 86400.0
"""More than that is as good as no ageing at all."""

ROWS_AT_ONCE = 32
"""Rows of one statement; SQLite before 3.32 takes 999 values in one."""

_JOBS = (
    "jobs (job_id, owner, key, digest, story_id, status, priority, ageing_us, order_key, due_wall, max_attempts, "
    "created_at, scheduled_for)"
)
_PAYLOADS = "payloads (position, story, config)"
_EVENTS = "events (at, position, owner, kind, status, attempt, details)"

Outcome = tuple[Receipt, bool] | KeyConflict | QueueFull
"""The job and whether it is new, or why there is none."""


class _Known(NamedTuple):
    """The job that a key was used for."""

    job_id: str
    status: JobStatus
    digest: str


@dataclass(frozen=True, slots=True)
class Queue:
    """How jobs join the queue.

    `ageing`: seconds of waiting that are worth one step of priority. `reserve`: share of `max_queued` that is there
    on top of it for jobs of high priority. `queued`: how many wait now. `retry_after`: seconds in which about one
    place becomes free.
    """

    ageing: float
    max_queued: int
    reserve: float
    queued: Callable[[], int]
    retry_after: Callable[[], float]

    def allowed(self, new: NewJob) -> int:
        """Return how many may wait for one more to join them."""
        return self.max_queued + (int(self.max_queued * self.reserve) if new.priority == "high" else 0)


def submit_jobs(
    db: sqlite3.Connection, clock: Clock, jobs: Sequence[NewJob], queue: Queue
) -> tuple[Outcome, ...]:
    """Queue jobs in their order, or find those that their keys were used for; inside a transaction."""
    known = _known(db, jobs)
    now = clock.wall()
    waiting, retry_after = queue.queued(), 0.0
    outcomes: list[Outcome] = []
    joining: list[tuple[str, NewJob]] = []
    for new in jobs:
        found = known.get((new.owner, new.key)) if new.key is not None else None
        if found is not None:
            assert new.key is not None
            outcomes.append(
                (Receipt(found.job_id, found.status), False)
                if found.digest == new.digest
                else KeyConflict(key=new.key, job_id=found.job_id)
            )
            continue
        allowed = queue.allowed(new)
        if waiting >= allowed:
            retry_after = retry_after or queue.retry_after()
            outcomes.append(QueueFull(queued=waiting, allowed=allowed, retry_after=retry_after))
            continue
        job_id = new_job_id(now)
        waiting += 1
        if new.key is not None:
            known[new.owner, new.key] = _Known(job_id, JobStatus.QUEUED, new.digest)
        joining.append((job_id, new))
        outcomes.append((Receipt(job_id, JobStatus.QUEUED), True))
    _insert(db, clock, now, joining, queue.ageing)
    return tuple(outcomes)


def _known(db: sqlite3.Connection, jobs: Sequence[NewJob]) -> dict[tuple[str, str], _Known]:
    keys = [(new.owner, new.key) for new in jobs if new.key is not None]
    found: dict[tuple[str, str], _Known] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        some = keys[start : start + ROWS_AT_ONCE]
        values = [value for pair in some for value in pair]
        for owner, key, job_id, status, digest in db.execute(_find_keys(len(some)), values):
            found[owner, key] = _Known(job_id, JobStatus(status), digest)
    return found


def _insert(
    db: sqlite3.Connection, clock: Clock, now: float, jobs: Sequence[tuple[str, NewJob]], ageing: float
) -> None:
    if not jobs:
        return
    order = join_queue(db, clock, len(jobs))
    step_us = int(min(ageing, AGEING_MAX_SECONDS) * 1_000_000)
    for start in range(0, len(jobs), ROWS_AT_ONCE):
        some = jobs[start : start + ROWS_AT_ONCE]
        rows: list[object] = []
        for job_id, new in some:
            rank = PRIORITIES.index(new.priority)
            waits = new.scheduled_for is not None and new.scheduled_for > now
            rows += (job_id, new.owner, new.key, new.digest, text_of(new.story_id), "queued", rank)
            rows += (rank * step_us, order + rank * step_us, new.scheduled_for if waits else None)
            rows += (new.max_attempts, now, new.scheduled_for)
            order += 1
        # One after the other: nobody else writes meanwhile, and a table with AUTOINCREMENT gives the next always.
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


@cache
def _find_keys(rows: int) -> str:
    return (
        f"SELECT owner, key, job_id, status, digest FROM (VALUES {_places(2, rows)}) AS asked CROSS JOIN jobs "
        "ON jobs.owner = asked.column1 AND jobs.key = asked.column2"
    )


@cache
def _insert_into(table: str, rows: int) -> str:
    return f"INSERT INTO {table} VALUES {_places(table.count(',') + 1, rows)}"


def _places(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)
