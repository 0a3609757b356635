"""The cache of encoded segments; its keys hash everything that a segment depends on."""

from __future__ import annotations

import hashlib
import json
import logging
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.cache import ContentCache, DamagedError, FileDigests
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.segment_key import segment_key
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange

logger = logging.getLogger(__name__)

MAGIC: Final = b"VPSEG\0\0\1"
HEADER: Final = struct.Struct(">8s32s32sQQ")
"""Magic, key, SHA-256 of the data after the header, size of the notes and of the segment in bytes."""


@dataclass(frozen=True, slots=True)
class CachedSegment:
    """A segment as MP4, and notes of some of its frames by number, counted from its first frame."""

    data: bytes
    notes: Mapping[int, float] = field(default_factory=dict)
    is_shared: bool = False
    """Whether it comes from the cache that machines share."""


def pack(key: str, segment: CachedSegment) -> bytes:
    """Return the file content of a segment."""
    notes = json.dumps({str(number): note for number, note in sorted(segment.notes.items())}).encode()
    digest = hashlib.sha256(notes)
    digest.update(segment.data)
    header = HEADER.pack(MAGIC, bytes.fromhex(key), digest.digest(), len(notes), len(segment.data))
    return header + notes + segment.data


def unpack(key: str, packed: bytes) -> CachedSegment:
    """Return the segment in a file's content; raise DamagedError if it is corrupt or belongs to another key."""
    if len(packed) < HEADER.size:
        raise DamagedError(f"{len(packed)} bytes, less than the header of {HEADER.size}")
    magic, own_key, digest, notes_bytes, data_bytes = HEADER.unpack_from(packed)
    body = memoryview(packed)[HEADER.size :]
    if magic != MAGIC:
        raise DamagedError("not a segment file of this version")
    if own_key.hex() != key:
        raise DamagedError(f"the segment has another key, {own_key.hex()}")
    if len(body) != notes_bytes + data_bytes:
        raise DamagedError(f"{len(body)} bytes after the header, not {notes_bytes + data_bytes}")
    if hashlib.sha256(body).digest() != digest:
        raise DamagedError("the SHA-256 in the header does not match the data")
    notes = json.loads(bytes(body[:notes_bytes]))
    return CachedSegment(
        bytes(body[notes_bytes:]), {int(number): float(note) for number, note in notes.items()}
    )


class SegmentCache:
    """The segments of one render in a content cache; safe between threads and between processes.

    A segment is written to a temporary file, synced and renamed, and its hash is verified when it is read:
    a corrupt entry counts as missing and is replaced. What is missing here is taken from the cache that machines share, if the
    content cache has one. If the cache cannot be read or written, the render goes
    on without it, with one warning. `settings` are those of all segments, or a function that returns a segment's.
    `kind` names the folder in the cache; other data of a range of frames, such as the thumbnail, has a folder of its own.
    """

    def __init__(
        self,
        store: ContentCache,
        *,
        timeline: Timeline,
        captions: Sequence[CaptionArt],
        settings: EncoderSettings | Callable[[FrameRange], EncoderSettings],
        compositor: Mapping[str, Any],
        kind: str = "segments",
    ) -> None:
        self._store, self._kind = store, kind
        self._timeline, self._captions = timeline, captions
        self._settings, self._compositor = settings, compositor
        self._digests = FileDigests()
        self._keys: dict[FrameRange, str] = {}
        self._lock = threading.Lock()
        self._usable = True

    @property
    def usable(self) -> bool:
        """Whether segments can still be stored."""
        return self._usable

    def get(self, frames: FrameRange) -> CachedSegment | None:
        """Return the segment that shows a range, or None if it is missing or corrupt."""
        key = self.key(frames)
        if key is None:
            return None
        with self._lock:
            self._keys[frames] = key
        path = self._path(key)
        try:
            packed = path.read_bytes()
            self._store.touch(path)
        except FileNotFoundError:
            return self._get_shared(key)
        except OSError as error:
            self._give_up(path, error)
            return self._get_shared(key)
        try:
            return unpack(key, packed)
        except DamagedError as error:
            logger.warning("cached segment %s is corrupt and rendered again: %s", path, error)
            return self._get_shared(key)

    def _get_shared(self, key: str) -> CachedSegment | None:
        """Return a segment that another machine has drawn, and keep it here."""
        found = self._store.shared.get(self._kind, f"{key}.segment") if self._store.shared else None
        if found is None:
            return None
        try:
            segment = unpack(key, found.data)
        except DamagedError as error:
            logger.warning("shared segment %s is corrupt and rendered again: %s", key, error)
            return None
        if self._usable:
            try:
                self._store.store(self._path(key), found.data)
            except OSError as error:
                self._give_up(self._path(key), error)
        return replace(segment, is_shared=True)

    def has(self, frames: FrameRange) -> bool:
        """Return whether a range has a file, corrupt or not."""
        key = self.key(frames)
        try:
            return key is not None and self._path(key).exists()
        except OSError:
            return False

    def put(self, frames: FrameRange, segment: CachedSegment) -> None:
        """Store the segment of a range, unless a file changed while it was drawn."""
        key = self._keys.get(frames)
        if key is None or not (self._usable or self._store.shared):
            return
        if self.key(frames) != key:
            logger.warning(
                "frames [%d, %d): a source file changed while they were drawn; they are not cached",
                frames.start,
                frames.stop,
            )
            return
        path, packed = self._path(key), pack(key, segment)
        if self._usable:
            try:
                self._store.store(path, packed)
            except OSError as error:
                self._give_up(path, error)
        if self._store.shared is not None:
            self._store.shared.put(self._kind, f"{key}.segment", packed)

    def _path(self, key: str) -> Path:
        return self._store.folder / self._kind / key[:2] / f"{key}.segment"

    def key(self, frames: FrameRange) -> str | None:
        """Return the key of a range, or None if a file cannot be read: drawing will report the error."""
        settings = self._settings(frames) if callable(self._settings) else self._settings
        try:
            return segment_key(
                self._timeline,
                self._captions,
                frames,
                settings=settings,
                compositor=self._compositor,
                digest=self._digests,
            )
        except OSError:
            return None

    def _give_up(self, path: Path, error: OSError) -> None:
        with self._lock:
            first, self._usable = self._usable, False
        if first:
            logger.warning(
                "%s: %s; the render goes on without caching its segments", path, error.strerror or error
            )
