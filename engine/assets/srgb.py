"""Convert pictures to sRGB by a PNG's cICP, their ICC profile, or a PNG's gAMA and cHRM.

The names of profiles are ignored.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from video_pipeline.engine.assets.cicp import PRIMARIES, Cicp, light_of

CICP: Final = "cicp"
"""The key of a picture's `info` under which its cICP is noted when it is opened."""

SAME_LEVELS: Final = 2
"""A profile that changes no colour by more (of 255) counts as sRGB, because profiles of sRGB differ by rounding."""

SRGB_GAMMA: Final = 0.45455
SRGB_CHROMATICITY: Final = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue, in the order of PNG's cHRM."""

D50_XYZ: Final = (0.9642, 1.0, 0.8249)

BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Matrix from XYZ to cone responses, for adapting to another white (ICC.1:2022, annex E)."""

_MODES: Final = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
"""The mode in which a profile's space is converted."""

GREY_IN_RGBA: Final = "grey in RGBA"
"""The key in a picture's `info` that `open_picture` sets for grey with alpha of 16 bits, which Pillow reads as RGBA."""

_GREY_MODES: Final = frozenset(["1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L"])


def foreign_profile(image: Image.Image) -> bytes | None:
    """Return the ICC profile of a picture, or None if its colours are sRGB or it has no usable colour tags."""
    numbers: Cicp | None = image.info.get(CICP)
    curve = light_of(numbers.transfer) if numbers else None
    if numbers is not None and curve is not None:
        made = matrix_profile(curve, PRIMARIES[numbers.primaries])
        return made if made and _changes_colours(made) else None
    given = image.info.get("icc_profile")
    if given:
        return given if _describes(given, image) and _changes_colours(given) else None
    gamma, chromaticity = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or not (gamma or chromaticity):
        return None
    if gamma is None or not 0.05 < gamma <= 10:
        gamma = SRGB_GAMMA
    if abs(gamma - SRGB_GAMMA) < 0.01 and _near_srgb(chromaticity):
        return None
    made = matrix_profile(gamma, chromaticity or SRGB_CHROMATICITY)
    return made if made and _changes_colours(made) else None


def to_srgb(image: Image.Image) -> Image.Image:
    """Return a picture in sRGB, as RGBA if it has transparency, otherwise RGB; `image` itself if it needs no change."""
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    profile = foreign_profile(image)
    if profile is None:
        return image if image.mode == wanted else image.convert(wanted)
    mode = _MODES[_space(profile)]
    layer = image.convert("RGBA") if wanted == "RGBA" and image.mode != "RGBA" else image
    converted = _convert(layer if layer.mode == mode else layer.convert(mode), profile)
    if wanted == "RGBA":
        converted.putalpha(layer.getchannel("A"))
    return converted


def _near_srgb(chromaticity: tuple[float, ...] | None) -> bool:
    return chromaticity is None or np.allclose(chromaticity, SRGB_CHROMATICITY, atol=0.002)


def _convert(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return converted


def _space(profile: bytes) -> str:
    return profile[16:20].decode("ascii", "replace").strip()


def _describes(profile: bytes, image: Image.Image) -> bool:
    """Return whether a profile's space is that of a picture: one of another space says nothing of its colours."""
    space = _space(profile)
    if space == "RGB":
        return image.mode != "CMYK"
    if space == "GRAY":
        return image.mode in _GREY_MODES or GREY_IN_RGBA in image.info
    return space == image.mode


@lru_cache(maxsize=64)
def _changes_colours(profile: bytes) -> bool:
    """Return whether a profile is usable and shows some colours differently from sRGB."""
    mode = _MODES.get(_space(profile))
    if mode is None:
        return False
    levels = range(0, 256, 51)
    colours = [(level,) * 3 for level in range(256)] if mode == "L" else [*product(levels, repeat=3)]
    probe = Image.new("RGB", (len(colours), 1))
    probe.putdata(colours)
    try:
        converted = _convert(probe.convert(mode), profile)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    if mode == "CMYK":
        return True
    difference = np.asarray(converted).astype(int) - np.asarray(probe.convert("RGB")).astype(int)
    return int(np.abs(difference).max()) > SAME_LEVELS


def _xyz(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def matrix_profile(curve: float | npt.NDArray[np.float64], chromaticity: tuple[float, ...]) -> bytes | None:
    """Return the ICC profile (version 2, ICC.1:2001-04) of a display with these primaries.

    `curve` is 1 / its gamma, or its light at evenly spaced code values. `chromaticity` has the order of
    SRGB_CHROMATICITY. Return None for impossible primaries.
    """
    white, *primaries = [chromaticity[at : at + 2] for at in range(0, 8, 2)]
    try:
        columns = np.stack([_xyz(*place) for place in primaries], axis=1)
        matrix = columns * np.linalg.solve(columns, _xyz(*white))
        cones = BRADFORD @ np.array(D50_XYZ) / (BRADFORD @ _xyz(*white))
    except (ZeroDivisionError, np.linalg.LinAlgError):
        return None
    adapted = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ matrix

    def xyz(values: npt.ArrayLike) -> bytes:
        fixed = [round(float(value) * 65536) for value in np.asarray(values)]
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *fixed)

    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 100:
        return None
    name = b"PNG\0"
    if isinstance(curve, np.ndarray):
        levels = np.round(curve * 65535).astype(">u2")
    else:
        levels = np.array([min(65535, round(256 / curve))], ">u2")
    tone = b"curv\0\0\0\0" + struct.pack(">I", len(levels)) + levels.tobytes()
    blocks = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", xyz(D50_XYZ)),
        *((tag, xyz(column)) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True)),
        *((tag, tone) for tag in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body, at = struct.pack(">I", len(blocks)), b"", 128 + 4 + 12 * len(blocks)
    for tag, data in blocks:
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12x4s", at + len(body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    header = header.ljust(68, b"\0") + xyz(D50_XYZ)[8:]
    return header.ljust(128, b"\0") + table + body
