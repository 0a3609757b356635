"""The bytes of a video on their way to a platform: read in parts, and known to be those that were to be published.

A file whose inode, size and times are those that it had when it was hashed is not hashed again.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.cache import SETTLED_NS, file_mark, file_sha256
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.publish.base import Post

PART_BYTES: Final = 1 << 20
"""What is read and sent at once."""


def settled_mark(path: Path, *, before_ns: int) -> tuple[int, ...] | None:
    """Return the mark of a file (`file_mark`) by which it is known again; None if it was changed just before `before_ns`.

    Time stamps are coarse: a file that was written just now could change again and keep its mark.
    """
    with path.open("rb") as file:
        mark = file_mark(file)
    return mark if before_ns - mark[-1] > SETTLED_NS else None


def is_unchanged(post: Post) -> bool:
    """Return whether the file of a post is known to be the one that was hashed, without reading it; raise OSError."""
    if post.mark is None:
        return False
    with post.video.open("rb") as file:
        return file_mark(file) == post.mark


def is_the_video(post: Post) -> bool:
    """Return whether the file of a post has the bytes that are to be published; raise OSError."""
    return is_unchanged(post) or file_sha256(post.video) == post.sha256


class ReadBytes:
    """Reads the video of a post in parts; `is_the_video` then says whether it was the one that is to be published.

    A file that has changed since it was hashed is hashed again while it is read, by a thread of `hashing`.
    """

    def __init__(self, post: Post, hashing: ThreadPoolExecutor | None = None) -> None:
        self._post = post
        self._path = post.video
        self._unchanged = is_unchanged(post)
        self._hashing = None if self._unchanged else hashing
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._last: Future[None] | None = None

    def is_the_video(self) -> bool:
        """Return whether all of the file, from its beginning to its end, was what is to be published; raise OSError."""
        if self._unchanged:
            return is_the_video(self._post)
        self.skip_to(None)
        return self._digest.hexdigest() == self._post.sha256

    def skip_to(self, end: int | None) -> None:
        """Read and hash up to a byte, or to the end of the file; nothing if the file is unchanged."""
        if self._unchanged:
            return
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
