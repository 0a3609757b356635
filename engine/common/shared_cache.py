"""The cache that machines share: what one has made, another need not make again.

Entries are sealed objects `cache/KIND/xx/NAME` of the shared storage. It never fails a render: while the storage
cannot be used, everything is made here, with one warning for each outage.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.object_store import ObjectStore, SealedObject, get_sealed, put_sealed

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 64 << 20
"""Larger entries are not shared."""

REST_SECONDS: Final = 60.0
"""How long the storage is left alone after it failed."""


@dataclass(slots=True)
class SharedCounts:
    """How many entries were found, were not there, and were stored."""

    found: int = 0
    missing: int = 0
    stored: int = 0


class SharedCache:
    """Entries of the content cache in shared storage. Thread-safe."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._resting_until = 0.0
        self.counts = SharedCounts()

    def get(self, kind: str, name: str) -> SealedObject | None:
        """Return an entry, None if it is missing, was damaged or cannot be read now."""
        if self._is_resting():
            return None
        try:
            found = get_sealed(self._store, shared_key(kind, name))
        except OSError as error:
            self._rest(error)
            return None
        with self._lock:
            self.counts.found += found is not None
            self.counts.missing += found is None
        return found

    def put(self, kind: str, name: str, data: bytes | Path) -> None:
        """Store an entry unless it is there, is too large, or the storage cannot be written now."""
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        if size > MOST_BYTES or self._is_resting():
            return
        try:
            body = data if isinstance(data, bytes) else data.read_bytes()
            stored = put_sealed(self._store, shared_key(kind, name), body)
        except OSError as error:
            self._rest(error)
            return
        with self._lock:
            self.counts.stored += stored

    def _is_resting(self) -> bool:
        with self._lock:
            return time.monotonic() < self._resting_until

    def _rest(self, error: OSError) -> None:
        with self._lock:
            first = time.monotonic() >= self._resting_until
            self._resting_until = time.monotonic() + REST_SECONDS
        if first:
            logger.warning("%s; going on without the shared cache for %g s", error, REST_SECONDS)


def shared_key(kind: str, name: str) -> str:
    """Return the object's key of an entry."""
    return f"cache/{kind}/{name[:2]}/{name}"
