"""A node inside another program: ledger, scheduler and workers, run by a thread, without sockets."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.running_node import RunningNode

STOP_SECONDS = 30.0


class LocalNode:
    """Renders the jobs of its ledger between `start` and `stop`. A context manager.

    Callers submit and watch jobs through connections of their own, `ledger()`. The workers end with the thread.
    """

    def __init__(self, config: Config, *, slots: int | None = None) -> None:
        self._config = config.override("processing", max_concurrent_jobs=slots)
        self._thread: threading.Thread | None = None
        self._opened = threading.Event()
        self._ending = threading.Event()
        self._at_once = threading.Event()
        self._error: BaseException | None = None
        self.folders = Folders.of(self._config)

    @property
    def running(self) -> bool:
        """Whether the node is started."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Lock the state folder, recover interrupted jobs and start the workers; do nothing if it is running.

        Raises ConfigError if another node uses the folder.
        """
        if self.running:
            return
        self._error = None
        for event in (self._opened, self._ending, self._at_once):
            event.clear()
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self, *, drain: bool = True) -> None:
        """Stop: running jobs get node.drain_timeout seconds (none without `drain`), then they are queued again."""
        if self._thread is None:
            return
        if not drain:
            self._at_once.set()
        self._ending.set()
        self._thread.join(self._config.node.drain_timeout + STOP_SECONDS)
        self._thread = None

    def ledger(self) -> Ledger:
        """Return a connection to the ledger for the calling thread, which must close it."""
        self.folders.make()
        return Ledger(self.folders.ledger)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(drain=kind is None)

    def _run(self) -> None:
        try:
            with RunningNode(self._config) as node:
                self._opened.set()
                while not self._ending.is_set():
                    node.turn()
                seconds = 0 if self._at_once.is_set() else self._config.node.drain_timeout
                if not node.finish(seconds=seconds, go_on=lambda: not self._at_once.is_set()):
                    node.stop(now=self._at_once.is_set())
        except BaseException as error:
            self._error = error
            if self._opened.is_set():
                raise
        finally:
            self._opened.set()
