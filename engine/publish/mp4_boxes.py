"""The boxes of an MP4 that platforms ask about: what comes first, and edit lists (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from video_pipeline.engine.errors import InputError

_CONTAINERS: Final = frozenset({b"moov", b"trak", b"edts"})
_MOST_BOXES: Final = 100_000
_QUICKTIME: Final = b"qt  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Mp4Layout:
    """`brand` is that of the file type box; `faststart`: the index comes before the media data."""

    brand: bytes
    faststart: bool
    edit_list: bool

    @property
    def container(self) -> str:
        """`mov` for QuickTime's brand, `mp4` for others."""
        return "mov" if self.brand == _QUICKTIME else "mp4"


def read_layout(path: Path) -> Mp4Layout | None:
    """Return the layout of an MP4 or MOV, or None if the file is neither; raise InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            order: list[bytes] = []
            brand, edit_list = b"", False
            for kind, start, stop, depth in _walk_boxes(file, 0, size, 0):
                if depth == 0:
                    order.append(kind)
                    if len(order) == 1 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                        return None
                if kind == b"ftyp" and depth == 0:
                    file.seek(start)
                    brand = file.read(min(4, stop - start))
                edit_list = edit_list or kind == b"elst"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if b"moov" not in order:
        return None
    faststart = b"mdat" not in order or order.index(b"moov") < order.index(b"mdat")
    return Mp4Layout(brand=brand, faststart=faststart, edit_list=edit_list)


def _walk_boxes(file: BinaryIO, start: int, stop: int, depth: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield kind, begin and end of the content, and depth of each box; end at one that is not whole."""
    for _ in range(_MOST_BOXES):
        if start + 8 > stop:
            return
        file.seek(start)
        header = file.read(8)
        if len(header) < 8:
            return
        size, kind = struct.unpack(">I4s", header)
        content = start + 8
        if size == 1:
            large = file.read(8)
            if len(large) < 8:
                return
            size = struct.unpack(">Q", large)[0]
            content += 8
        end = stop if size == 0 else start + size
        if end < content or end > stop:
            return
        yield kind, content, end, depth
        if kind in _CONTAINERS:
            yield from _walk_boxes(file, content, end, depth + 1)
        start = end
