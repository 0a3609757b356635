"""Clocks: wall time, which may jump, and monotonic time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Both kinds of time, in seconds."""

    def wall(self) -> float:
        """Return seconds since 1970 (UTC). It can jump either way."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment. It never goes back: use it for leases and waits."""


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()


SYSTEM_CLOCK = SystemClock()
