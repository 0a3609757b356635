"""Jobs for their users and for operators: look up, list, cancel, retry, purge."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.jobs.ledger.damage import DAMAGE_ERRORS, fail_damaged, find_damaged
from video_pipeline.engine.jobs.ledger.errors import DamagedJob, UnknownJob, WrongState
from video_pipeline.engine.jobs.ledger.events import LedgerEvents
from video_pipeline.engine.jobs.ledger.file import LedgerFile
from video_pipeline.engine.jobs.ledger.queue import LedgerQueue
from video_pipeline.engine.jobs.ledger.rows import JOB_COLUMNS, NO_ERROR, damage_of, job_from_row
from video_pipeline.engine.jobs.ledger.schema import recount
from video_pipeline.engine.jobs.model import Job, JobStatus, Priority

PAYLOADS_PAGE = 200
"""Payloads held in memory at once."""

_PURGE_PAGE = 500
"""Jobs that one commit purges, so that no other writer waits long."""

_NO_WAIT = {"due_wall": None, "due_monotonic": None, "retry_in": None}


class LedgerJobs:
    """The part of the ledger that users and operators work with."""

    def __init__(self, file: LedgerFile, clock: Clock, queue: LedgerQueue, events: LedgerEvents) -> None:
        self._file, self._clock, self._queue, self._events = file, clock, queue, events

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None if there is no job of that id."""
        rows = self._file.rows(f"SELECT {JOB_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,))
        return job_from_row(rows[0]) if rows else None

    def page(
        self,
        *,
        owner: str | None = None,
        status: JobStatus | None = None,
        scheduled: bool = False,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[Job, ...]:
        """Return up to `limit` jobs, the latest submitted first; with `scheduled` only jobs that wait for a
        scheduled time.

        `before` is a job id: only jobs that were submitted before that job are returned. Raise UnknownJob if there
        is no such job.
        """
        where: dict[str, str | int | None] = {"owner = ?": owner, "status = ?": status}
        if before is not None:
            found = self._file.rows("SELECT position FROM jobs WHERE job_id = ?", (before,))
            if not found:
                raise UnknownJob(before)
            where["position < ?"] = found[0][0]
        terms = [term for term, value in where.items() if value is not None]
        values = [value for value in where.values() if value is not None]
        terms += ["due_wall IS NOT NULL"] if scheduled else []
        rows = self._file.rows(
            f"SELECT {JOB_COLUMNS} FROM jobs {'WHERE ' if terms else ''}{' AND '.join(terms)} "
            "ORDER BY position DESC LIMIT ?",
            (*values, limit),
        )
        return tuple(map(job_from_row, rows))

    def disown(self, owner: str, *, new_owner: str) -> int:
        """Give the jobs of an owner, with their events, to another name; return how many."""
        with self._file.writing() as db:
            moved = db.execute("UPDATE jobs SET owner = ? WHERE owner = ?", (new_owner, owner)).rowcount
            db.execute("UPDATE events SET owner = ? WHERE owner = ?", (new_owner, owner))
            recount(db)
        return moved

    def counts(self, owner: str | None = None) -> dict[JobStatus, int]:
        """Return the number of jobs in each state, 0 included."""
        terms, values = ("WHERE owner = ?", (owner,)) if owner is not None else ("", ())
        rows = self._file.rows(f"SELECT status, sum(n) FROM tallies {terms} GROUP BY status", values)
        known = {status: n for status, n in rows if status in set(JobStatus)}
        return dict.fromkeys(JobStatus, 0) | {JobStatus(status): n for status, n in known.items()}

    def payloads_containing(self, text: str) -> Iterator[str]:
        """Yield the story and the configuration, as JSON text, of each uncompleted job that has `text` in either."""
        after = -1
        while True:
            rows = self._file.rows(
                "SELECT position, story, config FROM payloads JOIN jobs USING (position) WHERE position > ? "
                "AND status <> 'completed' AND (instr(story, ?) OR instr(config, ?)) ORDER BY position LIMIT ?",
                (after, text, text, PAYLOADS_PAGE),
            )
            for _, story, config in rows:
                yield story
                yield config
            if len(rows) < PAYLOADS_PAGE:
                return
            after = rows[-1][0]

    def request_cancel(self, job_id: str) -> Job:
        """Cancel a queued job, or request the cancel of a processing one; do nothing if that was done before.

        Return the changed job; an unfinished job with a damaged row fails. Raise UnknownJob, and WrongState if
        the job has completed or failed.
        """
        with self._file.writing() as db:
            position, job = self._find(db, job_id)
            if self._end_if_damaged(db, position):
                return self._find(db, job_id)[1]
            if job.status in {JobStatus.COMPLETED, JobStatus.FAILED}:
                raise WrongState(
                    job_id=job_id,
                    status=job.status,
                    verb="cancel",
                    allowed=(JobStatus.QUEUED, JobStatus.PROCESSING),
                )
            if job.status is JobStatus.QUEUED:
                values = {"status": "cancelled", "cancel_requested": 1, "finished_at": self._clock.wall()}
                try:
                    self._update(db, position, values | _NO_WAIT)
                except DAMAGE_ERRORS as error:
                    fail_damaged(db, self._events, self._clock, position=position, what=str(error))
                    return self._find(db, job_id)[1]
                self._events.delete_progress(db, position)
                self._events.record(db, position, job.owner, "cancelled", job.attempts)
            elif job.status is JobStatus.PROCESSING and not job.cancel_requested:
                self._update(db, position, {"cancel_requested": 1})
                self._events.record(db, position, job.owner, "cancelling", job.attempts)
            return self._find(db, job_id)[1]

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again: last in the queue, with all its attempts, no longer scheduled.

        Return the changed job. Raise UnknownJob, WrongState if the job is in any other state, and DamagedJob.
        """
        with self._file.writing() as db:
            position, job = self._find(db, job_id)
            if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
                raise WrongState(
                    job_id=job_id,
                    status=job.status,
                    verb="retry",
                    allowed=(JobStatus.FAILED, JobStatus.CANCELLED),
                )
            if self._damage(db, position) is not None:
                raise DamagedJob(job_id)
            values = {"status": "queued", "attempts": 0, "requeues": 0, "cancel_requested": 0}
            values |= {"scheduled_for": None}  # it does not wait for its time again
            try:
                self._queue.rejoin(db, position)
                self._update(db, position, values | {"started_at": None, "finished_at": None} | NO_ERROR)
            except DAMAGE_ERRORS as error:
                raise DamagedJob(job_id) from error
            self._events.record(db, position, job.owner, "queued", 0)
            return self._find(db, job_id)[1]

    def change_priority(self, job_id: str, priority: Priority, *, ageing: float) -> Job:
        """Give a queued job another priority: it keeps the time at which it joined the queue.

        Return the changed job; nothing happens if it has the priority. Raise UnknownJob, WrongState if the job is not
        queued, and DamagedJob.
        """
        with self._file.writing() as db:
            position, job = self._find(db, job_id)
            if job.status is not JobStatus.QUEUED:
                raise WrongState(
                    job_id=job_id, status=job.status, verb="priority", allowed=(JobStatus.QUEUED,)
                )
            if self._damage(db, position) is not None:
                raise DamagedJob(job_id)
            if job.priority != priority:
                self._queue.move(db, position, priority, ageing=ageing)
                self._events.record(db, position, job.owner, "priority", job.attempts, {"priority": priority})
            return self._find(db, job_id)[1]

    def purge(self, older_than_days: float, *, read_until: int | None = None) -> int:
        """Delete jobs that ended more than `older_than_days` days ago, with their events; return how many.

        With `read_until`, jobs with an event above this `seq` stay: somebody has yet to read it.
        """
        before = self._clock.wall() - older_than_days * 86400
        purged = 0
        while True:
            with self._file.writing() as db:
                positions = db.execute(
                    "SELECT position FROM jobs INDEXED BY jobs_finished WHERE finished_at < ? AND (? IS NULL OR "
                    "NOT EXISTS (SELECT 1 FROM events WHERE events.position = jobs.position AND seq > ?)) "
                    "ORDER BY finished_at LIMIT ?",
                    (before, read_until, read_until, _PURGE_PAGE),
                ).fetchall()
                db.executemany("DELETE FROM events WHERE position = ?", positions)
                db.executemany("DELETE FROM payloads WHERE position = ?", positions)
                db.executemany("DELETE FROM jobs WHERE position = ?", positions)
            purged += len(positions)
            if len(positions) < _PURGE_PAGE:
                return purged

    # ---- inside a transaction

    def _find(self, db: sqlite3.Connection, job_id: str) -> tuple[int, Job]:
        row = db.execute(f"SELECT position, {JOB_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if row is None:
            raise UnknownJob(job_id)
        return row[0], job_from_row(row[1:])

    def _damage(self, db: sqlite3.Connection, position: int) -> str | None:
        row = db.execute(f"SELECT {JOB_COLUMNS} FROM jobs WHERE position = ?", (position,)).fetchone()
        return damage_of(row)

    def _end_if_damaged(self, db: sqlite3.Connection, position: int) -> bool:
        """End an unfinished job whose row is damaged; return whether it was one."""
        for damaged, what in find_damaged(db, position):
            fail_damaged(db, self._events, self._clock, position=damaged, what=what)
            return True
        return False

    def _update(self, db: sqlite3.Connection, position: int, values: Mapping[str, Any]) -> None:
        columns = ", ".join(f"{column} = ?" for column in values)
        db.execute(f"UPDATE jobs SET {columns} WHERE position = ?", (*values.values(), position))
