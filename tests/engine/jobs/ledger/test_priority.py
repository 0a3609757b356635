"""Queued jobs that get another priority, and ledgers of the version before titles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.ledgers import AGEING, FakeClock, assert_sound, claim, claimed, job, kinds, submit
from video_pipeline.engine.jobs.ledger.errors import UnknownJob, WrongState
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.schema import MIGRATIONS
from video_pipeline.engine.jobs.model import TITLE_MAX


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path, clock=FakeClock()) as opened:
        yield opened
    assert_sound(path)


def test_a_job_of_another_priority_has_the_place_that_it_would_have_had(ledger: Ledger) -> None:
    ids = {name: submit(ledger, name) for name in ("a", "b", "c", "d")}
    ledger.jobs.change_priority(ids["c"], "high", ageing=AGEING)
    ledger.jobs.change_priority(ids["a"], "low", ageing=AGEING)
    ledger.jobs.change_priority(ids["d"], "high", ageing=AGEING)
    ledger.jobs.change_priority(ids["d"], "normal", ageing=AGEING)
    assert ledger.queue.length_by_priority() == {"high": 1, "normal": 2, "low": 1}
    assert claimed(ledger) == ["c", "b", "d", "a"]


def test_a_change_is_an_event_and_the_same_priority_is_none(ledger: Ledger) -> None:
    job_id = submit(ledger)
    assert ledger.jobs.change_priority(job_id, "high", ageing=AGEING).priority == "high"
    ledger.jobs.change_priority(job_id, "high", ageing=AGEING)
    assert kinds(ledger, job_id) == ["queued", "priority"]
    (event,) = (each for each in ledger.events.page(after=0, limit=9) if each.kind == "priority")
    assert event.details == {"priority": "high"}


def test_only_queued_jobs_change_their_priority(ledger: Ledger) -> None:
    job_id = submit(ledger)
    claim(ledger)
    with pytest.raises(WrongState, match="priority needs queued"):
        ledger.jobs.change_priority(job_id, "low", ageing=AGEING)
    with pytest.raises(UnknownJob):
        ledger.jobs.change_priority("job-0", "low", ageing=AGEING)
    assert job(ledger, job_id).priority == "normal"


def test_a_retry_keeps_the_changed_priority(ledger: Ledger) -> None:
    first, second = submit(ledger, "first"), submit(ledger, "second")
    ledger.jobs.change_priority(second, "high", ageing=AGEING)
    ledger.jobs.request_cancel(second)
    ledger.jobs.retry(second)
    assert claimed(ledger) == ["second", "first"]
    assert job(ledger, first).priority == "normal"


def test_titles_are_cut(ledger: Ledger) -> None:
    assert len(job(ledger, submit(ledger, title="long " * 2000)).title) == TITLE_MAX


def test_a_ledger_of_the_version_before_titles_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path) as ledger:
        job_id = submit(ledger, title="forgotten")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in (*("DROP TRIGGER " + name for name in ("jobs_added", "jobs_removed", "jobs_moved")),
                          "ALTER TABLE jobs DROP COLUMN title"):  # fmt: skip
            db.execute(statement)
        for statement in MIGRATIONS[0]:
            if statement.startswith("CREATE TRIGGER"):
                db.execute(statement)
        db.execute("PRAGMA user_version = 1")
    with Ledger(path) as ledger:
        assert job(ledger, job_id).title == ""
        assert job(ledger, submit(ledger, title="kept")).title == "kept"
    assert_sound(path)
