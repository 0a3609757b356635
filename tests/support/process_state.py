"""What /proc says of processes that may end at any moment, and stopping one."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import wait_until


def thread_states(pid: int) -> list[str]:
    """Return the state of each thread of a process, as one letter (proc_pid_stat(5)); none if it is gone."""
    found: list[str] = []
    with suppress(OSError):
        for thread in list(Path(f"/proc/{pid}/task").iterdir()):
            with suppress(OSError):
                found.append((thread / "stat").read_text(errors="replace").rpartition(")")[2].split()[0])
    return found


def has_ended(pid: int) -> bool:
    """Return whether a process runs no more, even if its parent has not taken note."""
    return all(state in "ZX" for state in thread_states(pid))


def is_stopped(pid: int) -> bool:
    """Return whether no thread of a process runs: each was stopped by a signal, or has ended."""
    return all(state in "TtZX" for state in thread_states(pid))


def stop(pid: int) -> None:
    """Stop a process (SIGSTOP), and wait until none of its threads runs."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid), what=f"process {pid} is stopped")
