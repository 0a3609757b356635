"""Write pictures with times as a MOV file of PNG frames that repeats, without storing a frame twice.

A MOV file says in tables where each frame's bytes are and how long it is shown (QuickTime File Format, "Sample table
atoms"), so a loop is a longer table.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Final

TICKS_A_SECOND: Final = 90_000

LOOP_SECONDS: Final = 600
"""How long a moving picture repeats; after that its last frame is held."""

_MATRIX: Final = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


@dataclass(frozen=True, slots=True)
class _Sample:
    offset: int
    size: int
    ticks: int


def write_loop(target: Path, frames: Iterable[tuple[bytes, Fraction]], *, size_px: tuple[int, int]) -> None:
    """Write PNG pictures of one size, each with its seconds, repeated for LOOP_SECONDS, or once if they last longer."""
    samples: list[_Sample] = []
    with target.open("wb") as file:
        file.write(_HEAD)
        file.write(bytes(8))
        start = file.tell()
        file.write(struct.pack(">I4sQ", 1, b"mdat", 0))
        seconds, ticks, last = Fraction(0), 0, b""
        for data, length in frames:
            seconds += length
            ends = round(seconds * TICKS_A_SECOND)
            if data != last:
                offset, last = file.tell(), data
                file.write(data)
            samples.append(_Sample(offset, len(data), ends - ticks))
            ticks = ends
        end = file.tell()
        passes = max(1, math.ceil(LOOP_SECONDS * TICKS_A_SECOND / ticks))
        file.write(_movie(samples * passes, ticks * passes, size_px))
        file.seek(start - 8)
        file.write(struct.pack(">QI4sQ", ticks, 1, b"mdat", end - start))


def pass_seconds(path: Path) -> Fraction:
    """Return the seconds of one pass of a file that `write_loop` has written; raise ValueError if it is not whole."""
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
        data = file.read(24)
        if head != _HEAD or len(data) < 24:
            raise ValueError("it is not a repeated moving picture")
        ticks, _, name, size = struct.unpack(">QI4sQ", data)
        file.seek(len(_HEAD) + 8 + size)
        tail = file.read(8)
        ends = file.tell() - 8 + int.from_bytes(tail[:4], "big")
    if name != b"mdat" or tail[4:] != b"moov" or ends != path.stat().st_size or not ticks:
        raise ValueError("it is cut short")
    return Fraction(ticks, TICKS_A_SECOND)


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


_HEAD: Final = _box(b"ftyp", b"qt  ", struct.pack(">I", 0x200), b"qt  ") + struct.pack(">I4s", 16, b"free")
"""The beginning of a file, up to the box that readers skip; it holds the ticks of one pass."""


def _movie(samples: Sequence[_Sample], ticks: int, size_px: tuple[int, int]) -> bytes:
    width, height = size_px
    clock = struct.pack(">4I", 0, 0, TICKS_A_SECOND, ticks)
    header = _box(
        b"mvhd",
        bytes(4),
        clock,
        struct.pack(">IH10x", 1 << 16, 0x100),
        _MATRIX,
        bytes(24),
        struct.pack(">I", 2),
    )
    track = _box(
        b"tkhd",
        struct.pack(">I5I", 3, 0, 0, 1, 0, ticks),
        bytes(16),
        _MATRIX,
        struct.pack(">2I", width << 16, height << 16),
    )
    media = _box(
        b"mdia",
        _box(b"mdhd", bytes(4), clock, bytes(4)),
        _box(b"hdlr", bytes(4), b"mhlrvide", bytes(13)),
        _box(
            b"minf",
            _box(b"vmhd", struct.pack(">I4H", 1, 0x40, 0x8000, 0x8000, 0x8000)),
            _box(b"dinf", _box(b"dref", struct.pack(">2I", 0, 1), _box(b"url ", struct.pack(">I", 1)))),
            _sample_table(samples, size_px),
        ),
    )
    return _box(b"moov", header, _box(b"trak", track, media))


def _sample_table(samples: Sequence[_Sample], size_px: tuple[int, int]) -> bytes:
    """Return the table of the frames; each is a chunk of its own, so that it may be anywhere."""
    count = len(samples)
    # Depth 24 is colour without alpha.
    entry = _box(
        b"png ",
        struct.pack(">6xH16x2H2IIH", 1, *size_px, 72 << 16, 72 << 16, 0, 1),
        b"\x03png".ljust(32, b"\0"),
        struct.pack(">Hh", 24, -1),
    )
    runs = [(len([*run]), ticks) for ticks, run in groupby(sample.ticks for sample in samples)]
    return _box(
        b"stbl",
        _box(b"stsd", struct.pack(">2I", 0, 1), entry),
        _box(b"stts", struct.pack(">2I", 0, len(runs)), *(struct.pack(">2I", *run) for run in runs)),
        _box(b"stsc", struct.pack(">5I", 0, 1, 1, 1, 1)),
        _box(
            b"stsz",
            struct.pack(">3I", 0, 0, count),
            struct.pack(f">{count}I", *(sample.size for sample in samples)),
        ),
        _box(
            b"co64",
            struct.pack(">2I", 0, count),
            struct.pack(f">{count}Q", *(sample.offset for sample in samples)),
        ),
    )
