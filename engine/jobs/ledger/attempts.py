"""Attempts at jobs: begun, followed and ended, each under its fence.

Whatever an attempt changes is changed `WHERE job_id = ? AND fence = ? AND status = 'processing'`: a stale attempt
changes nothing and is told False.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from video_pipeline.engine.jobs.ledger.errors import ledger_error
from video_pipeline.engine.jobs.ledger.queries import LedgerQueries
from video_pipeline.engine.jobs.ledger.queue import mend_waits, promote, seconds_to_next
from video_pipeline.engine.jobs.ledger.rows import JOB_COLUMNS, Interrupted, job_from_row, json_of, text_of
from video_pipeline.engine.jobs.model import PRIORITIES, Attempt, EventKind, Failure, JobStatus, Progress

MAX_REQUEUES = 20
"""Times that a job may be queued again because its node ended; with more it fails: it may be what ends it."""

_NO_PROGRESS = {"stage": None, "percent": None, "fps": None, "eta_seconds": None}
_NO_ERROR = {"error_type": None, "error_message": None, "log_tail": None}


class _Held(NamedTuple):
    """What an attempt's end depends on."""

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


_HELD_COLUMNS = ", ".join(_Held._fields)


class LedgerAttempts(LedgerQueries):
    """The part of the ledger that the scheduler of a node uses."""

    def claim(self) -> Attempt | None:
        """Begin an attempt at the job that is next, or return None where none is ready."""
        ready = (
            "SELECT position FROM jobs INDEXED BY jobs_ready "
            "WHERE status = 'queued' AND due_wall IS NULL AND due_monotonic IS NULL "
            "ORDER BY order_key, position LIMIT 1"
        )
        if not self._rows(ready):
            return None
        with self._writing() as db:
            found = db.execute(ready).fetchone()
            if found is None:
                return None
            position = found[0]
            db.execute(
                "UPDATE jobs SET status = 'processing', fence = fence + 1, attempts = attempts + 1, "
                "started_at = ? WHERE position = ?",
                (self._clock.wall(), position),
            )
            job_id, fence, number, owner, story_id, rank, story, config = db.execute(
                "SELECT job_id, fence, attempts, owner, story_id, priority, story, config "
                "FROM jobs JOIN payloads USING (position) WHERE position = ?",
                (position,),
            ).fetchone()
            self._event(db, position, owner, "processing", JobStatus.PROCESSING, number)
        return Attempt(
            job_id, fence, number, story_id, json.loads(story), json.loads(config), PRIORITIES[rank]
        )

    def promote_due(self) -> float | None:
        """Let jobs come up whose time has come; return the seconds until the next, None where none waits."""
        wait = self._seconds_to_next()
        if wait != 0:
            return wait
        with self._writing() as db:
            promote(db, self._clock)
        return self._seconds_to_next()

    def progress(self, job_id: str, fence: int, progress: Progress) -> bool:
        """Note how far an attempt is."""
        with self._writing() as db:
            held = self._held(db, job_id, fence)
            if held is None:
                return False
            values = {
                "stage": text_of(progress.stage),
                "percent": progress.percent,
                "fps": progress.fps,
                "eta_seconds": progress.eta_seconds,
            }
            self._change(db, held, values)
            self._event(
                db, held.position, held.owner, "progress", JobStatus.PROCESSING, held.attempts, values
            )
            return True

    def begin_publishing(self, job_id: str, fence: int) -> bool:
        """Reserve the right to publish; False also where a cancel was asked for or the right was given before."""
        with self._writing() as db:
            held = self._held(db, job_id, fence)
            if held is None or held.cancel_requested or held.publishing:
                return False
            return self._change(db, held, {"publishing": 1})

    def complete(self, job_id: str, fence: int, result: Mapping[str, Any]) -> bool:
        """End a job whose output is published; False also where publishing was not begun."""
        with self._writing() as db:
            held = self._held(db, job_id, fence)
            if held is None or not held.publishing:
                return False
            # A completed job is never rendered again: its story has done its work.
            db.execute("DELETE FROM payloads WHERE position = ?", (held.position,))
            return self._end(db, held, JobStatus.COMPLETED, _NO_ERROR | {"result": json_of(result)})

    def fail(self, job_id: str, fence: int, failure: Failure, *, retry_in: float | None) -> bool:
        """End an attempt that failed: another follows after `retry_in` seconds, or none.

        None follows where `retry_in` is None, the failure is permanent, or it is retryable and the job has no attempt
        left. A failure of the machine gives the attempt back. A job to be cancelled is cancelled.
        """
        error = {
            "error_type": text_of(failure.error_type),
            "error_message": text_of(failure.message),
        }
        kept = error | {"log_tail": json_of([text_of(line) or "" for line in failure.log_tail])}
        with self._writing() as db:
            held = self._held(db, job_id, fence)
            if held is None:
                return False
            if held.cancel_requested:
                return self._end(db, held, JobStatus.CANCELLED, kept, error)
            spent = failure.kind == "retryable" and held.attempts >= held.max_attempts
            if retry_in is None or failure.kind == "permanent" or spent:
                return self._end(db, held, JobStatus.FAILED, kept, error)
            wait = {"due_monotonic": self._clock.monotonic() + retry_in, "retry_in": retry_in}
            returned = _attempt_returned(held) if failure.kind == "machine" else {}
            return self._queue_again(
                db, held, "retrying", kept | wait | returned, error | {"retry_in": retry_in}
            )

    def requeue(self, job_id: str, fence: int, *, reason: str) -> bool:
        """Queue a job again at its old place, its attempt not charged: its node ends, or has ended.

        After MAX_REQUEUES the job fails as NodeLost. A job to be cancelled is cancelled.
        """
        with self._writing() as db:
            held = self._held(db, job_id, fence)
            if held is None:
                return False
            details = {"reason": text_of(reason)}
            if held.cancel_requested:
                return self._end(db, held, JobStatus.CANCELLED, {}, details)
            if held.requeues >= MAX_REQUEUES:
                error = {
                    "error_type": "NodeLost",
                    "error_message": f"its node ended {held.requeues + 1} times while it rendered the job; "
                    f"lastly: {text_of(reason)}",
                }
                return self._end(db, held, JobStatus.FAILED, error, error)
            values = _attempt_returned(held) | {"requeues": held.requeues + 1}
            return self._queue_again(db, held, "requeued", values, details)

    def cancelled(self, job_id: str, fence: int) -> bool:
        """End an attempt that was stopped, and the job with it; False also where publishing has begun."""
        with self._writing() as db:
            held = self._held(db, job_id, fence)
            if held is None or held.publishing:
                return False
            return self._end(db, held, JobStatus.CANCELLED, {"cancel_requested": 1})

    def recover(self) -> tuple[Interrupted, ...]:
        """Return what was processing when the node ended; called once when a node starts, under its lock.

        The caller ends each of them by its fence: complete, requeue, fail.
        """
        with self._writing() as db:
            mend_waits(db, self._clock)
        rows = self._rows(
            f"SELECT publishing, {JOB_COLUMNS} FROM jobs INDEXED BY jobs_processing "
            "WHERE status = 'processing' ORDER BY position"
        )
        return tuple(Interrupted(job_from_row(row[1:]), bool(row[0])) for row in rows)

    # ---- parts of a transaction

    def _held(self, db: sqlite3.Connection, job_id: str, fence: int) -> _Held | None:
        row = db.execute(
            f"SELECT {_HELD_COLUMNS} FROM jobs WHERE job_id = ? AND fence = ? AND status = 'processing'",
            (job_id, fence),
        ).fetchone()
        return None if row is None else _Held(*row)

    def _change(self, db: sqlite3.Connection, held: _Held, values: Mapping[str, Any]) -> bool:
        """Change a job for the attempt that holds it."""
        columns = ", ".join(f"{column} = ?" for column in values)
        changed = db.execute(
            f"UPDATE jobs SET {columns} WHERE job_id = ? AND fence = ? AND status = 'processing'",
            (*values.values(), held.job_id, held.fence),
        ).rowcount
        return changed == 1

    def _end(
        self,
        db: sqlite3.Connection,
        held: _Held,
        status: JobStatus,
        values: Mapping[str, Any],
        details: Mapping[str, Any] | None = None,
    ) -> bool:
        ended = {"status": status.value, "publishing": 0, "finished_at": self._clock.wall()}
        if not self._change(db, held, ended | _NO_PROGRESS | dict(values)):
            return False
        self._forget_progress(db, held.position)
        kinds: dict[JobStatus, EventKind] = {
            JobStatus.COMPLETED: "completed",
            JobStatus.FAILED: "failed",
            JobStatus.CANCELLED: "cancelled",
        }
        self._event(db, held.position, held.owner, kinds[status], status, held.attempts, details)
        return True

    def _forget_progress(self, db: sqlite3.Connection, position: int) -> None:
        db.execute("DELETE FROM events WHERE position = ? AND kind = 'progress'", (position,))

    def _queue_again(
        self,
        db: sqlite3.Connection,
        held: _Held,
        kind: EventKind,
        values: Mapping[str, Any],
        details: Mapping[str, Any],
    ) -> bool:
        if not self._change(db, held, {"status": "queued", "publishing": 0} | _NO_PROGRESS | dict(values)):
            return False
        self._event(db, held.position, held.owner, kind, JobStatus.QUEUED, held.attempts, details)
        return True

    def _event(
        self,
        db: sqlite3.Connection,
        position: int | None,
        owner: str,
        kind: EventKind,
        status: JobStatus,
        attempt: int,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        db.execute(
            "INSERT INTO events (at, position, owner, kind, status, attempt, details) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._clock.wall(), position, owner, kind, status.value, attempt, json_of(details or {})),
        )

    def _seconds_to_next(self) -> float | None:
        try:
            return seconds_to_next(self._db, self._clock)
        except sqlite3.Error as error:
            raise ledger_error(error, self.path) from error


def _attempt_returned(held: _Held) -> dict[str, Any]:
    return {"attempts": held.attempts - 1, "interruptions": held.interruptions + 1}
