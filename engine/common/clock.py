"""Time as the node sees it: a wall clock that may jump, and one that only runs forward."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Both kinds of time, in seconds."""

    def wall(self) -> float:
        """Return seconds since 1970 (UTC). It can jump either way."""

    def monotonic(self) -> float:
        """Return seconds since some moment. It never goes back, and is the one for leases and waits."""


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()


SYSTEM_CLOCK = SystemClock()
