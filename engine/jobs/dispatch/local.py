"""Attempts on this machine: one warm worker process a slot, watched, killed when need be, and replaced.

All of it happens in the thread that calls: nothing here waits but `reports`, and workers die with that thread.
"""

from __future__ import annotations

import json
import logging
import selectors
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.dispatch.base import (
    FailedReport,
    FinishedReport,
    ProgressReport,
    Report,
    StoppedReport,
)
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.slots import Running, Slot
from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess, read_failure, read_progress
from video_pipeline.engine.jobs.folders import Folders, tail
from video_pipeline.engine.jobs.model import Attempt, Failure, FailureKind
from video_pipeline.engine.jobs.processes import session_members
from video_pipeline.engine.machine.cores import cpu_count

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.0
"""What a worker that was asked to stop gets until it is killed."""

TERM_SECONDS = 2.0
"""What the processes of an attempt that took too long get between SIGTERM and SIGKILL."""

START_SECONDS = 60.0
"""What a worker gets to be warm."""

START_SILENCE_SECONDS = 20.0
HUNG_UP_SECONDS = 0.5
"""What a worker that has closed its line gets to end by itself, so that its exit status is its own."""

STUCK_SECONDS = 10.0
"""A killed process that lives so long waits for a disk or a driver, and is told of."""

POLL_SECONDS = 0.01
MEMORY_SECONDS = 0.5
PAUSE_SECONDS = 1.0
"""A turn that comes so late: this process itself stood still, and no silence can be held against a worker."""


class LocalDispatcher:
    """Runs attempts in worker processes of this machine; a `Dispatcher`."""

    def __init__(
        self,
        config: Config,
        folders: Folders,
        *,
        slots: int,
        cores: int | None = None,
        guard: Guard | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._config, self._folders, self._guard, self._clock = config, folders, guard, clock
        self._cores = cores or max(1, cpu_count() // slots)
        self.started_workers = 0
        self._setup: dict[str, Any] = {
            "config": config.model_dump(mode="json"),
            "cores": self._cores,
            "heartbeat": config.node.lease / 3,
        }
        self._selector = selectors.DefaultSelector()
        self._slots = [Slot(number) for number in range(slots)]
        self._reports: list[Report] = []
        self._turned = clock.monotonic()
        self._weighed = self._turned
        self._closed = False
        for slot in self._slots:
            self._spawn(slot)

    # -- what the scheduler calls ------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """How many attempts can run at once: slots whose worker is warm."""
        return sum(slot.usable for slot in self._slots)

    @property
    def running(self) -> int:
        """How many attempts have been started and not yet ended in a report."""
        return sum(slot.running is not None for slot in self._slots)

    @property
    def trouble(self) -> str | None:
        """Why no worker starts, as the last that tried said; None where one is warm or none has failed."""
        if self.capacity or not any(slot.failed_starts for slot in self._slots):
            return None
        broken = max(self._slots, key=lambda slot: slot.failed_starts)
        said = tail(self._slot_log(broken), lines=1)
        return said[-1] if said else "workers end as soon as they are started"

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt; only where `running` is below `capacity`."""
        slot = next(slot for slot in self._slots if slot.usable and slot.running is None)
        assert slot.worker is not None
        folders, job_id, fence = self._folders, attempt.job_id, attempt.fence
        staging, log = folders.staging(job_id, fence), folders.log(job_id, fence)
        now = self._clock.monotonic()
        slot.running = Running(attempt, staging, log, now + self._config.processing.job_timeout)
        slot.jobs += 1
        try:
            work = folders.work(job_id, fence)
            for folder in (work, staging):
                folder.mkdir(parents=True, exist_ok=True)
            description = {
                "job_id": job_id,
                "number": attempt.number,
                "story_id": attempt.story_id,
                "story": attempt.story,
                "config": attempt.config,
                "staging": str(staging),
                "temp": str(work),
                "log": str(log),
                "inbox": str(folders.inbox),
            }
            path = work / "attempt.json"
            path.write_text(json.dumps(description), encoding="ascii")
        except OSError as error:
            failure = Failure("machine", type(error).__name__, f"{error.filename}: {error.strerror}")
            self._end(slot, FailedReport(job_id, fence, failure))
            return
        if not slot.worker.say(attempt=str(path), fence=fence):
            self._kill(slot, self._failed(slot, "machine", "WorkerLost", "the worker took no job"))

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        """End an attempt: asked first, killed a second later, or killed at once with `now`."""
        for slot in self._slots:
            running = slot.running
            if running is None or (running.attempt.job_id, running.attempt.fence) != (job_id, fence):
                continue
            if slot.dying or slot.settling:
                return
            assert slot.worker is not None
            if now or not slot.worker.say(stop=fence):
                self._kill(slot, StoppedReport(job_id, fence))
            elif running.ended_by is None:
                running.ended_by, running.kill_at = "stop", self._clock.monotonic() + STOP_SECONDS

    def reports(self, timeout: float) -> Sequence[Report]:
        """Wait up to `timeout` seconds for reports and return those that came."""
        deadline = time.monotonic() + timeout
        while True:
            self._turn()
            left = deadline - time.monotonic()
            if self._reports or left <= 0:
                break
            busy = any(slot.dying or slot.settling for slot in self._slots)
            self._selector.select(min(left, POLL_SECONDS) if busy else left)
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> None:
        """Kill what still runs and give everything back."""
        self._closed = True
        for slot in self._slots:
            if slot.worker is not None and not slot.dying:
                running = slot.running
                report = StoppedReport(running.attempt.job_id, running.attempt.fence) if running else None
                self._kill(slot, report)
        deadline = time.monotonic() + 10
        while any(slot.dying for slot in self._slots) and time.monotonic() < deadline:
            self._turn()
            time.sleep(POLL_SECONDS)
        self._selector.close()

    # -- one turn -----------------------------------------------------------------------------

    def _turn(self) -> None:
        """Hear what has come, then judge what has not."""
        for slot in self._slots:
            if slot.worker is not None and not slot.dying:
                self._hear(slot, slot.worker)
        now = self._clock.monotonic()
        if now - self._turned > PAUSE_SECONDS:
            for slot in self._slots:
                slot.seen = max(slot.seen, now)
        self._turned = now
        for slot in self._slots:
            if slot.settling:
                self._settle(slot)
            if slot.dying:
                self._bury(slot)
            elif slot.worker is not None:
                self._judge(slot, slot.worker, now)
            if slot.worker is None and not self._closed and now >= slot.spawn_at:
                self._spawn(slot)
        if now - self._weighed >= MEMORY_SECONDS:
            self._weigh()
            # Where so many processes run that looking at them takes long, they are looked at less often.
            self._weighed = self._clock.monotonic() + 20 * (self._clock.monotonic() - now)

    def _hear(self, slot: Slot, worker: WorkerProcess) -> None:
        for message in worker.heard():
            slot.seen = self._clock.monotonic()
            try:
                self._take(slot, message)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                # A worker reads what strangers send. One that talks nonsense is not to be trusted any more.
                logger.error("the worker said %.200r: %s", message, error, extra={"slot": slot.number})
                self._kill(slot, self._unintelligible(slot) if slot.running else None)
            if slot.worker is not worker or slot.dying:
                return

    def _take(self, slot: Slot, message: dict[str, Any]) -> None:
        """Take what a worker says; raise where it makes no sense."""
        running = slot.running
        if "ready" in message:
            slot.ready, slot.failed_starts = True, 0
        if running is None or slot.settling:
            return
        job_id, fence = running.attempt.job_id, running.attempt.fence
        if "progress" in message:
            self._reports.append(ProgressReport(job_id, fence, read_progress(message["progress"])))
        elif message.get("fence") == fence:
            self._outcome(slot, running, message)

    def _outcome(self, slot: Slot, running: Running, message: dict[str, Any]) -> None:
        """Take what the worker says of how its attempt ended."""
        job_id, fence = running.attempt.job_id, running.attempt.fence
        if "finished" in message:
            slot.report = FinishedReport(job_id, fence, running.staging, message["finished"])
        elif running.ended_by == "timeout":
            self._kill(slot, self._timed_out(slot))
            return
        elif "stopped" in message or running.ended_by == "stop":
            slot.report = StoppedReport(job_id, fence)
        else:
            told = read_failure(message["failed"])
            report = self._failed(slot, told.kind, told.error_type, told.message)
            if told.kind == "machine" or told.error_type == "MemoryLimit":
                self._kill(slot, report)  # what it holds of the GPU or of memory is not to be trusted
                return
            slot.report = report
        slot.settling = True

    def _judge(self, slot: Slot, worker: WorkerProcess, now: float) -> None:
        """Kill a worker that has died, fallen silent or taken too long."""
        running = slot.running
        if worker.hung_up and not slot.hung_at:
            slot.hung_at = now
        if worker.exit_status() is not None or (worker.hung_up and now - slot.hung_at > HUNG_UP_SECONDS):
            self._gone(slot, worker, running)
        elif not slot.ready and now - slot.spawned > START_SECONDS:
            slot.failed_starts += 1
            logger.error("the worker was not warm after %g s", START_SECONDS, extra={"slot": slot.number})
            self._kill(slot, None)
        elif now - slot.seen > (lease := self._lease(slot)):
            logger.error("no sign of life for %g s: the worker is killed", lease, extra={"slot": slot.number})
            lost = self._lost(slot, running, f"no sign of life for {lease:g} s") if running else None
            self._kill(slot, slot.report or lost)
        elif running is not None and not slot.settling:
            if running.kill_at is not None and now >= running.kill_at:
                stopped = StoppedReport(running.attempt.job_id, running.attempt.fence)
                self._kill(slot, stopped if running.ended_by == "stop" else self._timed_out(slot))
            elif running.ended_by is None and now >= running.deadline:
                running.ended_by, running.kill_at = "timeout", now + TERM_SECONDS
                worker.say(stop=running.attempt.fence)
                worker.terminate()
        elif slot.running is None and slot.jobs >= self._config.node.jobs_per_worker:
            self._kill(slot, None)

    def _lease(self, slot: Slot) -> float:
        """Return how long a worker may be silent: longer while it imports, where a slow disk holds up all of it."""
        return self._config.node.lease if slot.ready else max(self._config.node.lease, START_SILENCE_SECONDS)

    def _gone(self, slot: Slot, worker: WorkerProcess, running: Running | None) -> None:
        """Take it that a worker has died by itself or by somebody's hand."""
        status = worker.exit_status()
        if running is None:
            if not slot.ready:
                slot.failed_starts += 1
                said = " | ".join(tail(worker.log, lines=3)) or f"status {status}"
                logger.error("the worker ended before it was warm: %s", said, extra={"slot": slot.number})
            self._kill(slot, None)
            return
        if status is not None and status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            how = f"the worker was killed ({name})"
        else:
            how = "the worker ended" + ("" if status is None else f" with status {status}")
        self._kill(
            slot, slot.report or self._lost(slot, running, how, killed=status is not None and status < 0)
        )

    def _lost(self, slot: Slot, running: Running, how: str, *, killed: bool = False) -> Report:
        if running.ended_by == "stop":
            return StoppedReport(running.attempt.job_id, running.attempt.fence)
        if running.ended_by == "timeout":
            return self._timed_out(slot)
        return self._failed(slot, "retryable", "WorkerKilled" if killed else "WorkerLost", how)

    def _timed_out(self, slot: Slot) -> Report:
        seconds = self._config.processing.job_timeout
        return self._failed(slot, "retryable", "JobTimeout", f"the attempt took longer than {seconds:g} s")

    def _unintelligible(self, slot: Slot) -> Report:
        return self._failed(slot, "retryable", "WorkerLost", "the worker said something that makes no sense")

    def _failed(self, slot: Slot, kind: FailureKind, error_type: str, message: str) -> FailedReport:
        assert slot.running is not None
        attempt = slot.running.attempt
        failure = Failure(kind, error_type, message, tail(slot.running.log))
        return FailedReport(attempt.job_id, attempt.fence, failure)

    def _weigh(self) -> None:
        """Kill the workers whose processes together hold more memory than a job may."""
        busy = {
            slot.worker.pid: slot
            for slot in self._slots
            if slot.worker is not None and slot.running is not None and not slot.dying and not slot.settling
        }
        if not busy:
            return
        most = self._config.node.worker_memory_mb
        for session, members in session_members(*busy).items():
            held = sum(process.memory for process in members) / 1e6
            if held > most:
                slot = busy[session]
                message = f"its processes held {held:.0f} MB; allowed: node.worker_memory_mb, {most:g} MB"
                self._kill(slot, self._failed(slot, "retryable", "MemoryLimit", message))

    # -- begin and end of workers ----------------------------------------------------------------

    def _slot_log(self, slot: Slot) -> Path:
        return self._folders.logs / f"worker-{slot.number}.log"

    def _spawn(self, slot: Slot) -> None:
        now = self._clock.monotonic()
        try:
            worker = WorkerProcess(
                setup=self._setup, state=self._folders.state, cores=self._cores, log=self._slot_log(slot)
            )
        except OSError as error:
            slot.failed_starts += 1
            slot.spawn_at = now + slot.start_wait
            logger.error("a worker cannot be started: %s", error, extra={"slot": slot.number})
            return
        self.started_workers += 1
        if self._guard is not None:
            self._guard.add(worker.pid)
        self._selector.register(worker.receive, selectors.EVENT_READ)
        slot.worker, slot.ready, slot.jobs, slot.dying = worker, False, 0, False
        slot.seen = slot.spawned = now
        slot.hung_at = 0.0

    def _kill(self, slot: Slot, report: Report | None) -> None:
        """Begin to kill a slot's worker; `report` is given when nothing of it is left."""
        assert slot.worker is not None
        slot.dying, slot.settling, slot.ready, slot.report = True, False, False, report
        slot.killed_at = self._clock.monotonic()
        self._selector.unregister(slot.worker.receive)
        self._bury(slot)

    def _bury(self, slot: Slot) -> None:
        assert slot.worker is not None
        if not slot.worker.kill():
            now = self._clock.monotonic()
            if now - slot.killed_at > STUCK_SECONDS:
                slot.killed_at = now
                logger.error(
                    "process %d does not end, its slot is lost until it does",
                    slot.worker.pid,
                    extra={"slot": slot.number},
                )
            return
        if self._guard is not None:
            self._guard.remove(slot.worker.pid)
        slot.worker, slot.dying = None, False
        slot.spawn_at = self._clock.monotonic() + slot.start_wait
        if slot.report is not None:
            self._end(slot, slot.report)

    def _settle(self, slot: Slot) -> None:
        """Give the report of a worker that lives on, once it alone is left of its session."""
        assert slot.worker is not None
        if slot.worker.kill_strays() and slot.report is not None:
            self._end(slot, slot.report)

    def _end(self, slot: Slot, report: Report) -> None:
        """Delete what the attempt leaves, but for what it has finished, and report how it ended."""
        assert slot.running is not None
        attempt = slot.running.attempt
        self._folders.remove_work(attempt.job_id, attempt.fence)
        if not isinstance(report, FinishedReport):
            self._folders.remove_staging(attempt.job_id, attempt.fence)
        slot.running, slot.report, slot.settling = None, None, False
        self._reports.append(report)
