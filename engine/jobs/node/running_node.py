"""A running node: lock, recovery, workers and the turns of its loop, with or without a server process."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.offer import NOTHING
from video_pipeline.engine.fleet.ray_process import RayProcess
from video_pipeline.engine.fleet.settings import check_ray, server_settings
from video_pipeline.engine.jobs.dispatch.capacity import default_slots
from video_pipeline.engine.jobs.dispatch.guard import Guard, sweep
from video_pipeline.engine.jobs.dispatch.lease import MARGIN_SECONDS
from video_pipeline.engine.jobs.dispatch.local import LocalDispatcher
from video_pipeline.engine.jobs.dispatch.ray import RayDispatcher
from video_pipeline.engine.jobs.dispatch.transfer import shared_store
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.free_space import FreeSpace
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Attempt
from video_pipeline.engine.jobs.node.clock_watch import ClockWatch
from video_pipeline.engine.jobs.node.fleet_ray import supervised_ray
from video_pipeline.engine.jobs.node.notifications import NodeNotifications
from video_pipeline.engine.jobs.node.publications import NodePublications
from video_pipeline.engine.jobs.node.recovery import recover
from video_pipeline.engine.jobs.node.retention import Retention
from video_pipeline.engine.jobs.node.scheduler import EndedAttempt, Scheduler
from video_pipeline.engine.publish.specs import check_node_specs

logger = logging.getLogger(__name__)

LOW_FACTOR = 2.0
"""Times node.min_free_mb: with less free space an alert is sent."""

TURN_SECONDS = 0.02
GUARD_SECONDS = 0.5
STOP_SECONDS = 10.0


class NodeLock:
    """The lock of a state folder: one node at a time.

    Both the folder and `node.lock` in it are locked: the file can be deleted while a node runs, and older versions
    lock the file only. The file holds the node's process id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptors: list[int] = []
        try:
            self._lock(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self._lock_file()
        except OSError as error:
            self.close()
            if not isinstance(error, BlockingIOError):
                raise ConfigError(
                    f"node.state_path: {path.parent}: cannot be locked: {error.strerror}; choose a writable folder of a "
                    "local disk"
                ) from error
            holder = path.read_text("ascii", "replace").strip() if path.is_file() else ""
            raise ConfigError(
                f"node.state_path: {path.parent} is in use by another node (process {holder or 'unknown'}); "
                "stop it or choose another folder"
            ) from error

    def _lock(self, descriptor: int) -> None:
        self._descriptors.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _lock_file(self) -> None:
        self._lock(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.ftruncate(self._descriptors[-1], 0)
        os.pwrite(self._descriptors[-1], f"{os.getpid()}\n".encode(), 0)

    def restore(self) -> bool:
        """Make the lock file again if it was deleted or replaced; return whether it was."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptors[-1]), self._path.stat()):
                return False
        with suppress(OSError):
            self._lock_file()
        return True

    def close(self) -> None:
        """Release the lock."""
        while self._descriptors:
            os.close(self._descriptors.pop())


class RunningNode:
    """A node without its server process; use it in the thread that creates it. A context manager.

    Creation takes the lock, kills processes that an earlier node left, recovers its jobs and starts the workers: here,
    or with `fleet` on the machines that join the Ray that it starts; `ray` is None otherwise.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock = SYSTEM_CLOCK,
        json_log: bool = False,
        fleet: bool = False,
        on_started: Callable[[Attempt], None] | None = None,
        on_ended: Callable[[EndedAttempt], None] | None = None,
    ) -> None:
        check_node_specs(config)
        self.config, self.folders = config, Folders.of(config)
        self._clock = clock
        self.folders.make()
        if fleet:
            check_ray()
            shared_store(config)
        settings = server_settings(config, self.folders.state) if fleet else None
        with ExitStack() as opened:
            self._lock = NodeLock(self.folders.lock)
            opened.callback(self._lock.close)
            swept = sweep(self.folders.state)
            if swept:
                logger.warning("killed %d processes that an earlier node had left", swept)
            self.ledger = opened.enter_context(Ledger(self.folders.ledger, clock=clock))
            self.guard = Guard(self.folders.state)
            opened.callback(self.guard.close)
            self.publications = NodePublications(
                config, self.folders, guard=self.guard, clock=clock, json_log=json_log
            )
            opened.callback(self.publications.close)
            self.retention = Retention(config, self.folders, clock=clock)
            self.notifications = NodeNotifications(
                config, self.folders, self.ledger, guard=self.guard, clock=clock, json_log=json_log
            )
            opened.callback(self.notifications.close)
            self.ray: RayProcess | None = None
            if settings is not None:
                self.ray = supervised_ray(
                    settings, NOTHING, head=True, state=self.folders.state, guard=self.guard
                )
                opened.callback(self.ray.close)
            left: list[tuple[str, int]] = []
            recover(
                self.ledger,
                self.folders,
                on_published=self.publications.add,
                on_interrupted=lambda job_id, fence: left.append((job_id, fence)),
            )
            self.dispatcher: LocalDispatcher | RayDispatcher
            if fleet:
                # Attempts of the node that ended may run until their leases end.
                wait = config.fleet.lease + MARGIN_SECONDS if left else 0.0
                self.dispatcher = RayDispatcher(
                    config, self.folders, guard=self.guard, clock=clock, wait=wait, left=left
                )
            else:
                self.dispatcher = self._local_dispatcher()
            opened.callback(self.dispatcher.close)
            self._opened = opened.pop_all()
        self.scheduler = Scheduler(
            self.ledger,
            self.dispatcher,
            self.folders,
            config,
            clock=clock,
            on_started=on_started,
            on_ended=on_ended,
            on_published=self.publications.add,
        )
        self._guard_at = clock.monotonic()
        self._clock_watch = ClockWatch(clock=clock)
        self._low_space = FreeSpace(config, clock=clock, least_mb=config.node.min_free_mb * LOW_FACTOR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _local_dispatcher(self) -> LocalDispatcher:
        capacity = default_slots(self.config)
        logger.info("job slots: %d, cores of each: %d (%s)", capacity.slots, capacity.cores, capacity.reason)
        return LocalDispatcher(
            self.config,
            self.folders,
            slots=capacity.slots,
            cores=capacity.cores,
            sessions=capacity.sessions,
            guard=self.guard,
            clock=self._clock,
        )

    @property
    def slots(self) -> int:
        """Number of job slots, those without a warm worker included."""
        return self.dispatcher.slots

    @property
    def trouble(self) -> str | None:
        """Why the node cannot render now, None if it can."""
        if not self.ledger.file.in_place:
            return "the ledger was moved, deleted or replaced; move it back or restart the node"
        if self.ray is not None and self.ray.trouble:
            return self.ray.trouble
        if self.dispatcher.capacity == 0:
            return self.dispatcher.trouble or "the workers are not warm yet"
        return None if self.scheduler.healthy else "the disk is full or the ledger cannot be written"

    def faults(self) -> dict[str, str]:
        """Return what alerts are sent of: causes that stand now, with details."""
        found = {}
        if shortage := self.scheduler.shortage:
            found["disk full"] = shortage
        elif low := self._low_space.shortage():
            found["disk nearly full"] = low
        if not self.ledger.file.in_place or not (self.scheduler.healthy or self.scheduler.is_full):
            found["ledger trouble"] = self.trouble or "the ledger cannot be written"
        if trouble := self.dispatcher.trouble:
            found["no worker starts"] = trouble
        return found

    @property
    def is_quiet(self) -> bool:
        """Whether no attempt runs and every worker is warm, so that only a message or a due job needs a turn."""
        return self.scheduler.idle and self.dispatcher.capacity == self.slots

    def turn(self, timeout: float = TURN_SECONDS) -> None:
        """Run one turn of the loop, which waits up to `timeout` seconds for reports."""
        self.scheduler.step(timeout)
        if self.ray is not None:
            self.ray.poll()
        self.publications.poll()
        self.notifications.poll(self.faults)
        self.retention.poll()
        now = self._clock.monotonic()
        if now >= self._guard_at:
            self._guard_at = now + GUARD_SECONDS
            self._clock_watch.poll()
            if self.guard.restart_if_dead():
                logger.warning("the guard had died; restarted it")
            if self._lock.restore():
                logger.warning("%s had been deleted or replaced; made it again", self.folders.lock)

    def finish(self, *, seconds: float, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Start no further jobs and let running ones finish; return whether they did.

        Give up after `seconds`, or as soon as `go_on`, which is called at each turn, returns False.
        """
        self.scheduler.drain()
        deadline = self._clock.monotonic() + seconds
        while not self.scheduler.idle:
            if not go_on() or self._clock.monotonic() >= deadline:
                return False
            self.turn()
        return True

    def stop(self, *, now: bool, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Stop running jobs (with `now`, kill them) and queue them again; return whether all have ended."""
        self.scheduler.stop_running(now=now)
        return self.finish(seconds=STOP_SECONDS, go_on=go_on)

    def close(self) -> None:
        """Kill running jobs and release resources."""
        self._opened.close()
