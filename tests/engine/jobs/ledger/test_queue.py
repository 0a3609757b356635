"""The order of the queue, and the times of waiting jobs, also if the clock jumps."""

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
    new_job,
    publish,
    quick_folder,
    submit,
)
from video_pipeline.engine.jobs.ledger.errors import KeyConflict, QueueFull
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import AcceptedJob
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


def test_high_comes_before_normal_before_low_and_earlier_before_later(ledger: Ledger) -> None:
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


@pytest.mark.parametrize(("scheduled_in", "retry_in"), [(60, 30), (30, 60)])
def test_the_queue_waits_for_the_next_due_of_scheduled_jobs_and_retries(
    ledger: Ledger, clock: FakeClock, scheduled_in: float, retry_in: float
) -> None:
    failed = submit(ledger, "retry")
    assert ledger.attempts.fail(
        failed, claim(ledger).fence, Failure("retryable", "E", "m"), retry_in=retry_in
    )
    submit(ledger, "scheduled", scheduled_for=clock.wall() + scheduled_in)
    names = ["scheduled", "retry"] if scheduled_in < retry_in else ["retry", "scheduled"]
    for name in names:
        assert ledger.queue.promote_due() == 30
        clock.run(29)
        assert ledger.queue.promote_due() == 1
        assert ledger.attempts.claim() is None
        clock.run(1)
        ledger.queue.promote_due()
        assert claimed(ledger) == [name]
    assert ledger.queue.promote_due() is None


def test_scheduled_jobs_that_have_become_due_join_in_the_order_of_their_times(
    ledger: Ledger, clock: FakeClock
) -> None:
    for name, seconds in (("third", 30), ("first", 10), ("second", 20), ("second too", 20)):
        submit(ledger, name, scheduled_for=clock.wall() + seconds)
    submit(ledger, "urgent", scheduled_for=clock.wall() + 30, priority="high")
    clock.run(60)
    submit(ledger, "last")
    ledger.queue.promote_due()
    assert claimed(ledger) == ["urgent", "last", "first", "second", "second too", "third"]


def test_retries_that_have_become_due_come_up_at_their_old_places(ledger: Ledger, clock: FakeClock) -> None:
    for name in ("first", "second", "third"):
        submit(ledger, name)
    attempts = [claim(ledger) for _ in range(3)]
    for attempt, seconds in zip(attempts, (30.0, 10.0, 20.0), strict=True):
        assert ledger.attempts.fail(
            attempt.job_id, attempt.fence, Failure("retryable", "E", "m"), retry_in=seconds
        )
    clock.run(60)
    ledger.queue.promote_due()
    assert claimed(ledger) == ["first", "second", "third"]


def test_a_job_is_due_at_its_very_time(ledger: Ledger, clock: FakeClock) -> None:
    submit(ledger, "scheduled", scheduled_for=clock.wall() + 10)
    clock.run(10)
    assert ledger.queue.promote_due() is None
    assert claimed(ledger) == ["scheduled"]
    submit(ledger, "now", scheduled_for=clock.wall())
    assert claimed(ledger) == ["now"], "what is due when it is submitted waits for nothing"


def test_jobs_submitted_together_keep_their_order_and_take_a_place_each(
    ledger: Ledger, clock: FakeClock
) -> None:
    options: dict[str, float | int] = {"ageing": AGEING, "max_queued": 100}
    submit(ledger, "before")
    names = [f"{number}" for number in range(5)]
    ledger.queue.submit_all([new_job(name) for name in names], **options)  # type: ignore[arg-type]
    submit(ledger, "after")
    ledger.queue.submit_all([new_job("low", priority="low"), new_job("high", priority="high")], **options)  # type: ignore[arg-type]
    assert claimed(ledger) == ["high", "before", *names, "after", "low"]


def test_a_key_used_twice_in_one_batch_is_one_job_and_another_content_a_conflict(ledger: Ledger) -> None:
    jobs = [
        new_job("a", key="k", digest="1"),
        new_job("a", key="k", digest="1"),
        new_job("b", key="k", digest="2"),
        new_job("a", key="k", digest="1", owner="ben"),
        new_job("c"),
        new_job("c"),
    ]
    first, again, other, of_ben, one, two = ledger.queue.submit_all(jobs, ageing=AGEING, max_queued=100)
    assert isinstance(first, AcceptedJob)
    assert isinstance(again, AcceptedJob)
    assert (first.created, again.created, again.job_id) == (True, False, first.job_id)
    assert isinstance(other, KeyConflict)
    assert isinstance(of_ben, AcceptedJob)
    assert isinstance(one, AcceptedJob)
    assert isinstance(two, AcceptedJob)
    assert len({first.job_id, of_ben.job_id, one.job_id, two.job_id}) == ledger.queue.length() == 4
    with pytest.raises(KeyConflict):
        ledger.queue.submit(jobs[2], ageing=AGEING, max_queued=100)


def test_the_queue_length_is_counted_by_priority(ledger: Ledger, clock: FakeClock) -> None:
    assert ledger.queue.length_by_priority() == {"high": 0, "normal": 0, "low": 0}
    submit(ledger, priority="high")
    for _ in range(2):
        submit(ledger, priority="low", scheduled_for=clock.wall() + 60)
    submit(ledger, priority="normal")
    assert ledger.queue.length_by_priority() == {"high": 1, "normal": 1, "low": 2}
    assert ledger.queue.length() == 4
    claim(ledger)
    assert ledger.queue.length_by_priority() == {"high": 0, "normal": 1, "low": 2}


def test_a_wait_continues_after_a_restart(tmp_path: Path) -> None:
    """Without a reboot the monotonic clock goes on: such a wait is neither longer nor begun anew."""
    clock = FakeClock()
    with Ledger(tmp_path / "l", clock=clock) as before:
        job_id = submit(before)
        assert before.attempts.fail(
            job_id, claim(before).fence, Failure("retryable", "E", "m"), retry_in=40.0
        )
    for passed, left in ((0, 40.0), (15, 25.0), (25, None), (10, None)):
        clock.run(passed)
        with Ledger(tmp_path / "l", clock=clock) as after:
            assert after.attempts.recover() == ()
            assert after.queue.promote_due() == left


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


def test_the_queue_keeps_its_order_after_a_reboot(tmp_path: Path, clock: FakeClock) -> None:
    with Ledger(tmp_path / "l", clock=clock) as before:
        submit(before, "low", priority="low")
        submit(before, "first")
    later = FakeClock(wall=clock.wall() + HOUR, monotonic=3.0)
    with Ledger(tmp_path / "l", clock=later) as after:
        submit(after, "second")
        later.run(2 * AGEING + 1)
        submit(after, "too late", priority="high")
        assert claimed(after) == ["first", "second", "low", "too late"]


def test_a_retry_never_waits_longer_after_a_reboot_of_the_machine(tmp_path: Path) -> None:
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

    def test_the_reserve_is_a_share_of_the_limit_rounded_down(self, ledger: Ledger) -> None:
        for _ in range(3):
            submit(ledger, priority="high", max_queued=2, reserve=0.99)
            if ledger.queue.length() == 3:
                break
        with pytest.raises(QueueFull, match="3 jobs wait, the limit is 3"):
            submit(ledger, priority="high", max_queued=2, reserve=0.99)

    def test_a_batch_fills_the_last_places_and_the_rest_is_refused(self, ledger: Ledger) -> None:
        jobs = [new_job(str(number)) for number in range(3)] + [new_job("high", priority="high")]
        results = ledger.queue.submit_all(jobs, ageing=AGEING, max_queued=2, reserve=0.5)
        assert [type(result) for result in results] == [AcceptedJob, AcceptedJob, QueueFull, AcceptedJob]
        assert ledger.queue.length() == 3

    def test_a_key_that_was_used_is_answered_though_the_queue_is_full(self, ledger: Ledger) -> None:
        job_id = submit(ledger, key="k", max_queued=1)
        assert submit(ledger, key="k", max_queued=1) == job_id

    @pytest.mark.parametrize(
        ("ends_after", "retry_after"),
        [
            ([], 5.0),
            ([1], 5.0),
            ([1, 20], 20.0),
            ([1, 20, 31], 25.5),
            ([1, 0.2], 1.0),
            ([1, 3600], 60.0),
            ([1, 2.34], 2.3),
            ([1000, *[3] * 15], 3.0),
            ([1000, 1000, *[3] * 15], 3.0),
        ],
    )
    def test_retry_after_is_the_mean_time_between_the_last_ends_within_bounds(
        self, ledger: Ledger, clock: FakeClock, ends_after: list[float], retry_after: float
    ) -> None:
        for _ in ends_after:
            submit(ledger)
        for seconds in ends_after:
            clock.run(seconds)
            publish(ledger, claim(ledger))
        submit(ledger, max_queued=1)
        for _ in range(2):
            with pytest.raises(QueueFull) as full:
                submit(ledger, max_queued=1)
            assert full.value.retry_after == retry_after

    def test_retry_after_counts_ends_in_the_order_in_which_they_came(
        self, ledger: Ledger, clock: FakeClock
    ) -> None:
        submit(ledger, priority="low")
        submit(ledger, priority="high")
        for _ in range(2):
            clock.run(20)
            publish(ledger, claim(ledger))
        submit(ledger, max_queued=1)
        with pytest.raises(QueueFull) as full:
            submit(ledger, max_queued=1)
        assert full.value.retry_after == 20

    def test_high_priority_has_no_extra_places_without_a_reserve(self, ledger: Ledger) -> None:
        for submit_one in (
            ledger.queue.submit_all,
            lambda jobs, **options: ledger.queue.submit(*jobs, **options),
        ):
            submit_one([new_job(priority="high")], ageing=AGEING, max_queued=2)
        (refused,) = ledger.queue.submit_all([new_job(priority="high")], ageing=AGEING, max_queued=2)
        assert isinstance(refused, QueueFull)
        with pytest.raises(QueueFull):
            ledger.queue.submit(new_job(priority="high"), ageing=AGEING, max_queued=2)

    def test_retry_after_follows_the_pace_of_the_ends(self, ledger: Ledger, clock: FakeClock) -> None:
        for _ in range(20):
            submit(ledger)
            clock.run(12)
            publish(ledger, claim(ledger))
        submit(ledger, max_queued=1)
        with pytest.raises(QueueFull) as full:
            submit(ledger, max_queued=1)
        assert full.value.retry_after == 12


def test_the_head_of_the_queue_is_as_old_as_the_job_that_could_begin_first(
    ledger: Ledger, clock: FakeClock
) -> None:
    assert ledger.queue.head_seconds() == 0
    submit(ledger, scheduled_for=clock.wall() + HOUR)
    assert ledger.queue.head_seconds() == 0  # it may not begin yet
    submit(ledger)
    clock.run(60)
    submit(ledger)
    assert ledger.queue.head_seconds() == 60
    claimed(ledger)
    assert ledger.queue.head_seconds() == 0
    claimed(ledger)
    clock.run(HOUR)
    ledger.queue.promote_due()
    assert ledger.queue.head_seconds() == pytest.approx(60)  # since the time for which it was scheduled
