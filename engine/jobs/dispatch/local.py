"""Run attempts on this machine: one warm worker process per slot, watched, killed if necessary, and replaced.

Everything happens in the calling thread; only `reports` and `close` wait, and workers die with that thread.
"""

from __future__ import annotations

import json
import logging
import selectors
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.dispatch.base import (
    FailedReport,
    FinishedReport,
    ProgressReport,
    Report,
    SpreadReport,
    StoppedReport,
)
from video_pipeline.engine.jobs.dispatch.disk_use import DiskUse
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.slots import Running, Slot
from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess, read_failure, read_progress
from video_pipeline.engine.jobs.folders import Folders, tail
from video_pipeline.engine.jobs.model import Attempt, Failure, FailureKind
from video_pipeline.engine.jobs.processes import session_members
from video_pipeline.engine.machine.cores import cpu_count

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.0
"""Time for a worker to stop before it is killed."""

TERM_SECONDS = 2.0
"""Time between SIGTERM and SIGKILL for the processes of an attempt that took too long."""

START_SECONDS = 60.0
"""Time for a worker to become warm."""

START_SILENCE_SECONDS = 20.0
PIPE_CLOSED_SECONDS = 0.5
"""Time for a worker that has closed its pipe to exit by itself, so that its exit status is known."""

STUCK_SECONDS = 10.0
"""A process that outlives its kill by this long is stuck in a disk or driver call, which is logged."""

POLL_SECONDS = 0.01
MEMORY_SECONDS = 0.5
DISK_SECONDS = 0.1
PAUSE_SECONDS = 1.0
"""If a turn is later than this, this process itself was paused, and workers get their full time again."""


class LocalDispatcher:
    """A `Dispatcher` that runs attempts in worker processes on this machine."""

    def __init__(
        self,
        config: Config,
        folders: Folders,
        *,
        slots: int,
        cores: int | None = None,
        sessions: int | None = None,
        guard: Guard | None = None,
        clock: Clock = SYSTEM_CLOCK,
        spreads: bool = False,
    ) -> None:
        """Start the workers, each with so many cores and NVENC sessions (None: no limit).

        With `spreads`, large attempts tell by SpreadReport what others may draw.
        """
        self._spreads = spreads
        self._config, self._folders, self._guard, self._clock = config, folders, guard, clock
        self._cores = cores or max(1, cpu_count() // slots)
        self.started_workers = 0
        self._setup: dict[str, Any] = {
            "config": config.model_dump(mode="json", exclude_unset=True),
            "cores": self._cores,
            "sessions": sessions,
            "heartbeat": config.node.lease / 3,
        }
        self._disk = DiskUse(config, folders)
        self._selector = selectors.DefaultSelector()
        self._slots = [Slot(number) for number in range(slots)]
        self._reports: list[Report] = []
        self._last_turn = clock.monotonic()
        self._memory_checked = self._disk_checked = self._last_turn
        self._closed = False
        for slot in self._slots:
            self._spawn(slot)

    # -- what the scheduler calls ------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """Number of attempts that can run at once: slots with a warm worker."""
        return sum(slot.usable for slot in self._slots)

    @property
    def running(self) -> int:
        """Number of started attempts whose end has not been reported."""
        return sum(slot.running is not None for slot in self._slots)

    @property
    def accepts(self) -> None:
        """Any job can start where one ends."""
        return

    @property
    def slots(self) -> int:
        """Number of slots, with or without a warm worker."""
        return len(self._slots)

    @property
    def trouble(self) -> str | None:
        """Why no worker starts, from the log of the one that failed most; None if one is warm or none has failed."""
        if self.capacity or not any(slot.failed_starts for slot in self._slots):
            return None
        broken = max(self._slots, key=lambda slot: slot.failed_starts)
        lines = tail(self._slot_log(broken), lines=1)
        return lines[-1] if lines else "workers exit right after they start"

    def start(self, attempt: Attempt) -> None:
        """Start an attempt; call it only if `running` is below `capacity`."""
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
                "drawing": attempt.drawing,
                "spreads": self._spreads,
            }
            path = work / "attempt.json"
            path.write_text(json.dumps(description), encoding="ascii")
        except OSError as error:
            failure = Failure("machine", type(error).__name__, f"{error.filename}: {error.strerror}")
            self._report_end(slot, FailedReport(job_id, fence, failure))
            return
        if not slot.worker.send(attempt=str(path), fence=fence):
            self._kill(
                slot, self._failed_report(slot, "machine", "WorkerLost", "the worker did not accept the job")
            )

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        """Stop an attempt: ask its worker, kill it a second later; with `now` kill it at once."""
        for slot in self._slots:
            running = slot.running
            if running is None or (running.attempt.job_id, running.attempt.fence) != (job_id, fence):
                continue
            if slot.dying or slot.settling:
                return
            assert slot.worker is not None
            if now or not slot.worker.send(stop=fence):
                self._kill(slot, StoppedReport(job_id, fence))
            elif running.ended_by is None:
                running.ended_by, running.kill_at = "stop", self._clock.monotonic() + STOP_SECONDS

    @property
    def descriptor(self) -> int:
        """The descriptor that becomes readable when a worker sends a message."""
        return self._selector.fileno()

    def reports(self, timeout: float) -> Sequence[Report]:
        """Return the next reports, waiting up to `timeout` seconds for one."""
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
        """Kill all workers and release resources."""
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
        """Read messages, then check the workers."""
        for slot in self._slots:
            if slot.worker is not None and not slot.dying:
                self._read_messages(slot, slot.worker)
        now = self._clock.monotonic()
        if now - self._last_turn > PAUSE_SECONDS:
            for slot in self._slots:
                slot.seen = max(slot.seen, now)
        self._last_turn = now
        for slot in self._slots:
            if slot.settling:
                self._settle(slot)
            if slot.dying:
                self._reap(slot)
            elif slot.worker is not None:
                self._check_worker(slot, slot.worker, now)
            if slot.worker is None and not self._closed and now >= slot.spawn_at:
                self._spawn(slot)
        if now - self._memory_checked >= MEMORY_SECONDS:
            self._check_memory()
            # Check less often if there are so many processes that a check takes long.
            self._memory_checked = self._clock.monotonic() + 20 * (self._clock.monotonic() - now)
        now = self._clock.monotonic()
        if now - self._disk_checked >= DISK_SECONDS:
            self._check_disk()
            self._disk_checked = self._clock.monotonic() + 20 * (self._clock.monotonic() - now)

    def _read_messages(self, slot: Slot, worker: WorkerProcess) -> None:
        for message in worker.messages():
            slot.seen = self._clock.monotonic()
            try:
                self._handle_message(slot, message)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                # A worker reads untrusted input; one that sends malformed messages may be compromised.
                logger.error(
                    "malformed message from the worker: %.200r: %s",
                    message,
                    error,
                    extra={"slot": slot.number},
                )
                self._kill(slot, self._protocol_error_report(slot) if slot.running else None)
            if slot.worker is not worker or slot.dying:
                return

    def _handle_message(self, slot: Slot, message: dict[str, Any]) -> None:
        """Process a message of a worker; raise if it is malformed."""
        running = slot.running
        if "ready" in message:
            slot.ready, slot.failed_starts = True, 0
        if running is None or slot.settling:
            return
        job_id, fence = running.attempt.job_id, running.attempt.fence
        if "opening" in message:
            running.opening = message["opening"] is True
        elif "progress" in message:
            self._reports.append(ProgressReport(job_id, fence, read_progress(message["progress"])))
        elif "spread" in message:
            told = message["spread"]
            numbers = tuple(int(number) for number in told["numbers"])
            self._reports.append(SpreadReport(job_id, fence, str(told["plan"]), numbers))
        elif message.get("fence") == fence:
            self._handle_outcome(slot, running, message)

    def _handle_outcome(self, slot: Slot, running: Running, message: dict[str, Any]) -> None:
        """Process the message that ends an attempt."""
        job_id, fence = running.attempt.job_id, running.attempt.fence
        if "finished" in message:
            slot.report = FinishedReport(job_id, fence, running.staging, message["finished"])
        elif running.ended_by == "timeout":
            self._kill(slot, self._timeout_report(slot))
            return
        elif "stopped" in message or running.ended_by == "stop":
            slot.report = StoppedReport(job_id, fence)
        else:
            failure = read_failure(message["failed"])
            report = self._failed_report(slot, failure.kind, failure.error_type, failure.message)
            if failure.kind == "machine" or failure.error_type == "MemoryLimit":
                self._kill(slot, report)  # its GPU state or memory may be broken
                return
            slot.report = report
        slot.settling = True

    def _check_worker(self, slot: Slot, worker: WorkerProcess, now: float) -> None:
        """Handle a worker that has exited, is silent or takes too long, and replace one after enough jobs."""
        running = slot.running
        if worker.pipe_closed and not slot.closed_at:
            slot.closed_at = now
        if worker.exit_status() is not None or (
            worker.pipe_closed and now - slot.closed_at > PIPE_CLOSED_SECONDS
        ):
            self._handle_exit(slot, worker, running)
        elif not slot.ready and now - slot.spawned > START_SECONDS:
            slot.failed_starts += 1
            logger.error("the worker was not warm after %g s", START_SECONDS, extra={"slot": slot.number})
            self._kill(slot, None)
        elif now - slot.seen > (lease := self._lease(slot)):
            logger.error("no heartbeat for %g s: killing the worker", lease, extra={"slot": slot.number})
            self._kill(slot, slot.report or self._silent_report(slot, running, lease))
        elif running is not None and not slot.settling:
            if running.kill_at is not None and now >= running.kill_at:
                stopped = StoppedReport(running.attempt.job_id, running.attempt.fence)
                self._kill(slot, stopped if running.ended_by == "stop" else self._timeout_report(slot))
            elif running.ended_by is None and now >= running.deadline:
                running.ended_by, running.kill_at = "timeout", now + TERM_SECONDS
                worker.send(stop=running.attempt.fence)
                worker.terminate()
        elif slot.running is None and slot.jobs >= self._config.node.jobs_per_worker:
            self._kill(slot, None)

    def _lease(self, slot: Slot) -> float:
        """Return the seconds without a message after which a worker is killed: more at its start, for slow disks."""
        return self._config.node.lease if slot.ready else max(self._config.node.lease, START_SILENCE_SECONDS)

    def _handle_exit(self, slot: Slot, worker: WorkerProcess, running: Running | None) -> None:
        """Handle a worker that exited or was killed."""
        status = worker.exit_status()
        if running is None:
            if not slot.ready:
                slot.failed_starts += 1
                lines = " | ".join(tail(worker.log, lines=3)) or f"status {status}"
                logger.error("the worker ended before it was warm: %s", lines, extra={"slot": slot.number})
            self._kill(slot, None)
            return
        if status is not None and status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            how = f"the worker was killed ({name})"
        else:
            how = "the worker ended" + ("" if status is None else f" with status {status}")
        self._kill(
            slot,
            slot.report or self._lost_report(slot, running, how, killed=status is not None and status < 0),
        )

    def _lost_report(self, slot: Slot, running: Running, how: str, *, killed: bool = False) -> Report:
        if running.ended_by == "stop":
            return StoppedReport(running.attempt.job_id, running.attempt.fence)
        if running.ended_by == "timeout":
            return self._timeout_report(slot)
        return self._failed_report(slot, "retryable", "WorkerKilled" if killed else "WorkerLost", how)

    def _silent_report(self, slot: Slot, running: Running | None, lease: float) -> Report | None:
        """Return the end of an attempt without a heartbeat: if its worker opens an encoder, the GPU's driver hangs."""
        if running is None:
            return None
        if running.opening and running.ended_by is None:
            message = f"the GPU's driver did not open an encoder for {lease:g} s"
            return self._failed_report(slot, "machine", "WorkerLost", message)
        return self._lost_report(slot, running, f"no heartbeat for {lease:g} s")

    def _timeout_report(self, slot: Slot) -> Report:
        seconds = self._config.processing.job_timeout
        return self._failed_report(
            slot, "retryable", "JobTimeout", f"the attempt took longer than {seconds:g} s"
        )

    def _protocol_error_report(self, slot: Slot) -> Report:
        return self._failed_report(slot, "retryable", "WorkerLost", "the worker sent a malformed message")

    def _failed_report(self, slot: Slot, kind: FailureKind, error_type: str, message: str) -> FailedReport:
        assert slot.running is not None
        attempt = slot.running.attempt
        failure = Failure(kind, error_type, message, tail(slot.running.log))
        return FailedReport(attempt.job_id, attempt.fence, failure)

    def _busy(self) -> list[tuple[Slot, WorkerProcess, Running]]:
        """Return the slots in which an attempt is running."""
        return [
            (slot, slot.worker, slot.running)
            for slot in self._slots
            if slot.worker is not None and slot.running is not None and not slot.dying and not slot.settling
        ]

    def _check_disk(self) -> None:
        """Kill an attempt whose files take more than node.worker_disk_mb or leave too little free space on a disk."""
        busy = {(running.attempt.job_id, running.attempt.fence): slot for slot, _, running in self._busy()}
        excess = self._disk.excess(list(busy))
        if excess is not None:
            key, failure = excess
            report = self._failed_report(busy[key], failure.kind, failure.error_type, failure.message)
            self._kill(busy[key], report)

    def _check_memory(self) -> None:
        """Kill workers whose processes together use more memory than node.worker_memory_mb."""
        busy = {worker.pid: slot for slot, worker, _ in self._busy()}
        if not busy:
            return
        most = self._config.node.worker_memory_mb
        for session, members in session_members(*busy).items():
            held = sum(process.memory for process in members) / 1e6
            if held > most:
                slot = busy[session]
                message = f"its processes used {held:.0f} MB; node.worker_memory_mb allows {most:g}"
                self._kill(slot, self._failed_report(slot, "retryable", "MemoryLimit", message))

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
            logger.error("cannot start a worker: %s", error, extra={"slot": slot.number})
            return
        self.started_workers += 1
        if self._guard is not None:
            self._guard.add(worker.pid)
        self._selector.register(worker.receive, selectors.EVENT_READ)
        slot.worker, slot.ready, slot.jobs, slot.dying = worker, False, 0, False
        slot.seen = slot.spawned = now
        slot.closed_at = 0.0

    def _kill(self, slot: Slot, report: Report | None) -> None:
        """Start to kill a slot's worker; `report` is passed on after all its processes have ended."""
        assert slot.worker is not None
        slot.dying, slot.settling, slot.ready, slot.report = True, False, False, report
        slot.killed_at = self._clock.monotonic()
        self._selector.unregister(slot.worker.receive)
        self._reap(slot)

    def _reap(self, slot: Slot) -> None:
        assert slot.worker is not None
        if not slot.worker.kill():
            now = self._clock.monotonic()
            if now - slot.killed_at > STUCK_SECONDS:
                slot.killed_at = now
                logger.error(
                    "process %d was killed but does not end; its slot is unusable until it does",
                    slot.worker.pid,
                    extra={"slot": slot.number},
                )
            return
        if self._guard is not None:
            self._guard.remove(slot.worker.pid)
        slot.worker, slot.dying = None, False
        slot.spawn_at = self._clock.monotonic() + slot.start_wait
        if slot.report is not None:
            self._report_end(slot, slot.report, judge_disk=True)

    def _settle(self, slot: Slot) -> None:
        """Pass on the report of an attempt once its worker is the only process of the session."""
        assert slot.worker is not None
        if slot.worker.kill_strays() and slot.report is not None:
            self._report_end(slot, slot.report)

    def _report_end(self, slot: Slot, report: Report, *, judge_disk: bool = False) -> None:
        """Delete the work folder of an attempt, and its staging folder unless it finished, and queue its report.

        With `judge_disk`, an attempt whose own files had filled the disk is charged.
        """
        assert slot.running is not None
        attempt = slot.running.attempt
        self._folders.remove_work(attempt.job_id, attempt.fence)
        if not isinstance(report, FinishedReport):
            self._folders.remove_staging(attempt.job_id, attempt.fence)
        key = attempt.job_id, attempt.fence
        if judge_disk and isinstance(report, FailedReport):
            report = replace(report, failure=self._disk.final_failure(key, report.failure))
        self._disk.forget(key)
        slot.running, slot.report, slot.settling = None, None, False
        self._reports.append(report)
