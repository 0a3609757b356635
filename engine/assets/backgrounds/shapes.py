"""Sharp shapes: polygons with smooth edges, and the outlines of trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .paint import over
from .stage import Array, Stage

Polygon = Sequence[tuple[float, float]]
_SUPERSAMPLE = 3


def fill_polygons(canvas: Array, stage: Stage, polygons: Sequence[Polygon], tint: Array) -> None:
    """Fill polygons (corners in units) with one colour or planes of the canvas's shape.

    Only the rows and columns they touch are drawn, at three times the size, and averaged down: that is the smooth
    edge.
    """
    if not polygons:
        return
    lowest = max(y for polygon in polygons for _, y in polygon)
    highest = min(y for polygon in polygons for _, y in polygon)
    first = max(0, stage.row_px(highest) - 1)
    last = min(stage.height_px, stage.row_px(lowest) + 2)
    xs = [x * stage.unit_px for polygon in polygons for x, _ in polygon]
    left, right = max(0, int(min(xs)) - 1), min(stage.width_px, int(max(xs)) + 2)
    if last <= first or right <= left:
        return
    k = _SUPERSAMPLE
    mask = Image.new("L", ((right - left) * k, (last - first) * k))
    draw = ImageDraw.Draw(mask)
    scale, drop, aside = stage.unit_px * k, first * k, left * k
    for polygon in polygons:
        draw.polygon([(x * scale - aside, y * scale - drop) for x, y in polygon], fill=255)
    alpha = np.asarray(mask.reduce(k)).astype(np.float32) * np.float32(1 / 255)
    if tint.ndim == 3 and tint.shape[1] == stage.height_px:
        tint = tint[:, first:last]
    if tint.ndim == 3 and tint.shape[2] == stage.width_px:
        tint = tint[:, :, left:right]
    over(canvas[:, first:last, left:right], tint, alpha)


def conifer(rng: np.random.Generator, *, x: float, foot: float, tall: float) -> Polygon:
    """Return the ragged outline of a spruce standing at (x, foot)."""
    tiers = int(rng.integers(7, 12))
    half = tall * rng.uniform(0.15, 0.22)
    lean = rng.normal() * tall * 0.02
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    for i in range(1, tiers + 1):
        t = i / tiers
        y = foot - tall * (1 - t * 0.94)
        centre = x + lean * (1 - t)
        for side, points in ((-1.0, left), (1.0, right)):
            width = half * t**0.85 * rng.uniform(0.72, 1.1)
            points.append((centre + side * width, y + tall * 0.012))
            points.append((centre + side * width * 0.42, y - tall * 0.005))
    stem = half * 0.13
    return [
        (x + lean, foot - tall),
        *right,
        (x + stem, foot - tall * 0.05),
        (x + stem, foot),
        (x - stem, foot),
        (x - stem, foot - tall * 0.05),
        *reversed(left),
    ]
