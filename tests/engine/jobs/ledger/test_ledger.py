"""A job's life in the ledger, one call at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ledgers import (
    FakeClock,
    assert_sound,
    claim,
    job,
    kinds,
    publish,
    submit,
    submit_fully,
)
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.ledger.attempts import MAX_REQUEUES
from video_pipeline.engine.jobs.ledger.errors import (
    KeyConflict,
    LedgerError,
    QueueFull,
    UnknownJob,
    WrongState,
)
from video_pipeline.engine.jobs.ledger.jobs import PAYLOADS_PAGE
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import AcceptedJob
from video_pipeline.engine.jobs.model import JOB_ID_PATTERN, Failure, JobStatus, Progress

BROKEN = Failure("retryable", "WorkerKilled", "killed", ("a line", "the last line"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    path = tmp_path / "state" / "ledger.sqlite3"
    with Ledger(path, clock=clock) as opened:
        yield opened
    assert_sound(path)


def test_a_job_goes_from_its_submit_to_its_result(ledger: Ledger, clock: FakeClock) -> None:
    accepted = submit_fully(ledger, "tale", priority="high", config={"video": {"fps": 24}}, key="k")
    assert accepted.created
    assert accepted.status is JobStatus.QUEUED
    assert JOB_ID_PATTERN.fullmatch(accepted.job_id)
    queued = job(ledger, accepted.job_id)
    assert (queued.owner, queued.story_id, queued.priority, queued.key) == ("anna", "tale", "high", "k")
    assert (queued.attempts, queued.fence, queued.created_at) == (0, 0, clock.wall())
    clock.run(5)
    attempt = claim(ledger)
    assert attempt.job_id == accepted.job_id
    assert (attempt.number, attempt.fence, attempt.priority) == (1, 1, "high")
    assert attempt.story == {"id": "tale"}
    assert attempt.config == {"video": {"fps": 24}}
    assert ledger.attempts.progress(attempt.job_id, 1, Progress("render", 40.5, fps=33.0, eta_seconds=9.0))
    running = job(ledger, accepted.job_id)
    assert (running.status, running.started_at) == (JobStatus.PROCESSING, clock.wall())
    assert (running.stage, running.percent, running.fps, running.eta_seconds) == ("render", 40.5, 33.0, 9.0)
    clock.run(5)
    assert ledger.attempts.begin_publishing(attempt.job_id, 1)
    assert ledger.attempts.complete(attempt.job_id, 1, {"video_path": "a.mp4", "frames": 3})
    done = job(ledger, accepted.job_id)
    assert (done.status, done.finished_at, done.stage) == (JobStatus.COMPLETED, clock.wall(), None)
    assert done.result == {"video_path": "a.mp4", "frames": 3}
    assert kinds(ledger, accepted.job_id) == ["queued", "processing", "completed"]
    assert ledger.attempts.claim() is None


def test_committed_data_is_found_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as first:
        job_id = submit(first, "ünï ☃ \x00 text", story={"text": "☃ \ud800 'quoted'; DROP TABLE jobs"})
        before = job(first, job_id)
    with Ledger(tmp_path / "l") as second:
        assert job(second, job_id) == before
        assert claim(second).story == {"text": "☃ \ud800 'quoted'; DROP TABLE jobs"}


def test_ids_of_one_second_are_adjacent_and_differ(ledger: Ledger, clock: FakeClock) -> None:
    first = [submit(ledger) for _ in range(20)]
    clock.run(1)
    second = [submit(ledger) for _ in range(20)]
    assert len({*first, *second}) == 40
    assert max(first) < min(second)


def test_text_that_is_not_valid_unicode_is_stored_with_replacements(ledger: Ledger) -> None:
    job_id = submit(ledger, "half \udc80")
    attempt = claim(ledger)
    failure = Failure("permanent", "E\udc80", "bytes \udcff here", ("line \udcfe",))
    assert ledger.attempts.fail(job_id, attempt.fence, failure, retry_in=None)
    failed = job(ledger, job_id)
    assert (failed.story_id, failed.error_type, failed.error_message) == ("half ?", "E?", "bytes ? here")
    assert failed.log_tail == ("line ?",)


class TestKeys:
    def test_the_same_key_and_content_is_the_same_job_whatever_became_of_it(self, ledger: Ledger) -> None:
        first = submit_fully(ledger, key="k", digest="d")
        assert first.created
        again = submit_fully(ledger, key="k", digest="d")
        assert again == AcceptedJob(first.job_id, JobStatus.QUEUED, created=False)
        publish(ledger, claim(ledger))
        again = submit_fully(ledger, key="k", digest="d", max_queued=1)
        assert again == AcceptedJob(first.job_id, JobStatus.COMPLETED, created=False)
        assert kinds(ledger, first.job_id) == ["queued", "processing", "completed"]

    def test_other_content_under_a_key_is_a_conflict_that_names_the_job(self, ledger: Ledger) -> None:
        job_id = submit(ledger, key="k", digest="d")
        with pytest.raises(KeyConflict, match=f"'k' was used for {job_id}") as conflict:
            submit(ledger, key="k", digest="other")
        assert conflict.value.job_id == job_id
        assert ledger.queue.length() == 1

    def test_keys_belong_to_their_owner_and_jobs_without_one_are_never_the_same(self, ledger: Ledger) -> None:
        ids = {submit(ledger, key="k", digest="d"), submit(ledger, owner="ben", key="k", digest="other")}
        ids |= {submit(ledger), submit(ledger)}
        assert len(ids) == 4

    def test_a_known_key_is_answered_if_the_queue_is_full(self, ledger: Ledger) -> None:
        job_id = submit(ledger, key="k", max_queued=1)
        with pytest.raises(QueueFull):
            submit(ledger, max_queued=1)
        assert submit(ledger, key="k", max_queued=1) == job_id


class TestFailures:
    def test_a_retryable_failure_is_charged_and_waits(self, ledger: Ledger, clock: FakeClock) -> None:
        job_id = submit(ledger)
        attempt = claim(ledger)
        assert ledger.attempts.fail(job_id, attempt.fence, BROKEN, retry_in=2.0)
        waiting = job(ledger, job_id)
        assert (waiting.status, waiting.attempts, waiting.interruptions) == (JobStatus.QUEUED, 1, 0)
        assert (waiting.error_type, waiting.log_tail) == ("WorkerKilled", ("a line", "the last line"))
        assert ledger.attempts.claim() is None
        assert ledger.queue.promote_due() == 2.0
        clock.run(2)
        assert ledger.queue.promote_due() is None
        second = claim(ledger)
        assert (second.job_id, second.number, second.fence) == (job_id, 2, 2)
        event = ledger.events.page(after=0, limit=9, job_id=job_id)[2]
        assert (event.kind, event.attempt) == ("retrying", 1)
        assert event.details == {"error_type": "WorkerKilled", "error_message": "killed", "retry_in": 2.0}

    def test_the_last_attempt_that_fails_makes_a_dead_letter(self, ledger: Ledger) -> None:
        job_id = submit(ledger, max_attempts=2)
        for fence in (1, 2):
            ledger.queue.promote_due()
            assert ledger.attempts.fail(claim(ledger).job_id, fence, BROKEN, retry_in=0.0)
        dead = job(ledger, job_id)
        assert (dead.status, dead.attempts, dead.error_type) == (JobStatus.FAILED, 2, "WorkerKilled")
        assert (dead.error_message, dead.log_tail) == ("killed", ("a line", "the last line"))
        assert kinds(ledger, job_id) == ["queued", "processing", "retrying", "processing", "failed"]

    def test_a_permanent_failure_has_no_other_attempt(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        assert ledger.attempts.fail(
            job_id, claim(ledger).fence, Failure("permanent", "StoryError", "wrong"), retry_in=1.0
        )
        assert job(ledger, job_id).status is JobStatus.FAILED

    def test_failures_of_the_machine_are_never_charged(self, ledger: Ledger, clock: FakeClock) -> None:
        job_id = submit(ledger, max_attempts=1)
        for times in range(1, 60):
            attempt = claim(ledger)
            assert attempt.number == 1
            assert ledger.attempts.fail(
                job_id, attempt.fence, Failure("machine", "GpuLost", "gone"), retry_in=300.0
            )
            assert (job(ledger, job_id).attempts, job(ledger, job_id).interruptions) == (0, times)
            clock.run(300)
            ledger.queue.promote_due()
        assert publish(ledger, claim(ledger))
        assert job(ledger, job_id).error_type is None

    def test_a_job_that_outlives_its_node_too_often_fails(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        for _ in range(MAX_REQUEUES):
            assert ledger.attempts.requeue(job_id, claim(ledger).fence, reason="the node ended")
            assert job(ledger, job_id).status is JobStatus.QUEUED
        assert (job(ledger, job_id).attempts, job(ledger, job_id).interruptions) == (0, MAX_REQUEUES)
        assert ledger.attempts.requeue(job_id, claim(ledger).fence, reason="the node ended")
        dead = job(ledger, job_id)
        assert (dead.status, dead.error_type) == (JobStatus.FAILED, "NodeLost")
        assert "21 times" in (dead.error_message or "")

    def test_a_requeued_job_has_its_old_place(self, ledger: Ledger) -> None:
        ids = [submit(ledger, str(number)) for number in range(3)]
        first = claim(ledger)
        assert ledger.attempts.requeue(first.job_id, first.fence, reason="drained")
        assert [claim(ledger).job_id for _ in range(3)] == ids


class TestCancel:
    def test_a_queued_job_is_cancelled_at_once(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        assert ledger.jobs.request_cancel(job_id).status is JobStatus.CANCELLED
        assert ledger.attempts.claim() is None
        assert ledger.jobs.request_cancel(job_id).status is JobStatus.CANCELLED
        assert kinds(ledger, job_id) == ["queued", "cancelled"]

    def test_a_waiting_job_is_cancelled_for_good(self, ledger: Ledger, clock: FakeClock) -> None:
        scheduled = submit(ledger, scheduled_for=clock.wall() + 50)
        retried = submit(ledger)
        assert ledger.attempts.fail(retried, claim(ledger).fence, BROKEN, retry_in=50.0)
        for job_id in (scheduled, retried):
            ledger.jobs.request_cancel(job_id)
        assert ledger.queue.promote_due() is None
        clock.run(100)
        assert ledger.queue.promote_due() is None
        assert ledger.attempts.claim() is None

    def test_a_processing_job_is_asked_once_and_then_cancelled(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        attempt = claim(ledger)
        assert ledger.attempts.cancel_requests() == ()
        assert ledger.jobs.request_cancel(job_id).cancel_requested
        assert ledger.jobs.request_cancel(job_id).status is JobStatus.PROCESSING
        assert ledger.attempts.cancel_requests() == ((job_id, attempt.fence),)
        assert not ledger.attempts.begin_publishing(job_id, attempt.fence)
        assert not ledger.attempts.complete(job_id, attempt.fence, {})
        assert ledger.attempts.cancel(job_id, attempt.fence)
        assert ledger.attempts.cancel_requests() == ()
        assert kinds(ledger, job_id) == ["queued", "processing", "cancelling", "cancelled"]

    def test_publishing_that_has_begun_wins(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        attempt = claim(ledger)
        assert ledger.attempts.begin_publishing(job_id, attempt.fence)
        assert ledger.jobs.request_cancel(job_id).cancel_requested
        assert ledger.attempts.cancel_requests() == ()
        assert not ledger.attempts.cancel(job_id, attempt.fence)
        assert ledger.attempts.complete(job_id, attempt.fence, {})
        assert job(ledger, job_id).status is JobStatus.COMPLETED

    @pytest.mark.parametrize("end", ["fail", "requeue"])
    def test_a_cancel_wins_over_another_attempt(self, ledger: Ledger, end: str) -> None:
        job_id = submit(ledger)
        fence = claim(ledger).fence
        assert ledger.attempts.begin_publishing(job_id, fence)
        ledger.jobs.request_cancel(job_id)
        if end == "fail":
            assert ledger.attempts.fail(job_id, fence, BROKEN, retry_in=1.0)
        else:
            assert ledger.attempts.requeue(job_id, fence, reason="the node ended")
        assert job(ledger, job_id).status is JobStatus.CANCELLED

    def test_an_ended_job_cannot_be_cancelled(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        publish(ledger, claim(ledger))
        with pytest.raises(WrongState, match="is completed: cancel needs queued or processing") as wrong:
            ledger.jobs.request_cancel(job_id)
        assert wrong.value.status is JobStatus.COMPLETED


class TestRetry:
    def test_a_dead_letter_gets_all_its_attempts_again_and_a_higher_fence(self, ledger: Ledger) -> None:
        job_id = submit(ledger, max_attempts=1)
        ledger.attempts.fail(job_id, claim(ledger).fence, BROKEN, retry_in=1.0)
        again = ledger.jobs.retry(job_id)
        assert (again.status, again.attempts, again.error_type) == (JobStatus.QUEUED, 0, None)
        assert (again.finished_at, again.cancel_requested, again.log_tail) == (None, False, ())
        attempt = claim(ledger)
        assert (attempt.number, attempt.fence) == (1, 2)
        assert publish(ledger, attempt)

    def test_a_cancelled_job_queues_behind_the_others(self, ledger: Ledger) -> None:
        first, second = submit(ledger), submit(ledger)
        ledger.jobs.request_cancel(first)
        assert not ledger.jobs.retry(first).cancel_requested
        assert [claim(ledger).job_id, claim(ledger).job_id] == [second, first]

    def test_a_retried_job_no_longer_waits_for_its_time(self, ledger: Ledger, clock: FakeClock) -> None:
        job_id = submit(ledger, scheduled_for=clock.wall() + 3600)
        ledger.jobs.request_cancel(job_id)
        assert ledger.jobs.retry(job_id).scheduled_for is None
        assert claim(ledger).job_id == job_id

    def test_a_job_that_has_not_ended_or_is_done_cannot_be_retried(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        with pytest.raises(WrongState, match="is queued: retry needs failed or cancelled"):
            ledger.jobs.retry(job_id)
        attempt = claim(ledger)
        with pytest.raises(WrongState):
            ledger.jobs.retry(job_id)
        publish(ledger, attempt)
        with pytest.raises(WrongState):
            ledger.jobs.retry(job_id)

    def test_an_unknown_job_is_named(self, ledger: Ledger) -> None:
        for call in (ledger.jobs.retry, ledger.jobs.request_cancel):
            with pytest.raises(UnknownJob, match="no job job-0"):
                call("job-0")
        assert ledger.jobs.get("job-0") is None


class TestFences:
    def test_a_stale_attempt_changes_nothing(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        stale = claim(ledger)
        assert ledger.attempts.requeue(job_id, stale.fence, reason="given up")
        current = claim(ledger)
        before, events = job(ledger, job_id), ledger.events.last_seq()
        for fence in (stale.fence, current.fence + 1):
            assert not ledger.attempts.progress(job_id, fence, Progress("render", 1))
            assert not ledger.attempts.begin_publishing(job_id, fence)
            assert not ledger.attempts.complete(job_id, fence, {})
            assert not ledger.attempts.fail(job_id, fence, BROKEN, retry_in=None)
            assert not ledger.attempts.requeue(job_id, fence, reason="late")
            assert not ledger.attempts.cancel(job_id, fence)
        assert (job(ledger, job_id), ledger.events.last_seq()) == (before, events)
        assert publish(ledger, current)

    def test_the_right_to_publish_is_given_once(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        fence = claim(ledger).fence
        assert not ledger.attempts.complete(job_id, fence, {})
        assert ledger.attempts.begin_publishing(job_id, fence)
        assert not ledger.attempts.begin_publishing(job_id, fence)
        assert ledger.attempts.complete(job_id, fence, {})
        assert not ledger.attempts.complete(job_id, fence, {})

    def test_an_ended_attempt_accepts_no_progress_and_no_failure(self, ledger: Ledger) -> None:
        job_id = submit(ledger)
        attempt = claim(ledger)
        publish(ledger, attempt)
        assert not ledger.attempts.progress(job_id, attempt.fence, Progress("render", 1))
        assert not ledger.attempts.fail(job_id, attempt.fence, BROKEN, retry_in=1.0)
        assert job(ledger, job_id).status is JobStatus.COMPLETED


class TestQuestions:
    def test_counts_are_by_state_and_by_owner(self, ledger: Ledger) -> None:
        for number in range(5):
            submit(ledger, owner="anna" if number % 2 else "ben", priority="low" if number else "high")
        ledger.jobs.request_cancel(claim(ledger).job_id)
        publish(ledger, claim(ledger))
        none = dict.fromkeys(JobStatus, 0)
        some = {JobStatus.QUEUED: 3, JobStatus.PROCESSING: 1, JobStatus.COMPLETED: 1}
        assert ledger.jobs.counts() == none | some
        assert ledger.jobs.counts("anna") == none | {JobStatus.QUEUED: 1, JobStatus.COMPLETED: 1}
        assert ledger.jobs.counts("nobody") == none
        assert ledger.queue.length() == 3
        assert ledger.queue.length_by_priority() == {"high": 0, "normal": 0, "low": 3}

    def test_jobs_are_listed_in_pages_the_latest_first(self, ledger: Ledger) -> None:
        ids = [submit(ledger, owner="anna" if number % 2 else "ben") for number in range(7)][::-1]
        first = ledger.jobs.page(limit=3)
        assert [listed.job_id for listed in first] == ids[:3]
        second = ledger.jobs.page(limit=9, before=first[-1].job_id)
        assert [listed.job_id for listed in second] == ids[3:]
        annas = ledger.jobs.page(owner="anna", status=JobStatus.QUEUED, limit=2, before=ids[1])
        assert [listed.job_id for listed in annas] == [ids[3], ids[5]]
        assert ledger.jobs.page(status=JobStatus.FAILED) == ()
        assert ledger.jobs.page(limit=1, before=ids[-1]) == ()
        with pytest.raises(UnknownJob):
            ledger.jobs.page(before="job-0")

    def test_payloads_of_uncompleted_jobs_are_found_by_a_text_in_any_number(self, ledger: Ledger) -> None:
        with ledger.file.group():
            submit(ledger, story={"text": "needle, but completed"})
            publish(ledger, claim(ledger))
            for number in range(2 * PAYLOADS_PAGE + 1):
                submit(ledger, story={"text": f"needle {number}"})
            submit(ledger, story={"text": "straw"})
            ledger.jobs.request_cancel(submit(ledger, story={}, config={"logo": "needle"}))
        found = list(ledger.jobs.payloads_containing("needle"))
        stories = [f'{{"text":"needle {number}"}}' for number in range(2 * PAYLOADS_PAGE + 1)]
        assert found[0::2] == [*stories, "{}"]
        assert found[1::2] == ["{}"] * len(stories) + ['{"logo":"needle"}']

    def test_events_are_numbered_and_read_in_pages(self, ledger: Ledger) -> None:
        ids = [submit(ledger, owner=owner) for owner in ("anna", "ben", "anna")]
        assert [event.seq for event in ledger.events.page(after=0, limit=2)] == [1, 2]
        assert [event.job_id for event in ledger.events.page(after=2, limit=9)] == [ids[2]]
        assert [event.seq for event in ledger.events.page(after=0, limit=9, owner="anna")] == [1, 3]
        assert ledger.events.page(after=0, limit=9, owner="ben", job_id=ids[0]) == ()
        assert ledger.events.page(after=0, limit=9, job_id="job-0") == ()
        assert ledger.events.last_seq() == 3

    def test_progress_leaves_with_the_job_and_its_numbers_are_not_used_again(self, ledger: Ledger) -> None:
        assert ledger.events.last_seq() == 0
        job_id = submit(ledger)
        fence = claim(ledger).fence
        for percent in range(5):
            assert ledger.attempts.progress(job_id, fence, Progress("render", percent))
        assert kinds(ledger, job_id).count("progress") == 5
        last = ledger.events.last_seq()
        assert ledger.attempts.fail(job_id, fence, Failure("permanent", "E", "m"), retry_in=None)
        assert kinds(ledger, job_id) == ["queued", "processing", "failed"]
        assert ledger.events.last_seq() == last + 1 == ledger.events.page(after=last, limit=9)[0].seq

    def test_progress_of_an_earlier_attempt_leaves_with_a_job_that_is_cancelled_in_the_queue(
        self, ledger: Ledger
    ) -> None:
        job_id = submit(ledger)
        fence = claim(ledger).fence
        assert ledger.attempts.progress(job_id, fence, Progress("render", 1))
        assert ledger.attempts.requeue(job_id, fence, reason="drained")
        ledger.jobs.request_cancel(job_id)
        assert kinds(ledger, job_id) == ["queued", "processing", "requeued", "cancelled"]

    def test_changed_reports_every_commit_of_any_process_once(self, ledger: Ledger, clock: FakeClock) -> None:
        with Ledger(ledger.file.path, clock=clock) as other:
            for one in (ledger, other):
                assert one.file.changed()
                assert not one.file.changed()
            submit(other)
            assert (ledger.file.changed(), other.file.changed()) == (True, True)
            assert (ledger.file.changed(), other.file.changed()) == (False, False)
            assert ledger.attempts.claim() is not None
            assert other.file.changed()
            with other.file.group():
                submit(other)
            assert other.file.changed()

    def test_errors_are_of_the_engine_and_say_what_is_allowed(self, ledger: Ledger) -> None:
        assert issubclass(LedgerError, PipelineError)
        submit(ledger, max_queued=1)
        with pytest.raises(QueueFull, match=r"1 jobs wait, the limit is 1$") as full:
            submit(ledger, max_queued=1)
        assert full.value.details == {"retry_after": full.value.retry_after}


def test_jobs_in_processing_are_queued_again_when_a_node_starts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as before:
        ids = [submit(before) for _ in range(3)]
        attempts = [claim(before) for _ in range(2)]
        assert before.attempts.begin_publishing(ids[1], attempts[1].fence)
    with Ledger(tmp_path / "l") as after:
        left = after.attempts.recover()
        assert [(one.job.job_id, one.publishing) for one in left] == [(ids[0], False), (ids[1], True)]
        assert after.attempts.requeue(ids[0], left[0].job.fence, reason="the node ended")
        assert after.attempts.complete(ids[1], left[1].job.fence, {})
        assert after.attempts.recover() == ()
    assert_sound(tmp_path / "l")
