"""The seam between the ledger and whatever renders: jobs go in as attempts and come back as reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from video_pipeline.engine.jobs.model import Attempt, Failure, Progress


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """An attempt is this far."""

    job_id: str
    fence: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class FinishedReport:
    """An attempt has rendered everything into its staging folder; nothing is published yet.

    `result` is plain JSON data: file names relative to the folder, video_info, warnings, timings, encoder,
    segments, segments_from_cache.
    """

    job_id: str
    fence: int
    staged: Path
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FailedReport:
    """An attempt has failed, and none of its processes is left."""

    job_id: str
    fence: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class StoppedReport:
    """An attempt was stopped as asked, and none of its processes is left."""

    job_id: str
    fence: int


Report = ProgressReport | FinishedReport | FailedReport | StoppedReport


class Dispatcher(Protocol):
    """Runs attempts somewhere. Its methods return at once and are called from one thread.

    Every attempt that was started ends in exactly one report other than progress, and only when no process of
    it is left that could still write.
    """

    @property
    def capacity(self) -> int:
        """How many attempts can run at once."""

    @property
    def running(self) -> int:
        """How many attempts have been started and not yet ended in a report."""

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt; only where `running` is below `capacity`."""

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        """End an attempt: asked first, killed a second later, or killed at once with `now`."""

    def reports(self, timeout: float) -> Sequence[Report]:
        """Wait up to `timeout` seconds for reports and return those that came."""

    def close(self) -> None:
        """Kill what still runs and give everything back."""
