"""Silhouettes: subjects cut as outlines and set into a picture with rim light, lit windows and their glow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .paint import colour, enlarge, lighten, mix, over, screen
from .shapes import Polygon
from .sky import Light
from .stage import Array, Stage

_SUPERSAMPLE = 3
LAMP = "#ffc978"
"""The light of windows and lanterns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A subject 1 high whose foot is at (0, 0); x to the right, y upward.

    `body` is dark, `pale` catches the sky's light (sails, bands), `marks` are dark on it, `lit` shines, `lamps` are
    points that glow.
    """

    body: tuple[Polygon, ...]
    pale: tuple[Polygon, ...] = ()
    marks: tuple[Polygon, ...] = ()
    lit: tuple[Polygon, ...] = ()
    lamps: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a subject stands: its foot and height in units, its colour, and how much haze lies before it."""

    x: float
    foot: float
    tall: float
    tint: Array
    haze: float = 0.0
    flip: bool = False


def box(left: float, bottom: float, right: float, top: float) -> Polygon:
    """Return an upright rectangle."""
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def oval(x: float, y: float, across: float, up: float) -> Polygon:
    """Return an ellipse with these half axes."""
    turns = [2 * math.pi * k / 36 for k in range(36)]
    return [(x + across * math.cos(t), y + up * math.sin(t)) for t in turns]


def rounded(corners: Polygon, times: int = 3) -> Polygon:
    """Round the corners of a closed outline (Chaikin 1974)."""
    points = list(corners)
    for _ in range(times):
        after = [*points[1:], points[0]]
        points = [
            point
            for (ax, ay), (bx, by) in zip(points, after, strict=True)
            for point in (
                (0.75 * ax + 0.25 * bx, 0.75 * ay + 0.25 * by),
                (0.25 * ax + 0.75 * bx, 0.25 * ay + 0.75 * by),
            )
        ]
    return points


def mirrored(corners: Polygon) -> Polygon:
    """Return an outline with left and right exchanged."""
    return [(-x, y) for x, y in corners]


def shifted(corners: Polygon, x: float, y: float = 0.0, scale: float = 1.0) -> Polygon:
    """Return an outline scaled about its foot and moved."""
    return [(x + px * scale, y + py * scale) for px, py in corners]


def _coverage_of(
    stage: Stage, polygons: Sequence[Polygon], area: tuple[int, int, int, int], place: Stand
) -> Array:
    left, top, right, bottom = area
    k = _SUPERSAMPLE
    mask = Image.new("L", ((right - left) * k, (bottom - top) * k))
    draw = ImageDraw.Draw(mask)
    unit = stage.unit_px
    side = -1.0 if place.flip else 1.0
    for polygon in polygons:
        draw.polygon(
            [
                (
                    ((place.x + side * px * place.tall) * unit - left) * k,
                    ((place.foot - py * place.tall) * unit - top) * k,
                )
                for px, py in polygon
            ],
            fill=255,
        )
    return np.asarray(mask.reduce(k)).astype(np.float32) * np.float32(1 / 255)


def _area(stage: Stage, outline: Outline, place: Stand, *, margin: float) -> tuple[int, int, int, int] | None:
    side = -1.0 if place.flip else 1.0
    points = [
        point for part in (outline.body, outline.pale, outline.lit) for polygon in part for point in polygon
    ]
    xs = [place.x + side * x * place.tall for x, _ in points]
    ys = [place.foot - y * place.tall for _, y in points]
    unit = stage.unit_px
    left, right = (
        max(0, int((min(xs) - margin) * unit)),
        min(stage.width_px, int((max(xs) + margin) * unit) + 2),
    )
    top, bottom = (
        max(0, int((min(ys) - margin) * unit)),
        min(stage.height_px, int((max(ys) + margin) * unit) + 2),
    )
    return (left, top, right, bottom) if right > left and bottom > top else None


def set_outline(canvas: Array, stage: Stage, outline: Outline, place: Stand, *, light: Light) -> None:
    """Set a subject into the picture: its body, the edge toward the light brighter, its lamps aglow."""
    area = _area(stage, outline, place, margin=0.01)
    if area is None:
        return
    left, top, right, bottom = area
    part = canvas[:, top:bottom, left:right]
    low, tint = colour(stage.palette.horizon), colour(stage.palette.light)
    body = _coverage_of(stage, outline.body, area, place)
    dark = mix(place.tint, low, place.haze)
    # The edge that the light reaches: the body less the body moved away from the light.
    away_x, away_y = place.x - light.x, (place.foot - place.tall * 0.6) - light.y
    far = max(1e-3, math.hypot(away_x, away_y))
    step = max(1.0, 0.0035 * stage.unit_px)
    shift = (round(away_y / far * step), round(away_x / far * step))
    rim = np.clip(body - np.roll(body, shift, axis=(0, 1)), 0, 1)
    tone = np.broadcast_to(dark[:, None, None], part.shape)
    over(part, np.ascontiguousarray(tone), body)
    over(part, mix(tint, low, 0.35), rim * np.float32(0.55))
    if outline.pale:
        pale = _coverage_of(stage, outline.pale, area, place)
        rows = np.linspace(1.0, 0.55, pale.shape[0], dtype=np.float32)[:, None]
        over(part, mix(dark, mix(low, tint, 0.55), 0.72), pale * rows)
    if outline.marks:
        over(part, dark, _coverage_of(stage, outline.marks, area, place))
    if outline.lit:
        over(part, colour(LAMP), _coverage_of(stage, outline.lit, area, place) * np.float32(0.95))
    side = -1.0 if place.flip else 1.0
    for x, y in outline.lamps:
        glow(
            canvas,
            stage,
            x=place.x + side * x * place.tall,
            y=place.foot - y * place.tall,
            reach=place.tall * 0.16,
        )


def glow(
    canvas: Array,
    stage: Stage,
    *,
    x: float,
    y: float,
    reach: float,
    power: float = 0.55,
    tint: Array | None = None,
) -> None:
    """Add the round glow of a lamp, which falls to nothing at six times `reach` units."""
    unit = stage.unit_px
    left, right = max(0, int((x - 6 * reach) * unit)), min(stage.width_px, int((x + 6 * reach) * unit))
    top, bottom = max(0, int((y - 6 * reach) * unit)), min(stage.height_px, int((y + 6 * reach) * unit))
    if right <= left or bottom <= top:
        return
    dx = stage.columns[:, left:right] - np.float32(x)
    dy = stage.rows[top:bottom] - np.float32(y)
    squared = (dx * dx + dy * dy) * np.float32(1 / reach**2)
    halo = np.exp(-squared) * np.float32(0.6) + np.float32(0.4) / (1 + squared)
    halo *= np.clip(1.2 - squared * np.float32(1 / 30), 0, 1)
    screen(
        canvas[:, top:bottom, left:right], colour(LAMP) if tint is None else tint, halo * np.float32(power)
    )


def beam(
    canvas: Array, stage: Stage, *, x: float, y: float, angle: float, spread: float, power: float
) -> None:
    """Add a nearly level beam of light from a lamp: a cone about `angle` (radians, 0 to the right, clockwise)."""
    coarse = stage.coarse(400)
    high = stage.width * (abs(math.sin(angle)) + 2.5 * spread) + 0.02
    rows = slice(stage.row_px(y - high), stage.row_px(y + high))
    if rows.stop <= rows.start:
        return
    dx, dy = coarse.columns - np.float32(x), coarse.rows - np.float32(y)
    turn = np.abs(np.angle(np.exp(1j * (np.arctan2(dy, dx) - angle)))).astype(np.float32)
    away = np.sqrt(dx * dx + dy * dy)
    cone = np.exp(-((turn / np.float32(spread)) ** 2)) * np.exp(-away / np.float32(0.55)) * np.float32(power)
    tint = lighten(mix(colour(LAMP), colour(stage.palette.light), 0.5), 1.05)
    screen(canvas[:, rows], tint, enlarge(cone, stage, rows=rows))


def soft_shadow(canvas: Array, stage: Stage, *, x: float, y: float, across: float) -> None:
    """Darken the ground under a subject."""
    unit = stage.unit_px
    left, right = max(0, int((x - 2 * across) * unit)), min(stage.width_px, int((x + 2 * across) * unit))
    top, bottom = max(0, int((y - 0.4 * across) * unit)), min(stage.height_px, int((y + 0.4 * across) * unit))
    if right <= left or bottom <= top:
        return
    dx = (stage.columns[:, left:right] - np.float32(x)) / np.float32(across)
    dy = (stage.rows[top:bottom] - np.float32(y)) / np.float32(across * 0.18)
    canvas[:, top:bottom, left:right] *= 1 - np.float32(0.5) * np.exp(-dx * dx - dy * dy)
