"""SQLite files with a write-ahead log that several processes open, each of which may be the first."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path


def open_wal_file(path: Path, *, busy_seconds: float) -> sqlite3.Connection:
    """Open a file, or make it, readable by its owner alone; commits are durable, and wait for a lock for so many seconds.

    Raises OSError and sqlite3.Error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    try:
        database.row_factory = sqlite3.Row
        _switch_to_wal(database, until=time.monotonic() + busy_seconds)
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


def _switch_to_wal(database: sqlite3.Connection, *, until: float) -> None:
    """Switch to a write-ahead log; SQLite itself does not wait while another connection switches the same file."""
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
