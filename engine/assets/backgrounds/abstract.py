"""Abstract light: soft discs out of focus, and folds of silk."""

from __future__ import annotations

import numpy as np

from .noise import field
from .paint import colour, enlarge, lighten, mix, ramp, screen, smoothstep, soft_clip
from .stage import Array, Stage


def bokeh(stage: Stage) -> Array:
    """Draw lights out of focus at several depths before a dark, softly coloured ground."""
    rng = stage.rng("bokeh")
    palette = stage.palette
    coarse = stage.coarse(540)
    x, y = coarse.columns, coarse.rows
    zenith, near = colour(palette.zenith), colour(palette.near)
    accents = [colour(a) for a in palette.accents]
    small = stage.coarse(90)
    wash = field(small, stage.rng("wash"), cell=(0.9, 0.9), octaves=2)
    drift = small.rows / np.float32(small.height) + 0.25 * wash
    deep = mix(zenith, near, 0.35)
    ground = ramp(
        drift,
        [
            (-0.4, deep),
            (0.15, mix(deep, colour(palette.middle), 0.25)),
            (0.5, mix(deep, accents[1], 0.12)),
            (1.3, near),
        ],
    )
    picture = enlarge(ground, coarse)
    focus_x, focus_y = rng.uniform(0.25, 0.75) * stage.width, rng.uniform(0.28, 0.45) * stage.height
    slope = rng.normal() * 0.35
    light = np.zeros_like(picture)
    layers = (
        (0.16, 0.26, 9, 0.16, 0.09),
        (0.07, 0.13, 26, 0.34, 0.028),
        (0.03, 0.06, 50, 0.62, 0.009),
        (0.006, 0.018, 80, 1.3, 0.004),
    )
    for low, high, count, power, soft in layers:
        for _ in range(int(count * stage.width * stage.height / 1.78)):
            along = rng.normal() * 0.45 * max(stage.width, 1.0)
            cx = focus_x + along
            cy = focus_y + slope * along + rng.normal() * 0.30 * stage.height
            radius = rng.uniform(low, high)
            reach = radius + soft * 2
            left, right = np.searchsorted(x[0], (cx - reach, cx + reach))
            top, bottom = np.searchsorted(y[:, 0], (cy - reach, cy + reach))
            if right <= left or bottom <= top:
                continue
            away = np.sqrt((x[:, left:right] - np.float32(cx)) ** 2 + (y[top:bottom] - np.float32(cy)) ** 2)
            # A lens's disc is nearly flat, a little brighter toward its rim.
            disc = smoothstep(radius + soft, radius - soft, away) * (
                0.72 + 0.28 * np.clip(away / radius, 0, 1) ** 3
            )
            choice = accents[int(rng.choice(3, p=(0.45, 0.3, 0.25)))]
            tint = mix(choice, colour(palette.light), rng.uniform(0.0, 0.35))
            fade = 1 - 0.6 * smoothstep(0.45, 0.95, np.full((1, 1), cy / stage.height, dtype=np.float32))
            strength = np.float32(power * rng.uniform(0.3, 1.0) ** 1.8 * fade)
            for plane, value in zip(light, tint, strict=True):
                plane[top:bottom, left:right] += disc * (strength * value)
    centre: Array = np.exp(-(((x - np.float32(focus_x)) / 0.8) ** 2 + ((y - np.float32(focus_y)) / 0.6) ** 2))
    screen(picture, mix(accents[0], accents[1], 0.4), centre * np.float32(0.14))
    picture = 1 - (1 - picture) * np.exp(-light * 1.25)
    return enlarge(soft_clip(picture), stage)


def silk(stage: Stage) -> Array:
    """Draw folds of shining cloth: a warped wave surface lit from one side."""
    rng = stage.rng("silk")
    palette = stage.palette
    coarse = stage.coarse(420)
    angle = rng.uniform(0.5, 1.05) * (1 if rng.random() < 0.5 else -1)
    # One octave each: any finer noise would show in the normals as dents.
    warp = field(coarse, stage.rng("warp"), cell=(1.0, 0.8), octaves=1) * 1.5
    other = field(coarse, stage.rng("other"), cell=(0.7, 0.6), octaves=1) * 1.5
    along = coarse.columns * np.float32(np.cos(angle)) + coarse.rows * np.float32(np.sin(angle))
    phase = along * np.float32(rng.uniform(5.0, 6.6)) + warp * 1.4
    # A folded sheet: the sine of a sine leans its crests over.
    surface = np.sin(phase + 0.9 * np.sin(phase * 0.5 + 1.3 * other)) + 0.45 * np.sin(
        2.1 * phase + 2.2 * other
    )
    surface += 0.16 * np.sin(5.3 * phase + 3.1 * warp)
    step = np.float32(coarse.unit_px)
    slope_y, slope_x = np.gradient(surface)
    slope_x, slope_y = slope_x * step * np.float32(0.13), slope_y * step * np.float32(0.13)
    length = np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    lx, ly, lz = (0.55 if angle > 0 else -0.55), -0.60, 0.58
    facing = (-slope_x * np.float32(lx) - slope_y * np.float32(ly) + np.float32(lz)) / length
    half = np.array([lx, ly, lz + 1.0])
    half /= np.sqrt((half * half).sum())
    gleam = np.clip(
        (-slope_x * np.float32(half[0]) - slope_y * np.float32(half[1]) + np.float32(half[2])) / length, 0, 1
    )
    first, second, _ = (colour(a) for a in palette.accents)
    # Half way only: two accents across the colour wheel would meet in grey.
    second = mix(first, second, 0.5)
    deep = mix(colour(palette.near), colour(palette.zenith), 0.5)
    tone = 0.5 + 0.5 * facing + 0.06 * surface
    cool = ramp(
        tone,
        [
            (0.0, deep),
            (0.4, mix(deep, first, 0.35)),
            (0.75, mix(first, deep, 0.25)),
            (1.1, lighten(first, 1.12)),
        ],
    )
    warm = ramp(
        tone,
        [
            (0.0, deep),
            (0.4, mix(deep, second, 0.35)),
            (0.75, mix(second, deep, 0.25)),
            (1.1, lighten(second, 1.12)),
        ],
    )
    share = smoothstep(-0.9, 0.9, 0.75 * warp + 1.3 * (coarse.rows / np.float32(coarse.height) - 0.5))
    picture = cool + (warm - cool) * share
    shine = (0.42 * gleam**26 + 0.16 * gleam**7).astype(np.float32)
    screen(picture, mix(colour(palette.light), first, 0.25), shine)
    down = coarse.rows / np.float32(coarse.height)
    picture *= 1.02 - 0.42 * smoothstep(0.35, 1.0, down)
    return enlarge(soft_clip(picture), stage)
