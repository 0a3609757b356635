"""The count of what services are paid for."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts what is paid for, and refuses what would exceed a limit."""

    def take(self, service: str, amount: int) -> None:
        """Count an amount before it is asked for; raise ServiceError if that exceeds a limit."""

    def give_back(self, service: str, amount: int) -> None:
        """Take back the count of what is not billed."""
