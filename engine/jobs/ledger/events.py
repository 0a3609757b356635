"""The events of all jobs: what happened to each, numbered in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.jobs.ledger.file import LedgerFile
from video_pipeline.engine.jobs.ledger.rows import EVENT_COLUMNS, event_from_row, json_of
from video_pipeline.engine.jobs.model import EventKind, JobEvent, JobStatus

_STATUS_AFTER: dict[EventKind, JobStatus] = {
    "queued": JobStatus.QUEUED,
    "processing": JobStatus.PROCESSING,
    "progress": JobStatus.PROCESSING,
    "retrying": JobStatus.QUEUED,
    "requeued": JobStatus.QUEUED,
    "cancelling": JobStatus.PROCESSING,
    "completed": JobStatus.COMPLETED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
    "priority": JobStatus.QUEUED,
}


class LedgerEvents:
    """Read events, and record them inside the transactions of other parts."""

    def __init__(self, file: LedgerFile, clock: Clock) -> None:
        self._file, self._clock = file, clock

    def page(
        self, *, after: int, limit: int, owner: str | None = None, job_id: str | None = None
    ) -> tuple[JobEvent, ...]:
        """Return the first `limit` events whose `seq` is above `after`, in order, without damaged ones."""
        terms: list[str] = ["seq > ?"]
        values: list[str | int] = [after]
        if job_id is not None:
            terms.append("events.position = (SELECT position FROM jobs WHERE job_id = ?)")
            values.append(job_id)
        if owner is not None:
            # `+` keeps SQLite from the owner's index: the few events of a job are found faster by the job.
            terms.append("events.owner = ?" if job_id is None else "+events.owner = ?")
            values.append(owner)
        while True:
            rows = self._file.rows(
                f"SELECT {EVENT_COLUMNS} FROM events JOIN jobs USING (position) WHERE {' AND '.join(terms)} "
                "ORDER BY seq LIMIT ?",
                (*values, limit),
            )
            events = tuple(event for event in map(event_from_row, rows) if event is not None)
            if events or len(rows) < limit:
                return events
            values[0] = rows[-1][0]  # all of them are damaged

    def last_seq(self) -> int:
        """Return the highest `seq` ever given to an event, 0 if there was none."""
        rows = self._file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0][0]) if rows else 0

    def any_of(self, kinds: Collection[EventKind], *, after: int) -> bool:
        """Return whether there is an event of one of the kinds whose `seq` is above `after`."""
        marks = ", ".join("?" * len(kinds))
        return bool(
            self._file.rows(
                f"SELECT 1 FROM events WHERE seq > ? AND kind IN ({marks}) LIMIT 1", (after, *sorted(kinds))
            )
        )

    # ---- inside a transaction

    def record(
        self,
        db: sqlite3.Connection,
        position: int,
        owner: str,
        kind: EventKind,
        attempt: int,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an event of the job at `position`."""
        db.execute(
            "INSERT INTO events (at, position, owner, kind, status, attempt, details) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self._clock.wall(),
                position,
                owner,
                kind,
                _STATUS_AFTER[kind].value,
                attempt,
                json_of(details or {}),
            ),
        )

    def delete_progress(self, db: sqlite3.Connection, position: int) -> None:
        """Delete the progress events of a job that ends."""
        db.execute("DELETE FROM events WHERE position = ? AND kind = 'progress'", (position,))
