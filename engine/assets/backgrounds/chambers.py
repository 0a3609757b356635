"""Places seen from inside: a vaulted hall, a cave, each with the light beyond its mouth."""

from __future__ import annotations

import numpy as np

from .noise import field, line, peaks
from .paint import colour, enlarge, lay_lit, mix, over, screen, smoothstep
from .ridges import lay_land
from .sky import Light, distance, draw_sky
from .stage import Array, Stage


def arches(stage: Stage) -> Array:
    """Draw a hall of arches one behind another, lit by the sky at its far end."""
    rng = stage.rng("arches")
    palette = stage.palette
    side = 1 if rng.random() < 0.5 else -1
    at_x = stage.width * (0.5 + side * rng.uniform(0.06, 0.13))
    at_y = stage.height * rng.uniform(0.48, 0.53)
    light = Light(
        x=at_x - side * 0.03, y=at_y - stage.height * rng.uniform(0.07, 0.10), radius=rng.uniform(0.028, 0.04)
    )
    canvas = draw_sky(stage, light, horizon=at_y * 1.06, clouds=0.6, glow=1.15)
    low, middle = colour(palette.horizon), colour(palette.middle)
    zenith, near, tint = colour(palette.zenith), colour(palette.near), colour(palette.light)
    for i, amount in enumerate((0.35, 0.65)):
        crest = np.float32(at_y + 0.012 * i) - 0.05 * peaks(rng, stage.columns, cell=0.22)
        lay_land(canvas, stage, crest, mix(low, mix(middle, zenith, 0.4), amount)[:, None, None])
    _hall_floor(canvas, stage, rng, at_x=at_x, at_y=at_y)
    pointed = rng.random() < 0.5
    count = 6
    span = 0.5 * min(stage.width, 1.25)
    coarse = stage.coarse(200)
    air = np.exp(-distance(coarse, light.x, light.y) / 0.38)
    for i in range(count):
        t = i / (count - 1)
        scale = 0.30 * (1.15 / 0.30) ** t
        wall = mix(
            mix(low, middle, 0.55 + 0.45 * t), mix(near, zenith, 0.25 * (1 - t)), 0.16 + 0.80 * t**0.75
        )
        lit = mix(wall, mix(low, tint, 0.35), 0.44 * (1 - t) + 0.13)
        floor = at_y + 0.36 * scale * min(stage.height, 1.8) / 1.4
        for shrink, tone in ((0.90, lit), (1.0, wall)):
            k = scale * shrink
            foot = at_y + (floor - at_y) * shrink
            _wall(
                canvas,
                stage,
                at_x=at_x,
                half=span * 0.80 * k,
                spring=at_y - 0.30 * k * min(stage.height, 1.8) / 1.4,
                foot=foot,
                tint=tone,
                pointed=pointed,
            )
        if i < count - 1:
            haze = enlarge(air, stage) * np.float32(0.17 * (1 - t))
            screen(canvas, mix(tint, low, 0.45), haze)
    stone = field(stage.coarse(500), stage.rng("stone"), cell=(0.10, 0.07), octaves=5, gain=0.62)
    canvas *= 1 + 0.045 * enlarge(stone, stage)
    return canvas


def _hall_floor(canvas: Array, stage: Stage, rng: np.random.Generator, *, at_x: float, at_y: float) -> None:
    """Pave the floor from the far end forward, with the light lying on it."""
    palette = stage.palette
    low, near, tint = colour(palette.horizon), colour(palette.near), colour(palette.light)
    top = at_y + 0.085
    first = stage.row_px(top)
    y = stage.rows[first:] - np.float32(at_y)
    if y.shape[0] == 0:
        return
    x = stage.columns - np.float32(at_x)
    down = smoothstep(0.05, stage.height - at_y, y)
    far = mix(mix(low, colour(palette.middle), 0.35), near, 0.25)
    close = mix(mix(colour(palette.middle), colour(palette.zenith), 0.5), near, 0.72)
    body = far[:, None, None] + (close - far)[:, None, None] * down
    canvas[:, first:] = body
    beam = np.exp(-((x / (0.05 + 0.42 * y)) ** 2)) * np.exp(-y / 0.30)
    worn = enlarge(
        field(stage.coarse(300), rng, cell=(0.30, 0.035), octaves=4, gain=0.6), stage, rows=slice(first, None)
    )
    # Paving: joints across, closer together with distance, and along, meeting at the vanishing point.
    depth, across = 0.9 / y, x / y
    seam = np.float32(1.6 / stage.unit_px)
    joint_y = np.abs((depth * 1.6) % 1 - 0.5) * y * y / np.float32(1.44)
    joint_x = np.abs((across * 1.7) % 1 - 0.5) * y / np.float32(1.7)
    joints = np.maximum(smoothstep(1.0, 0.0, joint_y / seam), smoothstep(1.0, 0.0, joint_x / seam))
    joints = joints * smoothstep(0.10, 0.28, y)
    screen(canvas[:, first:], mix(tint, low, 0.4), np.clip(beam * (0.62 + 0.22 * worn), 0, 1))
    canvas[:, first:] *= (1 + 0.08 * worn) * (1 - 0.30 * joints)


def _wall(
    canvas: Array,
    stage: Stage,
    *,
    at_x: float,
    half: float,
    spring: float,
    foot: float,
    tint: Array,
    pointed: bool,
) -> None:
    """Fill a wall down to `foot` except for an arched opening `2 * half` wide whose curve starts at `spring`."""
    last = stage.row_px(foot)
    y, x = stage.rows[:last], stage.columns
    if last == 0:
        return
    unit = np.float32(stage.unit_px)
    # A pointed arch is two arcs of a wider circle, each centred beyond the middle.
    beyond = half * 0.55 if pointed else 0.0
    radius = half + beyond
    gap = np.abs(x - np.float32(at_x))
    rise = np.sqrt(np.maximum(np.float32(radius**2) - (gap + np.float32(beyond)) ** 2, 0))
    # Height over the curve times the cosine of its slope is the distance to it; the floor of 0.2 keeps the
    # wall over the jambs, where the curve is upright, solid.
    steep = np.maximum(rise / np.float32(radius), 0.2)
    over_curve = (np.float32(spring) - rise - y) * steep
    outside = np.maximum(over_curve, gap - np.float32(half))
    over(canvas[:, :last], tint, np.clip(outside * unit + 0.5, 0, 1))


def cave(stage: Stage) -> Array:
    """Draw the mouth of a cave from within: dark rock in layers around a bright view."""
    rng = stage.rng("cave")
    palette = stage.palette
    side = 1 if rng.random() < 0.5 else -1
    at_x, at_y = stage.width * (0.5 + side * rng.uniform(0.04, 0.12)), stage.height * rng.uniform(0.44, 0.49)
    light = Light(
        x=at_x + side * 0.10, y=at_y - stage.height * rng.uniform(0.05, 0.09), radius=rng.uniform(0.04, 0.055)
    )
    horizon = at_y + stage.height * 0.05
    canvas = draw_sky(stage, light, horizon=horizon, clouds=0.7)
    low, middle = colour(palette.horizon), colour(palette.middle)
    near, zenith, tint = colour(palette.near), colour(palette.zenith), colour(palette.light)
    for i in range(4):
        t = i / 3
        crest = np.float32(horizon + 0.10 * t) - np.float32(0.09 + 0.03 * t) * (
            peaks(rng, stage.columns, cell=0.35 + 0.2 * t) - 0.3
        )
        lay_land(
            canvas, stage, crest, mix(mix(low, middle, 0.3 + 0.5 * t), near, 0.05 + 0.45 * t)[:, None, None]
        )
    coarse = stage.coarse(320)
    air = np.exp(-distance(coarse, light.x, light.y) / 0.40)
    haze = enlarge(air, stage) * np.float32(0.35)
    screen(canvas, mix(tint, low, 0.4), haze)
    rock = field(coarse, stage.rng("rock"), cell=(0.22, 0.30), octaves=6, gain=0.58)
    count = 4
    for i in range(count):
        t = i / (count - 1)
        body = mix(mix(middle, zenith, 0.3 + 0.4 * t), near, 0.42 + 0.50 * t)
        lit = mix(body, mix(low, tint, 0.3), 0.50 - 0.32 * t)
        inside = _mouth(coarse, rng, at_x=at_x, at_y=at_y, grow=0.62 + 0.52 * t**1.1)
        depth = enlarge(inside, stage)
        alpha = np.clip(depth * np.float32(stage.unit_px * 0.7) + 0.5, 0, 1)
        # Near its edge the rock is lit by the view; its grain catches that light.
        edge = np.exp(-np.maximum(inside, 0) / (0.05 + 0.03 * t)) * (0.55 + 0.65 * np.clip(air * 1.6, 0, 1))
        share = enlarge(np.clip(edge * (1 + 0.30 * rock) + 0.10 * rock, -0.25, 1), stage)
        lay_lit(canvas, body, lit, share, alpha)
        if i == 1:
            screen(canvas, mix(tint, low, 0.5), haze * np.float32(0.5))
    return canvas


def _mouth(stage: Stage, rng: np.random.Generator, *, at_x: float, at_y: float, grow: float) -> Array:
    """Return how deep in the rock each pixel lies, in units, negative in the opening."""
    x, y = stage.columns - np.float32(at_x), stage.rows - np.float32(at_y)
    wide, high = 0.46 * grow * min(stage.width, 1.3), 0.40 * grow * min(stage.height, 1.5)
    angle = np.arctan2(y / np.float32(high), x / np.float32(wide))
    radius = np.sqrt((x / np.float32(wide)) ** 2 + (y / np.float32(high)) ** 2)
    # Noise over the angle, made to close on itself by reading it along a circle's two coordinates.
    turn = np.linspace(-np.pi, np.pi, 1024).astype(np.float32)
    bumps = sum(
        line(rng, (part * 1.1 + 3).astype(np.float32), cell=0.5, octaves=4, gain=0.55)
        for part in (np.cos(turn), np.sin(turn))
    )
    wavy = np.interp(angle, turn, bumps).astype(np.float32)
    rough = field(stage, rng, cell=(0.20, 0.26), octaves=5, gain=0.52)
    inside = (radius - 1) * np.float32(min(wide, high)) + 0.055 * min(grow, 1.0) * wavy + 0.040 * rough
    # Hanging stone at the top, rubble below.
    teeth = np.maximum(line(rng, stage.columns, cell=0.09, octaves=4, gain=0.6), 0) ** 1.5
    inside = inside + 0.10 * teeth * smoothstep(0.1, -high, y) + 0.12 * smoothstep(0.35 * high, high, y)
    result: Array = np.ascontiguousarray(inside, dtype=np.float32)
    return result
