"""One writer at a time, each in its turn.

SQLite lets a second writer sleep 1, 2, 5 … 100 ms and look again, and the one that has just written may write on
meanwhile: behind a busy front end a node would wait a second for its turn. Here whoever waits holds the turn, which
the one that writes now must take again before its next write.

The lock also keeps a checkpoint of one process and a write of another apart, which versions of SQLite before 3.51.3
need (https://www.sqlite.org/wal.html#walresetbug).
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
    """An advisory lock on files beside the ledger; the system frees it when its process ends, however it ends."""

    def __init__(self, ledger: Path) -> None:
        self._lock = _open_lock(ledger.with_name(f"{ledger.name}-lock"))
        self._turn = _open_lock(ledger.with_name(f"{ledger.name}-turn"))

    def acquire(self, timeout: float) -> bool:
        """Take the lock; False where others have held it for `timeout` seconds."""
        if sys.platform == "win32":
            return True  # SQLite's own lock and its naps
        end = time.monotonic() + timeout
        try:
            return _wait_for(self._turn, end) and _wait_for(self._lock, end)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the lock back, where it was taken."""
        if sys.platform != "win32":
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files; the lock is given back."""
        for fd in (self._lock, self._turn):
            if fd >= 0:
                os.close(fd)
        self._lock = self._turn = -1


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _wait_for(fd: int, end: float) -> bool:
    # flock has no timeout, and a process that was stopped would keep the others for good.
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
