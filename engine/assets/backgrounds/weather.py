"""Weather: rain, snow, fog and lightning, laid over a finished scene."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from .noise import field
from .paint import blur, colour, enlarge, mix, over, screen, smoothstep
from .shapes import Polygon
from .silhouettes import glow
from .stage import Array, Stage


def _streak_cover(stage: Stage, polygons: Iterable[tuple[Polygon, float]]) -> Array:
    """Return how much of each pixel thin polygons (corners in units, opacity) cover, at twice the size averaged down."""
    mask = Image.new("L", (stage.width_px * 2, stage.height_px * 2))
    draw = ImageDraw.Draw(mask)
    scale = stage.unit_px * 2
    for polygon, opacity in polygons:
        draw.polygon([(x * scale, y * scale) for x, y in polygon], fill=round(255 * opacity))
    cover = np.asarray(mask.reduce(2)).astype(np.float32)
    cover *= np.float32(1 / 255)
    return cover


def rain(canvas: Array, stage: Stage, *, power: float = 1.0) -> None:
    """Draw streaks of rain in three depths, slanted by the wind, in a grey veil."""
    rng = stage.rng("rain")
    pale = mix(colour(stage.palette.light), colour(stage.palette.horizon), 0.45)
    veil = field(stage.coarse(120), stage.rng("veil"), cell=(0.25, 0.9), octaves=3)
    over(
        canvas,
        mix(pale, colour(stage.palette.middle), 0.6),
        enlarge(np.clip(0.10 + 0.07 * veil, 0, 1).astype(np.float32), stage),
    )
    slant = rng.uniform(0.10, 0.22) * (1 if rng.random() < 0.5 else -1)
    streaks: list[tuple[Polygon, float]] = []
    for count, long, thick, alpha in (
        (420, 0.035, 0.0010, 0.20),
        (190, 0.075, 0.0015, 0.26),
        (60, 0.15, 0.0022, 0.28),
    ):
        for x, y, part in rng.random((int(count * stage.width * stage.height / 1.78), 3)):
            ax, ay = (x * 1.4 - 0.2) * stage.width, y * stage.height
            reach = long * (0.6 + 0.8 * part)
            streak = [(ax - thick, ay), (ax + slant * reach, ay + reach), (ax + thick, ay)]
            streaks.append((streak, alpha * power))
    screen(canvas, pale, _streak_cover(stage, streaks))


def snow(canvas: Array, stage: Stage) -> None:
    """Draw flakes in three depths, the nearest out of focus."""
    rng = stage.rng("snow")
    white = mix(colour("#ffffff"), colour(stage.palette.horizon), 0.25)
    for count, size, alpha in ((520, 0.0016, 0.55), (150, 0.0034, 0.60), (26, 0.010, 0.24)):
        for x, y, part in rng.random((int(count * stage.width * stage.height / 1.78), 3)):
            glow(
                canvas,
                stage,
                x=x * stage.width,
                y=y * stage.height,
                reach=size * (0.45 + 0.6 * part),
                power=alpha,
                tint=white,
            )


def fog(canvas: Array, stage: Stage, *, low: float) -> None:
    """Draw banks of fog that lie around `low` units from the top and drift."""
    coarse = stage.coarse(160)
    drift = field(coarse, stage.rng("fog"), cell=(0.9, 0.16), octaves=4)
    band = np.exp(-(((coarse.rows - np.float32(low)) / np.float32(0.30)) ** 2))
    veil = np.clip((0.52 + 0.34 * drift) * band + np.float32(0.10), 0, 0.86)
    tint = mix(colour(stage.palette.horizon), colour(stage.palette.middle), 0.35)
    over(canvas, tint, enlarge(veil.astype(np.float32), stage))


def lightning(canvas: Array, stage: Stage, *, foot: float, away_from: float) -> None:
    """Draw a forked bolt from the clouds, which light up around it, on the other side than `away_from` (x, units)."""
    rng = stage.rng("lightning")
    x, y = stage.width * (0.24 if away_from > stage.width / 2 else 0.76), 0.06 * stage.height
    white = mix(colour("#ffffff"), colour(stage.palette.accents[0]), 0.12)
    shapes: list[Polygon] = []

    def fork(x: float, y: float, thick: float, until: float, wander: float) -> None:
        while y < until:
            nx, ny = x + rng.normal() * wander, y + rng.uniform(0.012, 0.045)
            shapes.append([(x - thick, y), (nx - thick * 0.9, ny), (nx + thick * 0.9, ny), (x + thick, y)])
            if thick > 0.002 and rng.random() < 0.14:
                fork(nx, ny, thick * 0.45, min(until, ny + rng.uniform(0.06, 0.22)), wander * 1.3)
            x, y, thick = nx, ny, max(0.0011, thick * 0.97)

    start = x
    fork(x, y, 0.0038, foot, 0.017)
    mask = _streak_cover(stage, ((shape, 1.0) for shape in shapes))
    coarse = stage.coarse(200)
    step = max(1, round(stage.unit_px / 200))
    small = mask[::step, ::step]
    bloom = blur(small, 2.5) * np.float32(1.6) + blur(small, 9.0) * np.float32(3.0)
    screen(canvas, white, np.clip(enlarge(np.ascontiguousarray(bloom), stage), 0, 0.85))
    over(canvas, white, mask)
    flash = np.exp(
        -(((coarse.columns - np.float32(start)) / 0.42) ** 2)
        - ((coarse.rows - np.float32(y)) / np.float32(0.36)) ** 2
    )
    texture = field(coarse, stage.rng("flash"), cell=(0.34, 0.14), octaves=5, gain=0.6)
    flash = flash * smoothstep(-0.8, 0.9, texture) * np.float32(0.42)
    screen(
        canvas, mix(white, colour(stage.palette.accents[0]), 0.3), enlarge(flash.astype(np.float32), stage)
    )
