"""The count of what services are paid for."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts what is paid for, and refuses what would exceed a limit."""

    def take(self, service: str, characters: int) -> None:
        """Count characters before they are sent; raise ServiceError if that exceeds a limit."""

    def give_back(self, service: str, characters: int) -> None:
        """Take back the count of characters that are not billed."""
