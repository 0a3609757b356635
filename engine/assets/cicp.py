"""The colours of a picture by the numbers of ITU-T H.273: PNG's cICP (third edition, 11.3.2.6), nclx of AVIF and HEIC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]

ORDER: Final = (b"IDAT", b"IEND")
"""Chunks before which cICP must come."""

META_MAX_BYTES: Final = 4 * 2**20
"""Longest box meta that is read: a grid of a thousand tiles takes some 100 KB."""

RGB_MATRIX: Final = 0
FULL_RANGE: Final = 1

D65: Final = (0.3127, 0.3290)
PRIMARIES: Final = {
    1: (*D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    5: (*D65, 0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""x and y of white, red, green and blue by ColourPrimaries (H.273, table 2)."""

STEPS: Final = 4096
WHITE_NITS: Final = 203
"""Diffuse white of HDR pictures (ITU-R BT.2408): it becomes white, and brighter values are clipped."""


class Cicp(NamedTuple):
    """ColourPrimaries and TransferCharacteristics of H.273."""

    primaries: int
    transfer: int


def read_cicp(stream: BinaryIO) -> Cicp | None:
    """Return the chunk of a PNG file, or None if it has no usable one; restore the stream's position."""
    at = stream.tell()
    try:
        stream.seek(8)
        while len(head := stream.read(8)) == 8 and head[4:] not in ORDER:
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"cICP":
                data = stream.read(length) if length == 4 else b""
                if data[2:] != bytes([RGB_MATRIX, FULL_RANGE]):
                    return None
                found = Cicp(data[0], data[1])
                return (
                    found if found.primaries in PRIMARIES and light_of(found.transfer) is not None else None
                )
            stream.seek(length + 4, 1)
        return None
    finally:
        stream.seek(at)


def light_of(transfer: int) -> Curve | None:
    """Return the light, 0 to 1, of evenly spaced code values (H.273, table 3), or None for an unknown number."""
    code = np.linspace(0, 1, STEPS)
    if transfer in (1, 6, 13, 14, 15):
        # BT.709 counts as sRGB, because sRGB stills too become BT.709 without a change of their code values.
        return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    if transfer in (4, 5, 8):
        return code ** {4: 2.2, 5: 2.8, 8: 1.0}[transfer]
    if transfer == 16:
        return np.minimum(1, _pq_nits(code) / WHITE_NITS)
    if transfer == 18:
        # Diffuse white is at three quarters of the signal; the display's gamma is 1.2.
        return np.minimum(1, (_hlg_light(code) / _hlg_light(np.array(0.75))) ** 1.2)
    return None


def _pq_nits(code: Curve) -> Curve:
    """Return SMPTE ST 2084's light in candela per square metre."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    light: Curve = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


def _hlg_light(code: Curve) -> Curve:
    """Return the scene's light of hybrid log-gamma (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def read_nclx(stream: BinaryIO) -> Cicp | None:
    """Return the nclx colours of an AVIF or HEIC file's primary image, or None if it has no usable ones.

    The boxes are those of ISO 23008-12: `ipma` associates the primary item's (`pitm`) properties, of which `colr`
    holds the numbers (ISO 14496-12, 12.1.5). A sequence without a primary item has none here. The stream's position
    is restored.
    """
    at = stream.tell()
    try:
        stream.seek(0)
        meta = _meta_box(stream)
    finally:
        stream.seek(at)
    inner = dict(_boxes(meta[4:]))
    properties = dict(_boxes(inner.get(b"iprp", b"")))
    containers = [*_boxes(properties.get(b"ipco", b""))]
    wanted = _primary_item(inner.get(b"pitm", b""))
    for number in _associated(properties.get(b"ipma", b""), wanted):
        name, body = containers[number - 1] if 0 < number <= len(containers) else (b"", b"")
        if name == b"colr" and body[:4] == b"nclx" and len(body) >= 8:
            found = Cicp(int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big"))
            return found if found.primaries in PRIMARIES and light_of(found.transfer) is not None else None
    return None


def _meta_box(stream: BinaryIO) -> bytes:
    """Return the content of a file's box meta, or b"" if it has none of a sensible size."""
    while len(head := stream.read(8)) == 8:
        size = int.from_bytes(head[:4], "big")
        if size < 8:  # up to the file's end, or 64 bits: such a box holds the pictures
            return b""
        if head[4:] == b"meta":
            return stream.read(size - 8) if size <= META_MAX_BYTES else b""
        stream.seek(size - 8, 1)
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of the boxes in some bytes, up to the first damaged one."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if not 8 <= size <= len(data) - at:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def _primary_item(pitm: bytes) -> int:
    """Return the number of the primary item: 16 bits in version 0, else 32."""
    return int.from_bytes(pitm[4:6] if pitm[:1] == b"\0" else pitm[4:8], "big")


def _associated(ipma: bytes, item: int) -> list[int]:
    """Return the numbers of an item's properties, from 1."""
    id_bytes = 2 if ipma[:1] == b"\0" else 4
    wide = ipma[3:4] != b"" and bool(ipma[3] & 1)
    size, mask = (2, 0x7FFF) if wide else (1, 0x7F)
    at = 8
    while at + id_bytes < len(ipma):
        number, count = int.from_bytes(ipma[at : at + id_bytes], "big"), ipma[at + id_bytes]
        at += id_bytes + 1
        if number == item:
            places = range(at, min(at + count * size, len(ipma)), size)
            return [int.from_bytes(ipma[place : place + size], "big") & mask for place in places]
        at += count * size
    return []
