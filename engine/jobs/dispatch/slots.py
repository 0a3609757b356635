"""The slots of a node: a worker each, and the attempt that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from video_pipeline.engine.jobs.dispatch.base import Report
from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess
from video_pipeline.engine.jobs.model import Attempt

BACKOFF_SECONDS = (0.1, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits before a worker is started again that has died before it was warm."""


@dataclass(slots=True)
class Running:
    """An attempt in a slot."""

    attempt: Attempt
    staging: Path
    log: Path
    deadline: float
    kill_at: float | None = None
    ended_by: Literal["stop", "timeout"] | None = None


@dataclass(slots=True)
class Slot:
    """A place for one attempt at a time. `dying`: its worker is being killed; `report` is given once it is dead."""

    number: int
    worker: WorkerProcess | None = None
    ready: bool = False
    seen: float = 0.0
    spawned: float = 0.0
    hung_at: float = 0.0
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
        """Whether an attempt can begin here now, or one is here."""
        return self.running is not None or (self.ready and not self.dying)

    @property
    def start_wait(self) -> float:
        """Seconds until a worker is started here again: none, but for workers that die before they are warm."""
        return BACKOFF_SECONDS[min(self.failed_starts, len(BACKOFF_SECONDS)) - 1] if self.failed_starts else 0
