"""The ledger: every job from its acknowledgement to its end, kept durably in one SQLite file.

It is the only truth about jobs. Each process opens it for itself; a `Ledger` belongs to one thread. A call that
changes something is one durable commit, or a part of the commit of the `group()` around it.

    submit ─▶ queued ─claim─▶ processing ─begin_publishing─▶ (publishing) ─complete─▶ completed
                ▲                 │ fail, with another attempt to come: queued again, after a wait
                │                 │ requeue: queued again at its place   fail, for good: failed
                └──── retry ──────┴ failed, cancelled                    cancel: cancelled

`claim` gives each attempt a fence, one higher than the last. What an attempt reports counts only while the job is
processing and the fence is its own; otherwise the call returns False and changes nothing. `complete` needs
`begin_publishing`, of which one ever succeeds for an attempt: a job completes once.

A cancel that is asked for while the job is processing wins over every other end but publishing: where publishing
has begun the job completes, and where publishing fails it is cancelled.

    submit(new, *, ageing, max_queued, reserve) -> (Receipt(job_id, status), created)
    submit_all(jobs, *, ageing, max_queued, reserve) -> (that, or KeyConflict, or QueueFull; …)
    recover() -> (Interrupted(job, publishing), …)
    queued_by_priority() -> {priority: jobs}
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from video_pipeline.engine.jobs.ledger.attempts import MAX_REQUEUES, LedgerAttempts
from video_pipeline.engine.jobs.ledger.errors import (
    KeyConflict,
    LedgerBusy,
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerRefusal,
    QueueFull,
    UnknownJob,
    WrongState,
)
from video_pipeline.engine.jobs.ledger.queue import join_queue
from video_pipeline.engine.jobs.ledger.rows import JOB_COLUMNS, Interrupted, Receipt, job_from_row
from video_pipeline.engine.jobs.ledger.submits import Outcome, Queue, submit_jobs
from video_pipeline.engine.jobs.model import Job, JobStatus, NewJob

__all__ = [
    "MAX_REQUEUES",
    "Interrupted",
    "KeyConflict",
    "Ledger",
    "LedgerBusy",
    "LedgerCorrupt",
    "LedgerError",
    "LedgerFull",
    "LedgerRefusal",
    "QueueFull",
    "Receipt",
    "UnknownJob",
    "WrongState",
]

_NO_ERROR = {"error_type": None, "error_message": None, "log_tail": None}
_NOT_WAITING = {"due_wall": None, "due_monotonic": None, "retry_in": None}


class Ledger(LedgerAttempts):
    """A thread's connection to the ledger. All seconds; wall times are since 1970 (UTC).

    Every method may raise LedgerFull, LedgerBusy or LedgerCorrupt, and has changed nothing then.
    """

    def submit(
        self, new: NewJob, *, ageing: float, max_queued: int, reserve: float = 0.0
    ) -> tuple[Receipt, bool]:
        """Queue a job, or find the one that its key was used for; return it and whether it is new.

        As `submit_all`; raise KeyConflict and QueueFull.
        """
        (outcome,) = self.submit_all([new], ageing=ageing, max_queued=max_queued, reserve=reserve)
        if isinstance(outcome, LedgerRefusal):
            raise outcome
        return outcome

    def submit_all(
        self, jobs: Sequence[NewJob], *, ageing: float, max_queued: int, reserve: float = 0.0
    ) -> tuple[Outcome, ...]:
        """Queue jobs, in their order; return of each the job and whether it is new, or the refusal.

        `ageing`: seconds of waiting that are worth one step of priority. `reserve`: share of `max_queued` that is
        there on top of it for jobs of high priority.
        """
        queue = Queue(ageing, max_queued, reserve, self.queued, self._retry_after)
        with self._writing() as db:
            return submit_jobs(db, self._clock, jobs, queue)

    def request_cancel(self, job_id: str) -> Job:
        """Cancel a queued job, ask for the end of a processing one; do nothing where that was done before.

        Raise UnknownJob, and WrongState where the job has completed or failed.
        """
        with self._writing() as db:
            position, job = self._known(db, job_id)
            if job.status in {JobStatus.COMPLETED, JobStatus.FAILED}:
                raise WrongState(
                    job_id=job_id,
                    status=job.status,
                    verb="cancel",
                    allowed=(JobStatus.QUEUED, JobStatus.PROCESSING),
                )
            if job.status is JobStatus.QUEUED:
                values = {"status": "cancelled", "cancel_requested": 1, "finished_at": self._clock.wall()}
                self._set(db, position, values | _NOT_WAITING)
                self._forget_progress(db, position)
                self._event(db, position, job.owner, "cancelled", JobStatus.CANCELLED, job.attempts)
            elif job.status is JobStatus.PROCESSING and not job.cancel_requested:
                self._set(db, position, {"cancel_requested": 1})
                self._event(db, position, job.owner, "cancelling", JobStatus.PROCESSING, job.attempts)
            return self._known(db, job_id)[1]

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again, last in line and with all its attempts.

        Raise UnknownJob, and WrongState where the job has not failed and was not cancelled.
        """
        with self._writing() as db:
            position, job = self._known(db, job_id)
            if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
                raise WrongState(
                    job_id=job_id,
                    status=job.status,
                    verb="retry",
                    allowed=(JobStatus.FAILED, JobStatus.CANCELLED),
                )
            db.execute(
                "UPDATE jobs SET order_key = ? + ageing_us WHERE position = ?",
                (join_queue(db, self._clock), position),
            )
            values = {"status": "queued", "attempts": 0, "requeues": 0, "cancel_requested": 0}
            self._set(db, position, values | {"started_at": None, "finished_at": None} | _NO_ERROR)
            self._event(db, position, job.owner, "queued", JobStatus.QUEUED, 0)
            return self._known(db, job_id)[1]

    def purge(self, older_than_days: float) -> int:
        """Forget jobs that ended more than so many days ago, with their events; return how many."""
        before = self._clock.wall() - older_than_days * 86400
        purged = 0
        while True:
            with self._writing() as db:
                positions = db.execute(
                    "SELECT position FROM jobs INDEXED BY jobs_finished WHERE finished_at < ? "
                    "ORDER BY finished_at LIMIT 500",
                    (before,),
                ).fetchall()
                db.executemany("DELETE FROM events WHERE position = ?", positions)
                db.executemany("DELETE FROM payloads WHERE position = ?", positions)
                db.executemany("DELETE FROM jobs WHERE position = ?", positions)
            purged += len(positions)
            if len(positions) < 500:
                return purged

    # ---- parts of a transaction

    def _known(self, db: sqlite3.Connection, job_id: str) -> tuple[int, Job]:
        row = db.execute(f"SELECT position, {JOB_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if row is None:
            raise UnknownJob(job_id)
        return row[0], job_from_row(row[1:])

    def _set(self, db: sqlite3.Connection, position: int, values: Mapping[str, Any]) -> None:
        columns = ", ".join(f"{column} = ?" for column in values)
        db.execute(f"UPDATE jobs SET {columns} WHERE position = ?", (*values.values(), position))

    def _retry_after(self) -> float:
        """Return seconds in which about one place becomes free, by the pace of the last 16 ends; 1 to 60."""
        ends = self._rows(
            "SELECT finished_at FROM jobs INDEXED BY jobs_finished WHERE finished_at IS NOT NULL "
            "ORDER BY finished_at DESC LIMIT 16"
        )
        if len(ends) < 2:
            return 5.0
        pace = float(ends[0][0] - ends[-1][0]) / (len(ends) - 1)
        return round(min(60.0, max(1.0, pace)), 1)
