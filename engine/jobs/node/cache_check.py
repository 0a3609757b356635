"""Check now and then whether a node's cache can be written, in a thread: its disk may not answer."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.cache import cache_fault

EVERY_SECONDS: Final = 5.0
LATE_SECONDS: Final = 15.0
"""A check that takes longer is a fault of its own."""


class CacheCheck:
    """Knows why the cache folder cannot be written. Thread-safe."""

    def __init__(self, folder: Path, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._folder, self._every_seconds = folder, every_seconds
        self._fault: str | None = None
        self._done_at = time.monotonic()
        self._closing = threading.Event()
        threading.Thread(target=self._run, name="cache check", daemon=True).start()

    @property
    def fault(self) -> str | None:
        """Why the cache cannot be written, or None if it can."""
        if time.monotonic() - self._done_at > self._every_seconds + LATE_SECONDS:
            return f"storage.cache_path: {self._folder} does not answer"
        return self._fault

    def close(self) -> None:
        """Stop checking."""
        self._closing.set()

    def _run(self) -> None:
        while True:
            fault = cache_fault(self._folder)
            self._fault = None if fault is None else f"storage.cache_path: {self._folder} {fault}"
            self._done_at = time.monotonic()
            if self._closing.wait(self._every_seconds):
                return
