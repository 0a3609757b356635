"""Any order of calls on two connections, against a model of the ledger in a few plain lines."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.ledgers import FakeClock, assert_sound, job, kinds, quick_folder, submit_fully
from video_pipeline.engine.jobs.ledger.attempts import MAX_REQUEUES
from video_pipeline.engine.jobs.ledger.errors import KeyConflict, QueueFull, WrongState
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import AcceptedJob
from video_pipeline.engine.jobs.model import PRIORITIES, Failure, FailureKind, JobStatus, Priority, Progress

MAX_QUEUED, RESERVE, AGEING = 8, 0.25, 64.0
SECONDS = st.sampled_from([0.25, 1.0, 8.0, 100.0])  # exact in binary: the model's sums are the ledger's


@dataclass
class Known:
    """A job in the model. Jobs are ordered by `place`."""

    owner: str
    priority: Priority
    max_attempts: int
    place: tuple[float, int]
    digest: str
    status: JobStatus = JobStatus.QUEUED
    due_wall: float | None = None
    due_monotonic: float | None = None
    attempts: int = 0
    interruptions: int = 0
    requeues: int = 0
    fence: int = 0
    cancel_requested: bool = False
    publishing: bool = False
    completed: int = 0
    happened: list[str] = field(default_factory=lambda: ["queued"])

    @property
    def ready(self) -> bool:
        """Whether it can be claimed."""
        return self.status is JobStatus.QUEUED and self.due_wall is None and self.due_monotonic is None

    def end(self, status: JobStatus) -> None:
        """Come to an end."""
        self.status, self.publishing = status, False
        self.happened = [kind for kind in self.happened if kind != "progress"] + [str(status)]
        self.completed += status is JobStatus.COMPLETED

    def again(self, kind: str, *, charged: bool) -> None:
        """Be queued once more."""
        self.status, self.publishing = JobStatus.QUEUED, False
        self.attempts -= not charged
        self.interruptions += not charged
        self.happened.append(kind)


class LedgerMachine(RuleBasedStateMachine):
    """The operations of a server and a node in any order, each on either connection."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.clock = FakeClock()
        self.known: dict[str, Known] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.queue_time, self.queue_seen, self.positions = 0.0, 0.0, 0
        self.last_seq = 0

    @initialize()
    def open(self) -> None:
        """Open both connections."""
        self.folder = self._stack.enter_context(quick_folder())
        self.ledgers = [Ledger(self.folder / "l", clock=self.clock) for _ in range(2)]

    def teardown(self) -> None:
        """Check the file as a whole."""
        if hasattr(self, "ledgers"):
            for ledger in self.ledgers:
                ledger.close()
            assert_sound(self.folder / "l")
        self._stack.close()

    # -- the model's parts

    def _join(self, priority: Priority) -> float:
        self.queue_time += max(0.000001, self.clock.monotonic() - self.queue_seen)
        self.queue_seen = self.clock.monotonic()
        return round(self.queue_time + PRIORITIES.index(priority) * AGEING, 6)

    def _queued(self) -> int:
        return sum(one.status is JobStatus.QUEUED for one in self.known.values())

    def _pick(self, data: st.DataObject, *among: JobStatus) -> str | None:
        ids = [job_id for job_id, one in self.known.items() if not among or one.status in among]
        return data.draw(st.sampled_from(ids)) if ids else None

    def _attempt(self, data: st.DataObject) -> tuple[str, int, Known | None] | None:
        """Return a job, a fence, and the job's model if that fence holds the job."""
        processing = any(one.status is JobStatus.PROCESSING for one in self.known.values())
        among = [JobStatus.PROCESSING] if processing and data.draw(st.integers(0, 7)) else []
        job_id = self._pick(data, *among)
        if job_id is None:
            return None
        one = self.known[job_id]
        fence = one.fence + data.draw(st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1]))
        held = fence == one.fence and one.status is JobStatus.PROCESSING
        return job_id, fence, one if held else None

    # -- operations of clients

    @rule(
        which=st.integers(0, 1),
        owner=st.sampled_from(["anna", "ben"]),
        priority=st.sampled_from(PRIORITIES),
        key=st.sampled_from([None, None, "k1", "k2"]),
        digest=st.sampled_from(["d", "d", "e"]),
        later=st.sampled_from([None, None, None, -5.0, 4.0, 90.0]),
        max_attempts=st.integers(1, 3),
    )
    def submit(
        self,
        which: int,
        owner: str,
        priority: Priority,
        key: str | None,
        digest: str,
        later: float | None,
        max_attempts: int,
    ) -> None:
        """Submit a job; it may be known, in conflict, or refused by a full queue."""
        ledger = self.ledgers[which]
        scheduled_for = None if later is None else self.clock.wall() + later
        values: dict[str, Any] = {
            "owner": owner,
            "priority": priority,
            "key": key,
            "digest": digest,
            "scheduled_for": scheduled_for,
            "max_attempts": max_attempts,
            "max_queued": MAX_QUEUED,
            "reserve": RESERVE,
            "ageing": AGEING,
        }
        before = self.keys.get((owner, key)) if key else None
        if before is not None and self.known[before].digest != digest:
            with pytest.raises(KeyConflict) as conflict:
                submit_fully(ledger, **values)
            assert conflict.value.job_id == before
        elif before is not None:
            known = AcceptedJob(before, self.known[before].status, created=False)
            assert submit_fully(ledger, **values) == known
        elif self._queued() >= MAX_QUEUED + (MAX_QUEUED * RESERVE if priority == "high" else 0):
            with pytest.raises(QueueFull):
                submit_fully(ledger, **values)
        else:
            accepted = submit_fully(ledger, **values)
            assert accepted.created
            self.positions += 1
            one = Known(owner, priority, max_attempts, (self._join(priority), self.positions), digest)
            one.due_wall = scheduled_for if later is not None and later > 0 else None
            self.known[accepted.job_id] = one
            if key:
                self.keys[owner, key] = accepted.job_id

    @precondition(lambda self: self.known)
    @rule(data=st.data(), which=st.integers(0, 1))
    def cancel(self, data: st.DataObject, which: int) -> None:
        """Ask for the end of any job."""
        job_id = self._pick(data)
        assert job_id is not None
        one, ledger = self.known[job_id], self.ledgers[which]
        if one.status in {JobStatus.COMPLETED, JobStatus.FAILED}:
            with pytest.raises(WrongState):
                ledger.jobs.request_cancel(job_id)
            return
        if one.status is JobStatus.QUEUED:
            one.end(JobStatus.CANCELLED)
            one.cancel_requested, one.due_wall, one.due_monotonic = True, None, None
        elif one.status is JobStatus.PROCESSING and not one.cancel_requested:
            one.cancel_requested = True
            one.happened.append("cancelling")
        assert ledger.jobs.request_cancel(job_id).status is one.status

    @precondition(lambda self: self.known)
    @rule(data=st.data(), which=st.integers(0, 1))
    def retry(self, data: st.DataObject, which: int) -> None:
        """Queue any job again."""
        job_id = self._pick(data)
        assert job_id is not None
        one, ledger = self.known[job_id], self.ledgers[which]
        if one.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
            with pytest.raises(WrongState):
                ledger.jobs.retry(job_id)
            return
        one.status, one.attempts, one.requeues, one.cancel_requested = JobStatus.QUEUED, 0, 0, False
        one.place = (self._join(one.priority), one.place[1])
        one.happened.append("queued")
        assert ledger.jobs.retry(job_id).status is JobStatus.QUEUED

    @precondition(lambda self: self.known)
    @rule(data=st.data(), which=st.integers(0, 1), priority=st.sampled_from(PRIORITIES))
    def change_priority(self, data: st.DataObject, which: int, priority: Priority) -> None:
        """Give any job another priority: a queued one keeps the time at which it joined."""
        job_id = self._pick(data)
        assert job_id is not None
        one, ledger = self.known[job_id], self.ledgers[which]
        if one.status is not JobStatus.QUEUED:
            with pytest.raises(WrongState):
                ledger.jobs.change_priority(job_id, priority, ageing=AGEING)
            return
        step = (PRIORITIES.index(priority) - PRIORITIES.index(one.priority)) * AGEING
        if priority != one.priority:
            one.happened.append("priority")
            one.place = (round(one.place[0] + step, 6), one.place[1])
            one.priority = priority
        assert ledger.jobs.change_priority(job_id, priority, ageing=AGEING).priority == priority

    # -- operations of a node

    @rule(which=st.integers(0, 1))
    def claim(self, which: int) -> None:
        """Begin the next attempt."""
        ready = [job_id for job_id, one in self.known.items() if one.ready]
        attempt = self.ledgers[which].attempts.claim()
        if not ready:
            assert attempt is None
            return
        assert attempt is not None
        expected = min(ready, key=lambda job_id: self.known[job_id].place)
        one = self.known[expected]
        one.status, one.fence, one.attempts = JobStatus.PROCESSING, one.fence + 1, one.attempts + 1
        one.happened.append("processing")
        assert (attempt.job_id, attempt.fence, attempt.number) == (expected, one.fence, one.attempts)

    @rule(data=st.data(), which=st.integers(0, 1), percent=st.floats(0, 100))
    def progress(self, data: st.DataObject, which: int, percent: float) -> None:
        """Report progress, maybe stale."""
        if found := self._attempt(data):
            job_id, fence, held = found
            assert self.ledgers[which].attempts.progress(job_id, fence, Progress("render", percent)) is bool(
                held
            )
            if held:
                held.happened.append("progress")
                assert job(self.ledgers[1 - which], job_id).percent == percent

    @rule(data=st.data(), which=st.integers(0, 1))
    def begin_publishing(self, data: st.DataObject, which: int) -> None:
        """Ask for the right to publish."""
        if found := self._attempt(data):
            job_id, fence, held = found
            may = held is not None and not held.cancel_requested and not held.publishing
            assert self.ledgers[which].attempts.begin_publishing(job_id, fence) is may
            if held and may:
                held.publishing = True

    @rule(data=st.data(), which=st.integers(0, 1))
    def complete(self, data: st.DataObject, which: int) -> None:
        """Say that a job is done."""
        if found := self._attempt(data):
            job_id, fence, held = found
            counts = held is not None and held.publishing
            assert self.ledgers[which].attempts.complete(job_id, fence, {"fence": fence}) is counts
            if held and counts:
                held.end(JobStatus.COMPLETED)
                assert job(self.ledgers[1 - which], job_id).result == {"fence": fence}

    @rule(
        data=st.data(),
        which=st.integers(0, 1),
        kind=st.sampled_from(["permanent", "retryable", "machine"]),
        retry_in=st.one_of(st.none(), SECONDS),
    )
    def fail(self, data: st.DataObject, which: int, kind: FailureKind, retry_in: float | None) -> None:
        """Say that an attempt has failed."""
        if not (found := self._attempt(data)):
            return
        job_id, fence, held = found
        failure = Failure(kind, "E", "m", ("line",))
        assert self.ledgers[which].attempts.fail(job_id, fence, failure, retry_in=retry_in) is bool(held)
        if held is None:
            return
        spent = kind == "retryable" and held.attempts >= held.max_attempts
        if held.cancel_requested:
            held.end(JobStatus.CANCELLED)
        elif kind == "permanent" or retry_in is None or spent:
            held.end(JobStatus.FAILED)
        else:
            held.again("retrying", charged=kind == "retryable")
            held.due_monotonic = self.clock.monotonic() + retry_in

    def _requeue(self, which: int, job_id: str, fence: int, held: Known | None) -> None:
        assert self.ledgers[which].attempts.requeue(job_id, fence, reason="over") is bool(held)
        if held is None:
            return
        if held.cancel_requested:
            held.end(JobStatus.CANCELLED)
        elif held.requeues >= MAX_REQUEUES:
            held.end(JobStatus.FAILED)
        else:
            held.again("requeued", charged=False)
            held.requeues += 1

    @rule(data=st.data(), which=st.integers(0, 1))
    def requeue(self, data: st.DataObject, which: int) -> None:
        """Give an attempt back."""
        if found := self._attempt(data):
            self._requeue(which, *found)

    @rule(data=st.data(), which=st.integers(0, 1))
    def cancelled(self, data: st.DataObject, which: int) -> None:
        """Say that an attempt was stopped."""
        if found := self._attempt(data):
            job_id, fence, held = found
            counts = held is not None and not held.publishing
            assert self.ledgers[which].attempts.cancel(job_id, fence) is counts
            if held and counts:
                held.cancel_requested = True
                held.end(JobStatus.CANCELLED)

    @rule(which=st.integers(0, 1))
    def promote(self, which: int) -> None:
        """Queue the jobs that are due."""
        wall, monotonic = self.clock.wall(), self.clock.monotonic()
        due = [one for one in self.known.values() if one.due_wall is not None and one.due_wall <= wall]
        for one in sorted(due, key=lambda one: (one.due_wall, one.place[1])):
            one.due_wall, one.place = None, (self._join(one.priority), one.place[1])
        for one in self.known.values():
            if one.due_monotonic is not None and one.due_monotonic <= monotonic:
                one.due_monotonic = None
        waits = [one.due_wall - wall for one in self.known.values() if one.due_wall is not None]
        waits += [
            one.due_monotonic - monotonic for one in self.known.values() if one.due_monotonic is not None
        ]
        assert self.ledgers[which].queue.promote_due() == (min(waits) if waits else None)

    @rule(which=st.integers(0, 1), finish=st.booleans())
    def restart(self, which: int, finish: bool) -> None:
        """End a node in the middle of everything and start it again."""
        self.ledgers[which].close()
        self.ledgers[which] = Ledger(self.folder / "l", clock=self.clock)
        left = {one.job.job_id: one for one in self.ledgers[which].attempts.recover()}
        assert {job_id: one.publishing for job_id, one in left.items()} == {
            job_id: one.publishing for job_id, one in self.known.items() if one.status is JobStatus.PROCESSING
        }
        for job_id, one in left.items():
            held = self.known[job_id]
            if finish and one.publishing:
                assert self.ledgers[which].attempts.complete(job_id, one.job.fence, {})
                held.end(JobStatus.COMPLETED)
            else:
                self._requeue(which, job_id, one.job.fence, held)

    # -- time

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run(seconds)

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def the_clock_jumps(self, seconds: float) -> None:
        """Set the wall clock; it must affect only scheduled jobs."""
        self.clock.jump(seconds)

    # -- invariants

    @invariant()
    def the_ledger_is_as_the_model_has_it(self) -> None:
        """Compare all that can be asked."""
        if not hasattr(self, "ledgers"):
            return
        first, second = self.ledgers
        found = {one.job_id: one for one in first.jobs.page(limit=1000)}
        assert list(found) == list(self.known)[::-1]
        for job_id, one in self.known.items():
            have = found[job_id]
            assert (have.status, have.attempts, have.interruptions, have.fence, have.cancel_requested) == (
                one.status,
                one.attempts,
                one.interruptions,
                one.fence,
                one.cancel_requested,
            )
            assert (have.finished_at is not None) is one.status.is_terminal
            assert one.completed <= 1
        counted = dict.fromkeys(JobStatus, 0)
        for one in self.known.values():
            counted[one.status] += 1
        assert second.jobs.counts() == counted
        assert second.queue.length() == counted[JobStatus.QUEUED]
        assert set(second.attempts.cancel_requests()) == {
            (job_id, one.fence)
            for job_id, one in self.known.items()
            if one.status is JobStatus.PROCESSING and one.cancel_requested and not one.publishing
        }
        fresh = second.events.page(after=self.last_seq, limit=1000)
        assert [event.seq for event in fresh] == sorted(event.seq for event in fresh)
        self.last_seq = second.events.last_seq()
        for job_id in {event.job_id for event in fresh}:
            assert kinds(first, job_id) == self.known[job_id].happened


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=100, stateful_step_count=50, deadline=None, print_blob=True)
