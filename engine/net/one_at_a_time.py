"""A lock between processes for what is paid for, so that two of them do not ask for the same."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def one_at_a_time(folder: Path, key: str) -> Iterator[None]:
    """Let one thread of all processes ask for something, so that the others find its answer in the cache.

    A folder that cannot be written has no lock: there two may pay for the same.
    """
    descriptor = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(key.encode()).hexdigest()[:2]
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        pass
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
