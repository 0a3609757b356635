"""Run attempts on many machines: Ray places slots by resources, and each slot runs attempts like a small node.

The slots are actors (ray_slot.py), reached through one child process (ray_bridge.py). All decisions are here, in the
calling thread, on the monotonic clock: an attempt has ended if its slot says so, or if its lease has ended.
"""

from __future__ import annotations

import json
import logging
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.fleet.machines import DRAINING
from video_pipeline.engine.jobs.dispatch.base import (
    FailedReport,
    FinishedReport,
    ProgressReport,
    Report,
    StoppedReport,
)
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.identity import difference, shared_versions, version_of
from video_pipeline.engine.jobs.dispatch.lease import NodeLease
from video_pipeline.engine.jobs.dispatch.remote_slots import (
    JobWishes,
    RemoteAttempt,
    RemoteSlot,
    SlotKind,
    keep_log,
    lost_report,
    renders_of,
    set_machine,
    slot_needs,
    trouble_of,
)
from video_pipeline.engine.jobs.dispatch.shared_segments import SharedSegments, attempt_key
from video_pipeline.engine.jobs.dispatch.slots import BACKOFF_SECONDS
from video_pipeline.engine.jobs.dispatch.staged_attempts import StagedAttempts
from video_pipeline.engine.jobs.dispatch.transfer import shared_store
from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess, read_failure, read_progress
from video_pipeline.engine.jobs.folders import Folders, tail
from video_pipeline.engine.jobs.model import Attempt, Failure

logger = logging.getLogger(__name__)

BRIDGE: Final = "video_pipeline.engine.jobs.dispatch.ray_bridge"
BRIDGE_SILENCE_SECONDS: Final = 30.0
CLUSTER_SILENCE_SECONDS: Final = 120.0
POLL_GAP_SECONDS: Final = 0.1
"""Least time between two polls of a slot."""

PLACED_AT_ONCE: Final = 16
NOTE_SECONDS: Final = 1.0
LOST_SECONDS: Final = 2.5
CLOSE_SECONDS: Final = 10.0
TICK_SECONDS: Final = 0.05


class RayDispatcher:
    """A `Dispatcher` that runs attempts in slots on the machines of a fleet.

    `wait` is the number of seconds in which no attempt starts: after a crash, the leases of the last node's attempts.
    `left` are job id and fence of those: what they left in the storage is deleted then.
    """

    def __init__(
        self,
        config: Config,
        folders: Folders,
        *,
        guard: Guard | None = None,
        clock: Clock = SYSTEM_CLOCK,
        wait: float = 0.0,
        left: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._config, self._folders, self._guard, self._clock = config, folders, guard, clock
        shared_store(config)  # which raises for a wrong place
        self._lease = config.fleet.lease
        self._needs = slot_needs(config)
        self._identity = shared_versions()
        self._settings = config.model_dump(mode="json", exclude_unset=True)
        self._setup = {"config": self._settings, "lease": self._lease, "versions": self._identity}
        self._selector = selectors.DefaultSelector()
        self.remote_slots: dict[int, RemoteSlot] = {}
        self._collecting: dict[tuple[str, int], RemoteAttempt] = {}
        self._reports: list[Report] = []
        self._noted: dict[str, Any] = {}
        self._noted_at = clock.monotonic()
        self._wishes = JobWishes(config)
        self._shared = SharedSegments(self.remote_slots, self._send, config.fleet.job_slots)
        self._numbers = self._bridge_failures = 0
        self._bridge: WorkerProcess | None = None
        self._bridge_log = folders.logs / "fleet.log"
        self._bridge_seen = self._cluster_seen = self._bridge_at = clock.monotonic()
        self._dying: list[WorkerProcess] = []
        self._open_at = clock.monotonic() + wait
        self._staged = StagedAttempts(folders.staged_attempts, left, opens_at=self._open_at)
        self.machines: dict[str, str] = {}
        """The status of each machine of the fleet, by its id."""
        self.started_workers, self._closed = 0, False
        self._spawn()

    # -- what the scheduler calls --------------------------------------------------------------

    @property
    def slots(self) -> int:
        """Number of slots on all machines."""
        return sum(slot.is_open for slot in self.remote_slots.values())

    @property
    def capacity(self) -> int:
        """Number of attempts that can run at once: those that run, and idle slots."""
        opened = self._clock.monotonic() >= self._open_at
        return self.running + (sum(slot.can_start for slot in self.remote_slots.values()) if opened else 0)

    @property
    def running(self) -> int:
        """Number of started attempts whose end has not been reported."""
        return sum(slot.running is not None for slot in self.remote_slots.values()) + len(self._collecting)

    @property
    def trouble(self) -> str | None:
        """Why no slot can be used, None if one can."""
        if any(slot.phase == "usable" for slot in self.remote_slots.values()):
            return None
        if self._bridge_failures:
            lines = tail(self._bridge_log, lines=1)
            return lines[-1] if lines else "the process that talks to Ray ends again and again"
        return trouble_of(self.remote_slots.values())

    @property
    def accepts(self) -> Callable[[Mapping[str, Any]], bool] | None:
        """Whether a job with this configuration could start now: one for NVENC waits for a slot that has a session."""
        if any(slot.can_start and slot.kind == "nvenc" for slot in self.remote_slots.values()):
            return None
        return lambda config: not self._wishes.nvenc(config)

    def start(self, attempt: Attempt) -> None:
        """Start an attempt; call it only if `running` is below `capacity`."""
        able = [slot for slot in self.remote_slots.values() if slot.can_start]
        wanted: SlotKind = "nvenc" if self._wishes.nvenc(attempt.config) else "cpu"
        slot = min(able, key=lambda slot: (slot.kind != wanted, not slot.is_idle))
        key = attempt.job_id, attempt.fence
        slot.running = RemoteAttempt(attempt, slot.machine, self._clock.monotonic())
        work = self._folders.work(*key)
        try:
            work.mkdir(parents=True, exist_ok=True)
            path = work / "attempt.json"
            fields = {name: getattr(attempt, name) for name in Attempt.__dataclass_fields__}
            path.write_text(json.dumps(fields), encoding="ascii")
            self._staged.begin(key)
        except OSError as error:
            failure = Failure("machine", type(error).__name__, f"{error.filename}: {error.strerror}")
            self._end(slot, FailedReport(*key, failure))
            return
        logger.info("on %s", slot.machine, extra={"job_id": attempt.job_id})
        if slot.drawing is not None:
            slot.next_path = str(path)
            self._shared.stop(slot)
            return
        self._send(start=slot.number, path=str(path), inbox=str(self._folders.inbox))

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        """Stop an attempt: ask its worker, kill it a second later; with `now` kill it at once."""
        for slot in self.remote_slots.values():
            running = slot.running
            if running is None or (running.attempt.job_id, running.attempt.fence) != (job_id, fence):
                continue
            running.stopping = True
            self._send_stop(slot, now=now)

    @property
    def descriptor(self) -> int:
        """The descriptor that becomes readable when a message has arrived."""
        return self._selector.fileno()

    def reports(self, timeout: float) -> Sequence[Report]:
        """Return the next reports, waiting up to `timeout` seconds for one."""
        deadline = time.monotonic() + timeout
        while True:
            self._turn()
            left = deadline - time.monotonic()
            if self._reports or left <= 0:
                break
            self._selector.select(min(left, TICK_SECONDS))
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> None:
        """Stop running attempts and end the process that talks to Ray, with which the slots end."""
        self._closed = True
        for slot in self.remote_slots.values():
            if slot.running is not None:
                self._send_stop(slot, now=True)
        deadline = time.monotonic() + CLOSE_SECONDS
        while self.running and self._bridge is not None and time.monotonic() < deadline:
            self._turn()
            time.sleep(TICK_SECONDS)
        if self._bridge is not None:
            self._drop_bridge("the node ends")
        while self._dying and time.monotonic() < deadline:
            self._reap()
            time.sleep(TICK_SECONDS)
        self._selector.close()

    # -- one turn ------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Read messages, poll slots, end leases."""
        now = self._clock.monotonic()
        bridge = self._bridge
        if bridge is not None:
            for message in bridge.messages():
                self._bridge_seen = now
                try:
                    self._handle(message)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    logger.error("malformed message of a machine: %.200r: %s", message, error)
                    self._lose(self._slot_of(message), "it sent a malformed message")
            if bridge.exit_status() is not None or bridge.pipe_closed:
                self._drop_bridge("the process that talks to Ray has ended")
            elif now - self._bridge_seen > BRIDGE_SILENCE_SECONDS:
                self._drop_bridge("the process that talks to Ray does not answer")
            elif now - self._cluster_seen > CLUSTER_SILENCE_SECONDS and not any(
                slot.phase == "usable" for slot in self.remote_slots.values()
            ):
                self._drop_bridge("Ray does not answer")
        self._reap()
        if self._bridge is None and not self._closed and not self._dying and now >= self._bridge_at:
            self._spawn()
        for job_id, fence in self._staged.next(now) if self._bridge is not None else ():
            self._send(discard=job_id, fence=fence)
        if now - self._noted_at >= NOTE_SECONDS:
            self._noted_at = now
            self._note_renders()
        if not self._closed:
            self._shared.share_out(now)
        for slot in list(self.remote_slots.values()):
            if slot.poll_at is not None and now >= slot.poll_at and slot.phase != "lost":
                self._poll(slot, now)
            if slot.lease.has_ended(now) and slot.phase not in ("placing", "lost"):
                self._lose(slot, f"it did not answer for {self._lease:g} s")
            is_known = now >= slot.lost_at + LOST_SECONDS  # whether the whole machine was lost
            if slot.phase == "lost" and (not slot.running or (slot.lease.has_ended(now) and is_known)):
                self._remove(slot)

    def _note_renders(self) -> None:
        """Say what each machine renders and how the shared cache does, if that has changed."""
        told = {"renders": renders_of(self.remote_slots.values()), "cache": dict(self._shared.counts)}
        if told != self._noted and self._bridge is not None:
            self._noted = told
            self._send(told=told)

    def _poll(self, slot: RemoteSlot, now: float) -> None:
        slot.poll_at, slot.polled_at = None, now
        text = json.dumps({"received": slot.lease.received, "wait": self._lease / 4})
        self._send(poll=slot.number, text=text)

    def _handle(self, message: dict[str, Any]) -> None:
        """Process a message; raise if it is malformed."""
        if "cluster" in message:
            self._bridge_failures, self._cluster_seen = 0, self._clock.monotonic()
            self.machines = dict(message["cluster"]["machines"])
            self._leave_draining()
            self._place(dict(message["cluster"]["free"]))
        elif "collected" in message:
            self._collected(message)
        elif "discarded" in message:
            self._staged.told(message, self._clock.monotonic())
        slot = self._slot_of(message)
        if slot is None or slot.phase == "lost":
            return
        now = self._clock.monotonic()
        if "placed" in message:
            self._placed(slot, json.loads(message["text"]), now)
        elif "polled" in message:
            self._polled(slot, json.loads(message["text"]), now)
        elif "missed" in message:
            slot.poll_at = now + self._lease / 10
        elif "lost" in message:
            self._lose(slot, message["reason"], ended=True)
        elif "unsent" in message:
            key = message["job_id"], message["fence"]
            if slot.running is not None and attempt_key(slot.running.attempt) == key:
                self._end(slot, FailedReport(*key, read_failure(message["failure"])))

    def _slot_of(self, message: dict[str, Any]) -> RemoteSlot | None:
        for kind in ("placed", "polled", "missed", "lost", "unsent", "started"):
            if kind in message:
                return self.remote_slots.get(message[kind])
        return None

    # -- slots ---------------------------------------------------------------------------------

    def _place(self, free: dict[str, float]) -> None:
        """Let Ray place slots in what is free; one under way counts as if it had its resources not yet."""
        placing = [slot for slot in self.remote_slots.values() if slot.phase == "placing"]
        for slot in placing:
            self._needs[slot.kind].take_from(free)
        room = PLACED_AT_ONCE - len(placing)
        for kind, needs in self._needs.items():
            for _ in range(min(room, needs.times_in(free))):
                room -= 1
                needs.take_from(free)
                self._create(kind)

    def _leave_draining(self) -> None:
        """Give back the idle slots of machines that leave, which wait for that."""
        for slot in self.remote_slots.values():
            slot.leaves = self.machines.get(slot.machine_id) == DRAINING
            if slot.running is None and slot.leaves and slot.phase != "lost":
                logger.info("the slot on %s is given back: its machine leaves", slot.machine)
                slot.phase = "lost"
                self._send(kill=slot.number)

    def _create(self, kind: SlotKind) -> None:
        self._numbers += 1
        slot = RemoteSlot(self._numbers, kind, NodeLease(self._lease, now=self._clock.monotonic()))
        self.remote_slots[slot.number] = slot
        setup = json.dumps({**self._setup, "nvenc": kind == "nvenc"})
        self._send(create=slot.number, needs=asdict(self._needs[kind]), setup=setup)

    def _placed(self, slot: RemoteSlot, machine: dict[str, Any], now: float) -> None:
        """Take a slot that Ray has placed, unless its machine would make other bytes."""
        set_machine(slot, machine, self.remote_slots.values(), self.machines)
        slot.version = version_of(machine["identity"])
        slot.lease.renew(0, now=now)
        if other := difference(self._identity, machine["identity"]):
            # The actor stays, so that Ray places no other one there, and is polled until its machine leaves.
            slot.phase, slot.trouble = "refused", f"{slot.machine} is refused: {other}"
            logger.error("%s", slot.trouble)
            slot.poll_at = now
            return
        slot.phase, slot.poll_at = "warming", now
        self.started_workers += 1

    def _polled(self, slot: RemoteSlot, news: dict[str, Any], now: float) -> None:
        slot.lease.renew(int(news["number"]), now=now)
        slot.poll_at = max(now, slot.polled_at + POLL_GAP_SECONDS)
        if slot.phase in ("warming", "usable"):
            was, slot.phase = slot.phase, "usable" if news["ready"] else "warming"
            if was != slot.phase == "usable":
                logger.info("a slot on %s is ready", slot.machine)
            slot.trouble = f"{slot.machine}: {news['trouble']}"[:500] if news["trouble"] else ""
        running, end = slot.running, news["end"]
        if slot.drawing is not None:
            if (path := self._shared.polled(slot, end, now)) is not None:
                self._send(start=slot.number, path=path, inbox=str(self._folders.inbox))
            return
        if running is None:
            return
        key = attempt_key(running.attempt)
        if end is not None and (end["job_id"], end["fence"]) == key:
            self._ended(slot, running, end)
            return
        spread = news["spread"]
        if spread is not None and spread["fence"] == running.attempt.fence:
            numbers = [int(number) for number in spread["numbers"]]
            self._shared.offer(running.attempt, slot.kind, str(spread["plan"]), numbers)
        progress = news["progress"]
        if progress is not None and progress["fence"] == running.attempt.fence:
            self._reports.append(ProgressReport(*key, read_progress(progress)))
        if running.stopping:
            self._send_stop(slot, now=False)

    def _ended(self, slot: RemoteSlot, running: RemoteAttempt, end: dict[str, Any]) -> None:
        """Process the end of an attempt that its machine has told."""
        key = attempt_key(running.attempt)
        self._shared.forget(key)
        keep_log(self._folders.log(*key), str(end["log"]))
        if "finished" in end:
            result, files = dict(end["finished"]), list(end["files"])
            slot.running, running.result = None, result
            self._collecting[key] = running
            staging = str(self._folders.staging(*key))
            self._send(collect=slot.number, job_id=key[0], fence=key[1], files=files, staging=staging)
        elif "failed" in end and not running.stopping:
            failure = read_failure(end["failed"])
            lines = tuple(str(line)[:2000] for line in end["failed"].get("log_tail", ())[-20:])
            message = (
                f"{failure.message} (on {running.machine})" if failure.kind == "machine" else failure.message
            )
            self._end(slot, FailedReport(*key, Failure(failure.kind, failure.error_type, message, lines)))
        else:
            self._end(slot, StoppedReport(*key))

    def _collected(self, message: dict[str, Any]) -> None:
        """Report a finished attempt whose files are in the staging folder, or could not be fetched."""
        key = message["job_id"], message["fence"]
        running = self._collecting.pop(key, None)
        if running is None:
            return
        if message["failure"] is None:
            self._staged.ended(key, self._clock.monotonic())
            self._folders.remove_work(*key)
            self._shared.count(running.result or {})
            self._reports.append(FinishedReport(*key, self._folders.staging(*key), running.result or {}))
        else:
            self._report_end(FailedReport(*key, read_failure(message["failure"])))

    def _lose(self, slot: RemoteSlot | None, reason: str, *, ended: bool = False) -> None:
        """Use a slot no longer; its attempt runs until its lease has ended. `ended`: Ray says that its process has ended."""
        if slot is None or slot.phase == "lost":
            return
        if slot.running is not None or slot.phase != "placing":
            logger.error("a slot on %s is lost: %s", slot.machine or "a machine", reason)
        self._shared.ended(slot, f"{slot.machine} is lost")
        slot.phase, slot.trouble, slot.has_ended = "lost", reason, ended
        slot.lost_at = self._clock.monotonic()
        self._send(kill=slot.number)

    def _remove(self, slot: RemoteSlot) -> None:
        """Forget a lost slot, and report its attempt, whose lease has ended."""
        self._shared.ended(slot, None)
        if slot.running is not None:
            is_there = self.machines.get(slot.machine_id, DRAINING) != DRAINING
            self._end(slot, lost_report(slot, slot.running, is_there=is_there and self._bridge is not None))
        del self.remote_slots[slot.number]

    def _end(self, slot: RemoteSlot, report: Report) -> None:
        """Report the end of a slot's attempt."""
        slot.running, slot.next_path = None, None
        self._shared.forget((report.job_id, report.fence))
        self._report_end(report, lost=slot.phase == "lost")

    def _report_end(self, report: Report, *, lost: bool = False) -> None:
        """Report the end of an attempt without a result; nothing of it stays here or in the storage."""
        key = report.job_id, report.fence
        self._folders.remove_work(*key)
        self._folders.remove_staging(*key)
        self._staged.ended(key, self._clock.monotonic(), lost=lost)
        self._reports.append(report)

    # -- the bridge ----------------------------------------------------------------------------

    def _send_stop(self, slot: RemoteSlot, *, now: bool) -> None:
        running = slot.running
        if running is not None and slot.phase != "lost":
            job_id, fence = attempt_key(running.attempt)
            text = json.dumps({"job_id": job_id, "fence": fence, "now": now})
            self._send(stop=slot.number, text=text)

    def _send(self, **message: Any) -> None:
        if self._bridge is not None and not self._bridge.send(**message):
            self._drop_bridge("the process that talks to Ray takes no message")

    def _spawn(self) -> None:
        self._bridge_seen = self._cluster_seen = self._clock.monotonic()
        setup, log = {"config": self._settings, "heartbeat": 1.0}, self._bridge_log
        try:
            self._bridge = WorkerProcess(
                setup=setup, state=self._folders.state, cores=1, log=log, module=BRIDGE
            )
        except OSError as error:
            self._bridge_failures += 1
            self._bridge_at = self._bridge_seen + self._bridge_wait()
            logger.error("cannot start the process that talks to Ray: %s", error)
            return
        if self._guard is not None:
            self._guard.add(self._bridge.pid)
        self._selector.register(self._bridge.receive, selectors.EVENT_READ)

    def _bridge_wait(self) -> float:
        return BACKOFF_SECONDS[min(self._bridge_failures, len(BACKOFF_SECONDS)) - 1]

    def _drop_bridge(self, reason: str) -> None:
        """Kill the bridge: Ray ends its actors, and the attempts count as running until their leases have ended."""
        bridge = self._bridge
        if bridge is None:
            return
        self._bridge = None
        self._staged.bridge_lost()
        self._selector.unregister(bridge.receive)
        self._dying.append(bridge)
        self._bridge_failures += 1
        self._bridge_at = self._clock.monotonic() + self._bridge_wait()
        if not self._closed:
            logger.error("%s; %s", reason, " | ".join(tail(bridge.log, lines=3)))
        for slot in self.remote_slots.values():
            self._lose(slot, reason)

    def _reap(self) -> None:
        """End dropped bridges; then what they had begun to fetch is given up."""
        for bridge in self._dying[:]:
            if bridge.kill():
                self._dying.remove(bridge)
                if self._guard is not None:
                    self._guard.remove(bridge.pid)
                failure = Failure("machine", "BridgeLost", "the process that talks to Ray ended")
                while self._collecting:
                    self._report_end(FailedReport(*self._collecting.popitem()[0], failure))
