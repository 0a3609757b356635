"""The bytes of a video on their way to a platform: read in parts, and hashed once while they are sent."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import ServiceError

PART_BYTES: Final = 256 << 10
"""What is read and sent at once."""


class ReadBytes:
    """Reads a file in parts and keeps the hash of all that was read, from its beginning; a thread of `hashing` makes it."""

    def __init__(self, path: Path, hashing: ThreadPoolExecutor | None = None) -> None:
        self._path = path
        self._hashing = hashing
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._last: Future[None] | None = None

    def sha256(self) -> str:
        """Return the hash of the bytes that were read."""
        return self._digest.hexdigest()

    def skip_to(self, end: int | None) -> None:
        """Read and hash up to a byte, or to the end of the file."""
        if self._last is not None:
            self._last.result()
        with self._path.open("rb") as source:
            source.seek(self._hashed)
            while part := source.read(PART_BYTES if end is None else min(PART_BYTES, end - self._hashed)):
                self._digest.update(part)
                self._hashed += len(part)

    def parts(self, start: int, length: int) -> Iterator[bytes]:
        """Yield the bytes from `start` on; raise OSError if the file has fewer. What is read again is hashed once."""
        at, end = start, start + length
        with self._path.open("rb") as source:
            source.seek(start)
            while at < end:
                part = source.read(min(PART_BYTES, end - at))
                if not part:
                    raise OSError(errno.EIO, "is shorter than it was")
                at += len(part)
                hashed = self._hash(part, at)
                yield part
                if hashed is not None:
                    hashed.result()

    def _hash(self, part: bytes, at: int) -> Future[None] | None:
        """Begin to hash a part that ends at `at`."""
        fresh = part[max(0, len(part) - (at - self._hashed)) :] if at > self._hashed else b""
        if self._hashing is None or not fresh:
            return None
        self._hashed = at
        self._last = self._hashing.submit(self._digest.update, fresh)
        return self._last


@contextmanager
def read_errors(platform: str, video: Path) -> Iterator[None]:
    """Raise ServiceError, busy, for a file that cannot be read: its disk may be away for a while."""
    try:
        yield
    except OSError as error:
        raise ServiceError(f"{platform}: {video}: {error.strerror}", kind="busy") from None
