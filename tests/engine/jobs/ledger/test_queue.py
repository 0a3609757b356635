"""Which job is next, and when those that wait are due: also where the time of day jumps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ledgers import (
    AGEING,
    FakeClock,
    assert_sound,
    claim,
    claimed,
    publish,
    quick_folder,
    submit,
)
from video_pipeline.engine.jobs.ledger.errors import QueueFull
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Failure

HOUR = 3600.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> Iterator[Ledger]:
    with quick_folder() as folder:
        with Ledger(folder / "l", clock=clock) as opened:
            yield opened
        assert_sound(folder / "l")


def test_high_goes_before_normal_before_low_and_first_before_second(ledger: Ledger) -> None:
    for number in range(2):
        for priority in ("low", "normal", "high"):
            submit(ledger, f"{priority} {number}", priority=priority)
    assert claimed(ledger) == ["high 0", "high 1", "normal 0", "normal 1", "low 0", "low 1"]


def test_a_job_of_low_priority_is_not_starved(ledger: Ledger, clock: FakeClock) -> None:
    submit(ledger, "low", priority="low")
    started = []
    for _ in range(200):
        clock.run(10)
        submit(ledger, "high", priority="high")
        started.append(claim(ledger).story_id)
    # Beside the job that joins exactly 2 × ageing later the two are equal, and the first goes first.
    assert started.index("low") == 2 * AGEING / 10 - 1


def test_without_ageing_of_note_priority_alone_counts_and_with_none_only_time(ledger: Ledger) -> None:
    submit(ledger, "low", priority="low", ageing=1e300)
    submit(ledger, "high", priority="high", ageing=1e300)
    assert claimed(ledger) == ["high", "low"]
    submit(ledger, "low", priority="low", ageing=0)
    submit(ledger, "high", priority="high", ageing=0)
    assert claimed(ledger) == ["low", "high"]


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_jump_of_the_clock_changes_neither_order_nor_ageing(
    ledger: Ledger, clock: FakeClock, jump: float
) -> None:
    submit(ledger, "low", priority="low")
    submit(ledger, "first")
    clock.jump(jump)
    submit(ledger, "second")
    submit(ledger, "urgent", priority="high")
    clock.jump(-jump)
    submit(ledger, "third")
    clock.run(2 * AGEING + 1)
    submit(ledger, "too late", priority="high")
    assert claimed(ledger) == ["urgent", "first", "second", "third", "low", "too late"]


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_jump_of_the_clock_neither_shortens_nor_lengthens_a_retrys_wait(
    ledger: Ledger, clock: FakeClock, jump: float
) -> None:
    job_id = submit(ledger)
    assert ledger.attempts.fail(job_id, claim(ledger).fence, Failure("retryable", "E", "m"), retry_in=30.0)
    clock.jump(jump)
    assert ledger.queue.promote_due() == 30.0
    clock.run(29)
    assert ledger.queue.promote_due() == 1.0
    assert ledger.attempts.claim() is None
    clock.run(1)
    assert ledger.queue.promote_due() is None
    assert claim(ledger).job_id == job_id


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_jump_of_the_clock_ends_nothing_that_is_processing(
    ledger: Ledger, clock: FakeClock, jump: float
) -> None:
    submit(ledger)
    attempt = claim(ledger)
    clock.jump(jump)
    assert ledger.queue.promote_due() is None
    assert ledger.attempts.cancel_requests() == ()
    assert ledger.attempts.claim() is None
    assert publish(ledger, attempt)


def test_a_scheduled_job_joins_the_queue_when_its_time_has_come(ledger: Ledger, clock: FakeClock) -> None:
    submit(ledger, "in an hour", scheduled_for=clock.wall() + HOUR)
    submit(ledger, "in a minute", scheduled_for=clock.wall() + 60)
    submit(ledger, "long ago", scheduled_for=clock.wall() - 60)
    assert ledger.queue.length() == 3
    assert claimed(ledger) == ["long ago"]
    assert ledger.queue.promote_due() == 60
    clock.run(HOUR - 1)
    submit(ledger, "before it")
    assert ledger.queue.promote_due() == 1
    clock.run(1)
    assert ledger.queue.promote_due() is None
    assert claimed(ledger) == ["before it", "in a minute", "in an hour"]


def test_many_jobs_that_are_due_at_once_come_up_in_order(ledger: Ledger, clock: FakeClock) -> None:
    with ledger.file.group():
        for number in range(1500):
            submit(ledger, str(number), scheduled_for=clock.wall() + 10, max_queued=5000)
    clock.run(10)
    waits = []
    while (wait := ledger.queue.promote_due()) is not None:
        waits.append(wait)
    assert waits == [0.0]
    with ledger.file.group():
        assert claimed(ledger) == [str(number) for number in range(1500)]


def test_a_retry_comes_up_at_its_old_place(ledger: Ledger, clock: FakeClock) -> None:
    submit(ledger, "first")
    failed = claim(ledger)
    submit(ledger, "second")
    assert ledger.attempts.fail(failed.job_id, failed.fence, Failure("retryable", "E", "m"), retry_in=1.0)
    clock.run(1)
    ledger.queue.promote_due()
    assert claimed(ledger) == ["first", "second"]


def test_the_queue_goes_on_in_order_where_the_machine_was_started_anew(
    tmp_path: Path, clock: FakeClock
) -> None:
    with Ledger(tmp_path / "l", clock=clock) as before:
        submit(before, "low", priority="low")
        submit(before, "first")
    later = FakeClock(wall=clock.wall() + HOUR, monotonic=3.0)
    with Ledger(tmp_path / "l", clock=later) as after:
        submit(after, "second")
        later.run(2 * AGEING + 1)
        submit(after, "too late", priority="high")
        assert claimed(after) == ["first", "second", "low", "too late"]


def test_a_retrys_wait_is_never_longer_where_the_machine_was_started_anew(tmp_path: Path) -> None:
    long_up = FakeClock(monotonic=1_000_000.0)
    with Ledger(tmp_path / "l", clock=long_up) as before:
        job_id = submit(before)
        assert before.attempts.fail(
            job_id, claim(before).fence, Failure("retryable", "E", "m"), retry_in=40.0
        )
    just_up = FakeClock(monotonic=5.0)
    with Ledger(tmp_path / "l", clock=just_up) as after:
        assert after.attempts.recover() == ()
        assert after.queue.promote_due() == 40.0
        just_up.run(40)
        after.queue.promote_due()
        assert claim(after).job_id == job_id


class TestRoom:
    def test_a_full_queue_has_room_for_high_priority_up_to_its_reserve(self, ledger: Ledger) -> None:
        for _ in range(10):
            submit(ledger, max_queued=10, reserve=0.2)
        for priority in ("normal", "low"):
            with pytest.raises(QueueFull, match="10 jobs wait, the limit is 10"):
                submit(ledger, priority=priority, max_queued=10, reserve=0.2)
        for _ in range(2):
            submit(ledger, priority="high", max_queued=10, reserve=0.2)
        with pytest.raises(QueueFull, match="12 jobs wait, the limit is 12"):
            submit(ledger, priority="high", max_queued=10, reserve=0.2)

    def test_a_claim_and_a_cancel_make_room(self, ledger: Ledger) -> None:
        submit(ledger, max_queued=2)
        job_id = submit(ledger, max_queued=2)
        claim(ledger)
        submit(ledger, max_queued=2)
        ledger.jobs.request_cancel(job_id)
        submit(ledger, max_queued=2)

    def test_retry_after_follows_the_pace_of_the_ends(self, ledger: Ledger, clock: FakeClock) -> None:
        for _ in range(20):
            submit(ledger)
            clock.run(12)
            publish(ledger, claim(ledger))
        submit(ledger, max_queued=1)
        with pytest.raises(QueueFull) as full:
            submit(ledger, max_queued=1)
        assert full.value.retry_after == 12
