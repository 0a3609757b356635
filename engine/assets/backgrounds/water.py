"""Water: the sea at night or at sundown, with the light's path on it."""

from __future__ import annotations

import numpy as np

from .noise import cloud_texture, field, line, peaks, sample
from .paint import colour, enlarge, mix, smoothstep, soft_clip
from .ridges import lay_land
from .sky import Light, draw_sky, place_light
from .stage import Array, Stage


def sea_view(stage: Stage) -> tuple[Light, float]:
    """Return the light over the sea, and the horizon's height in units from the top."""
    light = place_light(stage, low=0.14, high=0.28, radius=(0.05, 0.085))
    return light, stage.height * stage.rng("sea").uniform(0.41, 0.45)


def moonlit_sea(stage: Stage) -> Array:
    """Draw the open sea under a low sun or moon, whose light glitters on the waves toward the viewer."""
    rng = stage.rng("sea")
    light, horizon = sea_view(stage)
    rng.random()  # the horizon's draw
    canvas = draw_sky(stage, light, horizon=horizon, clouds=rng.uniform(0.6, 1.0), until=horizon + 0.02)
    _headland(canvas, stage, rng, light, horizon=horizon)
    _waves(canvas, stage, rng, light, horizon=horizon)
    return canvas


def _headland(canvas: Array, stage: Stage, rng: np.random.Generator, light: Light, *, horizon: float) -> None:
    """Lay low land on the horizon, on the side away from the light."""
    low, near = colour(stage.palette.horizon), colour(stage.palette.near)
    middle = colour(stage.palette.middle)
    x = stage.columns
    for amount, tall, reach in ((0.45, 0.05, 0.62), (0.8, 0.065, 0.38)):
        away = x if light.x > stage.width / 2 else np.float32(stage.width) - x
        slope = smoothstep(reach * stage.width * rng.uniform(0.9, 1.2), 0.0, away)
        shape = (0.35 + 0.65 * peaks(rng, x, cell=0.3, octaves=5)) * slope**0.8
        crest = np.float32(horizon + 0.004) - np.float32(tall) * shape
        body = mix(mix(low, middle, 0.6), near, amount)
        lay_land(
            canvas, stage, np.where(slope > 0.002, crest, np.float32(horizon + 0.05)), body[:, None, None]
        )


def _waves(canvas: Array, stage: Stage, rng: np.random.Generator, light: Light, *, horizon: float) -> None:
    palette = stage.palette
    coarse = stage.coarse(640)
    top = coarse.row_px(horizon)
    y = coarse.rows[top:] - np.float32(horizon)
    if y.shape[0] < 2:
        return
    x = coarse.columns
    # Seen from a height, a row `y` under the horizon is about 1/y away: waves shrink toward the horizon.
    far = 1 / (np.maximum(y, 0) + np.float32(0.045))
    texture = cloud_texture(rng, exponent=1.25)
    u = (x - np.float32(light.x)) * far
    swell = sample(texture, u * 0.035 + 0.3, far * 0.16)
    chop = sample(texture, u * 0.085, far * 0.42 + 0.006 * swell)
    fine = sample(texture, u * 0.19 + 0.5, far * 1.05 + 0.010 * chop)
    height = 0.5 * swell + 0.6 * chop + 0.55 * fine
    depth = np.clip(y / np.float32(stage.height - horizon), 0, 1)
    low, middle = colour(palette.horizon), colour(palette.middle)
    near, tint = colour(palette.near), colour(palette.light)
    distant, close = (
        mix(mix(low, middle, 0.55), near, 0.15),
        mix(mix(middle, colour(palette.zenith), 0.6), near, 0.55),
    )
    t = depth**0.55
    sea = distant[:, None, None] + (close - distant)[:, None, None] * t
    sea = np.broadcast_to(sea, (3, y.shape[0], coarse.width_px)) * (1 + 0.17 * height * (0.35 + 0.65 * t))
    sea += (mix(low, middle, 0.3))[:, None, None] * (np.clip(height - 0.2, 0, None) * 0.10 * (1 - 0.5 * t))
    # The path: facets tilted toward the light, within a fan that is narrow far off and wide near.
    width = light.radius * 0.8 + 0.26 * depth
    path = np.exp(-(((x - np.float32(light.x)) / width) ** 2))
    spark = smoothstep(0.25, 1.35, height + 0.85 * path - 0.40 - 0.35 * depth)
    shine = path * (0.30 * (1 - depth) + spark * (1.0 - 0.45 * depth))
    broad = np.exp(-np.abs(x - np.float32(light.x)) / 0.5) * np.exp(-depth * 3) * 0.22
    glow = mix(tint, low, 0.25)
    sea += glow[:, None, None] * (shine * 0.95 + broad)
    # A thin bright band of mist where sea meets sky.
    sea += (low[:, None, None] - sea) * np.exp(-np.maximum(y, 0) / 0.010) * 0.55
    whole = np.zeros((3, coarse.height_px, coarse.width_px), dtype=np.float32)
    whole[:, top:] = soft_clip(np.maximum(sea, 0))
    whole[:, :top] = whole[:, top : top + 1]
    first = stage.row_px(horizon)
    canvas[:, first:] = enlarge(whole, stage, rows=slice(first, stage.height_px))


def mirror_in_water(canvas: Array, stage: Stage, rng: np.random.Generator, *, shore: float) -> None:
    """Mirror the picture above `shore` below it, darker toward the viewer and broken by ripples."""
    first = stage.row_px(shore)
    count = stage.height_px - first
    if count < 2 or first < 2:
        return
    depth = np.arange(count, dtype=np.float32) * np.float32(1 / count)
    ripple = line(rng, depth**0.5 * 40, cell=0.5, octaves=3) * depth * np.float32(0.012 * stage.height_px)
    source = first - 1 - np.arange(count, dtype=np.float32) * np.float32(1.12) + ripple
    index = np.clip(source, 0, first - 1).astype(np.intp)
    near = colour(stage.palette.near)
    fade = (0.66 - 0.45 * depth)[:, None]
    sheen = field(stage.coarse(300), stage.rng("sheen"), cell=(0.7, 0.025), octaves=3)
    streak = 1 + 0.16 * enlarge(sheen, stage, rows=slice(first, stage.height_px))
    for plane, value in zip(canvas, near, strict=True):
        mirrored = plane[index]
        # Averaging a few neighbours smears the reflection downward, as small waves do.
        smeared = 0.4 * mirrored
        for shift, share in ((5, 0.2), (-5, 0.2), (11, 0.1), (-11, 0.1)):
            step = (
                max(1, round(shift * stage.unit_px / 1080))
                if shift > 0
                else min(-1, round(shift * stage.unit_px / 1080))
            )
            smeared += share * plane[np.clip(index + step, 0, first - 1)]
        plane[first:] = value + (smeared * streak - value) * fade
