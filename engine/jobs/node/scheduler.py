"""Start jobs of the ledger on the dispatcher, and record how they end."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.dispatch.base import (
    Dispatcher,
    FailedReport,
    FinishedReport,
    ProgressReport,
    Report,
    StoppedReport,
)
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.free_space import FreeSpace
from video_pipeline.engine.jobs.ledger.errors import LedgerError, LedgerFull
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Attempt, Failure, JobStatus
from video_pipeline.engine.jobs.node.recovery import OnPublished
from video_pipeline.engine.jobs.node.reserve import LedgerReserve
from video_pipeline.engine.storage.local import (
    AlreadyPublishedError,
    NotStagedError,
    check_whole,
    publish,
    published_result,
)

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
RETRY_MOST_SECONDS = 300.0
JITTER = 0.25
LEDGER_PAUSE_SECONDS = 1.0
"""Seconds to pause after the ledger could not be written."""

TIMEOUT: Final = "JobTimeout"

POLL_SECONDS = 1.0
"""Polling interval while the ledger is unchanged."""

StopReason = Literal["cancel", "drain"]
Outcome = Literal["completed", "cancelled", "requeued", "retrying", "failed"]
OUTCOMES: dict[JobStatus, Outcome] = {
    JobStatus.COMPLETED: "completed",
    JobStatus.CANCELLED: "cancelled",
    JobStatus.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """How an attempt ended, `seconds` after its start."""

    attempt: Attempt
    outcome: Outcome
    seconds: float
    error_type: str | None = None
    result: dict[str, Any] | None = None


@dataclass(slots=True)
class _Started:
    attempt: Attempt
    at: float
    stopping: StopReason | None = None
    publishing: bool = False
    published: dict[str, Any] | Failure | None = None


def retry_wait(number: int, *, multiplier: float, jitter: float) -> float:
    """Return the seconds to wait after `number` failed attempts; `jitter` is from -1 to 1."""
    wait = min(RETRY_MOST_SECONDS, RETRY_SECONDS * multiplier ** min(number - 1, 100))
    return wait * (1 + JITTER * jitter)


class Scheduler:
    """Runs the ledger's jobs on the dispatcher. Not thread-safe.

    While the ledger cannot be written, the scheduler keeps reports in memory and starts no further job.
    """

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        folders: Folders,
        config: Config,
        *,
        clock: Clock = SYSTEM_CLOCK,
        on_started: Callable[[Attempt], None] | None = None,
        on_ended: Callable[[EndedAttempt], None] | None = None,
        on_published: OnPublished | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._ledger, self._dispatcher, self._folders = ledger, dispatcher, folders
        self._config, self._clock = config, clock
        self._on_started, self._on_ended, self._on_published = on_started, on_ended, on_published
        self._space = FreeSpace(config, clock=clock)
        self._reserve = LedgerReserve(folders.reserve, min_free_mb=config.node.min_free_mb)
        self._rng = rng or random.Random()
        self._started: dict[tuple[str, int], _Started] = {}
        self._backlog: deque[Report] = deque()
        self._machine_failures: dict[str, int] = {}
        self._draining = self._drained = False
        self._full = False
        self._ledger_full = False
        self._paused_until = 0.0
        self._next_poll = 0.0
        self._free = 0

    @property
    def draining(self) -> bool:
        """Whether no further jobs start: the node ends, or an operator has drained it."""
        return self._draining or self._drained

    @property
    def is_drained(self) -> bool:
        """Whether an operator has drained the node."""
        return self._drained

    @property
    def idle(self) -> bool:
        """Whether no attempt runs and all reports are in the ledger."""
        return not self._started and not self._backlog and self._dispatcher.running == 0

    @property
    def is_full(self) -> bool:
        """Whether no job starts because a disk of the node has too little space."""
        return self._full

    @property
    def shortage(self) -> str:
        """Which folder has too little space, and how much it has; empty if none."""
        return self._space.shortage()

    @property
    def seconds_to_check(self) -> float:
        """Seconds until the ledger must be checked even if nothing has been written: a waiting job may be due then."""
        return max(self._next_poll, self._paused_until) - self._clock.monotonic()

    @property
    def healthy(self) -> bool:
        """Whether the last write to the ledger succeeded and the disks have space."""
        return self._clock.monotonic() >= self._paused_until and not self._full

    @property
    def running_jobs(self) -> tuple[str, ...]:
        """The ids of the jobs that run, the one that began first first."""
        return tuple(job_id for job_id, _ in self._started)

    def drain(self) -> None:
        """Start no further jobs."""
        self._draining = True

    def set_drained(self, drained: bool) -> None:
        """Start no further jobs while an operator has drained the node."""
        if self._drained and not drained:
            self._next_poll = 0.0
        self._drained = drained

    def stop_running(self, *, now: bool) -> None:
        """Stop running attempts, whose jobs are queued again; with `now` kill them."""
        self._draining = True
        for (job_id, fence), started in self._started.items():
            started.stopping = started.stopping or "drain"
            self._dispatcher.stop(job_id, fence, now=now)

    def step(self, timeout: float) -> None:
        """Run one turn: wait up to `timeout` seconds for reports, write them, process cancels, start jobs."""
        self._backlog.extend(self._dispatcher.reports(timeout))
        now = self._clock.monotonic()
        if now < self._paused_until:
            return
        try:
            self._write_reports()
            free = self._dispatcher.capacity - self._dispatcher.running
            if self._ledger.file.changed() or now >= self._next_poll or free > self._free:
                self._check_ledger(now)
            self._free = free
            self._ledger_full = False
        except LedgerError as error:
            logger.error("the ledger failed, retrying in %g s: %s", LEDGER_PAUSE_SECONDS, error)
            # The pause leaves time to kill an attempt that fills the disk, which may free the space instead.
            if self._ledger_full:
                self._reserve.release()
            self._ledger_full = isinstance(error, LedgerFull)
            self._paused_until = self._clock.monotonic() + LEDGER_PAUSE_SECONDS

    # -- work ---------------------------------------------------------------------------------

    def _can_start(self) -> bool:
        return not self.draining and self._dispatcher.running < self._dispatcher.capacity

    def _check_ledger(self, now: float) -> None:
        """Process cancel requests and due jobs of the ledger, and start jobs."""
        for key in self._ledger.attempts.cancel_requests():
            started = self._started.get(key)
            if started is not None and started.stopping != "cancel":
                started.stopping = "cancel"
                self._dispatcher.stop(*key)
        due = self._ledger.queue.promote_due()
        self._next_poll = now + min(POLL_SECONDS, POLL_SECONDS if due is None else max(0.005, due))
        if not self._can_start() or not self._has_room():
            return
        while self._can_start():
            attempt = self._ledger.attempts.claim(
                user_slots=self._config.fleet.user_slots, accepts=self._dispatcher.accepts
            )
            if attempt is None:
                break
            self._begin(attempt)

    def _begin(self, attempt: Attempt) -> None:
        fields = {"job_id": attempt.job_id, "attempt": f"{attempt.number}.{attempt.fence}"}
        logger.info("the attempt begins", extra=fields)
        key = attempt.job_id, attempt.fence
        self._started[key] = _Started(attempt, self._clock.monotonic())
        if self._on_started is not None:
            self._on_started(attempt)
        if self._folders.published(attempt.job_id).exists():
            # A ledger restored from a backup does not know the jobs that ended after the backup was made.
            self._backlog.append(FinishedReport(*key, self._folders.staging(*key), {}))
        else:
            self._dispatcher.start(attempt)

    def _has_room(self) -> bool:
        """Return whether the node's folders have enough free space to start a job."""
        shortage = self._space.shortage()
        if shortage and not self._full:
            logger.error("not starting jobs: %s", shortage)
        elif self._full and not shortage:
            logger.info("there is enough free space again; starting jobs")
        self._full = bool(shortage)
        if not shortage:
            self._reserve.hold()
        return not shortage

    # -- reports -------------------------------------------------------------------------------

    def _write_reports(self) -> None:
        """Write reports in order; keep those that the ledger does not accept for the next turn."""
        latest = {
            (report.job_id, report.fence): report
            for report in self._backlog
            if isinstance(report, ProgressReport)
        }
        ended = [report for report in self._backlog if not isinstance(report, ProgressReport)]
        over = {(report.job_id, report.fence) for report in ended}
        self._write_progress(report for key, report in latest.items() if key not in over)
        self._backlog = deque(ended)
        while self._backlog:
            self._write_end(self._backlog[0])
            self._backlog.popleft()

    def _write_progress(self, reports: Iterable[ProgressReport]) -> None:
        reports = list(reports)
        if reports:
            with self._ledger.file.group():
                for report in reports:
                    self._ledger.attempts.progress(report.job_id, report.fence, report.progress)

    def _write_end(self, report: Report) -> None:
        started = self._started.get((report.job_id, report.fence))
        if started is None:
            return
        match report:
            case FinishedReport():
                ended = self._finish(report, started)
            case FailedReport():
                ended = self._fail(report.job_id, report.fence, started, report.failure)
            case StoppedReport():
                ended = self._stopped(report, started)
            case _:
                return
        del self._started[report.job_id, report.fence]
        self._log(ended)
        if self._on_ended is not None:
            self._on_ended(ended)

    def _finish(self, report: FinishedReport, started: _Started) -> EndedAttempt:
        """Publish a finished attempt, unless its job was cancelled before.

        If the ledger fails in between, the next call continues at the same point.
        """
        job_id, fence = report.job_id, report.fence
        target = self._folders.published(job_id)
        if not started.publishing:
            started.publishing = self._ledger.attempts.begin_publishing(job_id, fence)
            if not started.publishing:
                self._folders.remove_staging(job_id, fence)
                self._ledger.attempts.cancel(job_id, fence)
                return self._ended(started)
        if started.published is None:
            started.published = self._publish(report.staged, target)
        if isinstance(started.published, Failure):
            self._folders.remove_staging(job_id, fence)
            return self._fail(job_id, fence, started, started.published)
        if self._on_published is not None:
            job = self._ledger.jobs.get(job_id)
            self._on_published(job_id, job.owner if job else "", started.published)
        self._ledger.attempts.complete(job_id, fence, started.published)
        self._folders.remove_staging(job_id, fence)  # it still exists if the video was published before
        return self._ended(started, result=started.published)

    @staticmethod
    def _publish(staged: Path, target: Path) -> dict[str, Any] | Failure:
        """Publish a video, unless it was published before; return its result, or the failure."""
        try:
            if target.exists():
                check_whole(target)
            else:
                publish(staged, target)
            return published_result(target)
        except AlreadyPublishedError as error:
            return Failure("permanent", type(error).__name__, str(error))
        except NotStagedError as error:
            return Failure("retryable", type(error).__name__, str(error))
        except OSError as error:
            return Failure("machine", type(error).__name__, f"{error.filename}: {error.strerror}")

    def _fail(self, job_id: str, fence: int, started: _Started, failure: Failure) -> EndedAttempt:
        number = started.attempt.number
        before = self._ledger.jobs.get(job_id)
        if failure.error_type == TIMEOUT and before is not None and before.error_type == TIMEOUT:
            # The same input took too long twice: a third attempt would only block a slot for as long again.
            failure = replace(
                failure, kind="permanent", message=f"{failure.message}, as did the attempt before"
            )
        if failure.kind == "machine":
            number = self._machine_failures[job_id] = self._machine_failures.get(job_id, 0) + 1
            reason = (failure.message.splitlines() or [failure.error_type])[0]
            fields = {"job_id": job_id, "attempt": f"{started.attempt.number}.{fence}"}
            logger.warning("a fault of the machine, not of the job: %.300s", reason, extra=fields)
        wait = retry_wait(
            number,
            multiplier=self._config.processing.retry_backoff_multiplier,
            jitter=self._rng.uniform(-1, 1),
        )
        self._ledger.attempts.fail(job_id, fence, failure, retry_in=wait)
        return self._ended(started, error_type=failure.error_type)

    def _stopped(self, report: StoppedReport, started: _Started) -> EndedAttempt:
        if started.stopping == "cancel":
            self._ledger.attempts.cancel(report.job_id, report.fence)
        else:
            self._ledger.attempts.requeue(report.job_id, report.fence, reason="the node stops")
        return self._ended(started)

    def _ended(
        self, started: _Started, *, error_type: str | None = None, result: dict[str, Any] | None = None
    ) -> EndedAttempt:
        """Return how an attempt ended, according to the ledger."""
        attempt = started.attempt
        job = self._ledger.jobs.get(attempt.job_id)
        outcome: Outcome = "requeued"
        if job is not None and job.status.is_terminal:
            outcome = OUTCOMES[job.status]
            self._machine_failures.pop(attempt.job_id, None)
        elif error_type is not None:
            outcome = "retrying"
        self._next_poll = 0.0  # a slot is free, and a retry may be due
        return EndedAttempt(attempt, outcome, self._clock.monotonic() - started.at, error_type, result)

    @staticmethod
    def _log(ended: EndedAttempt) -> None:
        attempt = ended.attempt
        level = logging.ERROR if ended.outcome == "failed" else logging.INFO
        reason = f": {ended.error_type}" if ended.error_type else ""
        logger.log(
            level,
            "the attempt ended after %.2f s, %s%s",
            ended.seconds,
            ended.outcome,
            reason,
            extra={"job_id": attempt.job_id, "attempt": f"{attempt.number}.{attempt.fence}"},
        )
