"""Files that the user names: opened once, and then checked, hashed and read through that one descriptor.

Between two opens of a path another file may take its place. So a file's hash and its content come from one `OpenFile`,
and who opens it a second time says which hash it must still have.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import os
import stat
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from video_pipeline.engine.common.cache import FileDigests, file_mark
from video_pipeline.engine.errors import FileChangedError

DIGESTS: Final = FileDigests()

IN_MEMORY_BYTES: Final = 16 * 2**20
"""Files up to this size are read at once: whatever is written into them later, hash and content agree."""

DESCRIPTORS: Final = Path("/proc/self/fd")
"""Where a child program opens what it inherited, each time from the beginning (Linux)."""

OPENAT2: Final = 437
"""The number of the system call, on every processor (Linux 5.6)."""

FOLDER_FLAGS: Final = (
    getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
)
"""A folder is opened without the right to list it, where the system can."""

BENEATH: Final = 0x08 | 0x04 | 0x02
"""RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS of linux/openat2.h."""

NOT_SUPPORTED: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG, errno.EAGAIN})
"""Errors after which the folders are opened one by one: no such call, one that is forbidden, a rename meanwhile."""


class NotAFileError(OSError):
    """The path leads to a pipe, a socket or a device."""


class OpenFile:
    """A file that was opened once. A context manager.

    `stream` reads its bytes, `sha256` is their hash. If the file changes while it is open, both still agree, or
    `check` raises FileChangedError.
    """

    def __init__(self, path: Path, file: io.BufferedReader, *, in_memory: bool = True) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotAFileError(errno.EINVAL, "it is a pipe, a socket or a device", str(path))
        self.path = path
        self.size = status.st_size
        self._file = file
        self._mark = file_mark(file)
        self._is_shared = not in_memory or self.size > IN_MEMORY_BYTES
        self.stream: io.BufferedReader | io.BytesIO = file
        if not self._is_shared:
            self.stream = _NamedBytes(file.read(), name=str(path))
            self.size = len(self.stream.getbuffer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes in hex."""
        return self._digest()

    def head(self, count: int) -> bytes:
        """Return the first bytes; the next read starts at the beginning."""
        self.stream.seek(0)
        found = self.stream.read(count)
        self.stream.seek(0)
        return found

    def read(self) -> bytes:
        """Return all bytes."""
        if isinstance(self.stream, io.BytesIO):
            return self.stream.getvalue()
        self.stream.seek(0)
        return self.stream.read()

    @property
    def descriptor(self) -> int | None:
        """The descriptor for a child program, or None where it could not open that by its number."""
        return self._file.fileno() if DESCRIPTORS.is_dir() else None

    def check(self) -> None:
        """Raise FileChangedError if the file may have changed since it was opened.

        Every change counts, even one of its name: content that was changed and put back could not be told from it.
        """
        if not self._is_shared:
            return
        same = file_mark(self._file) == self._mark and DIGESTS.of(self._file) == self.sha256
        if same and not DESCRIPTORS.is_dir():  # then a child opened the path
            try:
                with self.path.open("rb") as again:
                    same = file_mark(again) == self._mark
            except OSError:
                same = False
        if not same:
            raise changed(self.path)

    def _digest(self) -> str:
        if isinstance(self.stream, io.BytesIO):
            return hashlib.sha256(self.stream.getbuffer()).hexdigest()
        return DIGESTS.of(self._file)


class _NamedBytes(io.BytesIO):
    """Bytes with the name of their file, from whose suffix FFmpeg guesses a format."""

    def __init__(self, data: bytes, *, name: str) -> None:
        super().__init__(data)
        self.name = name


def changed(path: Path) -> FileChangedError:
    """Return the error for a file that is no longer what it was."""
    return FileChangedError(f"{path}: the file changed during the render; render again")


@contextmanager
def of_scene(scene_id: str) -> Iterator[None]:
    """Name the scene whose file has changed."""
    try:
        yield
    except FileChangedError as error:
        raise FileChangedError(f"scene {scene_id!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class InputFiles:
    """How the files that a story names are opened.

    `beneath` maps a file to the folder that it must be in: no link on the way from there to the file is followed.
    """

    beneath: Mapping[Path, Path] = field(default_factory=lambda: MappingProxyType({}))

    def open(self, path: Path, *, in_memory: bool = True) -> OpenFile:
        """Open a file, a small one with all its bytes unless a child program is to read it.

        Raises OSError, and FileChangedError if a link has taken the place of the file or of a folder beneath the one
        that it must be in.
        """
        folder = self.beneath.get(path)
        opener = _open_plain if folder is None else partial(_open_beneath, folder)
        file = open(path, "rb", opener=opener)  # noqa: SIM115 - the OpenFile closes it
        try:
            return OpenFile(path, file, in_memory=in_memory)
        except BaseException:
            file.close()
            raise


ANY_FILES: Final = InputFiles()


def reopen(path: Path, *, sha256: str, in_memory: bool = True) -> OpenFile:
    """Open a file that was read before; raise OSError, and FileChangedError unless its bytes have that hash.

    Without a hash nothing is checked.
    """
    try:
        file = ANY_FILES.open(path, in_memory=in_memory)
    except FileNotFoundError as error:
        if sha256:
            raise changed(path) from error
        raise
    try:
        if sha256 and file.sha256 != sha256:
            raise changed(path)
    except BaseException:
        file.__exit__()
        raise
    return file


@contextmanager
def open_again(path: Path, *, sha256: str) -> Iterator[OpenFile]:
    """Yield a file as `reopen` does; raise FileChangedError also if it changes until the block ends."""
    with reopen(path, sha256=sha256) as file:
        try:
            yield file
        finally:
            if sha256:
                file.check()


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer is opened, too


def _open_beneath(folder: Path, path: str, flags: int) -> int:
    """Open a file of a folder without following a link; raise OSError."""
    if sys.platform == "win32":
        return _open_plain(path, flags)
    flags |= os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    inner = Path(path).relative_to(folder)
    root = os.open(folder, FOLDER_FLAGS)
    try:
        found = open_at_once(root, inner, flags)
        return open_stepwise(root, inner, flags) if found is None else found
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EXDEV, errno.ENOTDIR):
            raise FileChangedError(f"{path}: a link took its place after it was checked") from error
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(root)


def open_at_once(root: int, inner: Path, flags: int) -> int | None:
    """Open a file below an open folder, without links, by one system call; return None if the system has none."""
    if not sys.platform.startswith("linux"):
        return None
    how = struct.pack("QQQ", flags, 0, BENEATH)
    call = ctypes.CDLL(None, use_errno=True).syscall
    size = ctypes.c_size_t(len(how))
    opened: int = call(ctypes.c_long(OPENAT2), root, os.fsencode(inner), how, size)
    if opened >= 0:
        return opened
    number = ctypes.get_errno()
    if number in NOT_SUPPORTED:
        return None
    raise OSError(number, os.strerror(number), str(inner))


def open_stepwise(root: int, inner: Path, flags: int) -> int:
    """Open a file below an open folder, without links, one folder after the other."""
    at = root
    try:
        for name in inner.parts[:-1]:
            below = os.open(name, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=at)
            if at != root:
                os.close(at)
            at = below
        return os.open(inner.name, flags, dir_fd=at)
    finally:
        if at != root:
            os.close(at)
