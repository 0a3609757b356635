"""The chunks in which TikTok takes a video (media transfer guide, read 2026-11-27), and how many of them it holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 10_000_000
"""Within TikTok's 5 to 64 MB, however it counts a megabyte."""

ADDRESS_SECONDS: Final = 3600.0
"""How long the address of an upload is valid."""

LATE_SECONDS: Final = 600.0
"""How long after its end TikTok may still count bytes that arrived in time."""

TYPES: Final = {".mov": "video/quicktime", ".webm": "video/webm"}


def chunk_plan(size: int) -> tuple[int, int]:
    """Return the bytes of a chunk and the number of chunks: their quotient rounded down, so that the last one is longer.

    A video of less than two chunks is sent whole: a single chunk has the size of the video.
    """
    return (size, 1) if size < 2 * CHUNK_BYTES else (CHUNK_BYTES, size // CHUNK_BYTES)


def chunk_span(number: int, *, size: int, chunk: int, chunks: int) -> tuple[int, int]:
    """Return the first byte and the length of a chunk, numbered from 0."""
    start = number * chunk
    return start, size - start if number == chunks - 1 else chunk


def chunks_held(uploaded: int, *, size: int, chunk: int, chunks: int) -> int:
    """Return how many whole chunks are held, of a count of bytes or of the number of the last byte: TikTok's page is unclear."""
    if uploaded + 1 >= size:
        return chunks
    return min((uploaded + 1) // chunk, chunks - 1)


def held_by_range(value: str | None) -> int | None:
    """Return the bytes of a header such as `bytes 0-9999999/50000123`, None if it cannot be read."""
    found = re.fullmatch(r"bytes 0-([0-9]{1,18})/[0-9]{1,18}", (value or "").strip())
    return int(found[1]) if found else None


def video_type(video: Path) -> str:
    """Return the content type of a video by its name."""
    return TYPES.get(video.suffix.lower(), "video/mp4")
