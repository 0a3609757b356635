"""The process that delivers a node's notifications. It runs while there is something to do, and may be killed at any time.

    node → notifier    {"config": {…}, "parent": …, "json_log": …}    once
                       {"faults": {CAUSE: DETAIL}}                      what stands now, whenever it changes
                       end of file: stop

It logs to the standard error of the node.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any, Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, PipelineError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.collect import collect_events, collect_publications, forget_old
from video_pipeline.engine.jobs.node.helper_process import begin_helper
from video_pipeline.engine.jobs.node.standing_causes import standing_causes
from video_pipeline.engine.notify.alerts import AlertBook, alert_notes, note_of
from video_pipeline.engine.notify.deliver import AlreadyDeliveringError, Deliverers, delivering
from video_pipeline.engine.notify.outbox import Outbox, OutboxError, outbox_path
from video_pipeline.engine.notify.targets import alert_targets, connect_target

logger = logging.getLogger(__name__)

LINGER_SECONDS: Final = 20.0
"""How long it waits for more before it exits; the node starts it again when there is something to do."""

LOOK_SECONDS: Final = 0.5
FAULT_SECONDS: Final = 10.0
FAULT: Final = "node: "
"""How causes begin that the node tells."""


class Notifier:
    """Collects and delivers until there is nothing to do for a while or `stop` is set."""

    def __init__(self, config: Config, stop: threading.Event) -> None:
        self._config, self._stop = config, stop
        self._targets = alert_targets(config)
        self._faults: dict[str, str] | None = None
        self._lock = threading.Lock()
        self._told_directly: dict[str, float] = {}

    def set_faults(self, faults: dict[str, str]) -> None:
        """Take what stands now. Thread-safe."""
        with self._lock:
            self._faults = faults

    def run(self) -> None:
        """Run. While outbox or ledger cannot be used it goes on, so that it knows which alerts it has sent."""
        while not self._stop.is_set():
            try:
                self._deliver()
                return
            except AlreadyDeliveringError as error:
                logger.info("%s", error)
            except (OutboxError, LedgerError) as error:
                logger.error("%s; trying again in %g s", error, FAULT_SECONDS)
                own = {"outbox trouble": str(error)} if isinstance(error, OutboxError) else {}
                self._tell_directly(own)
            self._stop.wait(FAULT_SECONDS)

    def _deliver(self) -> None:
        last = time.monotonic()
        path = Folders.of(self._config).ledger
        if not path.exists():  # opening it would make a new one in its place
            raise LedgerError(f"the ledger {path} is not there")
        outbox = Outbox(outbox_path(self._config))
        try:
            with delivering(outbox), Ledger(path) as ledger:
                forget_old(outbox, self._config)
                threads = Deliverers(self._config, lambda: Outbox(outbox.path), self._stop)
                is_first = True
                try:
                    while not self._stop.is_set() and time.monotonic() - last < LINGER_SECONDS:
                        found = self._collect(ledger, outbox, everything=is_first)
                        is_first = False
                        due = outbox.due_targets()
                        threads.start(due)
                        if found or due or threads.running:
                            last = time.monotonic()
                        self._stop.wait(LOOK_SECONDS)
                    if self._targets:
                        self._look_at_causes(outbox)
                finally:
                    threads.join()
        finally:
            outbox.close()

    def _collect(self, ledger: Ledger, outbox: Outbox, *, everything: bool) -> int:
        found = collect_events(ledger, outbox, self._config)
        found += collect_publications(outbox, self._config)
        if self._targets:
            with self._lock:
                faults, self._faults = self._faults, None
            if faults is not None:
                try:
                    self._stand(outbox, FAULT, faults)
                except OutboxError:
                    self.set_faults(faults)
                    raise
            if everything or found:
                self._look_at_causes(outbox)
        return found

    def _look_at_causes(self, outbox: Outbox) -> None:
        for prefix, causes in standing_causes(self._config, outbox).items():
            self._stand(outbox, prefix, causes)

    def _stand(self, outbox: Outbox, prefix: str, causes: dict[str, str]) -> None:
        book = AlertBook(outbox, self._targets, repeat_after=self._config.notifications.alerts.repeat_after)
        with outbox.writing() as db:
            book.stands(prefix, {f"{prefix}{cause}": detail for cause, detail in causes.items()}, db)

    def _tell_directly(self, own: dict[str, str]) -> None:
        """Send alerts of what stands, and of `own`, without the outbox: the disk may be full."""
        with self._lock:
            faults = (self._faults or {}) | own
        now = time.time()
        for cause, detail in faults.items():
            told_at = self._told_directly.get(cause)
            repeat_after = self._config.notifications.alerts.repeat_after
            if told_at is not None and time.monotonic() - told_at < repeat_after:
                continue
            self._told_directly[cause] = time.monotonic()
            title = f"{FAULT}{cause}"
            for new in alert_notes(self._targets, cause=title, title=title, detail=detail, now=now):
                try:
                    failure = connect_target(self._config, new.target).send(note_of(new, now=now))
                except ConfigError as error:
                    logger.error("%s", error)
                    continue
                if failure is not None:
                    logger.error("%s: the alert was not delivered: %s", new.target, failure.error)


def _read_messages(notifier: Notifier, stop: threading.Event) -> None:
    for line in sys.stdin:
        message: dict[str, Any] = json.loads(line)
        if "faults" in message:
            notifier.set_faults(message["faults"])
    stop.set()


def _run_notifier() -> int:
    config = begin_helper()
    stop = threading.Event()
    notifier = Notifier(config, stop)
    threading.Thread(target=_read_messages, args=(notifier, stop), name="messages", daemon=True).start()
    try:
        notifier.run()
    except PipelineError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_run_notifier())
