"""Compute the progress of a job from the events of its render."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from video_pipeline.engine.events import Event

SHARES: dict[str, tuple[float, float]] = {"assets": (0, 15), "render": (15, 97), "outputs": (97, 100)}
"""Start and end percentage of each stage."""

EVERY_SECONDS = 0.5


class ProgressMeter:
    """Reports the progress of a job at each new stage and otherwise at most twice a second."""

    def __init__(
        self,
        report: Callable[[dict[str, Any]], None],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._now = report, now
        self._stage = ""
        self._stage_began = self._reported = now()
        self._percent = 0.0
        self._first_drawn = 0

    def __call__(self, event: Event) -> None:
        """Process an event of the render."""
        low, high = SHARES.get(event.stage, (self._percent, self._percent))
        part = event.done / event.total if event.total > 0 else 1.0
        self._percent = max(self._percent, low + (high - low) * min(1.0, part))
        now = self._now()
        drawn = event.done - event.cached
        entered = event.stage != self._stage or drawn < self._first_drawn  # a render can begin again
        if entered:
            self._stage, self._stage_began = event.stage, now
            self._first_drawn = drawn
        elif now - self._reported < EVERY_SECONDS:
            return
        self._reported = now
        fps = None
        eta = None
        rendering = now - self._stage_began
        count = drawn - self._first_drawn
        if event.stage == "render" and rendering > 0.2 and count > 0:
            fps = count / rendering
            eta = (event.total - event.done) / fps
        self._report(
            {
                "stage": event.stage,
                "percent": round(self._percent, 2),
                "fps": None if fps is None else round(fps, 2),
                "eta_seconds": None if eta is None else round(eta, 1),
            }
        )
