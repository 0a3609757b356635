"""The content cache: files stored under the hash of their inputs, always complete."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from video_pipeline.engine.common.files import PARTIAL_PREFIX, whole_file
from video_pipeline.engine.errors import ConfigError

logger = logging.getLogger(__name__)

PRUNE_EVERY_SECONDS = 3600
PROBE_BYTES = 4096
ABANDONED_SECONDS = 86400
"""No write takes this long: older private files belong to killed processes."""


SETTLED_NS = 2 * 10**9
"""The coarsest time stamps of a file system, FAT's, in nanoseconds."""

DIGESTS_KEPT = 4096


class DamagedError(ValueError):
    """A corrupt file of the cache."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_mark(file: BufferedReader) -> tuple[int, ...]:
    """Return what the system tells of an open file: another mark means that it is another file, or was changed."""
    status = os.fstat(file.fileno())
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class FileDigests:
    """SHA-256 of files by their marks, so that an unchanged file is read once. Thread-safe and bounded.

    Time stamps are coarse: a file that was written just now could change once more and keep its mark, so its hash is
    not remembered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, ...], str] = OrderedDict()

    def __call__(self, path: Path) -> str:
        """Return the SHA-256 of a file's bytes in hex; raise OSError."""
        with path.open("rb") as file:
            return self.of(file)

    def of(self, file: BufferedReader) -> str:
        """Return the SHA-256 of an open file's bytes in hex; its position stays. Raise OSError."""
        mark, now = file_mark(file), time.time_ns()
        with self._lock:
            if mark in self._known:
                self._known.move_to_end(mark)
                return self._known[mark]
        at = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(at)
        if now - mark[-1] > SETTLED_NS and file_mark(file) == mark:
            with self._lock:
                self._known[mark] = digest
                while len(self._known) > DIGESTS_KEPT:
                    self._known.popitem(last=False)
        return digest


def key_of(parts: Mapping[str, Any]) -> str:
    """Return the hex key of plain values; equal values have equal keys in every process."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ContentCache:
    """A folder of files named by the hash of what they were made from.

    Several processes may share it: a file is written under a private name, synced and renamed, so a reader
    finds a whole file or none. `on_make` is called before a file is made.
    """

    folder: Path
    max_bytes: int = 500 * 10**9
    on_make: Callable[[], object] | None = None

    def path(self, kind: str, parts: Mapping[str, Any], suffix: str) -> Path:
        """Return the path of the file for `parts`, whether it exists or not."""
        key = key_of({"kind": kind, **parts})
        return self.folder / kind / key[:2] / f"{key}{suffix}"

    @staticmethod
    def touch(path: Path) -> None:
        """Set a file's time of last use, for `prune`; the time it was made, for the ttl, stays."""
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))

    def get_or_make(
        self,
        kind: str,
        parts: Mapping[str, Any],
        suffix: str,
        make: Callable[[Path], None],
        *,
        ttl: float | None = None,
        check: Callable[[Path], object] | None = None,
    ) -> tuple[Path, bool]:
        """Return the file for `parts` and whether it was cached; if not, `make` writes it to the path it receives.

        A file older than `ttl` seconds is made again; with 0 it is made each time. If `check` raises DamagedError, the file is made again, with a warning.
        """
        path = self.path(kind, parts, suffix)
        if self._fresh(path, ttl):
            try:
                if check is not None:
                    check(path)
                self.touch(path)
                return path, True
            except FileNotFoundError:  # another process pruned it just now
                pass
            except DamagedError as error:
                logger.warning("cached file %s is made again: %s", path, error)
        if self.on_make is not None:
            self.on_make()
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            make(partial)
        return path, False

    @staticmethod
    def _fresh(path: Path, ttl: float | None) -> bool:
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return status.st_size > 0 and (ttl is None or 0 <= time.time() - status.st_mtime <= ttl > 0)

    def prune_when_due(self) -> int:
        """Prune unless some process did so within the hour: scanning a large cache takes a while."""
        stamp = self.folder / ".pruned"
        try:
            if time.time() - stamp.stat().st_mtime < PRUNE_EVERY_SECONDS:
                return 0
        except FileNotFoundError:
            pass
        stamp.touch()
        return self.prune()

    def prune(self) -> int:
        """Delete the least recently used files until the cache is within `max_bytes`; return the bytes freed."""
        files: list[tuple[float, int, Path]] = []
        abandoned = time.time() - ABANDONED_SECONDS
        for path in self.folder.rglob("*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.name.startswith(PARTIAL_PREFIX) and status.st_mtime < abandoned:
                path.unlink(missing_ok=True)  # left by a killed process
            elif path.is_file():
                files.append((status.st_atime, status.st_size, path))
        total = sum(size for _, size, _ in files)
        freed = 0
        for _, size, path in sorted(files):
            if total - freed <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            freed += size
        return freed


def cache_fault(folder: Path) -> str | None:
    """Return why a folder cannot hold a cache, or None if it can; the folder is created if needed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    return None


def open_cache(folder: Path, *, max_bytes: int) -> ContentCache:
    """Return the cache in `folder`, created if needed; raise ConfigError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}.{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"storage.cache_path: {folder} cannot be written: {error.strerror}; name a writable folder"
        ) from error
    return ContentCache(folder, max_bytes)
