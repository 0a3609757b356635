"""Objects that several machines share: a small protocol, and a folder that speaks it.

A key is a path of plain names such as `segments/ab/abcd.segment`; an object under a key never changes. Content is
stored under `sha256/xx/HEX`, other objects are sealed: their header has key, time and SHA-256, so a damaged object is
never used.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from video_pipeline.engine.common.files import sync_file, sync_folder

logger = logging.getLogger(__name__)

KEY_CHARACTERS: Final = 700
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_PREFIX = re.compile(rf"({_KEY.pattern}/?)?")
PARTIAL_FOLDER: Final = ".partial"
PARTIAL_SECONDS: Final = 86_400.0
"""Partial objects of killed processes are deleted when they are older."""

MAGIC: Final = b"VPOBJ\0\0\1"
SEAL: Final = struct.Struct(">8s32s32sdQ")
"""Magic, SHA-256 of the key, SHA-256 of the data, when it was made in seconds since 1970, size in bytes."""


class StoreError(OSError):
    """The shared storage cannot be reached, read or written; the message has no secret."""

    def __str__(self) -> str:
        return str(self.args[-1])


class ObjectStore(Protocol):
    """Objects under keys. Thread-safe. All methods raise StoreError, and ValueError for a key that is none."""

    @property
    def name(self) -> str:
        """What the configuration calls it, without secrets."""

    def get(self, key: str) -> bytes | None:
        """Return an object, None if there is none."""

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        """Return at most `length` bytes from `start` on, None if there is no such object."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store an object whole; return False if the key had one, which stays as it is."""

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        """Store a file whole; return False if the key had an object, which stays as it is."""

    def fetch_file(self, key: str, path: Path) -> bool:
        """Write an object to a new file; return False, without a file, if there is none. OSError is of that file."""

    def delete(self, key: str) -> None:
        """Delete an object if there is one."""

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in any order."""


def checked_key(key: str) -> str:
    """Return a key; raise ValueError if it is none."""
    if len(key) > KEY_CHARACTERS or not _KEY.fullmatch(key):
        raise ValueError(f"{key!r:.100} is no key of an object")
    return key


def checked_prefix(prefix: str) -> str:
    """Return the beginning of keys; raise ValueError if no key can begin so."""
    if len(prefix) > KEY_CHARACTERS or not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r:.100} is no beginning of an object's key")
    return prefix


def content_key(sha256: str) -> str:
    """Return the key of bytes with a SHA-256 in hex."""
    return f"sha256/{sha256[:2]}/{sha256}"


def put_content(store: ObjectStore, data: bytes) -> str:
    """Store bytes under their SHA-256, which is returned in hex."""
    sha256 = hashlib.sha256(data).hexdigest()
    store.put_if_absent(content_key(sha256), data)
    return sha256


def get_content(store: ObjectStore, sha256: str) -> bytes | None:
    """Return the bytes with a SHA-256; None if they are missing or were damaged, and are then deleted."""
    data = store.get(content_key(sha256))
    if data is not None and hashlib.sha256(data).hexdigest() != sha256:
        _drop(store, content_key(sha256), "its bytes have another SHA-256")
        return None
    return data


@dataclass(frozen=True, slots=True)
class SealedObject:
    """An object's data, and when it was made in seconds since 1970."""

    data: bytes
    made_at: float


def put_sealed(store: ObjectStore, key: str, data: bytes, *, made_at: float | None = None) -> bool:
    """Store data under a key with a header that tells whether it is whole; return False if the key had an object."""
    head = SEAL.pack(
        MAGIC,
        hashlib.sha256(key.encode()).digest(),
        hashlib.sha256(data).digest(),
        time.time() if made_at is None else made_at,
        len(data),
    )
    return store.put_if_absent(key, head + data)


def get_sealed(store: ObjectStore, key: str) -> SealedObject | None:
    """Return what is sealed under a key; None if it is missing or was damaged, and is then deleted."""
    packed = store.get(key)
    if packed is None:
        return None
    fault = "it is shorter than its header"
    if len(packed) >= SEAL.size:
        magic, own_key, digest, made_at, size = SEAL.unpack_from(packed)
        data = packed[SEAL.size :]
        if magic != MAGIC:
            fault = "it is no object of this version"
        elif own_key != hashlib.sha256(key.encode()).digest():
            fault = "it was stored under another key"
        elif len(data) != size or hashlib.sha256(data).digest() != digest:
            fault = "its bytes have another size or SHA-256"
        else:
            return SealedObject(data, made_at)
    _drop(store, key, fault)
    return None


def _drop(store: ObjectStore, key: str, why: str) -> None:
    logger.warning("the shared object %s is damaged and made again: %s", key, why)
    store.delete(key)


class FolderStore:
    """A folder, usually of a file system that all machines mount. Objects appear by a hard link, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def get(self, key: str) -> bytes | None:
        """Return an object, None if there is none."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            self._check_is_there()
            return None
        except OSError as error:
            raise self._error(error) from error

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        """Return at most `length` bytes from `start` on, None if there is no such object."""
        try:
            with self._path(key).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except FileNotFoundError:
            self._check_is_there()
            return None
        except OSError as error:
            raise self._error(error) from error

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store an object whole; return False if the key had one, which stays as it is."""
        return self._put(key, lambda partial: partial.write_bytes(data))

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        """Store a file whole; return False if the key had an object, which stays as it is."""
        return self._put(key, lambda partial: shutil.copyfile(path, partial))

    def fetch_file(self, key: str, path: Path) -> bool:
        """Write an object to a new file; return False, without a file, if there is none."""
        source = self._path(key)
        try:
            shutil.copyfile(source, path)
        except FileNotFoundError as error:
            if error.filename not in (str(source), source):
                raise
            self._check_is_there()
            return False
        except OSError as error:
            path.unlink(missing_ok=True)
            # What is full is the place that is written, and copyfile names no file then.
            if error.errno in (errno.ENOSPC, errno.EDQUOT) or error.filename in (str(path), path):
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise self._error(error) from error
        return True

    def delete(self, key: str) -> None:
        """Delete an object if there is one."""
        try:
            self._path(key).unlink()
        except FileNotFoundError:
            self._check_is_there()
        except OSError as error:
            raise self._error(error) from error

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in any order."""
        checked_prefix(prefix)
        place, _, _ = prefix.rpartition("/")
        self._check_is_there()
        for folder, folders, files in os.walk(self._folder / place):
            folders[:] = [name for name in folders if name != PARTIAL_FOLDER]
            for name in files:
                key = (Path(folder) / name).relative_to(self._folder).as_posix()
                if key.startswith(prefix):
                    yield key

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    def _put(self, key: str, write: Callable[[Path], object]) -> bool:
        path = self._path(key)
        try:
            if path.exists():
                return False
            partials = self._partials()
            partial = partials / f"{os.getpid()}-{secrets.token_hex(8)}"
            try:
                write(partial)
                sync_file(partial)
                for parent in reversed(path.relative_to(self._folder).parents[:-1]):
                    (self._folder / parent).mkdir(exist_ok=True)
                os.link(partial, path)
            except FileExistsError:
                return False
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            raise self._error(error) from error
        return True

    def _check_is_there(self) -> None:
        """Raise StoreError if the file system is not mounted: its objects are not missing, and it must not become a local folder."""
        if not self._folder.is_dir():
            raise self._error(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))

    def _partials(self) -> Path:
        folder = self._folder / PARTIAL_FOLDER
        self._check_is_there()
        folder.mkdir(exist_ok=True)
        if not self._swept:
            self._swept = True
            for path in folder.iterdir():
                with suppress(FileNotFoundError):  # another writer has ended just now
                    if time.time() - path.stat().st_mtime > PARTIAL_SECONDS:
                        path.unlink()
        return folder

    def _error(self, error: OSError) -> StoreError:
        if isinstance(error, StoreError):
            return error
        return StoreError(error.errno, f"fleet.store: {self._folder}: {error.strerror or error}")
