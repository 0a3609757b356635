"""The interface between the scheduler and a dispatcher: attempts go in, reports come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from video_pipeline.engine.jobs.model import Attempt, Failure, Progress


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """The progress of an attempt."""

    job_id: str
    fence: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class FinishedReport:
    """An attempt has rendered everything into its staging folder; nothing is published yet.

    `result` is plain JSON data: file names relative to the folder, video_info, warnings, timings, encoder,
    encoder_fallback, encoder_sessions, encoder_frames, segments, segments_from_cache,
    segments_from_shared.
    """

    job_id: str
    fence: int
    staged: Path
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FailedReport:
    """An attempt has failed, and it has ended as `Dispatcher` says."""

    job_id: str
    fence: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class StoppedReport:
    """An attempt was stopped on request, and it has ended as `Dispatcher` says."""

    job_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class SpreadReport:
    """A large attempt lets others draw segments: `plan` is the SHA-256 of its plan's data in the shared storage."""

    job_id: str
    fence: int
    plan: str
    numbers: tuple[int, ...]


Report = ProgressReport | SpreadReport | FinishedReport | FailedReport | StoppedReport


class Dispatcher(Protocol):
    """Runs attempts. Call it from one thread; only `reports` blocks.

    Every started attempt ends in exactly one report other than progress, and only after it has ended: all its processes
    that could still write have ended, or, on a machine that cannot be reached, its lease has. By then the machine has
    killed the processes itself; what might still arrive of them has an old fence, which ledger and storage refuse.
    """

    @property
    def capacity(self) -> int:
        """Number of attempts that can run at once."""

    @property
    def running(self) -> int:
        """Number of started attempts whose end has not been reported."""

    @property
    def accepts(self) -> Callable[[Mapping[str, Any]], bool] | None:
        """Whether a job with this configuration could start now; None if any could."""

    def start(self, attempt: Attempt) -> None:
        """Start an attempt; call it only if `running` is below `capacity`."""

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        """Stop an attempt: ask its worker, kill it a second later; with `now` kill it at once."""

    def reports(self, timeout: float) -> Sequence[Report]:
        """Return the next reports, waiting up to `timeout` seconds for one."""

    def close(self) -> None:
        """Kill running attempts and release resources."""
