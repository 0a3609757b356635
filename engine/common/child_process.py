"""The end of a child process that reads its standard input until it shall end."""

from __future__ import annotations

import contextlib
import subprocess


def ends_with_its_input(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Close a process's standard input, which asks it to end, and return whether it has ended within `seconds`."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
