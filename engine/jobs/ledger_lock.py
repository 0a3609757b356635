"""One writer at a time, waited for in order of need and not by SQLite's growing naps.

SQLite lets a second writer sleep 1, 2, 5 … 100 ms and look again; with commits of one or two milliseconds that is
most of a submit's latency. The lock also keeps a checkpoint of one process and a write of another apart, which
versions of SQLite before 3.51.3 need (https://www.sqlite.org/wal.html#walresetbug).
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
    """An advisory lock on a file beside the ledger; the system frees it when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self, timeout: float) -> bool:
        """Take the lock; False where another has held it for `timeout` seconds."""
        if sys.platform == "win32":
            return True  # SQLite's own lock and its naps
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > timeout:
                    return False
                time.sleep(_NAP_SECONDS if waited < 0.1 else _LONG_NAP_SECONDS)

    def release(self) -> None:
        """Give the lock back."""
        if sys.platform != "win32":
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; the lock is given back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
