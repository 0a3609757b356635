"""The queue: how jobs join it, their order, and when waiting jobs become ready.

A job's `order_key` is set when it joins the queue: the queue's time plus the rank of its priority × `ageing`, in µs.
The job with the lowest key is next. So jobs of one priority keep the order in which they joined, and a job of low
priority goes before every job of high priority that joins more than 2 × `ageing` later: no job starves.

The queue's time is independent of the wall clock, which may jump. Whenever a job joins, it advances by what the
monotonic clock has advanced since the last join, by at least 1 µs. If the monotonic clock is behind, because the
machine was rebooted, it advances by 1 µs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.jobs.ledger.bulk import JobWithKey, find_by_keys, insert_jobs
from video_pipeline.engine.jobs.ledger.damage import DAMAGE_ERRORS, fail_damaged
from video_pipeline.engine.jobs.ledger.errors import KeyConflict, LedgerCorrupt, LedgerRefusal, QueueFull
from video_pipeline.engine.jobs.ledger.events import LedgerEvents
from video_pipeline.engine.jobs.ledger.file import LedgerFile
from video_pipeline.engine.jobs.ledger.rows import AcceptedJob
from video_pipeline.engine.jobs.model import PRIORITIES, TIME_MAX, JobStatus, NewJob, Priority, new_job_id

AGEING_MAX_SECONDS = 10 * 366 * 86400.0
"""The bound keeps order keys within 64 bits; with an `ageing` that long, priority alone decides."""

_QUEUE_US_MAX = 2**60
"""A queue time above this or below 0 is damaged."""

RETRY_WAIT_MAX_SECONDS = 7 * 86400.0
"""No retry is put off for longer; a row that says so is damaged."""

_PROMOTE_PAGE = 1000
"""Jobs that one commit promotes, so that no other writer waits long."""

SubmitResult = AcceptedJob | KeyConflict | QueueFull


class LedgerQueue:
    """The queued jobs: those that are ready, and those that wait for a time."""

    def __init__(self, file: LedgerFile, clock: Clock, events: LedgerEvents) -> None:
        self._file, self._clock, self._events = file, clock, events

    def submit(self, new: NewJob, *, ageing: float, max_queued: int, reserve: float = 0.0) -> AcceptedJob:
        """Queue a job, or find the job that its key was used for, as `submit_all` does.

        Raise KeyConflict and QueueFull.
        """
        (result,) = self.submit_all([new], ageing=ageing, max_queued=max_queued, reserve=reserve)
        if isinstance(result, LedgerRefusal):
            raise result
        return result

    def submit_all(
        self, jobs: Sequence[NewJob], *, ageing: float, max_queued: int, reserve: float = 0.0
    ) -> tuple[SubmitResult, ...]:
        """Queue jobs in their order; return for each the accepted job or the refusal.

        `ageing`: seconds of waiting that make up for one step of priority. `reserve`: share of `max_queued` that is
        added to it for jobs of high priority.
        """
        with self._file.writing() as db:
            return self._submit(db, jobs, ageing, max_queued, max_queued + int(max_queued * reserve))

    def length(self) -> int:
        """Return the number of queued jobs, those that wait for a time included."""
        rows = self._file.rows("SELECT coalesce(sum(n), 0) FROM tallies WHERE status = 'queued'")
        return int(rows[0][0])

    def length_by_priority(self) -> dict[Priority, int]:
        """Return the number of queued jobs of each priority, 0 included."""
        rows = self._file.rows(
            "SELECT priority, sum(n) FROM tallies WHERE status = 'queued' GROUP BY priority"
        )
        known = {PRIORITIES[rank]: n for rank, n in rows if rank in (0, 1, 2)}
        return dict.fromkeys(PRIORITIES, 0) | known

    def head_seconds(self) -> float:
        """Return the seconds since the next job could begin for the first time, 0 if no job is ready."""
        rows = self._file.rows(
            "SELECT max(created_at, coalesce(scheduled_for, 0)) FROM jobs INDEXED BY jobs_ready "
            "WHERE status = 'queued' AND due_wall IS NULL AND due_monotonic IS NULL ORDER BY order_key LIMIT 1"
        )
        return max(0.0, self._clock.wall() - float(rows[0][0])) if rows else 0.0

    def promote_due(self) -> float | None:
        """Make due jobs ready; return the seconds until the next is due, or None if no job waits.

        Jobs whose row says that they are due at a time that no job can have been given are damaged, and fail here.
        """
        self._fail_never_due()
        wait = self._seconds_to_next()
        if wait != 0:
            return wait
        with self._file.writing() as db:
            self._promote(db)
        return self._seconds_to_next()

    # ---- inside a transaction

    def rejoin(self, db: sqlite3.Connection, position: int) -> None:
        """Give a job the last place among those of its priority."""
        db.execute("UPDATE jobs SET order_key = ? + ageing_us WHERE position = ?", (self._join(db), position))

    def move(self, db: sqlite3.Connection, position: int, priority: Priority, *, ageing: float) -> None:
        """Give a queued job another priority; it keeps the queue's time at which it joined."""
        rank = PRIORITIES.index(priority)
        ageing_us = rank * int(min(ageing, AGEING_MAX_SECONDS) * 1_000_000)
        (before, owner), *_ = db.execute(
            "SELECT priority, owner FROM jobs WHERE position = ?", (position,)
        ).fetchall()
        db.execute(
            "UPDATE jobs SET priority = ?1, order_key = order_key - ageing_us + ?2, ageing_us = ?2 WHERE position = ?3",
            (rank, ageing_us, position),
        )
        for counted, step in ((before, -1), (rank, 1)):  # the triggers count changes of the state alone
            db.execute(
                "INSERT INTO tallies VALUES ('queued', ?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + ?3",
                (counted, owner, step),
            )

    def restart_waits(self, db: sqlite3.Connection) -> None:
        """Restart the waits of retries that were timed by the monotonic clock of an earlier boot.

        Such a retry is due later than its whole wait from now. One whose time is in the past is due and needs nothing.
        """
        now = self._clock.monotonic()
        db.execute(
            "UPDATE jobs SET due_monotonic = ? + retry_in "
            "WHERE due_monotonic IS NOT NULL AND due_monotonic - ? > retry_in",
            (now, now),
        )

    def _submit(
        self, db: sqlite3.Connection, jobs: Sequence[NewJob], ageing: float, limit: int, high_limit: int
    ) -> tuple[SubmitResult, ...]:
        known = find_by_keys(db, jobs)
        now = self._clock.wall()
        queued, retry_after = self.length(), 0.0
        results: list[SubmitResult] = []
        joining: list[tuple[str, NewJob]] = []
        for new in jobs:
            found = known.get((new.owner, new.key)) if new.key is not None else None
            if found is not None:
                assert new.key is not None
                results.append(
                    AcceptedJob(found.job_id, found.status, created=False)
                    if found.digest == new.digest
                    else KeyConflict(key=new.key, job_id=found.job_id)
                )
                continue
            allowed = high_limit if new.priority == "high" else limit
            if queued >= allowed:
                retry_after = retry_after or self._retry_after()
                results.append(QueueFull(queued=queued, allowed=allowed, retry_after=retry_after))
                continue
            job_id = new_job_id(now)
            queued += 1
            if new.key is not None:
                known[new.owner, new.key] = JobWithKey(job_id, JobStatus.QUEUED, new.digest)
            joining.append((job_id, new))
            results.append(AcceptedJob(job_id, JobStatus.QUEUED, created=True))
        if joining:
            insert_jobs(
                db,
                joining,
                now=now,
                first_us=self._join(db, len(joining)),
                ageing_us=int(min(ageing, AGEING_MAX_SECONDS) * 1_000_000),
            )
        return tuple(results)

    def _join(self, db: sqlite3.Connection, jobs: int = 1) -> int:
        """Advance the queue's time for jobs that join now, by 1 µs for each; return the first one's time in µs.

        It is later than the time of every job that joined before.
        """
        now_us = int(self._clock.monotonic() * 1_000_000)
        db.execute(
            "UPDATE queue_clock SET queue_us = min(max(queue_us, 0), ?1) + "
            "min(max(1, ?2 - max(monotonic_us, 0)), ?1) + ?3, monotonic_us = ?2",
            (_QUEUE_US_MAX, now_us, jobs - 1),
        )
        row = db.execute("SELECT queue_us FROM queue_clock").fetchone()
        if row is None:  # a node that starts makes it anew
            raise LedgerCorrupt(f"the ledger {self._file.path} is damaged: the queue's time is missing")
        last: int = row[0]
        return last - jobs + 1

    def _promote(self, db: sqlite3.Connection) -> None:
        """Make due jobs ready: scheduled ones join the queue now, retries keep their old place in it."""
        scheduled = db.execute(
            "SELECT position FROM jobs INDEXED BY jobs_due_wall WHERE due_wall <= ? "
            "ORDER BY due_wall, position LIMIT ?",
            (self._clock.wall(), _PROMOTE_PAGE),
        ).fetchall()
        for (position,) in scheduled:
            try:
                db.execute(
                    "UPDATE jobs SET due_wall = NULL, order_key = ? + ageing_us WHERE position = ?",
                    (self._join(db), position),
                )
            except DAMAGE_ERRORS as error:
                fail_damaged(db, self._events, self._clock, position=position, what=str(error))
        db.execute(
            "UPDATE jobs SET due_monotonic = NULL, retry_in = NULL WHERE position IN "
            "(SELECT position FROM jobs INDEXED BY jobs_due_monotonic WHERE due_monotonic <= ? "
            "ORDER BY due_monotonic LIMIT ?)",
            (self._clock.monotonic(), _PROMOTE_PAGE),
        )

    def _fail_never_due(self) -> None:
        failed: set[int] = set()
        while rows := self._file.rows(
            "SELECT position, 'due_wall', due_wall FROM jobs INDEXED BY jobs_due_wall "
            "WHERE due_wall >= ?1 AND status = 'queued' UNION ALL "
            "SELECT position, 'due_monotonic', due_monotonic FROM jobs INDEXED BY jobs_due_monotonic "
            "WHERE due_monotonic > ?2 AND status = 'queued' LIMIT ?3",
            (TIME_MAX, self._clock.monotonic() + RETRY_WAIT_MAX_SECONDS, _PROMOTE_PAGE),
        ):
            with self._file.writing() as db:
                for position, column, value in rows:
                    what = f"{column}: got {str(value)[:60]}"
                    fail_damaged(db, self._events, self._clock, position=position, what=what)
            if failed.issuperset(position for position, _, _ in rows):
                raise LedgerCorrupt(
                    f"the ledger {self._file.path} is damaged: a job that failed is still queued"
                )
            failed.update(position for position, _, _ in rows)

    # ---- reads

    def _seconds_to_next(self) -> float | None:
        """Return the seconds until the next waiting job is due, 0 if one is due, None if none waits."""
        scheduled = self._file.rows(
            "SELECT due_wall FROM jobs INDEXED BY jobs_due_wall WHERE due_wall IS NOT NULL "
            "ORDER BY due_wall LIMIT 1"
        )
        retries = self._file.rows(
            "SELECT due_monotonic FROM jobs INDEXED BY jobs_due_monotonic WHERE due_monotonic IS NOT NULL "
            "ORDER BY due_monotonic LIMIT 1"
        )
        # An entry of a damaged index may hold anything; the promotion finds it.
        waits = [due - self._clock.wall() for (due,) in scheduled if isinstance(due, int | float)]
        waits += [due - self._clock.monotonic() for (due,) in retries if isinstance(due, int | float)]
        return max(0.0, min(waits)) if waits else None

    def _retry_after(self) -> float:
        """Return the seconds in which about one place becomes free, 1 to 60, from the last 16 jobs that ended."""
        ends = self._file.rows(
            "SELECT finished_at FROM jobs INDEXED BY jobs_finished WHERE finished_at IS NOT NULL "
            "ORDER BY finished_at DESC LIMIT 16"
        )
        if len(ends) < 2:
            return 5.0
        interval = float(ends[0][0] - ends[-1][0]) / (len(ends) - 1)
        return round(min(60.0, max(1.0, interval)), 1)
