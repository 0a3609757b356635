"""Ledgers, clocks and jobs for tests."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import AcceptedJob, json_of
from video_pipeline.engine.jobs.model import Attempt, Job, NewJob, Priority

AGEING = 600.0
MAX_QUEUED = 1000
STORY_4K = {"text": "".join(f"word {number} " for number in range(400))}


class FakeClock:
    """A clock that a test sets."""

    def __init__(self, *, wall: float = 1_800_000_000.0, monotonic: float = 1000.0) -> None:
        self.wall_seconds = wall
        self.seconds = monotonic

    def wall(self) -> float:
        """Return the time of day."""
        return self.wall_seconds

    def monotonic(self) -> float:
        """Return the monotonic seconds."""
        return self.seconds

    def run(self, seconds: float) -> None:
        """Advance both clocks."""
        self.seconds += seconds
        self.wall_seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back without advancing the monotonic clock, as NTP does."""
        self.wall_seconds += seconds


def new_job(name: str = "story", **values: Any) -> NewJob:
    """Return a job that can be submitted; `story` and `config` as plain data."""
    values = {"owner": "anna", "story_id": name, "story": {"id": name}} | values
    return NewJob(**values | {key: json_of(values[key]) for key in ("story", "config") if key in values})


def submit(
    ledger: Ledger,
    name: str = "story",
    *,
    priority: Priority = "normal",
    max_queued: int = MAX_QUEUED,
    reserve: float = 0.0,
    ageing: float = AGEING,
    **values: Any,
) -> str:
    """Submit a job and return its id."""
    return submit_fully(
        ledger, name, priority=priority, max_queued=max_queued, reserve=reserve, ageing=ageing, **values
    ).job_id


def submit_fully(
    ledger: Ledger,
    name: str = "story",
    *,
    max_queued: int = MAX_QUEUED,
    reserve: float = 0.0,
    ageing: float = AGEING,
    **values: Any,
) -> AcceptedJob:
    """Submit a job and return the ledger's result."""
    return ledger.queue.submit(new_job(name, **values), ageing=ageing, max_queued=max_queued, reserve=reserve)


def claim(ledger: Ledger) -> Attempt:
    """Begin an attempt and return it; assert that there is one."""
    attempt = ledger.attempts.claim()
    assert attempt is not None
    return attempt


def job(ledger: Ledger, job_id: str) -> Job:
    """Return a job that must be there."""
    found = ledger.jobs.get(job_id)
    assert found is not None
    return found


def claimed(ledger: Ledger) -> list[str]:
    """Claim all ready jobs; return the names of their stories in order."""
    names = []
    while (attempt := ledger.attempts.claim()) is not None:
        names.append(attempt.story_id)
    return names


def publish(ledger: Ledger, attempt: Attempt, **result: Any) -> bool:
    """Complete an attempt; return whether the ledger accepts it."""
    return ledger.attempts.begin_publishing(attempt.job_id, attempt.fence) and ledger.attempts.complete(
        attempt.job_id, attempt.fence, result
    )


def kinds(ledger: Ledger, job_id: str) -> list[str]:
    """Return the kinds of a job's events."""
    return [event.kind for event in ledger.events.page(after=0, limit=10_000, job_id=job_id)]


def assert_sound(path: Path) -> None:
    """Check the invariants of a ledger's file; no Ledger may be open on it in this process."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tallies = db.execute("SELECT status, owner, priority, n FROM tallies WHERE n <> 0").fetchall()
        counted = db.execute("SELECT status, owner, priority, count(*) FROM jobs GROUP BY 1, 2, 3").fetchall()
        assert sorted(tallies) == sorted(counted)
        without = "SELECT count(*) FROM {} WHERE position NOT IN (SELECT position FROM jobs)"
        assert db.execute(without.format("events")).fetchone() == (0,)
        needed = db.execute("SELECT position FROM jobs WHERE status <> 'completed' ORDER BY 1").fetchall()
        assert db.execute("SELECT position FROM payloads ORDER BY 1").fetchall() == needed
        last = "SELECT status FROM events WHERE events.position = jobs.position ORDER BY seq DESC LIMIT 1"
        assert db.execute(f"SELECT job_id FROM jobs WHERE status <> ({last})").fetchall() == []
        ends = "SELECT count(*) FROM events WHERE events.position = jobs.position AND kind = 'completed'"
        assert db.execute(f"SELECT job_id FROM jobs WHERE ({ends}) > 1").fetchall() == []
        left = "SELECT count(*) FROM events JOIN jobs USING (position) WHERE kind = 'progress' "
        assert db.execute(left + "AND jobs.status NOT IN ('queued', 'processing')").fetchone() == (0,)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Yield a folder in memory if possible, for tests with thousands of commits that are not about disks."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def run_python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python program with its standard output connected to a pipe."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
