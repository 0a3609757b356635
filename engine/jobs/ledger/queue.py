"""In which order jobs come up, and how long those that wait still wait.

A job's `order_key` is fixed when it joins the queue: its queue time plus its rank × `ageing`, in µs, and the lowest
is next. So jobs of one priority come in the order of their joining, and a job of low priority goes before every
job of high priority that joins more than 2 × `ageing` after it: nothing starves.

The queue's time has nothing to do with the wall clock, which may jump. It goes on by what the monotonic clock has
run since the last job joined, at least 1 µs; where the monotonic clock is behind (the machine was started anew)
by 1 µs.
"""

from __future__ import annotations

import sqlite3

from video_pipeline.engine.common.clock import Clock

_BATCH = 1000
"""Jobs that are promoted in one commit."""


def join_queue(db: sqlite3.Connection, clock: Clock, jobs: int = 1) -> int:
    """Put the queue's clock on for jobs that join now, 1 µs for each; return the time of the first of them, in µs.

    It is later than that of any job before.
    """
    now_us = int(clock.monotonic() * 1_000_000)
    db.execute(
        "UPDATE queue_clock SET queue_us = queue_us + max(1, ? - monotonic_us) + ?, monotonic_us = ?",
        (now_us, jobs - 1, now_us),
    )
    last: int = db.execute("SELECT queue_us FROM queue_clock").fetchone()[0]
    return last - jobs + 1


def seconds_to_next(db: sqlite3.Connection, clock: Clock) -> float | None:
    """Return the seconds until the next waiting job is due, 0 where one is; None where none waits."""
    scheduled = db.execute(
        "SELECT due_wall FROM jobs INDEXED BY jobs_due_wall WHERE due_wall IS NOT NULL "
        "ORDER BY due_wall LIMIT 1"
    ).fetchone()
    retry = db.execute(
        "SELECT due_monotonic FROM jobs INDEXED BY jobs_due_monotonic WHERE due_monotonic IS NOT NULL "
        "ORDER BY due_monotonic LIMIT 1"
    ).fetchone()
    waits = []
    if scheduled:
        waits.append(scheduled[0] - clock.wall())
    if retry:
        waits.append(retry[0] - clock.monotonic())
    return max(0.0, min(waits)) if waits else None


def promote(db: sqlite3.Connection, clock: Clock) -> None:
    """Let jobs that are due come up: scheduled ones join the queue now, retries have their old place in it."""
    scheduled = db.execute(
        "SELECT position FROM jobs INDEXED BY jobs_due_wall WHERE due_wall <= ? "
        "ORDER BY due_wall, position LIMIT ?",
        (clock.wall(), _BATCH),
    ).fetchall()
    for (position,) in scheduled:
        db.execute(
            "UPDATE jobs SET due_wall = NULL, order_key = ? + ageing_us WHERE position = ?",
            (join_queue(db, clock), position),
        )
    db.execute(
        "UPDATE jobs SET due_monotonic = NULL, retry_in = NULL WHERE position IN "
        "(SELECT position FROM jobs INDEXED BY jobs_due_monotonic WHERE due_monotonic <= ? "
        "ORDER BY due_monotonic LIMIT ?)",
        (clock.monotonic(), _BATCH),
    )


def mend_waits(db: sqlite3.Connection, clock: Clock) -> None:
    """Let retries that were timed by the monotonic clock of an earlier boot wait their time anew.

    Their time lies further ahead than their whole wait is long, or in the past, where they are due.
    """
    now = clock.monotonic()
    db.execute(
        "UPDATE jobs SET due_monotonic = ? + retry_in "
        "WHERE due_monotonic IS NOT NULL AND due_monotonic - ? > retry_in",
        (now, now),
    )
