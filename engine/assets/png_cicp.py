"""A PNG's cICP chunk: primaries and transfer by their numbers in ISO 23091-2, HDR among them, brought to sRGB."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from video_pipeline.filters.color import PEAK, REFERENCE_WHITE_NITS

SIGNATURE_BYTES: Final = 8
MAX_CHUNKS: Final = 1000
"""Chunks that are searched before the pixels; real files have a dozen."""

BAND_PIXELS: Final = 1 << 20
"""Pixels that are converted at once: about 50 MB of floats."""

PRIMARIES: Final = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
"""x and y of red, green and blue of BT.709, BT.2020 and P3, all with white D65, as for clips."""

WHITE_D65: Final = (0.3127, 0.3290)

LINEAR, PQ, HLG = 8, 16, 18
SHOWN_AS_SRGB: Final = frozenset([1, 4, 5, 6, 13, 14, 15])
"""Transfers of SDR, which screens show alike."""

HLG_PEAK_NITS: Final = 1000.0
HLG_GAMMA: Final = 1.2
LUMA_BT2020: Final = np.array([0.2627, 0.6780, 0.0593])

SOFT_FROM: Final = 0.9
"""Light above this share of white is compressed, as in `filters.color`."""


@dataclass(frozen=True, slots=True)
class Cicp:
    """The numbers of a cICP chunk that can be used."""

    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        """Whether the colours are sRGB's already."""
        return self.primaries == 1 and self.transfer in SHOWN_AS_SRGB


def read_cicp(path: Path) -> Cicp | None:
    """Return what a PNG's cICP chunk says, or None if it has none that can be used."""
    try:
        with path.open("rb") as file:
            file.seek(SIGNATURE_BYTES)
            for _ in range(MAX_CHUNKS):
                length, name = struct.unpack(">I4s", file.read(8))
                if name in (b"IDAT", b"IEND"):
                    return None
                if name == b"cICP":
                    primaries, transfer, matrix, full_range = file.read(length)
                    known = primaries in PRIMARIES and transfer in SHOWN_AS_SRGB | {LINEAR, PQ, HLG}
                    return Cicp(primaries, transfer) if known and (matrix, full_range) == (0, 1) else None
                file.seek(length + 4, 1)
    except (OSError, struct.error, ValueError):  # reading the pixels reports what is wrong
        pass
    return None


def cicp_to_srgb(image: Image.Image, cicp: Cicp) -> Image.Image:
    """Return a picture of mode RGB in sRGB. HDR has its diffuse white at white; brighter light is compressed."""
    pixels = np.asarray(image)
    rows = max(1, BAND_PIXELS // max(1, image.width))
    converted = np.empty_like(pixels)
    for top in range(0, image.height, rows):
        converted[top : top + rows] = _converted(pixels[top : top + rows], cicp)
    return Image.fromarray(converted)


def _converted(pixels: npt.NDArray[np.uint8], cicp: Cicp) -> npt.NDArray[np.uint8]:
    light = _light_of(cicp.transfer)[pixels]
    if cicp.transfer == HLG:
        # The display's gamma (ITU-R BT.2100), for a display of 1000 cd/m2.
        luma = (light @ LUMA_BT2020).clip(1e-9)[..., None]
        light = light * luma ** (HLG_GAMMA - 1) * (HLG_PEAK_NITS / REFERENCE_WHITE_NITS)
    light = light @ _to_bt709(cicp.primaries).T
    if cicp.transfer in (PQ, HLG):
        light = _compressed(light)
    light = light.clip(0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * coded).round().astype(np.uint8)


def _light_of(transfer: int) -> npt.NDArray[np.float32]:
    """Return the light of each of 256 levels: 1 is white, in HLG the brightest light of the scene."""
    signal = np.arange(256) / 255
    if transfer == LINEAR:
        light = signal
    elif transfer == PQ:  # SMPTE ST 2084
        power = signal ** (1 / 78.84375)
        light = ((power - 0.8359375).clip(0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        light = light * 10_000 / REFERENCE_WHITE_NITS
    elif transfer == HLG:  # ITU-R BT.2100
        light = np.where(
            signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
        )
    else:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _to_bt709(primaries: int) -> npt.NDArray[np.float32]:
    matrix = np.linalg.solve(_to_xyz(PRIMARIES[1]), _to_xyz(PRIMARIES[primaries]))
    return matrix.astype(np.float32)


def _to_xyz(places: tuple[float, ...]) -> npt.NDArray[np.float64]:
    columns = np.array([_chromaticity_to_xyz(*places[at : at + 2]) for at in (0, 2, 4)]).T
    return columns * np.linalg.solve(columns, np.array(_chromaticity_to_xyz(*WHITE_D65)))


def _chromaticity_to_xyz(x: float, y: float) -> tuple[float, float, float]:
    return x / y, 1.0, (1 - x - y) / y


def _compressed(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compress highlights by the Möbius curve of FFmpeg's tonemap filter; hues stay, as the brightest channel decides."""
    soft, peak = SOFT_FROM, PEAK
    a = -soft * soft * (peak - 1) / (soft * soft - 2 * soft + peak)
    b = (soft * soft - 2 * soft * peak + peak) / (peak - 1)
    brightest = light.max(axis=-1, keepdims=True).clip(1e-6)
    curved = (b * b + 2 * b * soft + soft * soft) / (b - a) * (brightest + a) / (brightest + b)
    return light * np.where(brightest <= soft, 1, curved / brightest)
