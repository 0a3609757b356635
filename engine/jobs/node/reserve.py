"""Disk space that a node holds for its ledger, so that ends of jobs can be recorded on a full disk."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from video_pipeline.engine.jobs.free_space import free_bytes

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 64_000_000
SHARE: Final = 1 / 8
"""Share of node.min_free_mb that is held."""


class LedgerReserve:
    """A file beside the ledger that takes the space until the ledger needs it."""

    def __init__(self, path: Path, *, min_free_mb: float) -> None:
        self._path = path
        self._least_bytes = min_free_mb * 1e6
        self._bytes = min(MOST_BYTES, int(self._least_bytes * SHARE))
        self._held = False

    def hold(self) -> None:
        """Take the space if it is not taken and the disk has enough beside it."""
        if self._held or not self._bytes:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                taken = os.fstat(descriptor).st_blocks * 512
                if free_bytes(self._path.parent) + taken - self._bytes >= self._least_bytes:
                    os.ftruncate(descriptor, self._bytes)
                    os.posix_fallocate(descriptor, 0, self._bytes)
                    self._held = True
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Give the space to the ledger."""
        if not self._held:
            return
        self._held = False
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)
            logger.warning(
                "the ledger's disk is full: gave it the %d MB of %s", self._bytes // 10**6, self._path
            )
