"""The bound of a cache folder, which its processes share: a count of its bytes, a lock, and pruning."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.files import PARTIAL_PREFIX

if sys.platform != "win32":
    import fcntl

COUNT: Final = ".size"
"""The file with the number of bytes in the cache; a process locks it before changing it."""

PRUNED_SHARE: Final = 0.9
"""A full cache is pruned to this share of its bound, so that not every write scans it."""

ABANDONED_SECONDS: Final = 86400
"""No write takes this long: older private files belong to killed processes."""


@dataclass(frozen=True, slots=True)
class CacheRoom:
    """A cache folder, the bytes it may hold, and the free space that it leaves on its disk."""

    folder: Path
    max_bytes: int
    keep_free_bytes: int = 0

    @contextmanager
    def taken(self, size: int) -> Iterator[bool]:
        """Yield whether there is room for a file of `size` bytes, made by pruning if need be.

        Write the file inside the block: it is counted, and no other process prunes or counts meanwhile. Raises
        OSError if the cache cannot be written.
        """
        if self._disk_is_smaller():
            yield self._leaves_free(size)
            return
        with self._locked() as descriptor:
            total = self._read(descriptor)
            if total + size > self.max_bytes >= size:
                total, _ = self._prune(int(min(self.max_bytes * PRUNED_SHARE, self.max_bytes - size)))
            fits = total + size <= self.max_bytes and self._leaves_free(size)
            self._write(descriptor, total + size if fits else total)
            yield fits

    def rename(self, partial: Path, path: Path) -> None:
        """Rename a file while no process counts, because a count could miss both names."""
        if self._disk_is_smaller():
            partial.replace(path)
            return
        with self._locked():
            partial.replace(path)

    def add(self, path: Path) -> None:
        """Count a file that was written without asking, and prune others if the cache is too large now."""
        if self._disk_is_smaller():
            return
        with self._locked() as descriptor:
            total = self._read(descriptor) + path.stat().st_size
            if total > self.max_bytes:
                total, _ = self._prune(int(self.max_bytes * PRUNED_SHARE), spared=path)
            self._write(descriptor, total)

    def prune(self) -> int:
        """Count all files, and delete the least recently used until the bound holds; return the bytes freed."""
        if self._disk_is_smaller():
            return self._prune(self.max_bytes)[1]
        with self._locked() as descriptor:
            total, freed = self._prune(self.max_bytes)
            self._write(descriptor, total)
            return freed

    def _prune(self, most: int, *, spared: Path | None = None) -> tuple[int, int]:
        """Delete the least recently used files until at most `most` bytes are left; return what is left and freed."""
        files: list[tuple[float, int, Path]] = []
        total = freed = 0
        abandoned = time.time() - ABANDONED_SECONDS
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # another process deleted it just now
                    status = path.stat()
                    if name.startswith(PARTIAL_PREFIX) and status.st_mtime < abandoned:
                        path.unlink()  # left by a killed process
                        continue
                    total += status.st_size
                    if not name.startswith(".") and path != spared:
                        files.append((status.st_atime, status.st_size, path))
        for _, size, path in sorted(files):
            if total - freed <= most:
                break
            with suppress(OSError):
                path.unlink()
                freed += size
        return total - freed, freed

    def _disk_is_smaller(self) -> bool:
        """Return whether the whole disk is smaller than the bound, so that there is nothing to count."""
        found = os.statvfs(self.folder)
        return found.f_blocks * found.f_frsize <= self.max_bytes

    def _leaves_free(self, size: int) -> bool:
        if not self.keep_free_bytes:
            return True
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize - size >= self.keep_free_bytes

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield a descriptor of the count, with its lock held."""
        descriptor = os.open(self.folder / COUNT, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if sys.platform != "win32":
                with suppress(
                    OSError
                ):  # file systems without locks: the count may be wrong until the next scan
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> int:
        try:
            return int(os.pread(descriptor, 32, 0))
        except ValueError:  # a new cache, or an older version's
            return self._prune(sys.maxsize)[0]

    @staticmethod
    def _write(descriptor: int, total: int) -> None:
        os.pwrite(descriptor, b"%-24d" % total, 0)
