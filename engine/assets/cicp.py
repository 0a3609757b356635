"""PNG's cICP chunk: the colours of a picture by the numbers of ITU-T H.273 (PNG, third edition, 11.3.2.6)."""

from __future__ import annotations

from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]

ORDER: Final = (b"IDAT", b"IEND")
"""Chunks before which cICP must come."""

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
"""Diffuse white of HDR pictures (ITU-R BT.2408): it becomes white, and what is brighter is cut off."""


class Cicp(NamedTuple):
    """ColourPrimaries and TransferCharacteristics of H.273."""

    primaries: int
    transfer: int


def read_cicp(stream: BinaryIO) -> Cicp | None:
    """Return the chunk of a PNG file, or None if there is none that can be used; the stream's position stays."""
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
        # BT.709 as sRGB: stills of sRGB become BT.709 without a change of their code values, too.
        return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    if transfer in (4, 5, 8):
        return code ** {4: 2.2, 5: 2.8, 8: 1.0}[transfer]
    if transfer == 16:
        return np.minimum(1, _pq_nits(code) / WHITE_NITS)
    if transfer == 18:
        # Three quarters of the signal are diffuse white; the display's gamma is 1.2.
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
