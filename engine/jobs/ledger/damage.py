"""Jobs whose rows are damaged: find them, and end them as failed, so that they do not block the queue."""

from __future__ import annotations

import logging
import sqlite3

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.jobs.ledger.events import LedgerEvents
from video_pipeline.engine.jobs.ledger.rows import DAMAGED, JOB_COLUMNS, damage_message, damage_of

logger = logging.getLogger(__name__)

DAMAGE_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, TypeError, ValueError)
"""Errors that a change of a damaged row raises: a broken constraint, or arithmetic with wrong values."""


def fail_damaged(
    db: sqlite3.Connection, events: LedgerEvents, clock: Clock, *, position: int, what: str
) -> None:
    """End the job at `position` as failed; call it in a transaction.

    If there is no such job, an index that lists it is damaged: all are built again.
    """
    # Jobs are counted by owner and priority: changing the state of a row with invalid ones would break the counts.
    db.execute(
        "UPDATE jobs SET owner = CASE typeof(owner) WHEN 'text' THEN owner ELSE '' END, "
        "priority = CASE WHEN priority IN (0, 1, 2) THEN priority ELSE 1 END WHERE position = ?",
        (position,),
    )
    now = clock.wall()
    db.execute(
        "UPDATE jobs SET status = 'failed', publishing = 0, cancel_requested = 0, finished_at = ?, due_wall = NULL, "
        "due_monotonic = NULL, retry_in = NULL, stage = NULL, percent = NULL, fps = NULL, eta_seconds = NULL, "
        "error_type = ?, error_message = ?, log_tail = NULL, result = NULL WHERE position = ?",
        (now, DAMAGED, damage_message(what), position),
    )
    row = db.execute("SELECT job_id, owner FROM jobs WHERE position = ?", (position,)).fetchone()
    if row is None:
        logger.error("an index of the ledger lists a job that is not there; the indexes are built again")
        db.execute("REINDEX")
        return
    job_id, owner = row
    events.record(db, position, owner, "failed", 0, {"error_type": DAMAGED, "error_message": what})
    logger.error("the job's row in the ledger is damaged, so it fails: %s", what, extra={"job_id": job_id})


def find_damaged(db: sqlite3.Connection, position: int | None = None) -> list[tuple[int, str]]:
    """Return position and damage of each unfinished job whose row is damaged or whose story is missing.

    With a `position` look at that job only.
    """
    rows = db.execute(
        f"SELECT jobs.position, payloads.position IS NULL, {JOB_COLUMNS} FROM jobs LEFT JOIN payloads USING (position) "
        "WHERE status NOT IN ('completed', 'failed', 'cancelled') AND (?1 IS NULL OR jobs.position = ?1)",
        (position,),
    )
    found = []
    for at, no_story, *row in rows:
        what = "its story is missing" if no_story else damage_of(tuple(row))
        if what is not None:
            found.append((at, what))
    return found
