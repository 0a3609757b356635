"""Counts in words."""

from __future__ import annotations


def count_text(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 clip`, `2 clips`; `many` is the plural if it is not `one` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
