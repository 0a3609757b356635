"""A large ledger stays fast, and purging ended jobs keeps it small."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.ledgers import (
    STORY_4K,
    FakeClock,
    assert_sound,
    claim,
    claimed,
    job,
    kinds,
    publish,
    quick_folder,
    submit,
)
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Failure, JobStatus, Progress

DAY = 86400.0

_MANY = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
INSERT INTO jobs (job_id, owner, digest, story_id, status, priority, ageing_us, order_key, max_attempts, created_at,
                  finished_at)
SELECT printf('job-{mark}%023x', n), 'owner' || (n % 8), '', 'story', '{status}', n % 3, 0, {order_key}, 3, n, {finished}
FROM numbers
"""


def median_ms(call: Callable[[], object], *, times: int = 25) -> float:
    """Return the median of the milliseconds of processor time that a call takes, whatever else the computer does."""
    taken = []
    for _ in range(times):
        began = time.thread_time()
        call()
        taken.append((time.thread_time() - began) * 1000)
    return statistics.median(taken)


@pytest.fixture(scope="module")
def large() -> Iterator[Path]:
    """A ledger of 10,000 queued and 40,000 ended jobs, each with an event."""
    with quick_folder() as folder:
        with Ledger(folder / "l") as ledger, ledger.file.writing() as db:
            ended = {"count": 40_000, "mark": "e", "status": "completed", "order_key": 0, "finished": "n"}
            queued = {"count": 10_000, "mark": "a", "status": "queued", "order_key": "n", "finished": "NULL"}
            for values in (ended, queued):
                db.execute(_MANY.format(**values))
            db.execute("UPDATE queue_clock SET queue_us = 20000")
            db.execute("INSERT INTO payloads SELECT position, '{}', '{}' FROM jobs WHERE status = 'queued'")
            db.execute(
                "INSERT INTO events (at, position, owner, kind, status, attempt, details) "
                "SELECT 0, position, owner, status, status, 0, '{}' FROM jobs"
            )
        yield folder / "l"


def test_a_large_ledger_opens_in_no_time(large: Path) -> None:
    began = time.thread_time()
    with Ledger(large) as ledger:
        assert ledger.attempts.recover() == ()
        ledger.queue.promote_due()
        assert ledger.queue.length() >= 9_000
    assert time.thread_time() - began < 2


def test_questions_and_claims_of_a_large_ledger_take_no_scan(large: Path) -> None:
    """Each is some tenths of a millisecond; a scan or a sort of the jobs is a hundred times that."""
    with Ledger(large) as ledger:
        newest = ledger.jobs.page(limit=1)[0].job_id
        calls: dict[str, Callable[[], object]] = {
            "job": lambda: ledger.jobs.get(newest),
            "counts": ledger.jobs.counts,
            "counts of an owner": lambda: ledger.jobs.counts("owner3"),
            "queued": ledger.queue.length,
            "latest": lambda: ledger.jobs.page(limit=20),
            "latest of an owner": lambda: ledger.jobs.page(owner="owner3", limit=20),
            "completed": lambda: ledger.jobs.page(status=JobStatus.COMPLETED, limit=20),
            "failed of an owner": lambda: ledger.jobs.page(
                owner="owner3", status=JobStatus.FAILED, before=newest, limit=20
            ),
            "next events": lambda: ledger.events.page(after=ledger.events.last_seq() - 20, limit=100),
            "an owner's first events": lambda: ledger.events.page(after=0, limit=20, owner="owner3"),
            "an owner's last events": lambda: ledger.events.page(
                after=ledger.events.last_seq() - 200, limit=20, owner="owner3"
            ),
            "a job's events": lambda: ledger.events.page(after=0, limit=100, job_id=newest, owner="owner3"),
            "promote": ledger.queue.promote_due,
            "cancel requests": ledger.attempts.cancel_requests,
            "claim": ledger.attempts.claim,
            "submit": lambda: submit(ledger, max_queued=10**6),
        }
        taken = {name: median_ms(call) for name, call in calls.items()}
    print(taken)
    assert {name: ms for name, ms in taken.items() if ms > 5} == {}


def test_claims_of_a_large_ledger_come_in_order(large: Path) -> None:
    with Ledger(large) as ledger, ledger.file.group():
        ids = [claim(ledger).job_id for _ in range(20)]
    assert ids == sorted(ids)


class TestPurge:
    def test_only_old_ended_jobs_and_their_events_are_purged(self, tmp_path: Path) -> None:
        clock = FakeClock()
        with Ledger(tmp_path / "l", clock=clock) as ledger:
            old = [submit(ledger, key=f"k{number}") for number in range(3)]
            publish(ledger, claim(ledger))
            ledger.attempts.fail(claim(ledger).job_id, 1, Failure("permanent", "E", "m"), retry_in=None)
            ledger.jobs.request_cancel(old[2])
            revived = submit(ledger)
            ledger.jobs.request_cancel(revived)
            ledger.jobs.retry(revived)
            clock.run(30 * DAY)
            recent = submit(ledger)
            ledger.jobs.request_cancel(recent)
            last = ledger.events.last_seq()
            assert ledger.jobs.purge(30) == 0
            clock.run(1)
            assert ledger.jobs.purge(30) == 3
            assert [one.job_id for one in ledger.jobs.page()] == [recent, revived]
            assert {event.job_id for event in ledger.events.page(after=0, limit=99)} == {recent, revived}
            assert kinds(ledger, revived) == ["queued", "cancelled", "queued"]
            assert ledger.events.last_seq() == last
            # A key is forgotten with its job, and numbers are not used again.
            assert submit(ledger, key="k0", digest="other") not in old
            assert ledger.events.page(after=last, limit=9)[0].seq == last + 1
        assert_sound(tmp_path / "l")

    def test_more_jobs_than_a_commit_takes_are_purged(self) -> None:
        with quick_folder() as folder:
            clock = FakeClock()
            with Ledger(folder / "l", clock=clock) as ledger:
                with ledger.file.group():
                    for _ in range(1200):
                        ledger.jobs.request_cancel(submit(ledger, max_queued=10**6))
                clock.run(DAY)
                assert ledger.jobs.purge(0.5) == 1200
                assert sum(ledger.jobs.counts().values()) == 0

    def test_a_vacuum_gives_the_room_back_to_the_disk(self, tmp_path: Path) -> None:
        clock = FakeClock()
        path = tmp_path / "l"
        with Ledger(path, clock=clock) as ledger, Ledger(path, clock=clock) as other:
            empty = path.stat().st_size
            with ledger.file.group():
                kept = submit(ledger)
                for _ in range(500):
                    ledger.jobs.request_cancel(submit(ledger, story=STORY_4K))
            assert other.queue.length() == 1
            ledger.file.vacuum()
            full = path.stat().st_size
            assert full > empty + 500 * 4096
            clock.run(DAY)
            assert ledger.jobs.purge(0.5) == 500
            ledger.file.vacuum()
            assert path.stat().st_size < full / 10
            assert path.with_name("l-wal").stat().st_size == 0
            assert job(other, kept).status is JobStatus.QUEUED
        assert_sound(path)


def _memory_kb() -> int:
    """Return the resident memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_and_file_do_not_grow_over_twenty_thousand_jobs() -> None:
    rounds, at_once = 40, 500
    sizes, memory = [], []
    with quick_folder() as folder:
        path = folder / "l"
        clock = FakeClock()
        with Ledger(path, clock=clock) as ledger, Ledger(path, clock=clock) as node:
            for number in range(rounds):
                with ledger.file.group():
                    for one in range(at_once):
                        submit(ledger, key=f"{number} {one}", story={"text": "x" * 500})
                with node.file.group():
                    while (attempt := node.attempts.claim()) is not None:
                        if number % 8 == 0:
                            node.attempts.progress(attempt.job_id, attempt.fence, Progress("render", 50))
                        publish(node, attempt, video_path="a.mp4")
                clock.run(DAY)
                assert node.jobs.purge(0.5) == at_once
                if number % 4 == 3:
                    node.file.vacuum()
                    sizes.append(sum(file.stat().st_size for file in folder.iterdir()))
                    memory.append(_memory_kb())
            assert claimed(node) == []
        assert_sound(path)
    print("bytes:", sizes, "kB:", memory)
    assert max(sizes[1:]) <= min(sizes[1:]) + 256 * 1024
    assert memory[-1] <= memory[2] + 2048
