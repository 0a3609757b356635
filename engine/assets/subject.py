"""Find the subject of a picture: regions that the rest of the picture surrounds, and what is sharp.

Surrounded regions are found as by Zhang and Sclaroff, "Saliency Detection: A Boolean Map Approach" (ICCV 2013): a
picture is divided into light and dark at several thresholds of its brightness and of two differences of colours, and
a region that does not reach the picture's edge stands out. All arithmetic is in whole numbers on a copy of at most
SIDE pixels a side, so that every machine finds the same place.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

FORMULA: Final = 1
"""Increase it when other places are found, so that no cached one is used."""

SIDE: Final = 96
PLACES: Final = 1000
"""A place is in thousandths of the picture's sides."""

LEVELS: Final = 8
"""Thresholds of each of the three channels, evenly spaced over its range; a picture's two divisions by each fill 48 bits."""

LEAST_RANGE: Final = 8
"""A channel whose values differ by less is noise."""

LEAST_PIXELS: Final = 4
"""Smaller regions are noise."""

REGION_WEIGHT: Final = 1 << 20
"""Weight of a region's pixel times the square root of all such pixels of its division, so that small regions count."""

WINDOW: Final = (9, 16)
"""The side of the window that is to hold the subject, as a fraction of the picture's shorter side: a crop to 9:16."""

CENTER_PRIOR: Final = (1, 2)
"""By what fraction a window at the picture's edge counts less than one in its middle."""

LEAST_GAIN: Final = (21, 20)
"""How much more than the middle's the best window must hold, or the middle is taken."""

SURROUNDED, SHARP = 2, 1
"""How much surrounded regions and sharpness count."""

SHARE: Final = 1_000_000
"""The sum of a map before maps are weighed and added."""

Values = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]


def seen_px(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the copy of a picture in which its subject is looked for."""
    longest = max(*size_px, SIDE)
    return max(1, size_px[0] * SIDE // longest), max(1, size_px[1] * SIDE // longest)


def find_subject(image: Image.Image) -> tuple[int, int] | None:
    """Return where the subject of an upright, opaque picture is, in thousandths of its width and height.

    Return None if nothing stands out, or not much more than what is in the middle.
    """
    small = image.convert("RGB") if image.mode != "RGB" else image
    # Whole pixels are averaged first, because that is faster for large pictures.
    small = small.resize(seen_px(image.size), Image.Resampling.BOX, reducing_gap=2.0)
    height, width = small.height, small.width
    channels = _channels(np.asarray(small).astype(np.int64))
    salient = _above_mean(
        SURROUNDED * _scaled_to_share(_surrounded(channels))
        + SHARP * _scaled_to_share(_sharpness(channels[0]))
    )
    side = max(1, min(width, height) * WINDOW[0] // WINDOW[1])
    if width >= height:
        left, across = _best_start(salient.sum(0), side)
        top, down = _best_start(salient[:, left : left + side].sum(1), side)
    else:
        top, down = _best_start(salient.sum(1), side)
        left, across = _best_start(salient[top : top + side].sum(0), side)
    if not (across or down):
        return None
    window = salient[top : top + side, left : left + side]
    x, y = (_center_of(window.sum(axis), start) for axis, start in ((0, left), (1, top)))
    if width >= height:
        x = _of_window(x, left, side, width)
    else:
        y = _of_window(y, top, side, height)
    return x * PLACES // (2 * width), y * PLACES // (2 * height)


def _center_of(held: Values, start: int) -> int:
    """Return twice the place, in pixels, where what a window holds has its centre."""
    side = len(held)
    total = int(held.sum())
    if not total:
        return 2 * start + side
    return int((held * (2 * np.arange(start, start + side) + 1)).sum()) // total


def _of_window(center: int, start: int, side: int, length: int) -> int:
    """Return twice the middle of a window, or at the picture's edge `center` if that is nearer to the edge.

    Along the longer side a crop is as large as the window, so its middle and not the centre places the crop.
    """
    middle = 2 * start + side
    if start == 0:
        return min(middle, center)
    return max(middle, center) if start + side == length else middle


def _channels(rgb: Values) -> tuple[Values, ...]:
    """Return brightness, red against green, and yellow against blue."""
    red, green, blue = (rgb[:, :, index] for index in range(3))
    return (2 * red + 5 * green + blue) // 8, red - green, (red + green) // 2 - blue


def _box_mean(values: Values, radius: int) -> Values:
    """Return the mean of the square of 2 radius + 1 pixels around each pixel; edges are repeated."""
    side = 2 * radius + 1
    total = np.pad(values, radius, mode="edge")
    for axis in (0, 1):
        sums = np.cumsum(np.insert(total, 0, 0, axis=axis), axis=axis)
        count = sums.shape[axis]
        total = sums.take(range(side, count), axis) - sums.take(range(count - side), axis)
    blurred: Values = total // (side * side)
    return blurred


def _scaled_to_share(values: Values) -> Values:
    """Return a map scaled to the sum SHARE; zeros stay."""
    scaled: Values = values * SHARE // max(1, int(values.sum()))
    return scaled


def _above_mean(values: Values) -> Values:
    """Return by how much a map exceeds its mean; less is the picture's ground."""
    return np.maximum(values - int(values.sum()) // values.size, 0)


def _sharpness(brightness: Values) -> Values:
    """Return how much each pixel differs from those beside it, averaged over 5 x 5 pixels."""
    return _box_mean(np.abs(brightness - _box_mean(brightness, 1)), 2)


def _surrounded(channels: tuple[Values, ...]) -> Values:
    """Return how much each pixel stands out: the weights of the regions around it that do not reach the edge."""
    above = np.zeros(channels[0].shape, np.dtype("<u8"))
    used = 0
    for values in channels:
        low, high = int(values.min()), int(values.max())
        if high - low < LEAST_RANGE:
            continue
        for level in range(1, LEVELS + 1):
            over = values > low + (high - low) * level // (LEVELS + 1)
            above |= over.astype(above.dtype) << np.uint64(used)
            used += 1
    every = np.uint64((1 << used) - 1)
    divided = above | ((above ^ every) << np.uint64(used))
    inside = divided & ~_reached_from_edge(divided)
    bits = np.unpackbits(inside[:, :, None].view(np.uint8), axis=2, bitorder="little")
    pixels = bits.sum((0, 1), dtype=np.int64)
    weights = [REGION_WEIGHT // math.isqrt(int(count)) if count >= LEAST_PIXELS else 0 for count in pixels]
    standing_out: Values = bits.astype(np.int64) @ np.array(weights, np.int64)
    return _box_mean(standing_out, 2)


def _reached_from_edge(divided: Bits) -> Bits:
    """Return the bits from which the picture's edge is reached over neighbouring pixels with the same bit."""
    reached = np.zeros_like(divided)
    reached[[0, -1]] = divided[[0, -1]]
    reached[:, [0, -1]] = divided[:, [0, -1]]
    while True:
        before = reached.copy()
        for _ in range(SIDE // 4):
            reached[1:] |= reached[:-1] & divided[1:]
            reached[:-1] |= reached[1:] & divided[:-1]
            reached[:, 1:] |= reached[:, :-1] & divided[:, 1:]
            reached[:, :-1] |= reached[:, 1:] & divided[:, :-1]
        if np.array_equal(reached, before):
            return reached


def _best_start(amounts: Values, side: int) -> tuple[int, bool]:
    """Return where the window of `side` begins that holds most, and whether that is much more than the middle holds.

    What is in the middle half of a window counts one and a half times, so that the subject is in its middle.
    """
    sums = np.cumsum(np.insert(amounts, 0, 0))
    half = max(1, side // 2)
    margin = (side - half) // 2
    whole = sums[side:] - sums[:-side]
    span = len(whole) - 1
    held = 2 * whole + (sums[half:] - sums[:-half])[margin : margin + span + 1]
    off_middle = np.abs(2 * np.arange(span + 1) - span)
    scores = held * (CENTER_PRIOR[1] * max(1, span) - CENTER_PRIOR[0] * off_middle)
    # Of equal windows the one nearest to the middle counts.
    best, middle = int(np.lexsort((off_middle, -scores))[0]), span // 2
    if int(held[best]) * LEAST_GAIN[1] <= int(held[middle]) * LEAST_GAIN[0]:
        return middle, False
    return best, True
