"""The columns and events of a job after each way in which an attempt can end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from tests.support.ledgers import FakeClock, assert_sound, claim, job, publish, quick_folder, submit
from video_pipeline.engine.jobs.ledger.attempts import MAX_REQUEUES
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Attempt, Failure, Progress

NO_PROGRESS = {"stage": None, "percent": None, "fps": None, "eta_seconds": None}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> Iterator[Ledger]:
    with quick_folder() as folder:
        with Ledger(folder / "l", clock=clock) as opened:
            yield opened
        assert_sound(folder / "l")


def started(ledger: Ledger, **values: Any) -> Attempt:
    """Return an attempt that has reported progress."""
    submit(ledger, **values)
    attempt = claim(ledger)
    progress = Progress("render", 50.0, fps=100.0, eta_seconds=3.0)
    assert ledger.attempts.progress(attempt.job_id, attempt.fence, progress)
    return attempt


def last_event(ledger: Ledger, attempt: Attempt) -> tuple[str, str, int, dict[str, Any]]:
    event = ledger.events.page(after=0, limit=10_000, job_id=attempt.job_id)[-1]
    return event.kind, event.status, event.attempt, dict(event.details)


def columns(ledger: Ledger, attempt: Attempt, *names: str) -> tuple[Any, ...]:
    values = asdict(job(ledger, attempt.job_id))
    return tuple(values[name] for name in names)


def has_no_progress(ledger: Ledger, attempt: Attempt) -> bool:
    return columns(ledger, attempt, *NO_PROGRESS) == tuple(NO_PROGRESS.values())


def test_an_attempt_has_the_submitted_job_and_the_next_number(ledger: Ledger, clock: FakeClock) -> None:
    clock.run(5)
    job_id = submit(ledger, "name", priority="low", story={"id": "x", "n": 1}, config={"video": {"fps": 25}})
    clock.run(7)
    attempt = claim(ledger)
    assert attempt == Attempt(job_id, 1, 1, "name", {"id": "x", "n": 1}, {"video": {"fps": 25}}, "low")
    assert columns(ledger, attempt, "status", "attempts", "fence", "started_at", "finished_at") == (
        "processing",
        1,
        1,
        clock.wall(),
        None,
    )
    assert last_event(ledger, attempt) == ("processing", "processing", 1, {})


def test_progress_is_recorded_and_its_text_made_storable(ledger: Ledger) -> None:
    attempt = started(ledger)
    assert columns(ledger, attempt, *NO_PROGRESS) == ("render", 50.0, 100.0, 3.0)
    assert last_event(ledger, attempt) == (
        "progress",
        "processing",
        1,
        {"stage": "render", "percent": 50.0, "fps": 100.0, "eta_seconds": 3.0},
    )
    assert ledger.attempts.progress(attempt.job_id, attempt.fence, Progress("a\udc80", 51.0))
    assert columns(ledger, attempt, "stage", "fps") == ("a?", None)


def test_a_completed_job_has_its_result_and_nothing_of_its_way_there(
    ledger: Ledger, clock: FakeClock
) -> None:
    attempt = started(ledger)
    assert ledger.attempts.fail(attempt.job_id, attempt.fence, Failure("retryable", "E", "m"), retry_in=0.0)
    ledger.queue.promote_due()
    attempt = claim(ledger)
    clock.run(9)
    assert not ledger.attempts.complete(attempt.job_id, attempt.fence, {"frames": 7}), (
        "it may not publish yet"
    )
    assert publish(ledger, attempt, frames=7)
    assert columns(
        ledger, attempt, "status", "result", "finished_at", "error_type", "error_message", "log_tail"
    ) == ("completed", {"frames": 7}, clock.wall(), None, None, ())
    assert has_no_progress(ledger, attempt)
    assert last_event(ledger, attempt) == ("completed", "completed", 2, {})


@pytest.mark.parametrize(
    ("kind", "attempts", "retry_in", "status"),
    [
        ("retryable", 3, 5.0, "queued"),
        ("retryable", 2, 5.0, "queued"),
        ("retryable", 1, 5.0, "failed"),
        ("retryable", 3, None, "failed"),
        ("permanent", 3, 5.0, "failed"),
        ("permanent", 3, None, "failed"),
        ("machine", 1, 5.0, "queued"),
        ("machine", 1, None, "failed"),
    ],
)
def test_a_failure_ends_the_job_or_queues_it_again(
    ledger: Ledger, clock: FakeClock, kind: Any, attempts: int, retry_in: float | None, status: str
) -> None:
    attempt = started(ledger, max_attempts=attempts)
    clock.run(4)
    failure = Failure(kind, "E\udc80", "m\udc80", log_tail=("one", "t\udc80o", ""))
    assert ledger.attempts.fail(attempt.job_id, attempt.fence, failure, retry_in=retry_in)
    again = status == "queued"
    assert columns(ledger, attempt, "status", "error_type", "error_message", "log_tail", "finished_at") == (
        status,
        "E?",
        "m?",
        ("one", "t?o", ""),
        None if again else clock.wall(),
    )
    uncharged = again and kind == "machine"
    assert columns(ledger, attempt, "attempts", "interruptions") == ((0, 1) if uncharged else (1, 0))
    assert has_no_progress(ledger, attempt)
    details = {"error_type": "E?", "error_message": "m?"} | ({"retry_in": 5.0} if again else {})
    assert last_event(ledger, attempt) == ("retrying" if again else "failed", status, 1, details)
    if again:
        assert ledger.queue.promote_due() == 5.0


def test_a_failure_of_a_job_that_is_to_be_cancelled_cancels_it_and_keeps_the_reason(ledger: Ledger) -> None:
    attempt = started(ledger)
    ledger.jobs.request_cancel(attempt.job_id)
    assert ledger.attempts.fail(attempt.job_id, attempt.fence, Failure("machine", "E", "m"), retry_in=5.0)
    assert columns(ledger, attempt, "status", "error_type", "attempts") == ("cancelled", "E", 1)
    assert last_event(ledger, attempt) == (
        "cancelled",
        "cancelled",
        1,
        {"error_type": "E", "error_message": "m"},
    )


def test_a_requeued_job_is_not_charged_and_says_why(ledger: Ledger) -> None:
    attempt = started(ledger)
    assert ledger.attempts.begin_publishing(attempt.job_id, attempt.fence)
    assert ledger.attempts.requeue(attempt.job_id, attempt.fence, reason="s\udc80")
    assert columns(ledger, attempt, "status", "attempts", "interruptions") == ("queued", 0, 1)
    assert has_no_progress(ledger, attempt)
    assert last_event(ledger, attempt) == ("requeued", "queued", 1, {"reason": "s?"})
    again = claim(ledger)
    assert (again.fence, again.number) == (attempt.fence + 1, 1)
    assert ledger.attempts.begin_publishing(again.job_id, again.fence), "the right was given back"


def test_a_job_is_requeued_twenty_times_and_then_fails(ledger: Ledger, clock: FakeClock) -> None:
    assert MAX_REQUEUES == 20
    submit(ledger)
    for number in range(20):
        attempt = claim(ledger)
        assert ledger.attempts.requeue(attempt.job_id, attempt.fence, reason=f"end {number}")
        assert columns(ledger, attempt, "status") == ("queued",)
    attempt = claim(ledger)
    clock.run(3)
    assert ledger.attempts.requeue(attempt.job_id, attempt.fence, reason="t\udc80e last")
    words = "the node ended 21 times while it rendered this job; the last reason: t?e last"
    assert columns(ledger, attempt, "status", "error_type", "error_message", "finished_at") == (
        "failed",
        "NodeLost",
        words,
        clock.wall(),
    )
    assert last_event(ledger, attempt) == (
        "failed",
        "failed",
        1,
        {"error_type": "NodeLost", "error_message": words},
    )


def test_a_job_to_be_cancelled_is_not_requeued(ledger: Ledger) -> None:
    attempt = started(ledger)
    ledger.jobs.request_cancel(attempt.job_id)
    assert ledger.attempts.requeue(attempt.job_id, attempt.fence, reason="the end")
    assert last_event(ledger, attempt) == ("cancelled", "cancelled", 1, {"reason": "the end"})


def test_a_stopped_attempt_is_cancelled_unless_it_publishes(ledger: Ledger, clock: FakeClock) -> None:
    attempt, publishing = started(ledger), started(ledger)
    assert ledger.attempts.begin_publishing(publishing.job_id, publishing.fence)
    assert not ledger.attempts.cancel(publishing.job_id, publishing.fence)
    clock.run(2)
    assert ledger.attempts.cancel(attempt.job_id, attempt.fence)
    assert columns(ledger, attempt, "status", "cancel_requested", "finished_at") == (
        "cancelled",
        True,
        clock.wall(),
    )
    assert has_no_progress(ledger, attempt)
    assert last_event(ledger, attempt) == ("cancelled", "cancelled", 1, {})


def test_attempts_to_stop_are_listed_in_the_order_of_their_submits_without_those_that_publish(
    ledger: Ledger,
) -> None:
    jobs = [submit(ledger, str(number), priority=("low", "normal", "high")[number]) for number in range(3)]
    attempts = {attempt.job_id: attempt for attempt in (claim(ledger) for _ in range(3))}
    other = started(ledger)
    for job_id in reversed(jobs):
        ledger.jobs.request_cancel(job_id)
    assert ledger.attempts.cancel_requests() == tuple((job_id, attempts[job_id].fence) for job_id in jobs)
    assert not ledger.attempts.begin_publishing(jobs[0], attempts[jobs[0]].fence)
    assert ledger.attempts.begin_publishing(other.job_id, other.fence)
    ledger.jobs.request_cancel(other.job_id)
    assert ledger.attempts.cancel_requests() == tuple((job_id, attempts[job_id].fence) for job_id in jobs)
    assert ledger.attempts.cancel(jobs[0], attempts[jobs[0]].fence)
    assert [job_id for job_id, _ in ledger.attempts.cancel_requests()] == jobs[1:]


def test_interrupted_jobs_are_listed_in_the_order_of_their_submits_with_their_right_to_publish(
    ledger: Ledger,
) -> None:
    jobs = [submit(ledger, str(number), priority=("low", "high")[number]) for number in range(2)]
    submit(ledger, "waits", priority="low")
    attempts = {attempt.job_id: attempt for attempt in (claim(ledger) for _ in range(2))}
    assert ledger.attempts.begin_publishing(jobs[1], attempts[jobs[1]].fence)
    found = ledger.attempts.recover()
    assert [(left.job.job_id, left.publishing) for left in found] == [(jobs[0], False), (jobs[1], True)]
    assert [left.job for left in found] == [job(ledger, job_id) for job_id in jobs]


@pytest.mark.parametrize("stale", ["another fence", "another job", "an ended job"])
def test_every_call_of_another_or_ended_attempt_is_refused(ledger: Ledger, stale: str) -> None:
    attempt = started(ledger)
    job_id, fence = attempt.job_id, attempt.fence
    if stale == "another fence":
        fence += 1
    elif stale == "another job":
        job_id = job_id[:-1] + ("0" if job_id[-1] != "0" else "1")
    else:
        assert publish(ledger, attempt)
    before, events = job(ledger, attempt.job_id), ledger.events.last_seq()
    calls = ledger.attempts
    assert not calls.progress(job_id, fence, Progress("x", 1.0))
    assert not calls.begin_publishing(job_id, fence)
    assert not calls.complete(job_id, fence, {})
    assert not calls.fail(job_id, fence, Failure("permanent", "E", "m"), retry_in=None)
    assert not calls.requeue(job_id, fence, reason="r")
    assert not calls.cancel(job_id, fence)
    assert (job(ledger, attempt.job_id), ledger.events.last_seq()) == (before, events)


def test_waiting_jobs_are_not_claimed(ledger: Ledger, clock: FakeClock) -> None:
    submit(ledger, "scheduled", scheduled_for=clock.wall() + 60)
    attempt = started(ledger, name="retry")
    assert ledger.attempts.fail(attempt.job_id, attempt.fence, Failure("retryable", "E", "m"), retry_in=60.0)
    assert ledger.attempts.claim() is None


def test_a_retry_waits_no_longer_than_it_should_after_a_reboot(ledger: Ledger, clock: FakeClock) -> None:
    attempt = started(ledger)
    assert ledger.attempts.fail(attempt.job_id, attempt.fence, Failure("retryable", "E", "m"), retry_in=40.0)
    clock.seconds = 5.0  # the monotonic clock begins anew
    assert ledger.attempts.recover() == ()
    assert ledger.queue.promote_due() == 40.0


def test_a_requeued_job_keeps_the_attempts_that_it_was_charged_for(ledger: Ledger, clock: FakeClock) -> None:
    first = started(ledger, max_attempts=3)
    ledger.attempts.fail(first.job_id, first.fence, Failure("retryable", "Error", "why"), retry_in=1.0)
    clock.run(2)
    ledger.queue.promote_due()
    second = claim(ledger)
    assert second.number == 2
    assert ledger.attempts.requeue(second.job_id, second.fence, reason="the node ended")
    assert columns(ledger, second, "attempts") == (1,)


@pytest.mark.parametrize("column", ["story", "config"])
def test_a_damaged_payload_is_named_when_its_job_is_claimed(ledger: Ledger, column: str) -> None:
    job_id = submit(ledger)
    with ledger.file.writing() as db:
        db.execute(f"UPDATE payloads SET {column} = '[1]'")
    assert ledger.attempts.claim() is None
    failed = ledger.jobs.get(job_id)
    assert failed is not None
    assert f"{column}: is not a JSON object" in str(failed)
