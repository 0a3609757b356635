"""Night skies and space: a nebula, an aurora over a lake, a planet's limb."""

from __future__ import annotations

import numpy as np

from .noise import cloud_texture, line, peaks, sample
from .paint import (
    blur,
    colour,
    enlarge,
    lighten,
    mix,
    over,
    ramp,
    screen,
    sigmoid,
    smoothstep,
    soft_clip,
)
from .ridges import lay_land
from .shapes import conifer, fill_polygons
from .sky import Light, distance, draw_disc, draw_stars
from .stage import Array, Stage
from .water import mirror_in_water


def _gas(stage: Stage, rng: np.random.Generator, *, scale: float) -> tuple[Array, Array, Array]:
    """Return three fields of domain-warped noise: the gas, its colour and the dust before it."""
    texture = cloud_texture(rng, exponent=1.75)
    u, v = stage.columns * np.float32(scale), stage.rows * np.float32(scale)
    at = rng.random(8).astype(np.float32)
    # f(p + g(p + h(p))): warping the coordinates twice draws noise out into filaments.
    first_u = sample(texture, u + at[0], v + at[1])
    first_v = sample(texture, u + at[2], v + at[3])
    second_u = sample(texture, u + 0.035 * first_u + at[4], v + 0.035 * first_v + at[5])
    second_v = sample(texture, u + 0.035 * first_u + at[6], v + 0.035 * first_v + at[7])
    gas = sample(texture, u + 0.045 * second_u, v + 0.045 * second_v)
    dust = sample(texture, 1.5 * u + 0.07 * second_v + at[3], 1.5 * v + 0.07 * first_u + at[0])
    return gas, second_u, dust


def nebula(stage: Stage) -> Array:
    """Draw a glowing nebula with dust lanes, among stars."""
    rng = stage.rng("nebula")
    palette = stage.palette
    coarse = stage.coarse(420)
    gas, hue, dust = _gas(coarse, rng, scale=rng.uniform(0.30, 0.42))
    cx, cy = rng.uniform(0.25, 0.75) * stage.width, rng.uniform(0.26, 0.44) * stage.height
    turn = rng.uniform(0.5, 1.2) * (1 if rng.random() < 0.5 else -1)
    if stage.width > stage.height:
        turn *= 0.35
    x, y = coarse.columns - np.float32(cx), coarse.rows - np.float32(cy)
    along = x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
    across = y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn))
    band = np.exp(-((across / 0.42) ** 2)) * np.exp(-((along / 1.1) ** 2))
    density = sigmoid((0.62 * gas + 1.5 * band - 0.85).astype(np.float32))
    core = np.exp(-((x * x + y * y) / 0.10)) * sigmoid(0.8 * gas)
    lanes = sigmoid(1.3 * dust - 0.7) * smoothstep(0.1, 0.7, density)
    dark = mix(colour(palette.near), colour(palette.zenith), 0.55)
    first, second, third = (colour(a) for a in palette.accents)
    blend = sigmoid(0.9 * hue)
    deep = mix(colour(palette.zenith), first, 0.35)
    outer = ramp(
        density, [(0.0, dark), (0.28, deep), (0.62, first), (1.05, mix(first, colour(palette.light), 0.5))]
    )
    inner = ramp(
        density,
        [
            (0.0, dark),
            (0.28, mix(dark, second, 0.4)),
            (0.62, second),
            (1.05, mix(third, colour(palette.light), 0.5)),
        ],
    )
    picture = outer + (inner - outer) * blend
    picture *= 0.30 + 0.75 * density
    screen(picture, mix(third, colour(palette.light), 0.45), core * 0.55)
    picture *= 1 - 0.66 * lanes
    floor = dark[:, None, None]
    picture = np.maximum(picture, 0) + floor * (1 - density) * 0.7
    canvas = enlarge(soft_clip(picture), stage)
    veil = enlarge(np.clip(1.15 - 0.8 * lanes, 0.2, 1), stage)
    draw_stars(canvas, stage, until=stage.height * 1.6, density=620, weight=veil)
    _bright_stars(canvas, stage, rng)
    return canvas


def _bright_stars(canvas: Array, stage: Stage, rng: np.random.Generator) -> None:
    """Add a few near stars with a soft glow."""
    tint = colour(stage.palette.light)
    for _ in range(int(rng.integers(3, 6))):
        x, y = rng.random() * stage.width, rng.random() * stage.height * 0.62
        size = rng.uniform(0.0022, 0.0042)
        reach = size * 22
        rows = slice(stage.row_px(y - reach), stage.row_px(y + reach) + 1)
        left = max(0, int((x - reach) * stage.unit_px))
        cut = slice(left, min(stage.width_px, int((x + reach) * stage.unit_px) + 1))
        dx = stage.columns[:, cut] - np.float32(x)
        dy = stage.rows[rows] - np.float32(y)
        squared = dx * dx + dy * dy
        glow = np.exp(squared * np.float32(-0.5 / size**2)) + 0.28 * np.exp(-np.sqrt(squared) / (size * 3.4))
        screen(canvas[:, rows, cut], tint, np.clip(glow - 0.0005, 0, 1))


def aurora(stage: Stage) -> Array:
    """Draw curtains of northern light over a dark shore and its reflection in still water."""
    rng = stage.rng("aurora")
    palette = stage.palette
    shore = stage.height * rng.uniform(0.6, 0.66)
    coarse = stage.coarse(360)
    top = mix(colour(palette.zenith), colour(palette.near), 0.45)
    low = mix(mix(colour(palette.middle), colour(palette.zenith), 0.45), colour(palette.accents[0]), 0.12)
    picture = ramp(coarse.rows / np.float32(shore), [(-0.1, top), (0.2, top), (1.0, low), (3.0, low)])
    picture = np.ascontiguousarray(np.broadcast_to(picture, (3, coarse.height_px, coarse.width_px)))
    x, y = coarse.columns, coarse.rows
    foot, crown = colour(palette.accents[0]), colour(palette.accents[1])
    if foot[0] < max(foot[1], foot[2]):
        # Oxygen's green at 557.7 nm is the colour that most real curtains have at their foot.
        foot = mix(foot, colour("#5af2a8"), 0.5)
    light = np.zeros_like(picture)
    curtains = int(rng.integers(3, 5))
    for i in range(curtains):
        t = i / max(1, curtains - 1)
        base = stage.height * (0.20 + 0.30 * t) + rng.normal() * 0.02
        tall = stage.height * rng.uniform(0.16, 0.26) * (0.75 + 0.45 * (1 - t))
        sway = line(rng, x, cell=0.5 + 0.3 * rng.random(), octaves=2, gain=0.35) * np.float32(
            0.075 * stage.height
        )
        slope = rng.normal() * 0.16
        above = np.float32(base) + sway + np.float32(slope) * (x - stage.width / 2) - y
        # Rays: fine noise along the curtain, whose coordinate shears a little with height.
        fold = x + 0.10 * above
        fine = line(rng, fold, cell=0.05, octaves=3, gain=0.7)
        broad = line(rng, fold, cell=0.42, octaves=2)
        ray = np.clip(0.62 + 0.42 * fine, 0.1, None) * smoothstep(-0.7, 0.75, broad) ** 1.3
        reach = np.float32(tall) * (0.75 + 0.35 * fine + 0.25 * broad)
        rise = np.exp(-np.maximum(above, 0) / np.maximum(reach, 0.04) * 1.7)
        edge = smoothstep(-0.055, 0.05, above + 0.03 * fine)
        body = ray * rise * edge * np.float32(rng.uniform(0.75, 1.05))
        spill = blur(body, coarse.unit_px * 0.05) * 0.8
        tinted = smoothstep(0.05, 0.95, np.maximum(above, 0) * np.float32(1 / (tall * 0.95)))
        light += (foot[:, None, None] + (crown - foot)[:, None, None] * tinted) * (body * 0.8 + spill)
    picture = 1 - (1 - picture) * np.exp(-light * 1.15)
    canvas = enlarge(soft_clip(picture), stage)
    draw_stars(canvas, stage, until=shore, density=330)
    x = stage.columns
    for i, amount in enumerate((0.55, 0.85)):
        if i == 0:
            crest = np.float32(shore) - 0.16 * peaks(rng, x, cell=0.6) - 0.005
        else:
            crest = np.float32(shore) - 0.03 - 0.035 * line(rng, x, cell=0.5)
        lay_land(canvas, stage, crest, mix(low, colour(palette.near), amount)[:, None, None])
    trees = []
    for _ in range(int(95 * stage.width)):
        at = rng.random() * stage.width
        size = 0.03 + 0.075 * rng.random() * abs(at / stage.width - 0.45) * 1.9
        trees.append(conifer(rng, x=at, foot=shore + 0.002, tall=size))
    fill_polygons(canvas, stage, trees, mix(colour(palette.zenith), colour(palette.near), 0.9))
    mirror_in_water(canvas, stage, rng, shore=shore)
    return canvas


def planet(stage: Stage) -> Array:
    """Draw the lit limb of a planet with its thin atmosphere, a moon and stars."""
    rng = stage.rng("planet")
    palette = stage.palette
    coarse = stage.coarse(420)
    side = 1 if rng.random() < 0.5 else -1
    radius = rng.uniform(0.85, 1.15) * (stage.width * stage.height) ** 0.5
    cx = stage.width / 2 - side * rng.uniform(0.12, 0.3) * stage.width
    cy = stage.height * rng.uniform(0.50, 0.57) + radius
    void = mix(colour(palette.near), colour(palette.zenith), 0.4)
    first, second, third = (colour(a) for a in palette.accents)
    tint = colour(palette.light)
    gas, hue, _ = _gas(coarse, rng, scale=0.28)
    veil = sigmoid(0.7 * gas - 0.6)
    picture = np.empty((3, coarse.height_px, coarse.width_px), dtype=np.float32)
    picture[:] = void[:, None, None]
    screen(picture, mix(first, second, 0.35), veil * 0.34)
    screen(picture, second, sigmoid(hue) * veil * 0.30)
    # Light comes from beyond the limb, at `sun` on the planet's edge.
    angle = -np.pi / 2 + side * rng.uniform(0.12, 0.26)
    sun_x, sun_y = cx + radius * float(np.cos(angle)), cy + radius * float(np.sin(angle))
    away = distance(coarse, cx, cy)
    to_sun = distance(coarse, sun_x, sun_y)
    dark = mix(void, colour(palette.near), 0.6)
    inside = np.float32(radius) - away
    lit = np.exp(-to_sun / (0.50 * stage.width + 0.15))
    ground = _surface(coarse, rng, cx=cx, cy=cy, radius=radius)
    shade = np.exp(-np.maximum(inside, 0) / (0.16 + 0.34 * lit)) * (0.16 + 0.95 * lit)
    soil = ramp(
        ground, [(0.0, mix(dark, first, 0.25)), (0.5, mix(first, dark, 0.35)), (1.0, mix(third, tint, 0.35))]
    )
    soil *= shade + 0.05
    soil += dark[:, None, None] * 0.5
    disc = np.clip(inside * np.float32(coarse.unit_px) + 0.5, 0, 1)
    sky_glow = np.exp(-np.maximum(-inside, 0) / (0.014 + 0.045 * lit)) * (0.22 + 1.0 * lit)
    rim = np.exp(-np.maximum(inside, 0) / 0.018) * (0.25 + 1.0 * lit)
    air = mix(first, tint, 0.25)
    canvas = enlarge(soft_clip(picture), stage)
    fade = enlarge(np.clip(1 - disc * 2 - 0.9 * lit, 0, 1).astype(np.float32), stage)
    draw_stars(canvas, stage, until=stage.height, density=420, weight=fade)
    _moon(canvas, stage, rng, side=side)
    top = max(0, stage.row_px(cy - radius - 0.01))
    rows = slice(top, stage.height_px)
    away = np.sqrt((stage.columns - np.float32(cx)) ** 2 + (stage.rows[rows] - np.float32(cy)) ** 2)
    mask = np.clip((np.float32(radius) - away) * np.float32(stage.unit_px) * 0.7 + 0.5, 0, 1)
    over(canvas[:, rows], enlarge(soft_clip(soil), stage, rows=rows), mask)
    screen(canvas[:, rows], air, np.clip(enlarge(rim, stage, rows=rows) * mask, 0, 0.95))
    screen(canvas, air, enlarge(sky_glow, stage) * (1 - np.pad(mask, ((top, 0), (0, 0)))) * 0.85)
    flare = 0.85 * np.exp(-to_sun / 0.035) + 0.42 * np.exp(-to_sun / 0.16) + 0.22 * np.exp(-to_sun / 0.5)
    streak = np.exp(-np.abs(coarse.rows - np.float32(sun_y)) / 0.004) * np.exp(-to_sun / 0.22) * 0.5
    screen(canvas, mix(tint, air, 0.25), enlarge(np.clip(flare + streak, 0, 0.97), stage))
    return canvas


def _surface(stage: Stage, rng: np.random.Generator, *, cx: float, cy: float, radius: float) -> Array:
    """Return the planet's pattern, 0..1: cloud bands in coordinates that foreshorten toward the limb."""
    dx = (stage.columns - np.float32(cx)) / np.float32(radius)
    dy = (stage.rows - np.float32(cy)) / np.float32(radius)
    deep = np.sqrt(np.clip(1 - dx * dx - dy * dy, 0.0004, 1))
    u, v = np.arctan2(dx, deep) * np.float32(0.35), np.arctan2(dy, deep) * np.float32(0.55)
    texture = cloud_texture(rng, exponent=1.45)
    warp = sample(texture, u, v)
    pattern = sample(texture, u * 0.8 + 0.02 * warp + 0.3, v * 1.8 + 0.03 * warp)
    return sigmoid(0.62 * pattern - 0.1)


def _moon(canvas: Array, stage: Stage, rng: np.random.Generator, *, side: int) -> None:
    """Hang a small crescent moon opposite the light."""
    moon = Light(
        x=(0.5 - side * rng.uniform(0.18, 0.30)) * stage.width,
        y=rng.uniform(0.14, 0.28) * stage.height,
        radius=rng.uniform(0.05, 0.09),
    )
    void = mix(colour(stage.palette.near), colour(stage.palette.zenith), 0.4)
    draw_disc(
        canvas,
        stage,
        moon,
        tint=mix(lighten(void, 1.5), colour(stage.palette.accents[2]), 0.12),
        craters=True,
    )
    rows = slice(stage.row_px(moon.y - moon.radius - 0.02), stage.row_px(moon.y + moon.radius + 0.02) + 1)
    x, y = stage.columns - np.float32(moon.x), stage.rows[rows] - np.float32(moon.y)
    away = np.sqrt(x * x + y * y) / np.float32(moon.radius)
    # The day side: Lambert's law on a sphere lit from below and from the sun's side.
    deep = np.sqrt(np.clip(1 - away * away, 0, 1))
    facing = (
        x / np.float32(moon.radius) * np.float32(0.55 * side)
        + y / np.float32(moon.radius) * 0.70
        - deep * 0.25
    )
    edge = np.clip((1 - away) * np.float32(moon.radius * stage.unit_px) / 1.5 + 0.5, 0, 1)
    over(canvas[:, rows], mix(colour(stage.palette.light), void, 0.1), np.clip(facing * 1.2, 0, 0.95) * edge)
