"""The inbox: inline assets of submitted jobs, named by their SHA-256; each is complete and durable, or absent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from video_pipeline.engine.assets.formats import SUFFIXES
from video_pipeline.engine.common.files import sync_folder
from video_pipeline.engine.errors import RenderingError

INBOX_PREFIX = "inbox:"
"""`inbox:SHA256.jpg` in a stored job refers to a file of the inbox. Clients may not send such references."""

_NAME = r"[0-9a-f]{64}(?:" + "|".join(re.escape(suffix) for suffix in SUFFIXES) + ")"
INBOX_REFERENCE = re.compile(INBOX_PREFIX + f"({_NAME})")
PARTIAL_PREFIX = ".partial-"
SWEPT_PREFIX = ".swept-"


class InboxError(RenderingError):
    """The inbox cannot be written: the disk is full or read-only. No job was accepted."""


class Inbox:
    """A folder of inline assets. One thread writes; others may read and sweep.

    `sync` makes kept assets durable and visible; call it before the commit of the jobs that refer to them. A file
    with its final name is complete on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pending: dict[str, Path] = {}
        self._renamed = False

    def keep(self, data: bytes, suffix: str) -> str:
        """Write an asset unless it exists, and return the reference to it. Raises InboxError."""
        name = f"{hashlib.sha256(data).hexdigest()}{suffix}"
        if name not in self._pending and not self._found(name, len(data)):
            partial = self.folder / f"{PARTIAL_PREFIX}{secrets.token_hex(12)}"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(data)
                self._pending[name] = partial
            except OSError as error:
                _remove(partial)
                raise InboxError(f"{self.folder}: cannot write an inline asset: {error.strerror}") from error
        return f"{INBOX_PREFIX}{name}"

    def sync(self) -> None:
        """Make all kept assets durable. If it raises InboxError, no job that refers to them may be accepted."""
        try:
            for partial in self._pending.values():
                with partial.open("rb+") as file:
                    os.fsync(file.fileno())
            for name, partial in self._pending.items():
                partial.replace(self.folder / name)
                self._renamed = True
            if self._renamed:
                sync_folder(self.folder)
        except OSError as error:
            self.discard()
            raise InboxError(f"{self.folder}: cannot write inline assets: {error.strerror}") from error
        self._pending.clear()
        self._renamed = False

    def discard(self) -> None:
        """Delete the assets kept since the last `sync`."""
        for partial in self._pending.values():
            _remove(partial)
        self._pending.clear()

    def path(self, reference: str) -> Path | None:
        """Return the file of a reference, or None if the reference is invalid or the file does not exist."""
        match = INBOX_REFERENCE.fullmatch(reference)
        path = self.folder / match.group(1) if match else None
        return path if path is not None and path.is_file() and not path.is_symlink() else None

    def _found(self, name: str, size: int) -> bool:
        """Return whether a file exists, and reset its age, so that it is not swept.

        Another process may have died after renaming the file but before syncing the folder, so the next `sync`
        syncs the folder.
        """
        path = self.folder / name
        try:
            if path.stat().st_size != size:
                return False
            os.utime(path)
        except OSError:
            return False
        self._renamed = True
        return True


def inbox_names(text: str) -> set[str]:
    """Return the names of the inbox files that a text (story and config of a job as JSON) refers to."""
    return set(INBOX_REFERENCE.findall(text))


def sweep_inbox(inbox: Path, referenced: Collection[str], older_than_s: float) -> int:
    """Delete files that no job refers to and that were not sent within `older_than_s` seconds; return how many.

    `referenced` holds names or references of the files to keep. Jobs about to be committed are missing from it, so
    `older_than_s` must exceed the time of a commit: use minutes. Safe while the server process finds the same file:
    the file is moved aside before the final check of its age.
    """
    kept = {reference.removeprefix(INBOX_PREFIX) for reference in referenced}
    return sum(_sweep(path, older_than_s) for path in _entries(inbox) if path.name not in kept)


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return ()


def _sweep(path: Path, older_than_s: float) -> bool:
    name = path.name
    leftover = name.startswith((PARTIAL_PREFIX, SWEPT_PREFIX))
    if not leftover and not re.fullmatch(_NAME, name):
        return False  # not a file of the inbox
    try:
        if not _is_old(path, older_than_s):
            return False
        if not leftover:
            aside = path.with_name(f"{SWEPT_PREFIX}{name}")
            path.replace(aside)
            if not _is_old(aside, older_than_s):
                aside.replace(path)
                return False
            path = aside
        path.unlink()
    except OSError:
        return False
    return True


def _is_old(path: Path, seconds: float) -> bool:
    return time.time() - path.lstat().st_mtime >= seconds


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
