"""What a node counts. `Metrics` takes it and keeps nothing; `open_metrics` returns one that Prometheus can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["completed", "failed", "cancelled", "retrying", "requeued"]
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Takes what happens, in plain values, and forgets it. Its calls are cheap and never fail."""

    def job_started(self, *, priority: str, wait_seconds: float | None = None) -> None:
        """An attempt has begun; `wait_seconds`: since its job could have begun, of a first attempt."""

    def job_ended(
        self,
        *,
        outcome: Outcome,
        seconds: float,
        error_type: str | None = None,
        stages: Mapping[str, float] | None = None,
        encoder: str | None = None,
        segments: int = 0,
        segments_from_cache: int = 0,
    ) -> None:
        """An attempt has ended, `seconds` after it began. `stages` are the seconds of each, of a finished one."""

    def queue(self, depths: Mapping[str, int]) -> None:
        """So many jobs of each priority are queued now."""

    def slots(self, *, total: int, warm: int) -> None:
        """So many slots there are, and so many of them have a worker that is warm."""

    def worker_starts(self, total: int) -> None:
        """So many worker processes have been started in all."""

    def commits(self, *, total: int, seconds: float) -> None:
        """The ledger's connection of the node has committed so often, which took so long in all."""

    def frontend_counters(self, counters: Mapping[str, float]) -> None:
        """The front end's counts since its process began, by name (`requests_submit`, `errors_BUSY`, …)."""

    def frontend_starts(self, total: int) -> None:
        """So many front end processes have been started in all."""

    def ready(self, ready: bool) -> None:
        """The node takes jobs and renders them, or not."""

    def render(self) -> tuple[bytes, str]:
        """Return everything as text, and its content type. Called from other threads."""
        return b"", TEXT
