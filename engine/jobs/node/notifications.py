"""The node's side of notifications: it starts a process of its own that delivers them whenever there is something to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.collect import LEDGER, begin_reading, notifies, wanted_kinds
from video_pipeline.engine.jobs.node.helper_process import HelperProcess
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
        self._ledger, self._clock = ledger, clock
        self._helper = HelperProcess(
            "video_pipeline.engine.jobs.node.notifier",
            "delivers notifications",
            config,
            folders,
            guard=guard,
            json_log=json_log,
        )
        self._path = outbox_path(config)
        self._publications = publications_path(config)
        self._kinds = wanted_kinds(config)
        self._is_on = notifies(config)
        self._has_alerts = bool(alert_targets(config))
        self._outbox: Outbox | None = None
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
        return self._helper.pid

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
        if self._helper.has_failed():
            self._restart_at = now + RESTART_SECONDS
        if self._has_alerts and now >= self._faults_at:
            self._faults_at = now + FAULTS_SECONDS
            self._faults = faults()
        has_news = self._has_alerts and self._faults_are_news(now)
        if self._helper.pid is None and now >= self._restart_at and (has_news or self._has_work(now)):
            self._helper.start()
            has_news = self._has_alerts
        if has_news and self._helper.pid is not None:
            self._helper.tell({"faults": self._faults})
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
        self._helper.close()
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def _open(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._path)
        return self._outbox
