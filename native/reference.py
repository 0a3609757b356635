"""Readable float64 versions of the kernels in `native._core`, for tests to compare with.

Planes are (Y, U, V) in 4:2:0, BT.709, limited range; U and V have half the columns and rows of Y, rounded up.
Nothing here is rounded or clipped to bytes, so a comparison shows the rounding of the kernels.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]
Planes = tuple[Plane, Plane, Plane]
Part = tuple[int, int, int, int]
"""Left, top, width and height of a part of an overlay, in its pixels."""

LEVELS: dict[str, tuple[int, int, int]] = {"black": (16, 128, 128), "white": (235, 128, 128)}

_RED, _BLUE = 0.2126, 0.0722
_GREEN = 1 - _RED - _BLUE


def resample(
    plane: Pixels, *, shape: tuple[int, int], left: float, top: float, step_x: float, step_y: float
) -> Plane:
    """Resample the part of `plane` that begins at (left, top), with `step` source pixels for each output pixel.

    Keys' cubic convolution with a = -1/2 (IEEE Trans. ASSP 29, 1981), stretched by step / 1.1 if that exceeds 1.
    Taps outside the plane read its edge.
    """
    height, width = plane.shape
    down = _taps(shape[0], height, top, step_y)
    across = _taps(shape[1], width, left, step_x)
    return down @ plane.astype(np.float64) @ across.T


def _taps(count: int, length: int, start: float, step: float) -> Plane:
    """Return the weights, shape (count, length), of a line's pixels for each output pixel."""
    stretch = max(1.0, step / 1.1)
    weights = np.zeros((count, length))
    reach = int(np.ceil(2 * stretch))
    for output in range(count):
        centre = start + (output + 0.5) * step
        places = np.arange(np.floor(centre) - reach, np.floor(centre) + reach + 1)
        taps = _cubic((places + 0.5 - centre) / stretch)
        np.add.at(weights[output], np.clip(places, 0, length - 1).astype(int), taps / taps.sum())
    return weights


def _cubic(x: Plane) -> Plane:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def fade(
    target: tuple[Pixels, Pixels, Pixels], *, amount: float, level: Literal["black", "white"] = "black"
) -> Planes:
    """Fade a frame towards black or white; amount 0 changes nothing, 1 fills the frame."""
    y, u, v = (
        plane + (aim - plane.astype(np.float64)) * amount
        for plane, aim in zip(target, LEVELS[level], strict=True)
    )
    return y, u, v


def rgb_to_yuv(rgb: Pixels) -> Planes:
    """Convert RGB, shape (height, width, 3), to planes.

    Chroma samples lie on even columns, between two rows (H.264's default position): weights 1 2 1 across, the mean
    of two rows down. The picture's edges are repeated outward.
    """
    y, u, v = _colours(rgb)
    return y, _edge_chroma(u), _edge_chroma(v)


def _colours(rgb: npt.NDArray[Any]) -> Planes:
    """Return Y, U and V of every pixel (ITU-R BT.709-6, items 3.2 to 3.5)."""
    red, green, blue = np.moveaxis(rgb[..., :3].astype(np.float64) / 255, -1, 0)
    luma = _RED * red + _GREEN * green + _BLUE * blue
    u = 128 + 224 * (blue - luma) / (2 * (1 - _BLUE))
    v = 128 + 224 * (red - luma) / (2 * (1 - _RED))
    return 16 + 219 * luma, u, v


def _edge_chroma(plane: Plane) -> Plane:
    height, width = plane.shape
    columns, rows = np.arange(0, width, 2), np.arange(0, height, 2)
    left, right = np.maximum(columns - 1, 0), np.minimum(columns + 1, width - 1)
    across = (plane[:, left] + 2 * plane[:, columns] + plane[:, right]) / 4
    chroma: Plane = (across[rows] + across[np.minimum(rows + 1, height - 1)]) / 2
    return chroma


def blend(
    target: tuple[Pixels, Pixels, Pixels],
    rgba: Pixels,
    *,
    x: int,
    y: int,
    opacity: float = 1.0,
    part: Part | None = None,
) -> Planes:
    """Blend straight-alpha RGBA, shape (height, width, 4), over a frame with its top left corner at (x, y).

    Outside the overlay alpha is 0, except that an overlay at the frame's left edge is repeated beyond it, like the
    frame. A chroma sample belongs to the part that contains its column and the upper of its rows; samples outside
    the overlay belong to the part at that edge.
    """
    height, width = rgba.shape[:2]
    left, top, part_width, part_height = part or (0, 0, width, height)
    alpha = rgba[..., 3].astype(np.float64) / 255 * opacity
    levels = _colours(rgba)

    columns, rows = np.arange(target[0].shape[1]) - x, np.arange(target[0].shape[0]) - y
    cover = _taken(alpha, rows, columns)
    cover *= _within(rows, top, part_height)[:, None] & _within(columns, left, part_width)[None, :]
    luma = target[0] * (1 - cover) + _taken(levels[0], rows, columns) * cover

    columns, rows = 2 * np.arange(target[1].shape[1]) - x, 2 * np.arange(target[1].shape[0]) - y
    owned = _within(np.clip(rows, 0, height - 1), top, part_height)[:, None] & _within(
        np.clip(columns, 0, width - 1), left, part_width
    )
    cover = _chroma_of(alpha, rows, columns, repeat_left=x == 0) * owned
    u, v = (
        128
        + (plane - 128.0) * (1 - cover)
        + _chroma_of((level - 128) * alpha, rows, columns, repeat_left=x == 0) * owned
        for plane, level in zip(target[1:], levels[1:], strict=True)
    )
    return luma, u, v


def _within(places: npt.NDArray[np.int_], start: int, count: int) -> npt.NDArray[np.bool_]:
    return (places >= start) & (places < start + count)


def _taken(plane: Plane, rows: npt.NDArray[np.int_], columns: npt.NDArray[np.int_]) -> Plane:
    """Return the values at `rows` and `columns`, with 0 outside the plane."""
    height, width = plane.shape
    around: Plane = np.pad(plane, 1)
    return around[np.clip(rows + 1, 0, height + 1)][:, np.clip(columns + 1, 0, width + 1)]


def _chroma_of(
    plane: Plane, rows: npt.NDArray[np.int_], columns: npt.NDArray[np.int_], *, repeat_left: bool
) -> Plane:
    before = np.where(repeat_left & (columns == 0), 0, columns - 1)
    both = _taken(plane, rows, before) + 2 * _taken(plane, rows, columns) + _taken(plane, rows, columns + 1)
    rows = rows + 1
    both += _taken(plane, rows, before) + 2 * _taken(plane, rows, columns) + _taken(plane, rows, columns + 1)
    return both / 8
