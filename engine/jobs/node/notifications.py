"""The node's side of notifications: it starts a process of its own that delivers them whenever there is something to do."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Final

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.collect import LEDGER, begin_reading, notifies, wanted_kinds
from video_pipeline.engine.jobs.processes import signal_session
from video_pipeline.engine.notify.outbox import Outbox, OutboxError, outbox_path
from video_pipeline.engine.notify.targets import alert_targets, connect_target, event_targets
from video_pipeline.engine.publish.records import publications_path

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
FAULTS_SECONDS: Final = 5.0
REPEAT_SECONDS: Final = 600.0
"""How often faults that stand are told to the process, which may have been unable to store them."""

CHECK_SECONDS: Final = 6 * 3600.0
"""How often the process looks at accounts, publications and dead letters although nothing has happened."""

RESTART_SECONDS: Final = 10.0
END_SECONDS: Final = 3.0


class NodeNotifications:
    """Keeps the process that delivers notifications running while there is something to do. Use it in one thread.

    It only reads: the process stores. Without anybody to tell it does nothing at all.
    """

    def __init__(
        self,
        config: Config,
        folders: Folders,
        ledger: Ledger,
        *,
        guard: Guard,
        clock: Clock,
        json_log: bool = False,
    ) -> None:
        self._folders, self._ledger, self._guard, self._clock = folders, ledger, guard, clock
        self._setup = {
            "config": config.model_dump(mode="json", exclude_unset=True),
            "parent": os.getpid(),
            "json_log": json_log,
        }
        self._path = outbox_path(config)
        self._publications = publications_path(config)
        self._kinds = wanted_kinds(config)
        self._is_on = notifies(config)
        self._has_alerts = bool(alert_targets(config))
        self._outbox: Outbox | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at = self._faults_at = self._restart_at = 0.0
        self._seen_seq = 0
        self._seen_publications: object = None
        self._checked_at = float("-inf")
        self._faults: dict[str, str] = {}
        self._told: dict[str, str] | None = None
        self._told_at = float("-inf")
        if self._is_on or self._path.exists():
            self._begin(config)

    def _begin(self, config: Config) -> None:
        try:
            begin_reading(self._ledger, self._open(), config)
            self._seen_seq = self._open().position(LEDGER) or 0
        except (OutboxError, LedgerError) as error:
            logger.error("notifications: %s", error)
        for name in (*event_targets(config), *alert_targets(config)):
            try:
                connect_target(config, name)
            except ConfigError as error:
                logger.error("%s gets nothing until this is right: %s", name, error)

    @property
    def pid(self) -> int | None:
        """The id of the process that delivers, None while it does not run."""
        return self._process.pid if self._process else None

    def numbers(self) -> Mapping[str, float]:
        """Return the outbox's counts for metrics; none if there is nobody to tell."""
        if not self._is_on:
            return {}
        try:
            return self._open().numbers()
        except OutboxError:
            return {}

    def poll(self, faults: Callable[[], dict[str, str]]) -> None:
        """Start the process if there is something to do; `faults` returns what stands now, for alerts."""
        if not self._is_on:
            return
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._process is not None and (status := self._process.poll()) is not None:
            signal_session(self._process.pid, signal.SIGKILL)  # a command that it had started
            self._forget(self._process)
            if status != 0:
                logger.error("the process that delivers notifications ended with status %d", status)
                self._restart_at = now + RESTART_SECONDS
        if self._has_alerts and now >= self._faults_at:
            self._faults_at = now + FAULTS_SECONDS
            self._faults = faults()
        has_news = self._has_alerts and self._faults_are_news(now)
        if self._process is None and now >= self._restart_at and (has_news or self._has_work(now)):
            self._spawn()
            has_news = self._has_alerts
        if has_news and self._process is not None:
            self._tell(self._process, {"faults": self._faults})
            self._told, self._told_at = dict(self._faults), now

    def _faults_are_news(self, now: float) -> bool:
        if self._told is None or set(self._told) != set(self._faults):
            return True
        return bool(self._faults) and now - self._told_at >= REPEAT_SECONDS

    def _has_work(self, now: float) -> bool:
        if self._has_alerts and now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            return True
        try:
            last = self._ledger.events.last_seq()
            if last != self._seen_seq:
                position = self._open().position(LEDGER)
                if self._ledger.events.any_of(self._kinds, after=max(self._seen_seq, position or 0)):
                    return True
                self._seen_seq = last
            due = self._open().next_due()
            if due is not None and due <= self._clock.wall():
                return True
        except (OutboxError, LedgerError) as error:
            logger.error("notifications: %s", error)
            self._restart_at = now + RESTART_SECONDS
            return False
        return self._publications_changed()

    def _publications_changed(self) -> bool:
        """Return whether the file of publications, or its log, was written since the last call."""
        found = []
        for path in (self._publications, self._publications.with_name(f"{self._publications.name}-wal")):
            try:
                status = path.stat()
            except OSError:
                continue
            if status.st_size:  # a reader leaves an empty log
                found.append((status.st_size, status.st_mtime_ns))
        changed = self._seen_publications is not None and found != self._seen_publications
        self._seen_publications = found
        return changed

    def close(self) -> None:
        """Stop the process: what is under way may end, then it is killed."""
        if self._process is not None:
            process = self._process
            assert process.stdin is not None
            try:
                process.stdin.close()
                process.wait(timeout=END_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                pass
            signal_session(process.pid, signal.SIGKILL)
            process.wait()
            self._forget(process)
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def _open(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._path)
        return self._outbox

    def _spawn(self) -> None:
        process = subprocess.Popen(
            module_command("video_pipeline.engine.jobs.node.notifier"),
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=child_environment(self._folders.state),
            bufsize=0,
        )
        self._process = process
        self._guard.add(process.pid)
        self._tell(process, self._setup)

    @staticmethod
    def _tell(process: subprocess.Popen[bytes], message: object) -> None:
        assert process.stdin is not None
        try:
            os.write(process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except OSError as error:
            logger.warning("cannot send to the process that delivers notifications: %s", error)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        self._guard.remove(process.pid)
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
