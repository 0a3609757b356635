"""The write lock: one process writes at a time, and no writer starves the others.

SQLite's own lock makes a second writer sleep 1, 2, 5 … 100 ms between its tries, and lets the first one start its next
write in between: beside a busy server, a node would wait a second for each write. Here the writer that waits holds a
second lock, the turn. Every writer must take the turn before it takes the lock, so a process that has just written
queues behind one that waits.

The lock also keeps a checkpoint of one process apart from a write of another, which SQLite before 3.51.3 needs
(https://www.sqlite.org/wal.html#walresetbug).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NAP_SECONDS = 0.0003
_LONG_NAP_SECONDS = 0.005


class WriteLock:
    """An advisory lock on files beside the ledger; the system frees it when its process ends or is killed."""

    def __init__(self, ledger: Path) -> None:
        self._lock = _open_lock(ledger.with_name(f"{ledger.name}-lock"))
        self._turn = _open_lock(ledger.with_name(f"{ledger.name}-turn"))

    def acquire(self, timeout: float) -> bool:
        """Take the lock; return False if others have held it for `timeout` seconds."""
        if sys.platform == "win32":
            return True  # there is no flock: SQLite's own lock serves
        end = time.monotonic() + timeout
        try:
            return _wait_for(self._turn, end) and _wait_for(self._lock, end)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        """Release the lock, if it is held."""
        if sys.platform != "win32":
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files, which releases the lock."""
        for fd in (self._lock, self._turn):
            if fd >= 0:
                os.close(fd)
        self._lock = self._turn = -1


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _wait_for(fd: int, end: float) -> bool:
    # A blocking flock has no timeout: a stopped process would block the others for good.
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            now = time.monotonic()
            if now > end:
                return False
            time.sleep(_NAP_SECONDS if now - began < 0.1 else _LONG_NAP_SECONDS)
