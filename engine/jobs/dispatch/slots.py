"""The state of a node's slots: the worker of each and the attempt that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from video_pipeline.engine.jobs.dispatch.base import Report
from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess
from video_pipeline.engine.jobs.model import Attempt

BACKOFF_SECONDS = (0.1, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Delays in seconds before a worker that died before it was warm is started again."""


@dataclass(slots=True)
class Running:
    """A running attempt. Times are monotonic seconds. `opening`: its worker opens an encoder of a GPU."""

    attempt: Attempt
    staging: Path
    log: Path
    deadline: float
    kill_at: float | None = None
    ended_by: Literal["stop", "timeout"] | None = None
    opening: bool = False


@dataclass(slots=True)
class Slot:
    """A slot for one attempt at a time. Times are monotonic seconds.

    `dying`: its worker is being killed. `settling`: the attempt has ended, but processes that it started have not.
    `report` is passed on after either.
    """

    number: int
    worker: WorkerProcess | None = None
    ready: bool = False
    seen: float = 0.0
    spawned: float = 0.0
    closed_at: float = 0.0
    killed_at: float = 0.0
    jobs: int = 0
    failed_starts: int = 0
    spawn_at: float = 0.0
    running: Running | None = None
    dying: bool = False
    settling: bool = False
    report: Report | None = None

    @property
    def usable(self) -> bool:
        """Whether an attempt runs here or could start now."""
        return self.running is not None or (self.ready and not self.dying)

    @property
    def start_wait(self) -> float:
        """Seconds before the next worker starts: 0, unless workers die before they are warm."""
        return BACKOFF_SECONDS[min(self.failed_starts, len(BACKOFF_SECONDS)) - 1] if self.failed_starts else 0
