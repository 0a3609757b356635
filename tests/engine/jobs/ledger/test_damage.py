"""Rows that are corrupt on the disk: any value in any column of any table."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.jobs import node_config
from tests.support.ledgers import FakeClock, claim, job, kinds, publish, quick_folder, submit
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import (
    DamagedJob,
    LedgerCorrupt,
    LedgerError,
    LedgerRefusal,
    WrongState,
)
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import DAMAGED
from video_pipeline.engine.jobs.model import Failure, JobStatus, Progress
from video_pipeline.engine.jobs.node.recovery import recover
from video_pipeline.engine.jobs.views import event_view, job_view

TABLES = ("jobs", "payloads", "events", "tallies", "queue_clock")
FAILURE = Failure("retryable", "RenderingError", "no picture", ("a line",))
FULL_OF_KINDS = 8
WORST = (2**63 - 1, -(2**63), 1e308, float("inf"), "", "\0", b"\xff\xfe", None, "[" * 5000)


def write_everything(path: Path) -> None:
    """Make a ledger with a job in every state."""
    with Ledger(path, clock=FakeClock()) as ledger:
        submit(ledger, "completed")
        publish(ledger, claim(ledger), video_path="/v.mp4")
        submit(ledger, "failed", max_attempts=1)
        failed = claim(ledger)
        ledger.attempts.fail(failed.job_id, failed.fence, FAILURE, retry_in=None)
        submit(ledger, "retrying")
        retrying = claim(ledger)
        ledger.attempts.fail(retrying.job_id, retrying.fence, FAILURE, retry_in=5.0)
        submit(ledger, "processing")
        running = claim(ledger)
        ledger.attempts.progress(running.job_id, running.fence, Progress("render", 40.0, 30.0, 2.0))
        submit(ledger, "publishing")
        publishing = claim(ledger)
        ledger.attempts.begin_publishing(publishing.job_id, publishing.fence)
        submit(ledger, "scheduled", scheduled_for=1_800_000_060.0)
        cancelled = submit(ledger, "cancelled")
        ledger.jobs.request_cancel(cancelled)
        submit(ledger, "queued", key="key", digest="d")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as folder:
        write_everything(folder / "template.sqlite3")
        yield folder


def columns_of(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        # A changed primary key is a damaged tree, which SQLite finds itself (LedgerCorrupt).
        return [
            (table, row[1])
            for table in TABLES
            for row in db.execute(f"PRAGMA table_info({table})")
            if row[1] != "seq" and (table, row[1]) not in (("jobs", "position"), ("payloads", "position"))
        ]


def overwrite(path: Path, table: str, column: str, value: Any, row: int) -> bool:
    """Write a value into a row, past all checks; return whether SQLite keeps such a value in this table at all."""
    target = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
    with closing(sqlite3.connect(path)) as db, suppress(sqlite3.IntegrityError):
        db.execute("PRAGMA ignore_check_constraints = 1")
        places = db.execute(f"SELECT {'rowid' if table != 'tallies' else 'status'} FROM {table}").fetchall()
        place = places[row % len(places)][0]
        where = "rowid = ?" if table != "tallies" else "status = ?"
        db.execute(f"UPDATE {table} SET {column} = {target} WHERE {where}", (value, place))
        db.commit()
        return True
    return False


def use_everything(path: Path) -> None:
    """Read and change everything, as a node and its clients do; only refusals may be raised."""
    clock = FakeClock()
    clock.run(3600)
    with Ledger(path, clock=clock) as ledger:
        # The first write that needs a corrupt count finds it; the client gets an error that asks for a retry.
        with suppress(LedgerError):
            submit(ledger, "first")
        for status in (None, *JobStatus):
            for found in ledger.jobs.page(status=status):
                job_view(found).model_dump_json()
        known = [found.job_id for found in ledger.jobs.page()]
        for event in ledger.events.page(after=0, limit=FULL_OF_KINDS):
            event_view(event).model_dump_json()
        ledger.events.last_seq()
        assert set(ledger.jobs.counts()) == set(JobStatus)
        ledger.queue.length()
        ledger.queue.length_by_priority()
        list(ledger.jobs.payloads_containing("story"))
        for left in ledger.attempts.recover():
            if left.publishing:
                ledger.attempts.complete(left.job.job_id, left.job.fence, {})
            else:
                ledger.attempts.requeue(left.job.job_id, left.job.fence, reason="the node ended")
        ledger.queue.promote_due()
        ledger.attempts.cancel_requests()
        with suppress(LedgerRefusal):
            submit(ledger, "queued", key="key", digest="d")
        healthy = submit(ledger, "healthy")
        begun = []
        while (attempt := ledger.attempts.claim()) is not None:
            begun.append(attempt.job_id)
            assert len(begun) < 20
            ledger.attempts.progress(attempt.job_id, attempt.fence, Progress("render", 1.0))
            ledger.attempts.fail(attempt.job_id, attempt.fence, FAILURE, retry_in=1.0)
        assert healthy in begun
        for job_id in known:
            for change in (ledger.jobs.request_cancel, ledger.jobs.retry):
                with suppress(LedgerRefusal):
                    job_view(change(job_id)).model_dump_json()
        ledger.jobs.purge(0.0)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from(["{", "{}", "[1]", "null", '{"a": 1e999}', '{"a": "\\ud800"}', "[" * 5000, "queued"])
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, 10_000), value=VALUES, row=st.integers(0, 20))
@example(where=0, value=None, row=0)
def test_no_value_in_any_column_stops_the_ledger(folder: Path, where: int, value: Any, row: int) -> None:
    template, path = folder / "template.sqlite3", folder / "damaged.sqlite3"
    for old in folder.glob("damaged.sqlite3*"):
        old.unlink()
    shutil.copy(template, path)
    columns = columns_of(path)
    if overwrite(path, *columns[where % len(columns)], value, row):
        use_everything(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), byte=st.integers(0, 255))
def test_any_changed_byte_of_the_file_costs_one_job_or_is_an_error_of_the_ledger(
    folder: Path, data: st.DataObject, byte: int
) -> None:
    content = bytearray((folder / "template.sqlite3").read_bytes())
    written = [place for place, value in enumerate(content) if value]
    content[data.draw(st.sampled_from(written))] = byte
    path = folder / "byte.sqlite3"
    for old in folder.glob("byte.sqlite3*"):
        old.unlink()
    path.write_bytes(content)
    with suppress(LedgerError):
        use_everything(path)
        with Ledger(path) as ledger:
            assert sum(job.error_type == DAMAGED for job in ledger.jobs.page()) <= 1


@pytest.mark.parametrize(
    "text", [b"'queued', 'processing', 'completed'", b"old.status <> new.status", b"jobs_ready"]
)
def test_a_changed_definition_is_no_fault_of_the_jobs(folder: Path, tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "ledger.sqlite3"
    content = (folder / "template.sqlite3").read_bytes()
    assert text in content
    path.write_bytes(content.replace(text, text[:-2] + b"\xffx"))
    with pytest.raises(LedgerCorrupt, match=r"is damaged .*move the file away together with"):
        Ledger(path)


def test_a_damaged_index_is_rebuilt_at_the_start_of_the_node(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = Folders.of(node_config(tmp_path))
    folders.make()
    shutil.copy(folder / "template.sqlite3", folders.ledger)
    with closing(sqlite3.connect(folders.ledger)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'jobs_processing'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with folders.ledger.open("r+b") as file:
        file.seek(page * size - 1)
        file.write(bytes([99]))  # the entry names a job that does not exist
    with Ledger(folders.ledger) as ledger:
        assert recover(ledger, folders) == {"completed": 0, "requeued": 2}
    assert "is damaged" in caplog.text
    assert "trying again with rebuilt indexes" in caplog.text
    with closing(sqlite3.connect(folders.ledger)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_every_column_takes_the_worst_values(folder: Path) -> None:
    template, path = folder / "template.sqlite3", folder / "damaged.sqlite3"
    kept = 0
    for table, column in columns_of(template):
        for value in WORST:
            for row in (0, 3, 7):
                for old in folder.glob("damaged.sqlite3*"):
                    old.unlink()
                shutil.copy(template, path)
                if overwrite(path, table, column, value, row):
                    kept += 1
                    try:
                        use_everything(path)
                    except BaseException as error:
                        error.add_note(f"{table}.{column} = {value!r:.60} in row {row}")
                        raise
    assert kept > 300


# -- how a damaged job is shown ------------------------------------------------------------------


def damaged(folder: Path, sql: str, *values: Any) -> Path:
    path = folder / "l.sqlite3"
    with Ledger(path, clock=FakeClock()) as ledger:
        submit(ledger, "story")
        submit(ledger, "other")
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql, values)
        db.commit()
    return path


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE jobs SET created_at = 1e308 WHERE position = 1", "created_at: got 1e+308"),
        (
            "UPDATE jobs SET scheduled_for = 253402300799.0 WHERE position = 1",
            "scheduled_for: got 253402300799.0",
        ),
        ("UPDATE jobs SET log_tail = '{' WHERE position = 1", "log_tail: got '{'"),
        ("UPDATE jobs SET fence = -1 WHERE position = 1", "fence: got -1"),
    ],
)
def test_a_damaged_job_is_shown_as_failed_with_the_column_and_the_value(
    tmp_path: Path, sql: str, what: str
) -> None:
    with Ledger(damaged(tmp_path, sql), clock=FakeClock()) as ledger:
        other, shown = ledger.jobs.page()
        assert (shown.status, shown.error_type, other.status) == ("failed", DAMAGED, "queued")
        assert what in str(shown.error_message)
        assert ledger.attempts.claim().job_id == other.job_id  # type: ignore[union-attr]
        assert ledger.jobs.counts()[JobStatus.FAILED] == 1
        assert kinds(ledger, shown.job_id) == ["queued", "failed"]
        assert job(ledger, shown.job_id).error_type == DAMAGED


@pytest.mark.parametrize(
    "sql", ["UPDATE payloads SET story = 'x'", "DELETE FROM payloads", "UPDATE payloads SET config = '1'"]
)
def test_a_job_without_a_readable_payload_fails_when_its_turn_comes(tmp_path: Path, sql: str) -> None:
    with Ledger(damaged(tmp_path, f"{sql} WHERE position = 1"), clock=FakeClock()) as ledger:
        assert claim(ledger).story_id == "other"
        failed = ledger.jobs.page(status=JobStatus.FAILED)[0]
        assert failed.error_type == DAMAGED
        assert ledger.attempts.claim() is None


def test_an_unfinished_damaged_job_can_be_cancelled_and_not_retried(tmp_path: Path) -> None:
    path = damaged(tmp_path, "UPDATE jobs SET scheduled_for = 1e300, due_wall = 1e300 WHERE position = 1")
    with Ledger(path, clock=FakeClock()) as ledger:
        job_id = ledger.jobs.page()[-1].job_id
        assert ledger.jobs.counts()[JobStatus.QUEUED] == 2
        assert ledger.jobs.request_cancel(job_id).status is JobStatus.FAILED
        assert ledger.jobs.counts()[JobStatus.QUEUED] == 1
        with pytest.raises(WrongState):
            ledger.jobs.request_cancel(job_id)
        with pytest.raises(DamagedJob, match="submit the story again"):
            ledger.jobs.retry(job_id)


def test_a_start_of_the_node_ends_damaged_jobs_that_wait(tmp_path: Path) -> None:
    path = damaged(tmp_path, "UPDATE jobs SET scheduled_for = 1e300, due_wall = 1e300 WHERE position = 1")
    with Ledger(path, clock=FakeClock()) as ledger:
        ledger.attempts.recover()
        assert ledger.jobs.counts()[JobStatus.FAILED] == 1


@pytest.mark.parametrize("value", [1e308, float("inf"), 2.0**62])
@pytest.mark.parametrize(("column", "name"), [("due_wall", "scheduled"), ("due_monotonic", "retrying")])
def test_a_job_whose_damaged_row_would_wait_for_ever_fails_though_nothing_is_due(
    folder: Path, tmp_path: Path, column: str, name: str, value: float
) -> None:
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(folder / "template.sqlite3", path)
    with Ledger(path, clock=FakeClock()) as ledger:
        waiting = {job.story_id: job.job_id for job in ledger.jobs.page(status=JobStatus.QUEUED)}
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(f"UPDATE jobs SET {column} = ? WHERE job_id = ?", (value, waiting[name]))
        ledger.queue.promote_due()
        found = ledger.jobs.get(waiting[name])
        assert found is not None
        assert (found.status, found.error_type) == (JobStatus.FAILED, DAMAGED)
        assert column in (found.error_message or "")
        assert {job.story_id for job in ledger.jobs.page(status=JobStatus.QUEUED)} == set(waiting) - {name}


def test_a_finished_job_is_left_as_it_is_whenever_its_damaged_row_says_it_is_due(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(folder / "template.sqlite3", path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE jobs SET due_wall = 1e308 WHERE status = 'completed'")
    with Ledger(path, clock=FakeClock()) as ledger:
        ledger.queue.promote_due()
        assert [job.error_type for job in ledger.jobs.page(status=JobStatus.COMPLETED)] == [None]


def test_an_index_that_lists_a_job_that_is_not_queued_is_built_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path) as ledger:
        submit(ledger, "stale")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        index = db.execute("SELECT * FROM sqlite_master WHERE name = 'jobs_ready'").fetchone()
        db.execute("DELETE FROM sqlite_master WHERE name = 'jobs_ready'")
        db.commit()
    with closing(sqlite3.connect(path)) as db:  # which does not know of the index now
        db.execute("UPDATE jobs SET status = 'failed'")
        db.execute("DELETE FROM payloads")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", index)
        db.commit()
    with Ledger(path) as ledger:
        assert ledger.attempts.claim() is None
        healthy = submit(ledger, "healthy")
        attempt = ledger.attempts.claim()
        assert attempt is not None
        assert attempt.job_id == healthy


def test_an_entry_of_an_index_that_names_no_job_costs_no_job(folder: Path) -> None:
    template = folder / "template.sqlite3"
    with closing(sqlite3.connect(template)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        indexes = db.execute(
            "SELECT name, rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs'"
        ).fetchall()
    assert "jobs_ready" in {name for name, _ in indexes}
    path, content = folder / "entry.sqlite3", template.read_bytes()
    for name, page in indexes:
        for wrong in (
            0,
            99,
        ):  # an index page is filled from its end, and an entry ends with the job's position
            for old in folder.glob("entry.sqlite3*"):
                old.unlink()
            path.write_bytes(content[: page * size - 1] + bytes([wrong]) + content[page * size :])
            try:
                with suppress(LedgerError):
                    use_everything(path)
                with Ledger(path) as ledger:
                    assert not [job for job in ledger.jobs.page() if job.error_type == DAMAGED], name
            except BaseException as error:
                error.add_note(f"{name} with {wrong}")
                raise
