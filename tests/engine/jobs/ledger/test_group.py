"""Grouped commits: all of a group or nothing of it, and one bad call spoils no other."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path

import pytest

from tests.support.ledgers import assert_sound, claim, publish, run_python, submit
from video_pipeline.engine.jobs.ledger import file as ledger_file
from video_pipeline.engine.jobs.ledger.errors import (
    KeyConflict,
    LedgerBusy,
    LedgerError,
    LedgerFull,
    QueueFull,
    UnknownJob,
    WrongState,
)
from video_pipeline.engine.jobs.ledger.events import LedgerEvents
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Progress


def test_a_group_is_seen_by_others_as_a_whole_and_after_its_end(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger, Ledger(tmp_path / "l") as other:
        with ledger.file.group():
            for _ in range(3):
                submit(ledger)
            assert ledger.queue.length() == 3
            assert other.queue.length() == 0
        assert other.queue.length() == 3


def test_refusals_in_a_group_spoil_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        taken = submit(ledger, key="k", digest="d")
        with ledger.file.group():
            first = submit(ledger)
            with pytest.raises(KeyConflict):
                submit(ledger, key="k", digest="other")
            with pytest.raises(QueueFull):
                submit(ledger, max_queued=1)
            with pytest.raises(UnknownJob):
                ledger.jobs.request_cancel("job-0")
            with pytest.raises(WrongState):
                ledger.jobs.retry(first)
            assert not ledger.attempts.progress(first, 7, Progress("render", 1))
            second = submit(ledger, max_queued=3)
        assert {one.job_id for one in ledger.jobs.page()} == {taken, first, second}
    assert_sound(tmp_path / "l")


def test_an_error_that_leaves_the_block_undoes_all_of_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        with pytest.raises(ZeroDivisionError), ledger.file.group():
            print(len(submit(ledger)) / 0)
        assert ledger.queue.length() == 0
        with ledger.file.group():
            submit(ledger)
        assert ledger.queue.length() == 1


def test_a_failing_commit_counts_for_nothing_and_is_raised(tmp_path: Path) -> None:
    def fill(ledger: Ledger) -> None:
        with ledger.file.group():
            submit(ledger)
            with pytest.raises(LedgerFull):
                submit(ledger, story={"text": "x" * 100_000})
            with pytest.raises(LedgerFull):  # the one before took all of the group with it
                submit(ledger)

    with Ledger(tmp_path / "l") as ledger:
        pages = ledger.file._db.execute("PRAGMA page_count").fetchone()[0]
        ledger.file._db.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(LedgerFull, match=r"l cannot be written .*disk is full"):
            fill(ledger)
        assert ledger.queue.length() == 0
        assert ledger.events.page(after=0, limit=9) == ()
        submit(ledger)
    assert_sound(tmp_path / "l")


def test_a_call_that_fails_half_way_takes_the_group_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_one(ledger: Ledger) -> None:
        with ledger.file.group():
            job_id = submit(ledger)
            with monkeypatch.context() as broken:
                broken.setattr(LedgerEvents, "record", lambda *_: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    ledger.jobs.request_cancel(job_id)

    with Ledger(tmp_path / "l") as ledger:
        with pytest.raises(LedgerError, match="half-way"):
            break_one(ledger)
        assert ledger.queue.length() == 0
    assert_sound(tmp_path / "l")


def test_a_group_in_a_group_is_refused(tmp_path: Path) -> None:
    with (
        Ledger(tmp_path / "l") as ledger,
        pytest.raises(RuntimeError),
        ledger.file.group(),
        ledger.file.group(),
    ):
        pass


def test_a_group_that_only_reads_delays_no_writer(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger, Ledger(tmp_path / "l") as other, ledger.file.group():
        assert ledger.queue.length() == 0
        assert not ledger.file._db.in_transaction
        submit(other)


def test_a_writer_that_waits_too_long_gets_an_error_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "BUSY_TIMEOUT_SECONDS", 0.05)
    with Ledger(tmp_path / "l") as ledger, Ledger(tmp_path / "l") as other:
        with ledger.file.group():
            submit(ledger)
            with pytest.raises(LedgerBusy, match="another process has locked"):
                submit(other)
            with pytest.raises(LedgerBusy), other.file.group(), pytest.raises(LedgerBusy):
                submit(other)
        submit(other)
        assert ledger.queue.length() == 2


def test_a_writer_that_was_killed_leaves_the_ledger_free(tmp_path: Path) -> None:
    path = tmp_path / "l"
    program = (
        "import sys, time; from video_pipeline.engine.jobs.ledger.ledger import Ledger; from video_pipeline.engine.jobs.model import NewJob\n"
        "ledger = Ledger(sys.argv[1])\n"
        "with ledger.file.group():\n"
        "    ledger.queue.submit(NewJob('a', 's', '{}'), ageing=1, max_queued=9); print('in', flush=True); time.sleep(60)"
    )
    with run_python(program, str(path)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "in\n"
        child.kill()
        child.wait()
    with Ledger(path) as ledger:
        assert ledger.queue.length() == 0
        submit(ledger)


def test_a_busy_writer_leaves_turns_to_other_writers(tmp_path: Path) -> None:
    """The server commits group after group; the node's short writes come in between, each after one or two."""
    program = (
        "import sys; from video_pipeline.engine.jobs.ledger.ledger import Ledger; from tests.support.ledgers import submit\n"
        "ledger = Ledger(sys.argv[1])\n"
        "while True:\n"
        "    with ledger.file.group():\n"
        "        for _ in range(8): submit(ledger, max_queued=10**6)"
    )
    with Ledger(tmp_path / "l") as ledger:
        submit(ledger)
        attempt = claim(ledger)
        with run_python(program, str(tmp_path / "l")) as busy:
            while not ledger.queue.length():
                assert busy.poll() is None
            groups = []
            for percent in range(40):
                began = ledger.queue.length()
                assert ledger.attempts.progress(attempt.job_id, attempt.fence, Progress("render", percent))
                groups.append((ledger.queue.length() - began) // 8)
            busy.kill()
    print(groups)
    # Not the most: this process may be stopped before it waits for its turn, and after it.
    assert statistics.median(groups) <= 4


def test_workers_of_several_threads_never_have_the_same_job(tmp_path: Path) -> None:
    jobs = 60
    done: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Ledger(tmp_path / "l") as own:
                while (attempt := own.attempts.claim()) is not None:
                    assert attempt.fence == 1
                    assert publish(own, attempt)
                    done.append(attempt.job_id)
        except BaseException as error:
            errors.append(error)

    with Ledger(tmp_path / "l") as ledger:
        with ledger.file.group():
            ids = {submit(ledger) for _ in range(jobs)}
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert len(done) == jobs
    assert set(done) == ids
    assert_sound(tmp_path / "l")
