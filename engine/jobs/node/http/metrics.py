"""The interface of a node's metrics. `PrometheusMetrics` implements it for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Outcome = Literal["completed", "failed", "cancelled", "retrying", "requeued"]
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The interface of metrics; this class itself ignores all values. Calls are cheap and never fail."""

    def job_started(self, *, priority: str, wait_seconds: float | None = None) -> None:
        """Count the start of an attempt; `wait_seconds`: for a first attempt, the time since its job could start."""

    def job_ended(
        self,
        *,
        outcome: Outcome,
        seconds: float,
        error_type: str | None = None,
        stages: Mapping[str, float] | None = None,
        encoder: str | None = None,
        encoder_fallback: str | None = None,
        encoder_sessions: Mapping[str, Any] | None = None,
        encoder_frames: Mapping[str, Any] | None = None,
        segments: int = 0,
        segments_from_cache: int = 0,
        segments_from_shared: int = 0,
    ) -> None:
        """Count the end of an attempt, `seconds` after its start; `stages`: seconds per stage if it completed."""

    def queue(self, depths: Mapping[str, int]) -> None:
        """Set the number of queued jobs per priority."""

    def queue_head(self, seconds: float) -> None:
        """Set the seconds that the next job has waited since it could begin."""

    def free_space(self, free: Mapping[str, int]) -> None:
        """Set the free bytes of the disks of the node's folders."""

    def slots(self, *, total: int, warm: int) -> None:
        """Set the number of slots, total and warm."""

    def worker_starts(self, total: int) -> None:
        """Set the total number of started worker processes."""

    def commits(self, *, total: int, seconds: float) -> None:
        """Set the scheduler's total number of ledger commits, and their total seconds."""

    def server_counters(self, counters: Mapping[str, float]) -> None:
        """Set the server's counters since its process started, by name (`requests_submit`, `errors_BUSY`, …)."""

    def server_starts(self, total: int) -> None:
        """Set the total number of started server processes."""

    def web_counters(self, counters: Mapping[str, float]) -> None:
        """Set the HTTP process's counters since it started, by name (`requests_200`, `streams_open`, …)."""

    def web_starts(self, total: int) -> None:
        """Set the total number of started HTTP processes."""

    def ready(self, ready: bool) -> None:
        """Set whether the node accepts and renders jobs."""

    def cache_writable(self, writable: bool) -> None:
        """Set whether the cache can be written."""

    def publications(self, counts: Mapping[str, int]) -> None:
        """Set the number of publications by state."""

    def notifications(self, numbers: Mapping[str, float]) -> None:
        """Set the outbox's counts, as `Outbox.numbers` returns them."""

    def deleted(self, *, videos: int, size: int) -> None:
        """Set the total number of finished videos that were deleted to make room, and their bytes."""

    def render(self) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type. Thread-safe."""
        return b"", TEXT
