"""Grades of 4:2:0 frames in float64, in the formulas' own terms, against which tests compare the kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Frame = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

_WEIGHTS = np.array((0.2126, 0.7152, 0.0722))


def look_up(table: Values, rgb: Values) -> Values:
    """Return the colours that a LUT, shape (blue, green, red, 3), gives to others, shape (…, 3): trilinear."""
    last = len(table) - 1
    place = np.clip(rgb, 0, 1) * last
    near = np.minimum(place.astype(int), last - 1)
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


def grade_frame(table: Values, source: Frame) -> tuple[Values, Values, Values]:
    """Return a graded frame. Chroma is interpolated to odd columns; luma is averaged over a chroma sample's pixels."""
    luma = source[0].astype(float)
    height, width = luma.shape
    chroma = np.stack(source[1:], axis=-1).astype(float)
    beside = np.concatenate((chroma[:, 1:], chroma[:, -1:]), axis=1)
    wide = np.stack((chroma, np.floor((chroma + beside + 1) / 2)), axis=2)
    wide = wide.reshape(len(chroma), -1, 2).repeat(2, axis=0)[:height, :width]
    even = np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")
    means = even.reshape(len(chroma), 2, -1, 2).mean(axis=(1, 3))
    means = np.floor(means + 0.5)
    new_luma = graded_levels(table, np.concatenate((luma[..., None], wide), axis=-1))[..., 0]
    new = graded_levels(table, np.concatenate((means[..., None], chroma), axis=-1))
    return new_luma, new[..., 1], new[..., 2]
