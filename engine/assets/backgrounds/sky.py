"""Skies: the gradient, the light in it, clouds and stars, which the outdoor styles share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import field
from .paint import colour, enlarge, lighten, mix, over, ramp, screen, smoothstep, soft_clip
from .stage import Array, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A sun or moon: its centre and radius in units."""

    x: float
    y: float
    radius: float


def place_light(
    stage: Stage, *, low: float, high: float, radius: tuple[float, float] = (0.045, 0.085)
) -> Light:
    """Choose a light off the centre line, between `low` and `high` parts of the height from the top."""
    rng = stage.rng("light")
    side = rng.uniform(0.2, 0.36)
    across = side if rng.random() < 0.5 else 1 - side
    return Light(x=across * stage.width, y=rng.uniform(low, high) * stage.height, radius=rng.uniform(*radius))


def distance(stage: Stage, x: float, y: float) -> Array:
    """Return each pixel's distance from a point, in units."""
    return np.sqrt((stage.columns - np.float32(x)) ** 2 + (stage.rows - np.float32(y)) ** 2)


def halo(stage: Stage, light: Light, *, reach: float = 1.0) -> Array:
    """Return the glow around a light, 1 at its rim and falling off in three widths, as haze makes it."""
    away = np.maximum(distance(stage, light.x, light.y) - light.radius * 0.6, 0)
    tight = np.exp(-away / (0.045 * reach))
    middle = 1 / (1 + (away / (0.16 * reach)) ** 2)
    wide = np.exp(-away / (0.55 * reach))
    glow: Array = 0.35 * tight + 0.35 * middle + 0.3 * wide
    return glow


def draw_disc(canvas: Array, stage: Stage, light: Light, *, tint: Array, craters: bool) -> None:
    """Draw the sun or moon itself, with an edge one pixel soft and, for a moon, faint seas."""
    pixel = 1 / stage.unit_px
    rows = slice(stage.row_px(light.y - light.radius - 0.02), stage.row_px(light.y + light.radius + 0.02) + 1)
    y, x = stage.rows[rows], stage.columns
    cut = slice(
        int(np.searchsorted(x[0], light.x - light.radius - 0.02)),
        int(np.searchsorted(x[0], light.x + light.radius + 0.02)),
    )
    x = x[:, cut]
    away: Array = np.sqrt((x - np.float32(light.x)) ** 2 + (y - np.float32(light.y)) ** 2)
    alpha: Array = np.clip((light.radius - away) * np.float32(1 / (1.5 * pixel)) + 0.5, 0, 1)
    if alpha.size == 0:
        return
    if craters:
        size = light.radius * 0.8
        patch = stage.patch(width_px=away.shape[1], height_px=away.shape[0])
        seas = field(patch, stage.rng("seas"), cell=(size, size), octaves=5, gain=0.6)
        toned: Array = 1 - 0.12 * smoothstep(-0.3, 0.9, seas)
        toned = toned * (1 - 0.10 * (away * np.float32(1 / light.radius)) ** 2)
        over(canvas[:, rows, cut], tint[:, None, None] * toned, alpha)
    else:
        over(canvas[:, rows, cut], tint, alpha)


def draw_stars(
    canvas: Array, stage: Stage, *, until: float, density: float = 260.0, weight: Array | None = None
) -> None:
    """Add stars above `until` units from the top; `density` counts them a square unit.

    `weight`, of the canvas's shape, dims them where it is under 1. Brightness follows a power law, as in a
    real sky: many faint stars, few bright ones, the brightest with a small glow.
    """
    rng = stage.rng("stars")
    count = int(density * stage.width * until)
    xs, ys = rng.random(count) * stage.width, rng.random(count) * until
    magnitude = np.minimum(0.16 * rng.random(count) ** -0.55, 1.6)
    hue = rng.random(count)
    cold, warm = np.array([0.80, 0.89, 1.0]), np.array([1.0, 0.90, 0.78])
    scale = stage.unit_px
    # A star has the same angular size in every picture size, and at least that of a pixel.
    spread = max(0.62, scale * 0.00062)
    for x, y, power, tone in zip(xs, ys, magnitude, hue, strict=True):
        fade = min(1.0, (until - y) / (0.35 * until))
        if power < 0.2 and tone < 0.4:
            fade *= 0.7
        radius = spread * (0.75 + 0.55 * power)
        reach = int(radius * (6 if power > 1.0 else 3)) + 1
        cx, cy = x * scale, y * scale
        left, top = int(cx) - reach, int(cy) - reach
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(int(cx) + reach + 1, stage.width_px), min(int(cy) + reach + 1, stage.height_px)
        if x1 <= x0 or y1 <= y0:
            continue
        if weight is not None:
            fade *= float(weight[min(int(cy), stage.height_px - 1), min(int(cx), stage.width_px - 1)])
        dx = (np.arange(x0, x1, dtype=np.float32) + 0.5 - np.float32(cx)) ** 2
        dy = (np.arange(y0, y1, dtype=np.float32) + 0.5 - np.float32(cy)) ** 2
        squared = dy[:, None] + dx[None, :]
        spot = np.exp(squared * np.float32(-0.5 / radius**2))
        if power > 1.0:
            spot += np.float32(0.10) * np.exp(squared * np.float32(-0.5 / (radius * 2.2) ** 2))
        tint = (cold + (warm - cold) * tone**2).astype(np.float32)
        screen(canvas[:, y0:y1, x0:x1], tint, spot * np.float32(power * fade))


def draw_sky(
    stage: Stage,
    light: Light,
    *,
    horizon: float,
    clouds: float = 0.5,
    disc: bool = True,
    star_density: float = 260.0,
    glow: float = 1.0,
    until: float | None = None,
) -> Array:
    """Draw a whole sky whose gradient ends at `horizon` units, with its light, streaky clouds and stars.

    Below `until` units, if something covers the sky there, it is one colour.
    """
    palette = stage.palette
    coarse = stage.coarse(300)
    if stage.overcast:
        clouds, disc, star_density = clouds + stage.overcast, disc and stage.overcast < 0.55, 0.0
        glow *= 1 - 0.6 * stage.overcast
    tint = colour(palette.light)
    top, middle, low = colour(palette.zenith), colour(palette.middle), colour(palette.horizon)
    drift = field(coarse, stage.rng("drift"), cell=(0.9, 0.5), octaves=2) * 0.03
    t = coarse.rows / np.float32(horizon) + drift
    picture = ramp(t, [(-0.2, top), (0.05, top), (0.55, middle), (1.0, low), (1.2, low)])
    shine = halo(coarse, light, reach=1.0 if palette.night else 1.25)
    if clouds > 0:
        wisps = field(coarse, stage.rng("clouds"), cell=(0.75, 0.085), octaves=5, gain=0.55)
        banks = field(coarse, stage.rng("banks"), cell=(1.1, 0.3), octaves=2)
        cover = smoothstep(0.05, 1.15, wisps + 0.6 * banks)
        height = coarse.rows / np.float32(horizon)
        cover = cover * smoothstep(0.05, 0.55, height) * smoothstep(1.15, 0.8, height) * clouds
        lit = mix(low, tint, 0.35)
        shaded = mix(middle, top, 0.25)
        catch = np.clip(shine * 1.7 + 0.12, 0, 1)
        cloud = shaded[:, None, None] + (lit - shaded)[:, None, None] * catch
        over(picture, cloud, cover * np.float32(0.75))
    strength = (0.62 if palette.night else 0.72) * glow
    warmth = mix(tint, low, 0.45)
    screen(picture, warmth, shine * strength)
    screen(picture, tint, shine**2 * strength * 0.6)
    last = stage.height_px if until is None else min(stage.height_px, stage.row_px(until) + 1)
    canvas = np.empty((3, stage.height_px, stage.width_px), dtype=np.float32)
    enlarge(soft_clip(picture), stage, rows=slice(0, last), large=canvas[:, :last])
    canvas[:, last:] = low[:, None, None]
    if palette.night and star_density > 0:
        draw_stars(canvas, stage, until=horizon * 0.92, density=star_density)
    if disc:
        draw_disc(canvas, stage, light, tint=lighten(tint, 1.02), craters=palette.night)
    return canvas
