"""Notice that the machine's clock was changed, and tell the operator."""

from __future__ import annotations

import logging
from typing import Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock

logger = logging.getLogger(__name__)

JUMP_SECONDS: Final = 5.0
"""Smaller steps, as of time servers, are not worth a line."""


class ClockWatch:
    """Compares wall time with monotonic time. Call `poll` at each turn of a loop."""

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._offset = clock.wall() - clock.monotonic()

    def poll(self) -> float:
        """Log a jump since the last one that was logged, and return it in seconds; 0 without one."""
        jump = self._clock.wall() - self._clock.monotonic() - self._offset
        if abs(jump) < JUMP_SECONDS:
            return 0.0
        self._offset += jump
        logger.warning(
            "the machine's clock was set %s by %.0f s; scheduled jobs and posts follow it, leases and waits do not",
            "forward" if jump > 0 else "back",
            abs(jump),
        )
        return jump
