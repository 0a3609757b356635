"""The content cache: files stored under the hash of their inputs, always complete."""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from video_pipeline.engine.common.cache_room import CacheRoom
from video_pipeline.engine.common.files import link_or_copy, private_file, sync_file, sync_folder, whole_file
from video_pipeline.engine.common.shared_cache import SharedCache
from video_pipeline.engine.errors import ConfigError

logger = logging.getLogger(__name__)

PRUNE_EVERY_SECONDS = 3600
PROBE_BYTES = 4096
PROBES = 5
FAULTS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO}
)
"""Errors of a cache's disk or folder, not of the files that are stored."""


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
    """Return device, inode, size and times of an open file: if they differ, it is another file or was changed."""
    status = os.fstat(file.fileno())
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class FileDigests:
    """SHA-256 of files by their marks, so that an unchanged file is read once. Thread-safe and bounded.

    Time stamps are coarse: a file that was written just now could change again and keep its mark, so its hash is not
    kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, ...], str] = OrderedDict()

    def __call__(self, path: Path) -> str:
        """Return the SHA-256 of a file's bytes in hex; raise OSError."""
        with path.open("rb") as file:
            return self.of(file)

    def of(self, file: BufferedReader) -> str:
        """Return the SHA-256 of an open file's bytes in hex and restore its position; raise OSError."""
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

    Other programs may delete files of the cache at any time. A render therefore names a folder of its `own`: it gets
    hard links or copies there, and continues without the cache if that cannot be read or written. What is missing here
    is taken from the cache that is `shared` with other machines, and what is made is stored there, too.
    """

    folder: Path
    max_bytes: int = 500 * 10**9
    on_make: Callable[[], object] | None = None
    keep_free_bytes: int = 0
    own: Path | None = field(default=None, compare=False)
    shared: SharedCache | None = field(default=None, compare=False)
    _warned: set[str] = field(default_factory=set, compare=False, repr=False)

    def path(self, kind: str, parts: Mapping[str, Any], suffix: str) -> Path:
        """Return the path of the file for `parts`, whether it exists or not."""
        key = key_of({"kind": kind, **parts})
        return self.folder / kind / key[:2] / f"{key}{suffix}"

    @staticmethod
    def touch(path: Path) -> None:
        """Set a file's time of last use, for `prune`; keep its modification time, from which its age is computed."""
        try:
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        except FileNotFoundError:
            raise
        except OSError:
            return  # a read-only cache

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

        The path is in the `own` folder if there is one. A file older than `ttl` seconds is made again; with 0 it is
        made each time. If `check` raises DamagedError, the file is made again, with a warning.
        """
        path = self.path(kind, parts, suffix)
        if self.own is None:
            return self._get_or_make_here(kind, path, make, ttl=ttl, check=check)
        mine = self.own / kind / path.name
        if mine.exists():
            return mine, True
        mine.parent.mkdir(parents=True, exist_ok=True)
        with private_file(mine) as partial:
            if self._copy_cached(path, partial, ttl=ttl, check=check):
                partial.replace(mine)
                return mine, True
            if self._copy_shared(kind, path.name, partial, ttl=ttl, check=check):
                partial.replace(mine)
                self.keep(path, mine)
                return mine, True
        if self.on_make is not None:
            self.on_make()
        with private_file(mine) as partial:
            make(partial)
            partial.replace(mine)
        self.keep(path, mine)
        self._share(kind, mine)
        return mine, False

    def keep(self, path: Path, source: Path | bytes) -> None:
        """Store a file or bytes under `path` if there is room; if the cache cannot be written, warn once."""
        try:
            self.store(path, source)
        except OSError as error:
            self._warn_once(error)

    def store(self, path: Path, source: Path | bytes) -> bool:
        """Store a file or bytes under `path`; return False if there is no room. Raises OSError."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        path.parent.mkdir(parents=True, exist_ok=True)
        with private_file(path) as partial:
            with self._room.taken(size) as fits:
                if fits and isinstance(source, bytes):
                    partial.write_bytes(source)
                elif fits and isinstance(source, Path):
                    link_or_copy(source, partial)
            if fits:
                sync_file(partial)
                self._room.rename(partial, path)
                sync_folder(path.parent)
        return fits

    @property
    def _room(self) -> CacheRoom:
        return CacheRoom(self.folder, self.max_bytes, self.keep_free_bytes)

    def _copy_cached(
        self,
        path: Path,
        target: Path,
        *,
        ttl: float | None,
        check: Callable[[Path], object] | None,
    ) -> bool:
        """Link or copy a cached file to `target`; return False if it is missing, too old or corrupt."""
        try:
            if not self._fresh(path, ttl):
                return False
            link_or_copy(path, target)
            if check is not None:
                check(target)
            self.touch(path)
        except FileNotFoundError:
            return target.exists()  # another process pruned it just now
        except DamagedError as error:
            logger.warning("cached file %s is made again: %s", path, error)
            target.unlink(missing_ok=True)
            return False
        except OSError as error:
            self._warn_once(error)
            target.unlink(missing_ok=True)
            return False
        return True

    def _copy_shared(
        self,
        kind: str,
        name: str,
        target: Path,
        *,
        ttl: float | None,
        check: Callable[[Path], object] | None,
    ) -> bool:
        """Write a file of the shared cache to `target`; return False if it is missing, too old or corrupt."""
        found = self.shared.get(kind, name) if self.shared is not None else None
        if found is None or not found.data:
            return False
        if ttl is not None and not 0 <= time.time() - found.made_at <= ttl > 0:
            return False
        target.write_bytes(found.data)
        os.utime(target, (time.time(), found.made_at))
        try:
            if check is not None:
                check(target)
        except DamagedError as error:
            logger.warning("shared file %s is made again: %s", name, error)
            target.unlink(missing_ok=True)
            return False
        return True

    def _share(self, kind: str, path: Path) -> None:
        if self.shared is not None:
            self.shared.put(kind, path.name, path)

    def _get_or_make_here(
        self,
        kind: str,
        path: Path,
        make: Callable[[Path], None],
        *,
        ttl: float | None,
        check: Callable[[Path], object] | None,
    ) -> tuple[Path, bool]:
        """Return the file in the cache itself, or in a temporary folder if the cache cannot be written."""
        try:
            if self._fresh(path, ttl):
                if check is not None:
                    check(path)
                self.touch(path)
                return path, True
        except FileNotFoundError:  # another process pruned it just now
            pass
        except DamagedError as error:
            logger.warning("cached file %s is made again: %s", path, error)
        except OSError as error:
            self._warn_once(error)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as partial:
                was_shared = self._copy_shared(kind, path.name, partial, ttl=ttl, check=check)
                if not was_shared:
                    if self.on_make is not None:
                        self.on_make()
                    make(partial)
            self._room.add(path)
            if was_shared:
                return path, True
            self._share(kind, path)
        except OSError as error:
            if error.errno not in FAULTS:
                raise
            self._warn_once(error)
            folder = Path(tempfile.mkdtemp(prefix="video-pipeline-cache-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            path = folder / path.name
            make(path)
        return path, False

    def _warn_once(self, error: OSError) -> None:
        """Warn of a fault of the cache, once for each reason."""
        reason = error.strerror or str(error)
        if reason not in self._warned:
            self._warned.add(reason)
            logger.warning("storage.cache_path: %s: %s; going on without the cache", self.folder, reason)

    @staticmethod
    def _fresh(path: Path, ttl: float | None) -> bool:
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return status.st_size > 0 and (ttl is None or 0 <= time.time() - status.st_mtime <= ttl > 0)

    def prune_when_due(self) -> int:
        """Prune unless some process did so within the hour; a fault of the cache is a warning.

        Writes keep the size limit themselves; this deletes the files that killed processes left, and recounts.
        """
        stamp = self.folder / ".pruned"
        try:
            try:
                if time.time() - stamp.stat().st_mtime < PRUNE_EVERY_SECONDS:
                    return 0
            except FileNotFoundError:
                pass
            stamp.touch()
            return self.prune()
        except OSError as error:
            self._warn_once(error)
            return 0

    def prune(self) -> int:
        """Delete the least recently used files until the cache is within `max_bytes`; return the bytes freed."""
        return self._room.prune() if self.folder.is_dir() else 0


def cache_fault(folder: Path) -> str | None:
    """Return why a folder cannot hold a cache, or None if it can; the folder is created if needed."""
    error = _probe(folder, bytes(PROBE_BYTES))
    return None if error is None else f"cannot be written: {error.strerror}"


def open_cache(folder: Path, *, max_bytes: int, keep_free_bytes: int = 0) -> ContentCache:
    """Return the cache in `folder`, created if needed; raise ConfigError if it cannot be written.

    A full disk is no error: the cached files can be used.
    """
    error = _probe(folder, b"")
    if error is not None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise ConfigError(
            f"storage.cache_path: {folder} cannot be written: {error.strerror}; name a writable folder"
        ) from error
    return ContentCache(folder, max_bytes, keep_free_bytes=keep_free_bytes)


def _probe(folder: Path, data: bytes) -> OSError | None:
    """Write a file into a folder and delete it; return the error if that fails."""
    fault: OSError | None = None
    for _ in range(PROBES):
        probe = folder / f".probe.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(data)
            finally:
                probe.unlink(missing_ok=True)
        except FileNotFoundError as error:  # the folder may have been deleted just now
            fault = error
        except OSError as error:
            return error
        else:
            return None
    return fault
