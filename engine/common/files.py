"""Files that are either complete or absent."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

if sys.platform != "win32":
    import fcntl

STAGING_PREFIX = ".staging-"
PARTIAL_PREFIX = ".partial-"
STAGING_ATTEMPTS = 100
"""Attempts to create a hidden folder: another process may sweep a new one before it is locked."""

NOT_SYNCABLE = frozenset([errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP])


class StagedFiles:
    """Files of one folder that appear together once all are written. A context manager.

    They are written in a hidden folder inside `folder`, under their final names; `commit` syncs them and
    renames them. The first staged file is renamed last, so a reader that sees it finds the others. The hidden folder
    is deleted when the block ends. It is locked while its process lives, so `sweep_staging` deletes only those of
    killed processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hidden = self._private()
        self._staged: list[Path] = []
        self._lock: int | None = None

    def _private(self) -> Path:
        return self._folder / f"{STAGING_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"

    def __enter__(self) -> Self:
        for _ in range(STAGING_ATTEMPTS):
            self._hidden.mkdir()
            try:
                self._lock = lock_folder(self._hidden)
            except (FileNotFoundError, BlockingIOError):  # swept between the two calls
                self._hidden = self._private()
                continue
            if self._hidden.exists():
                return self
            if self._lock is not None:
                os.close(self._lock)
            self._hidden = self._private()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(self._folder))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._hidden, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def stage(self, target: Path) -> Path:
        """Return the path at which the file for `target` is to be written."""
        if target.parent != self._folder:
            raise ValueError(f"{target}: allowed: files of the folder {self._folder}")
        self._staged.append(target)
        return self.path(target)

    def path(self, target: Path) -> Path:
        """Return the path of the file for `target` before it is committed."""
        return self._hidden / target.name

    def commit(self) -> None:
        """Rename every staged file to its final path, after syncing it."""
        for target in self._staged:
            with self.path(target).open("rb+") as file:
                os.fsync(file.fileno())
        for target in reversed(self._staged):
            self.path(target).replace(target)
        sync_folder(self._folder)


def lock_folder(folder: Path) -> int | None:
    """Return a descriptor that holds a folder's lock, or None if folders cannot be locked here.

    Raises BlockingIOError if another process holds it, and FileNotFoundError.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def sweep_staging(folder: Path) -> int:
    """Delete the hidden folders that killed processes left in a folder; return how many there were."""
    swept = 0
    for hidden in folder.glob(f"{STAGING_PREFIX}*"):
        try:
            descriptor = lock_folder(hidden)
        except OSError:
            continue
        if descriptor is not None:
            shutil.rmtree(hidden, ignore_errors=True)
            os.close(descriptor)
            swept += 1
    return swept


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a private path beside `path`; it replaces `path` if the block ends without an error.

    The file is synced before it is renamed, so `path` is never incomplete, and deleted if the block raises. The
    private name keeps the suffix, from which writers infer the format.
    """
    with private_file(path) as partial:
        yield partial
        sync_file(partial)
        partial.replace(path)
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Write a file to its disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def private_file(path: Path) -> Iterator[Path]:
    """Yield an unused path beside `path`, with its suffix; delete the file at the end if it exists."""
    partial = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{path.suffix}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file to a second name, or copy it if its file system has no hard links."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that its renames survive a power loss; raise OSError if the disk fails.

    A system that cannot sync folders is no error: Windows cannot open them, some network file systems refuse.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NOT_SYNCABLE:
            raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file with line feeds, completely or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
