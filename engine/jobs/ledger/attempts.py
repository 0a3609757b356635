"""Attempts at jobs: claim one, report its progress and its end.

Every write of an attempt has `WHERE job_id = ? AND fence = ? AND status = 'processing'`, so a stale attempt changes
nothing, and its call returns False.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_type_hints

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.jobs.ledger.damage import DAMAGE_ERRORS, fail_damaged, find_damaged
from video_pipeline.engine.jobs.ledger.errors import LedgerCorrupt
from video_pipeline.engine.jobs.ledger.events import LedgerEvents
from video_pipeline.engine.jobs.ledger.file import LedgerFile
from video_pipeline.engine.jobs.ledger.queue import RETRY_WAIT_MAX_SECONDS, LedgerQueue
from video_pipeline.engine.jobs.ledger.rows import (
    JOB_COLUMNS,
    NO_ERROR,
    DamagedValueError,
    InterruptedJob,
    damage_of,
    encodable_text,
    job_from_row,
    json_of,
)
from video_pipeline.engine.jobs.ledger.schema import recount
from video_pipeline.engine.jobs.model import Attempt, EventKind, Failure, Progress

MAX_REQUEUES = 20
"""Requeues after which a job fails: a job that was running each time its node ended may be the cause."""

CANDIDATES = 200
"""Most jobs at the head of the queue that are asked about before the rest waits with them."""

_End = Literal["completed", "failed", "cancelled"]

_NO_PROGRESS = {"stage": None, "percent": None, "fps": None, "eta_seconds": None}


class _ProcessingJob(NamedTuple):
    """The columns of a processing job that decide how its attempt may end."""

    position: int
    job_id: str
    fence: int
    owner: str
    attempts: int
    max_attempts: int
    interruptions: int
    requeues: int
    cancel_requested: int
    publishing: int


_PROCESSING_COLUMNS = ", ".join(_ProcessingJob._fields)
_PROCESSING_TYPES = get_type_hints(_ProcessingJob)


class LedgerAttempts:
    """The part of the ledger that the scheduler of a node works with."""

    def __init__(self, file: LedgerFile, clock: Clock, queue: LedgerQueue, events: LedgerEvents) -> None:
        self._file, self._clock, self._queue, self._events = file, clock, queue, events

    def claim(
        self, *, user_slots: int = 0, accepts: Callable[[Mapping[str, Any]], bool] | None = None
    ) -> Attempt | None:
        """Begin an attempt at the next job in the queue, or return None if none is ready.

        Jobs of a user of whom `user_slots` jobs are processing wait (0: no limit), and so do those whose configuration
        `accepts` refuses; of the latter the first CANDIDATES are asked.
        """
        ready = (
            "SELECT position, (SELECT config FROM payloads WHERE position = jobs.position) "
            "FROM jobs INDEXED BY jobs_ready "
            "WHERE status = 'queued' AND due_wall IS NULL AND due_monotonic IS NULL AND (?1 = 0 OR owner NOT IN "
            "(SELECT owner FROM tallies WHERE status = 'processing' GROUP BY owner HAVING sum(n) >= ?1)) "
            "ORDER BY order_key, position LIMIT ?2"
        )
        asked = user_slots, 1 if accepts is None else CANDIDATES
        if not self._file.rows(ready, asked):
            return None
        failed: set[int] = set()
        with self._file.writing() as db:
            while True:
                found = next(
                    (
                        position
                        for position, config in db.execute(ready, asked).fetchall()
                        if accepts is None or _is_accepted(config, accepts)
                    ),
                    None,
                )
                if found is None:
                    return None
                if found in failed:  # a damaged index still lists it
                    if -1 in failed:
                        raise LedgerCorrupt(
                            f"the ledger {self._file.path} is damaged: a job that failed is still queued"
                        )
                    failed.add(-1)
                    db.execute("REINDEX")
                    continue
                try:
                    return self._begin(db, found)
                except DAMAGE_ERRORS as error:
                    fail_damaged(db, self._events, self._clock, position=found, what=str(error))
                    failed.add(found)

    def _begin(self, db: sqlite3.Connection, position: int) -> Attempt:
        """Begin an attempt; raise one of DAMAGE_ERRORS if the job's row or payload is damaged."""
        payload = db.execute("SELECT story, config FROM payloads WHERE position = ?", (position,)).fetchone()
        if payload is None:
            raise DamagedValueError("its story is missing")
        story, config = (
            _payload(column, text) for column, text in zip(("story", "config"), payload, strict=True)
        )
        row = db.execute(f"SELECT {JOB_COLUMNS} FROM jobs WHERE position = ?", (position,)).fetchone()
        if what := damage_of(row):
            raise DamagedValueError(what)
        job = job_from_row(row)
        fence, number = job.fence + 1, job.attempts + 1
        db.execute(
            "UPDATE jobs SET status = 'processing', fence = ?, attempts = ?, started_at = ? WHERE position = ?",
            (fence, number, self._clock.wall(), position),
        )
        self._events.record(db, position, job.owner, "processing", number)
        return Attempt(job.job_id, fence, number, job.story_id, story, config, job.priority)

    def cancel_requests(self) -> tuple[tuple[str, int], ...]:
        """Return job id and fence of each attempt to stop, except those whose output is being published."""
        return tuple(
            (job_id, fence)
            for job_id, fence in self._file.rows(
                "SELECT job_id, fence FROM jobs INDEXED BY jobs_processing "
                "WHERE status = 'processing' AND cancel_requested = 1 AND publishing = 0 ORDER BY position"
            )
        )

    def progress(self, job_id: str, fence: int, progress: Progress) -> bool:
        """Record how far an attempt is."""
        with self._file.writing() as db:
            job = self._find(db, job_id, fence)
            if job is None:
                return False
            values = {
                "stage": encodable_text(progress.stage),
                "percent": progress.percent,
                "fps": progress.fps,
                "eta_seconds": progress.eta_seconds,
            }
            self._update(db, job, values)
            self._events.record(db, job.position, job.owner, "progress", job.attempts, values)
            return True

    def begin_publishing(self, job_id: str, fence: int) -> bool:
        """Reserve the right to publish; return False also if a cancel was requested or the right is taken."""
        with self._file.writing() as db:
            job = self._find(db, job_id, fence)
            if job is None or job.cancel_requested or job.publishing:
                return False
            return self._update(db, job, {"publishing": 1})

    def complete(self, job_id: str, fence: int, result: Mapping[str, Any]) -> bool:
        """End a job whose output is published; return False also if publishing has not begun."""
        with self._file.writing() as db:
            job = self._find(db, job_id, fence)
            if job is None or not job.publishing:
                return False
            # A completed job is never rendered again, so nothing needs its payload.
            db.execute("DELETE FROM payloads WHERE position = ?", (job.position,))
            return self._end(db, job, "completed", NO_ERROR | {"result": json_of(result)})

    def fail(self, job_id: str, fence: int, failure: Failure, *, retry_in: float | None) -> bool:
        """End an attempt that failed; queue the job again after `retry_in` seconds, or end it.

        The job fails if `retry_in` is None, if the failure is permanent, or if it is retryable and no attempt is
        left. A failure of the machine is not charged as an attempt. If a cancel was requested, the job is cancelled.
        `retry_in` is at most RETRY_WAIT_MAX_SECONDS.
        """
        error = {
            "error_type": encodable_text(failure.error_type),
            "error_message": encodable_text(failure.message),
        }
        kept = error | {"log_tail": json_of([encodable_text(line) or "" for line in failure.log_tail])}
        with self._file.writing() as db:
            job = self._find(db, job_id, fence)
            if job is None:
                return False
            if job.cancel_requested:
                return self._end(db, job, "cancelled", kept, error)
            spent = failure.kind == "retryable" and job.attempts >= job.max_attempts
            if retry_in is None or failure.kind == "permanent" or spent:
                return self._end(db, job, "failed", kept, error)
            retry_in = min(retry_in, RETRY_WAIT_MAX_SECONDS)
            wait = {"due_monotonic": self._clock.monotonic() + retry_in, "retry_in": retry_in}
            returned = _uncharged(job) if failure.kind == "machine" else {}
            return self._queue_again(
                db, job, "retrying", kept | wait | returned, error | {"retry_in": retry_in}
            )

    def requeue(self, job_id: str, fence: int, *, reason: str) -> bool:
        """Queue a job again at its old place because its node ends or has ended; do not charge the attempt.

        After MAX_REQUEUES requeues the job fails as NodeLost. If a cancel was requested, the job is cancelled.
        """
        with self._file.writing() as db:
            job = self._find(db, job_id, fence)
            if job is None:
                return False
            details = {"reason": encodable_text(reason)}
            if job.cancel_requested:
                return self._end(db, job, "cancelled", {}, details)
            if job.requeues >= MAX_REQUEUES:
                error = {
                    "error_type": "NodeLost",
                    "error_message": f"the node ended {job.requeues + 1} times while it rendered this job; "
                    f"the last reason: {encodable_text(reason)}",
                }
                return self._end(db, job, "failed", error, error)
            values = _uncharged(job) | {"requeues": job.requeues + 1}
            return self._queue_again(db, job, "requeued", values, details)

    def cancel(self, job_id: str, fence: int) -> bool:
        """Cancel a job whose attempt was stopped; return False also if publishing has begun."""
        with self._file.writing() as db:
            job = self._find(db, job_id, fence)
            if job is None or job.publishing:
                return False
            return self._end(db, job, "cancelled", {"cancel_requested": 1})

    def recover(self) -> tuple[InterruptedJob, ...]:
        """Return the jobs that were processing when the node ended, and restart waits that a reboot made invalid.

        A node calls it once when it starts, holding the lock of its state folder. The caller then ends each job's
        attempt by its fence: complete, requeue or fail. Unfinished jobs with a damaged row fail here.
        """
        with self._file.writing() as db:
            recount(db)
            for position, what in find_damaged(db):
                fail_damaged(db, self._events, self._clock, position=position, what=what)
            self._queue.restart_waits(db)
        rows = self._file.rows(
            f"SELECT publishing, {JOB_COLUMNS} FROM jobs INDEXED BY jobs_processing "
            "WHERE status = 'processing' ORDER BY position"
        )
        return tuple(InterruptedJob(job_from_row(row[1:]), bool(row[0])) for row in rows)

    # ---- inside a transaction

    def _find(self, db: sqlite3.Connection, job_id: str, fence: int) -> _ProcessingJob | None:
        """Return the job if the attempt holds it; one whose row is damaged fails."""
        row = db.execute(
            f"SELECT {_PROCESSING_COLUMNS} FROM jobs WHERE job_id = ? AND fence = ? AND status = 'processing'",
            (job_id, fence),
        ).fetchone()
        if row is None:
            return None
        job = _ProcessingJob(*row)
        for name, kind in _PROCESSING_TYPES.items():
            if type(value := getattr(job, name)) is not kind:
                what = f"{name}: got {str(value)[:60]}"
                fail_damaged(db, self._events, self._clock, position=job.position, what=what)
                return None
        return job

    def _update(self, db: sqlite3.Connection, job: _ProcessingJob, values: Mapping[str, Any]) -> bool:
        """Change columns of a job; return whether the attempt still holds it."""
        columns = ", ".join(f"{column} = ?" for column in values)
        try:
            changed = db.execute(
                f"UPDATE jobs SET {columns} WHERE job_id = ? AND fence = ? AND status = 'processing'",
                (*values.values(), job.job_id, job.fence),
            ).rowcount
        except DAMAGE_ERRORS as error:
            fail_damaged(db, self._events, self._clock, position=job.position, what=str(error))
            return False
        return changed == 1

    def _end(
        self,
        db: sqlite3.Connection,
        job: _ProcessingJob,
        status: _End,
        values: Mapping[str, Any],
        details: Mapping[str, Any] | None = None,
    ) -> bool:
        ended = {"status": status, "publishing": 0, "finished_at": self._clock.wall()}
        if not self._update(db, job, ended | _NO_PROGRESS | dict(values)):
            return False
        self._events.delete_progress(db, job.position)
        self._events.record(db, job.position, job.owner, status, job.attempts, details)
        return True

    def _queue_again(
        self,
        db: sqlite3.Connection,
        job: _ProcessingJob,
        kind: EventKind,
        values: Mapping[str, Any],
        details: Mapping[str, Any],
    ) -> bool:
        if not self._update(db, job, {"status": "queued", "publishing": 0} | _NO_PROGRESS | dict(values)):
            return False
        self._events.record(db, job.position, job.owner, kind, job.attempts, details)
        return True


def _is_accepted(config: object, accepts: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Return whether a job with this configuration is accepted; a damaged one is, so that it fails."""
    try:
        return accepts(_payload("config", config))
    except DAMAGE_ERRORS:
        return True


def _payload(column: str, text: object) -> dict[str, Any]:
    """Return a payload, which may hold lone surrogates, as JSON's escapes can."""
    try:
        loaded = json.loads(text) if isinstance(text, str) else None
    except RecursionError as error:
        raise DamagedValueError(f"{column}: is nested too deeply") from error
    if not isinstance(loaded, dict):
        raise DamagedValueError(f"{column}: is not a JSON object")
    return loaded


def _uncharged(job: _ProcessingJob) -> dict[str, Any]:
    return {"attempts": max(0, job.attempts - 1), "interruptions": job.interruptions + 1}
