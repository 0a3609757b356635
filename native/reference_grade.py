"""Grades of 4:2:0 frames in float64, in the formulas' own terms, against which tests compare the kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Frame = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

STEP = 8
"""Levels of U and of V from one knot to the next."""

MARGIN = STEP * 1.8556 / 224
"""How far RGB may lie beyond 0 to 1 before it counts as the nearest colour within."""

_WEIGHTS = np.array((0.2126, 0.7152, 0.0722))


def look_up(table: Values, rgb: Values) -> Values:
    """Return the colours that a LUT, shape (blue, green, red, 3), gives to others, shape (…, 3): trilinear."""
    last = len(table) - 1
    place = np.clip(rgb, -MARGIN, 1 + MARGIN) * last
    near = np.clip(np.floor(place).astype(int), 0, last - 1)
    share = place - near
    found = np.zeros(rgb.shape)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=-1)
        red, green, blue = np.moveaxis(near + np.array(corner), -1, 0)
        found += weight[..., None] * table[blue, green, red]
    return found


def graded_levels(table: Values, levels: Values) -> Values:
    """Return the new levels of colours, Y, U and V in BT.709's limited range (BT.709-6, items 3.2 to 3.5)."""
    luma, u, v = (levels[..., 0] - 16) / 219, (levels[..., 1] - 128) / 224, (levels[..., 2] - 128) / 224
    red, blue = luma + 1.5748 * v, luma + 1.8556 * u
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    rgb = look_up(table, np.stack((red, green, blue), axis=-1))
    shown = rgb @ _WEIGHTS
    u, v = (rgb[..., 2] - shown) / 1.8556, (rgb[..., 0] - shown) / 1.5748
    return np.stack((16 + 219 * shown, 128 + 224 * u, 128 + 224 * v), axis=-1)


def levels_between_knots(table: Values, levels: Values) -> Values:
    """Return the new levels of colours by those of the four knots around their U and V: bilinear."""
    start = np.floor(levels[..., 1:] / STEP) * STEP
    share = (levels[..., 1:] - start) / STEP
    found = np.zeros(levels.shape)
    for corner in np.ndindex(2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=-1)
        knot = np.concatenate((levels[..., :1], start + STEP * np.array(corner)), axis=-1)
        found += weight[..., None] * graded_levels(table, knot)
    return found


def grade_frame(table: Values, source: Frame) -> tuple[Values, Values, Values]:
    """Return a graded frame.

    Chroma is interpolated to odd columns. The new chroma of a sample is that of the mean of its luma pixels: the mean of
    what an even level and the next one get.
    """
    luma = source[0].astype(float)
    height, width = luma.shape
    chroma = np.stack(source[1:], axis=-1).astype(float)
    beside = np.concatenate((chroma[:, 1:], chroma[:, -1:]), axis=1)
    wide = np.stack((chroma, np.floor((chroma + beside + 1) / 2)), axis=2)
    wide = wide.reshape(len(chroma), -1, 2).repeat(2, axis=0)[:height, :width]
    whole = np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")
    means = np.floor(whole.reshape(len(chroma), 2, -1, 2).mean(axis=(1, 3)) + 0.5)
    evens = means[..., None] // 2 * 2
    new_luma = levels_between_knots(table, np.concatenate((luma[..., None], wide), axis=-1))[..., 0]
    one, two = (levels_between_knots(table, np.concatenate((y, chroma), axis=-1)) for y in (evens, evens + 1))
    new = (one + two) / 2
    return new_luma, new[..., 1], new[..., 2]
