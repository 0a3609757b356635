"""Woods: trunks in fog, with light falling through them in shafts."""

from __future__ import annotations

import numpy as np

from .noise import field, line
from .paint import colour, enlarge, mix, over, ramp, screen, smoothstep, soft_clip
from .ridges import lay_land
from .shapes import Polygon, conifer, fill_polygons
from .sky import Light, distance, halo, place_light
from .stage import Array, Stage


def foggy_forest(stage: Stage) -> Array:
    """Draw a forest in fog: pale trunks far off, dark ones near, and shafts of light between them."""
    rng = stage.rng("forest")
    palette = stage.palette
    light = place_light(stage, low=0.16, high=0.34, radius=(0.05, 0.06))
    ground = stage.height * rng.uniform(0.70, 0.76)
    low, middle = colour(palette.horizon), colour(palette.middle)
    zenith, near, tint = colour(palette.zenith), colour(palette.near), colour(palette.light)
    coarse = stage.coarse(300)
    fog = mix(low, middle, 0.35)
    t = coarse.rows / np.float32(stage.height) + 0.05 * field(coarse, rng, cell=(0.7, 0.5), octaves=3)
    edge = mix(middle, zenith, 0.35)
    floor = mix(middle, near, 0.45)
    picture = ramp(t, [(-0.1, edge), (0.35, fog), (0.62, fog), (0.85, floor), (1.1, near)])
    glow = halo(coarse, light, reach=2.0)
    screen(picture, mix(tint, low, 0.4), glow * 0.75)
    screen(picture, tint, glow**2 * 0.5)
    canvas = enlarge(soft_clip(picture), stage)
    air = mix(fog, tint, 0.15)
    shafts = enlarge(_shafts(stage, rng, light, ground=ground), stage)
    layers = 5
    for i in range(layers):
        t_near = i / (layers - 1)
        body = mix(mix(fog, middle, 0.45), near, 0.12 + 0.86 * t_near**0.9)
        foot = ground - stage.height * 0.10 * (1 - t_near) + stage.height * 0.10 * t_near**2
        if i < 2:
            _far_trees(canvas, stage, rng, foot=foot, tint=mix(body, air, 0.35), tall=0.34 + 0.16 * i)
        _trunks(canvas, stage, rng, near=t_near, foot=foot, tint=body, haze=air, light=light)
        _floor(canvas, stage, rng, foot=foot, near=t_near, tint=mix(body, floor, 0.35 * (1 - t_near)))
        if i < layers - 1:
            rows = slice(stage.row_px(stage.height * 0.2), stage.height_px)
            drift = field(coarse, stage.rng(f"veil-{i}"), cell=(0.8, 0.22), octaves=3)
            band = np.exp(-(((coarse.rows - np.float32(foot - 0.02)) / 0.30) ** 2))
            veil = (0.30 + 0.16 * drift) * band * np.float32(1 - 0.45 * t_near)
            over(canvas[:, rows], air, np.clip(enlarge(veil, stage, rows=rows), 0, 1))
        if i == 2:
            screen(canvas, mix(tint, low, 0.25), shafts * 0.62)
    screen(canvas, mix(tint, low, 0.35), shafts * 0.16)
    _leaves(canvas, stage, tint=mix(near, zenith, 0.15), light=light)
    return canvas


def _shafts(stage: Stage, rng: np.random.Generator, light: Light, *, ground: float) -> Array:
    """Return beams fanning from the light at coarse size: noise over the angle, fading with distance."""
    coarse = stage.coarse(300)
    # The sun stands above the picture's own light, so that the beams are nearly parallel.
    side = 1 if light.x > stage.width / 2 else -1
    x = coarse.columns - np.float32(light.x + side * 0.25)
    y = coarse.rows - np.float32(light.y - 0.55)
    angle = np.arctan2(x, y)
    beams = line(rng, np.ascontiguousarray(angle) + 4, cell=0.13, octaves=3, gain=0.65)
    away = distance(coarse, light.x, light.y)
    strength = np.exp(-away / 0.75) * smoothstep(ground + 0.22, ground - 0.25, coarse.rows)
    shafts: Array = smoothstep(-0.15, 0.85, beams) * strength
    return shafts


def _trunks(
    canvas: Array,
    stage: Stage,
    rng: np.random.Generator,
    *,
    near: float,
    foot: float,
    tint: Array,
    haze: Array,
    light: Light,
) -> None:
    """Stand one depth's trunks; each is drawn only in the columns that it covers."""
    count = max(2, round((17 - 13.5 * near) * stage.width))
    slots = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / count * stage.width
    branches: list[Polygon] = []
    for x0 in slots:
        if near > 0.6 and abs(x0 - light.x) < 0.13:
            continue
        if near == 1.0 and 0.3 < x0 / stage.width < 0.7:
            continue
        half = (0.006 + 0.040 * near**1.5) * rng.uniform(0.65, 1.25)
        bottom = foot + 0.055 + rng.uniform(0.0, 0.02) * near
        last = min(stage.height_px, stage.row_px(bottom) + 1)
        y = stage.rows[:last]
        lean = rng.normal() * 0.025
        centre = np.float32(x0) + np.float32(lean) * (y - np.float32(bottom))
        centre = centre + line(rng, y, cell=0.55, octaves=3) * np.float32(half * 0.55)
        taper = 0.62 + 0.38 * y / np.float32(bottom)
        flare = 1 + 0.7 * np.exp((y - np.float32(bottom)) / np.float32(0.03 + half * 1.3))
        bark = 1 + 0.07 * line(rng, y, cell=0.05, octaves=3)
        width = np.float32(half) * taper * flare * bark
        left = max(0, int(float((centre - width).min()) * stage.unit_px) - 2)
        right = min(stage.width_px, int(float((centre + width).max()) * stage.unit_px) + 3)
        if right <= left:
            continue
        gap = stage.columns[:, left:right] - centre
        alpha = np.clip((width - np.abs(gap)) * np.float32(stage.unit_px) + 0.5, 0, 1)
        mist = smoothstep(bottom - 0.32, bottom + 0.02, y)[None] * np.float32(0.50 * (1 - near) ** 0.7)
        body = tint[:, None, None] + (haze - tint)[:, None, None] * mist
        # The side toward the light catches a little of it.
        toward = np.float32(1.0 if light.x > x0 else -1.0)
        lit = smoothstep(0.1, 1.0, toward * gap / width) * np.exp(-np.abs(y - np.float32(light.y)) / 0.5)
        close = float(np.exp(-abs(x0 - light.x) / 0.45))
        body = body + (haze[:, None, None] - body) * lit[None] * np.float32(0.42 * close)
        over(canvas[:, :last, left:right], body, alpha)
        if near >= 0.5:
            branches += _branches(rng, x=float(x0), half=half, foot=bottom, lean=lean)
    fill_polygons(canvas, stage, branches, tint)


def _branches(rng: np.random.Generator, *, x: float, half: float, foot: float, lean: float) -> list[Polygon]:
    """Return a few bare, upward-bent branches of one trunk."""
    shapes: list[Polygon] = []
    for _ in range(int(rng.integers(3, 7))):
        y = foot * rng.uniform(0.03, 0.62)
        start = x + lean * (y - foot)
        side = 1 if rng.random() < 0.5 else -1
        long, thick = half * rng.uniform(3, 8), half * rng.uniform(0.10, 0.22)
        rise = rng.uniform(0.15, 0.7)
        upper, lower = [], []
        for k in range(9):
            s = k / 8
            px = start + side * long * s
            py = y - long * rise * s**1.5 + long * 0.06 * float(np.sin(s * 7 + x * 40))
            upper.append((px, py - thick * (1 - s)))
            lower.append((px, py + thick * (1 - s)))
        shapes.append(upper + lower[::-1])
    return shapes


def _far_trees(
    canvas: Array, stage: Stage, rng: np.random.Generator, *, foot: float, tint: Array, tall: float
) -> None:
    """Stand a row of conifers in the far fog."""
    trees = [
        conifer(
            rng, x=float(rng.random() * stage.width), foot=foot + 0.02, tall=tall * rng.uniform(0.55, 1.1)
        )
        for _ in range(int(9 * stage.width))
    ]
    fill_polygons(canvas, stage, trees, tint)


def _floor(
    canvas: Array, stage: Stage, rng: np.random.Generator, *, foot: float, near: float, tint: Array
) -> None:
    """Lay the forest floor of one depth, with grass and twigs along its edge."""
    x = stage.columns
    crest = np.float32(foot + 0.015) - np.float32(0.022) * line(rng, x, cell=0.5, octaves=3)
    blades = np.abs(line(rng, x, cell=0.012, octaves=2)) * line(rng, x, cell=0.15, octaves=2)
    crest -= np.float32(0.030 * (0.3 + near)) * np.maximum(blades, 0)
    dark = mix(tint, colour(stage.palette.near), 0.35)
    down = smoothstep(foot, foot + 0.28, stage.rows)[None]
    lay_land(canvas, stage, crest, tint[:, None, None] + (dark - tint)[:, None, None] * down)


def _leaves(canvas: Array, stage: Stage, *, tint: Array, light: Light) -> None:
    """Hang foliage into the upper corners, away from the light."""
    rows = slice(0, stage.row_px(stage.height * 0.34))
    if rows.stop < 2:
        return
    coarse = stage.coarse(600)
    clumps = field(coarse, stage.rng("leaves"), cell=(0.16, 0.12), octaves=5, gain=0.72)
    x = coarse.columns / np.float32(stage.width)
    away = np.abs(x - np.float32(light.x / stage.width))
    hang = 0.05 + 0.26 * smoothstep(0.12, 0.75, away)
    solid = (hang * stage.height - coarse.rows) / np.float32(0.12) + clumps * 1.5
    over(canvas[:, rows], tint, smoothstep(0.35, 0.75, enlarge(solid, stage, rows=rows)) * 0.94)
