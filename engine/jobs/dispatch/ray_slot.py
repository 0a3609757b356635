"""The machine's side of a slot: an actor of Ray that runs one attempt at a time as a node of its own would.

The worker process, its session, limits, guard and log are those of `LocalDispatcher`. The node polls, and each poll says
which reply it has received: that renews the lease (lease.py). If the lease ends, the attempt's processes are killed and
this process ends. Only JSON text goes between node and machine; files go through the shared storage.

    node → machine   start {fence, job_id, …, files: [NAME in the inbox]}   stop {fence, now}
                     poll {received: NUMBER, wait: SECONDS}
    machine → node   {number, ready, trouble, progress: {fence, …}, spread: {fence, plan, numbers},
                      end: {fence, finished | failed | stopped, log}}

Ray is imported where it is asked about the machine only.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from video_pipeline.engine.common.object_store import ObjectStore
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.fleet.offer import CORES_LABEL, SESSIONS_LABEL
from video_pipeline.engine.jobs.dispatch.base import (
    FailedReport,
    FinishedReport,
    ProgressReport,
    Report,
    SpreadReport,
)
from video_pipeline.engine.jobs.dispatch.capacity import memory_bytes
from video_pipeline.engine.jobs.dispatch.failures import classify
from video_pipeline.engine.jobs.dispatch.guard import Guard, sweep
from video_pipeline.engine.jobs.dispatch.identity import difference, shared_versions
from video_pipeline.engine.jobs.dispatch.lease import MachineLease, machine_seconds
from video_pipeline.engine.jobs.dispatch.local import LocalDispatcher
from video_pipeline.engine.jobs.dispatch.machine_place import read_place
from video_pipeline.engine.jobs.dispatch.transfer import fetch_inputs, put_staged, shared_store
from video_pipeline.engine.jobs.folders import Folders, tail
from video_pipeline.engine.jobs.model import Attempt, Failure
from video_pipeline.engine.machine.cores import cpu_count

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 60.0
"""An idle slot that the node has not polled for so long after its lease ends itself."""

FAILED_SECONDS: Final = 15.0
"""How long a slot that cannot begin stays and says why, before Ray may place another one."""

TURN_SECONDS: Final = 0.05
GUARD_SECONDS: Final = 0.5
LOG_BYTES: Final = 1 << 18
"""Most of an attempt's log that goes to the node."""

Phase = Literal["fetching", "waiting", "rendering", "storing"]


@dataclass(slots=True)
class _Work:
    """The attempt of a slot. `until`: when fetching or storing has taken too long, in monotonic seconds."""

    attempt: Attempt
    files: tuple[str, ...]
    until: float
    phase: Phase = "fetching"
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Moved:
    """A thread has fetched the inputs or stored the result of an attempt, or has failed."""

    fence: int
    files: list[dict[str, Any]]
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A machine's id in Ray, and the cores and NVENC sessions of each of its slots."""

    machine_id: str
    cores: int
    sessions: int = 1


class MachineSlot:
    """The actor. Ray calls its methods from several threads; one thread of its own does the work.

    On a machine of another version than the node it only says so: it may not understand the node's configuration.
    """

    def __init__(self, setup: str, here: Whereabouts | None = None) -> None:
        given: dict[str, Any] = json.loads(setup)
        self._changed = threading.Condition()
        self._commands: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        self._ready = False
        self._trouble: str | None = None
        self._progress: dict[str, Any] | None = None
        self._spread: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None
        self._end_told = 0
        self._lease = MachineLease(given["lease"])
        here = here or whereabouts()
        self._id, self._here = here.machine_id, here
        if not given["nvenc"]:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # its sessions belong to the slots that asked for them
        self._versions = shared_versions()
        if not difference(given["versions"], self._versions):
            threading.Thread(target=self._work, args=(given,), name="slot", daemon=True).start()

    def describe(self) -> str:
        """Return who this is, as JSON."""
        return json.dumps(
            {
                "host": socket.gethostname(),
                "cores": cpu_count(),
                "memory": memory_bytes(),
                "id": self._id,
                "pid": os.getpid(),
                "identity": self._versions,
            }
        )

    def start(self, text: str) -> str:
        """Start an attempt."""
        self._commands.put(("start", json.loads(text)))
        return "{}"

    def stop(self, text: str) -> str:
        """Stop an attempt."""
        self._commands.put(("stop", json.loads(text)))
        return "{}"

    def poll(self, text: str) -> str:
        """Renew the lease, wait for news for a while, and return them."""
        given = json.loads(text)
        received, wait = int(given["received"]), float(given["wait"])
        with self._changed:
            self._lease.renew(received)
            if self._end is not None and 0 < self._end_told <= received:
                self._end, self._end_told = None, 0
            seen = self._ready, self._trouble, self._progress, self._spread
            self._changed.wait_for(
                lambda: (
                    self._end is not None
                    or seen != (self._ready, self._trouble, self._progress, self._spread)
                ),
                timeout=wait,
            )
            number = self._lease.number_reply()
            if self._end is not None and not self._end_told:
                self._end_told = number
            return json.dumps(
                {
                    "number": number,
                    "ready": self._ready,
                    "trouble": self._trouble,
                    "progress": self._progress,
                    "spread": self._spread,
                    "end": self._end,
                }
            )

    # -- the slot's own thread ----------------------------------------------------------------

    def _work(self, setup: Mapping[str, Any]) -> None:
        """Run the slot until this process ends; end the process if that fails."""
        try:
            try:
                config = machine_config(setup["config"])
                folders = Folders.of(config)
                make_slot(folders)
                loop = SlotLoop(config, folders, here=self._here, slot=self)
            except Exception as error:
                failure = classify(error)
                self.tell(trouble=f"the slot cannot begin: {failure.error_type}: {failure.message}")
                time.sleep(FAILED_SECONDS)
                raise
            loop.run()
        except BaseException:
            logger.exception("the slot has failed")
        finally:
            sys.stderr.flush()
            os._exit(1)  # the guard kills what is left

    def next_command(self) -> tuple[str, dict[str, Any]] | None:
        """Return the next command of the node, None if there is none."""
        try:
            return self._commands.get_nowait()
        except queue.Empty:
            return None

    def tell(self, **news: Any) -> None:
        """Change what the next reply says: `ready`, `trouble`, `progress`, `spread` or `end`."""
        with self._changed:
            for name, value in news.items():
                if getattr(self, f"_{name}") != value:
                    setattr(self, f"_{name}", value)
                    self._changed.notify_all()
            if "end" in news:
                self._end_told, self._progress, self._spread = 0, None, None

    @property
    def lease_until(self) -> float:
        """Until when an attempt may run, by `machine_seconds`."""
        with self._changed:
            return self._lease.until

    @property
    def seconds_without_lease(self) -> float:
        """Seconds since the end of the lease, negative before; from 0 on no attempt may run."""
        return machine_seconds() - self.lease_until


class SlotLoop:
    """The thread of a slot: commands in, attempts on the local dispatcher, news out."""

    def __init__(self, config: Config, folders: Folders, *, here: Whereabouts, slot: MachineSlot) -> None:
        self._config, self._folders, self._slot = config, folders, slot
        self._work: _Work | None = None
        self._moved: queue.SimpleQueue[_Moved] = queue.SimpleQueue()
        self._store: ObjectStore | None = None
        self._guard = Guard(folders.state)
        self._guard_at = time.monotonic()
        self._dispatcher = LocalDispatcher(
            config,
            folders,
            slots=1,
            cores=here.cores,
            sessions=here.sessions,
            guard=self._guard,
            spreads=config.fleet.store is not None,
        )

    def run(self) -> None:
        """Run until the lease of an attempt has ended and its processes too, or the process is killed."""
        while True:
            while (command := self._slot.next_command()) is not None:
                getattr(self, f"_{command[0]}")(command[1])
            had = self._work
            for report in self._dispatcher.reports(TURN_SECONDS):
                self._take(report)
            while not self._moved.empty():
                self._go_on(self._moved.get())
            self._slot.tell(ready=self._dispatcher.capacity > 0, trouble=self._dispatcher.trouble)
            work = self._work
            self._guard.set_lease(self._slot.lease_until if work else None)
            if had is not None and self._slot.seconds_without_lease >= 0:
                self._end_at_lease(
                    had
                )  # also if the guard was quicker, and the attempt's end was told just now
                return
            if work is not None:
                self._check(work)
            elif self._slot.seconds_without_lease > IDLE_SECONDS:
                self._dispatcher.close()
                return
            if time.monotonic() >= self._guard_at:
                self._guard_at = time.monotonic() + GUARD_SECONDS
                self._guard.restart_if_dead()

    def _start(self, given: Mapping[str, Any]) -> None:
        fields = {name: given[name] for name in Attempt.__dataclass_fields__ if name in given}
        work = _Work(Attempt(**fields), tuple(given["files"]), self._deadline())
        if self._work is not None:
            running = self._work.attempt
            message = f"the slot runs attempt {running.job_id}.{running.fence}"
            self._tell_end(work, failed=asdict(Failure("machine", "SlotBusy", message)))
            return
        self._work = work
        self._slot.tell(progress=None)
        self._in_thread(work, lambda: self._fetch(work))

    def _stop(self, given: Mapping[str, Any]) -> None:
        work = self._work
        if work is None or work.attempt.fence != given["fence"] or work.attempt.job_id != given["job_id"]:
            return
        if work.phase == "rendering":
            self._dispatcher.stop(work.attempt.job_id, work.attempt.fence, now=given["now"])
        else:
            self._tell_end(work, stopped=True)

    def _take(self, report: Report) -> None:
        work = self._work
        if work is None or (report.job_id, report.fence) != (work.attempt.job_id, work.attempt.fence):
            return
        if isinstance(report, ProgressReport):
            self._slot.tell(progress={"fence": report.fence, **asdict(report.progress)})
        elif isinstance(report, SpreadReport):
            self._slot.tell(
                spread={"fence": report.fence, "plan": report.plan, "numbers": list(report.numbers)}
            )
        elif isinstance(report, FinishedReport) and work.attempt.drawing is not None:
            self._tell_end(work, finished=dict(report.result), files=[])
        elif isinstance(report, FinishedReport):
            work.phase, work.result, work.until = "storing", report.result, self._deadline()
            self._in_thread(work, lambda: self._put(work, report.staged))
        elif isinstance(report, FailedReport):
            self._tell_end(work, failed=asdict(report.failure))
        else:
            self._tell_end(work, stopped=True)

    def _go_on(self, moved: _Moved) -> None:
        """Continue an attempt whose inputs are here or whose result is stored."""
        work = self._work
        if work is None or moved.fence != work.attempt.fence:
            return
        if moved.failure is not None:
            self._tell_end(work, failed=asdict(moved.failure))
        elif work.phase == "storing":
            self._tell_end(work, finished=dict(work.result or {}), files=moved.files)
        else:
            work.phase = "waiting"

    def _check(self, work: _Work) -> None:
        """Give an attempt whose files are here to the worker, and end one whose files take too long."""
        if work.phase == "waiting" and self._dispatcher.running < self._dispatcher.capacity:
            work.phase = "rendering"
            self._dispatcher.start(work.attempt)
        elif work.phase != "rendering" and time.monotonic() >= work.until:
            seconds = self._config.processing.job_timeout
            failure = Failure("machine", "TransferTimeout", f"{work.phase} took longer than {seconds:g} s")
            self._tell_end(work, failed=asdict(failure))

    def _end_at_lease(self, work: _Work) -> None:
        """Kill an attempt's processes because the node may give its job to another machine."""
        attempt = work.attempt
        logger.error("attempt %s.%d: the lease has ended; killing it", attempt.job_id, attempt.fence)
        self._dispatcher.close()
        self._clean(work)

    def _tell_end(self, work: _Work, **how: Any) -> None:
        attempt = work.attempt
        log = self._folders.log(attempt.job_id, attempt.fence)
        lines = tail(log, lines=1_000_000, most_bytes=LOG_BYTES)
        self._slot.tell(
            end={"fence": attempt.fence, "job_id": attempt.job_id, "log": "\n".join(lines), **how}
        )
        if work is self._work:
            self._work = None
            self._clean(work)

    def _clean(self, work: _Work) -> None:
        attempt = work.attempt
        for folder in (
            self._folders.work(attempt.job_id, attempt.fence),
            self._folders.staging(attempt.job_id, attempt.fence),
        ):
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.log(attempt.job_id, attempt.fence).unlink(missing_ok=True)
        for name in work.files:
            (self._folders.inbox / name).unlink(missing_ok=True)

    def _deadline(self) -> float:
        return time.monotonic() + self._config.processing.job_timeout

    # -- threads that move files ---------------------------------------------------------------

    def _in_thread(self, work: _Work, move: Callable[[], list[dict[str, Any]]]) -> None:
        def run() -> None:
            fence = work.attempt.fence
            try:
                self._moved.put(_Moved(fence, move()))
            except BaseException as error:
                self._moved.put(_Moved(fence, [], classify(error)))

        threading.Thread(target=run, name="files", daemon=True).start()

    def _opened(self) -> ObjectStore:
        if self._store is None:
            self._store = shared_store(self._config)
        return self._store

    def _fetch(self, work: _Work) -> list[dict[str, Any]]:
        if work.files:
            fetch_inputs(self._opened(), work.files, self._folders.inbox)
        return []

    def _put(self, work: _Work, folder: Path) -> list[dict[str, Any]]:
        return put_staged(self._opened(), folder, work.attempt.job_id, work.attempt.fence)


def whereabouts() -> Whereabouts:
    """Return what Ray knows of the machine on which this process runs."""
    import ray

    known: Any = ray
    own = str(known.get_runtime_context().get_node_id())
    labels: dict[str, str] = next(
        (node.get("Labels", {}) for node in known.nodes() if node["NodeID"] == own), {}
    )
    cores, sessions = (max(1, int(labels.get(label) or 1)) for label in (CORES_LABEL, SESSIONS_LABEL))
    return Whereabouts(own, cores, sessions)


def make_slot(folders: Folders) -> None:
    """Make the folders of this slot, locked until this process ends, and remove those of slots that have ended.

    What such slots have left running is killed. The folder of all slots is locked meanwhile.
    """
    place = folders.state.parent
    place.mkdir(parents=True, exist_ok=True)
    together = _lock(place)
    try:
        for folder in place.iterdir():
            try:
                descriptor = _lock(folder, fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            sweep(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
        folders.make()
        _lock(folders.state)
    finally:
        os.close(together)  # also for the other slots, while this one says why it cannot begin


def _lock(folder: Path, flags: int = 0) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def machine_config(settings: Mapping[str, Any]) -> Config:
    """Return the node's configuration with this machine's folders; each slot has a state folder of its own."""
    place = read_place()
    state = place.state / "slots" / str(os.getpid())
    config = load_config(dict(settings), environ=False)
    return (
        config.override("node", state_path=state)
        .override("storage", output_path=state / "out", cache_path=place.cache)
        .override("processing", max_concurrent_jobs=1)
        .override("fleet", store=place.store)
    )
