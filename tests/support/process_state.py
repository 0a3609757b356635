"""What /proc says of a process that may end at any moment."""

from __future__ import annotations

from pathlib import Path


def process_state(pid: int) -> str:
    """Return the letter of a process's state, of one that has gone that of the dead."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X"
    return told[told.rindex(")") + 2]


def has_ended(pid: int) -> bool:
    """Return whether a process runs no more, even if its parent has not taken note."""
    return process_state(pid) in "ZX"
