"""City: a skyline with lit windows, mirrored in water."""

from __future__ import annotations

import numpy as np

from .noise import line
from .paint import blur, colour, enlarge, mix, over, screen, smoothstep
from .sky import draw_sky, place_light
from .stage import Array, Stage
from .water import mirror_in_water

# Lamps seen in real windows: tungsten, warm and neutral fluorescent, and a few screens.
_LAMPS = ("#ffd08a", "#ffe2b0", "#ffbe6a", "#fff3da", "#cfe6ff")


def city_dusk(stage: Stage) -> Array:
    """Draw towers behind one another at dusk, their windows lit, above a dark river."""
    rng = stage.rng("city")
    palette = stage.palette
    light = place_light(stage, low=0.2, high=0.42, radius=(0.045, 0.075))
    shore = stage.height * rng.uniform(0.62, 0.67)
    canvas = draw_sky(stage, light, horizon=shore * 0.96, clouds=0.7, star_density=120)
    low, middle = colour(palette.horizon), colour(palette.middle)
    near, zenith = colour(palette.near), colour(palette.zenith)
    coarse = stage.coarse(200)
    glow = np.zeros((3, coarse.height_px, coarse.width_px), dtype=np.float32)
    layers = 4
    centre = rng.uniform(0.3, 0.7) * stage.width
    for i in range(layers):
        t = i / (layers - 1)
        body = mix(mix(low, middle, 0.45 + 0.55 * t), mix(near, zenith, 0.35), 0.10 + 0.80 * t)
        foot = mix(body, low, 0.45 * (1 - t) + 0.05)
        tall = (0.44 - 0.21 * t) * min(stage.height, 1.5)
        _tower_row(
            canvas, glow, stage, rng, depth=t, tall=tall, shore=shore, centre=centre, body=body, foot=foot
        )
        if i < layers - 1:
            rows = slice(stage.row_px(shore - tall), stage.row_px(shore) + 1)
            haze = smoothstep(shore - tall * 0.8, shore, stage.rows[rows]) * np.float32(0.30 * (1 - t))
            over(canvas[:, rows], mix(low, middle, 0.25), haze)
    soft = np.stack(
        [blur(plane, coarse.unit_px * 0.018) + blur(plane, coarse.unit_px * 0.06) for plane in glow]
    )
    # The lamps of the quay, seen as one low band of light.
    band = np.exp(-np.abs(coarse.rows - np.float32(shore)) / 0.014) * (
        0.6 + 0.4 * line(rng, coarse.columns, cell=0.2)
    )
    soft += colour(_LAMPS[0])[:, None, None] * np.clip(band, 0, 1) * 0.55
    screen(canvas, enlarge(np.clip(soft, 0, 0.9), stage), np.ones((1, 1), dtype=np.float32))
    mirror_in_water(canvas, stage, rng, shore=shore)
    return canvas


def _tower_row(
    canvas: Array,
    glow: Array,
    stage: Stage,
    rng: np.random.Generator,
    *,
    depth: float,
    tall: float,
    shore: float,
    centre: float,
    body: Array,
    foot: Array,
) -> None:
    """Build one row of towers from left to right, higher toward the centre of the town."""
    x = -rng.random() * 0.1
    while x < stage.width:
        wide = rng.uniform(0.06, 0.12) * (0.65 + 0.75 * depth)
        rise = float(np.exp(-(((x + wide / 2 - centre) / (0.42 * stage.width)) ** 2)))
        high = tall * (0.30 + 0.55 * rise) * rng.uniform(0.55, 1.2)
        if rng.random() < 0.12:
            high *= 1.25
        _tower(
            canvas,
            glow,
            stage,
            rng,
            x=x,
            wide=wide,
            top=shore - high,
            shore=shore,
            depth=depth,
            body=body,
            foot=foot,
        )
        x += wide * rng.uniform(0.82, 1.12)


def _tower(
    canvas: Array,
    glow: Array,
    stage: Stage,
    rng: np.random.Generator,
    *,
    x: float,
    wide: float,
    top: float,
    shore: float,
    depth: float,
    body: Array,
    foot: Array,
) -> None:
    """Draw one tower: its body, its roof and its windows."""
    unit = stage.unit_px
    base = stage.row_px(shore)
    shade = rng.uniform(0.90, 1.08)
    kind = rng.random()
    blocks = [(x, x + wide, top)]
    if kind < 0.30:
        inset = wide * rng.uniform(0.14, 0.26)
        blocks.append((x + inset, x + wide - inset, top - wide * rng.uniform(0.2, 0.5)))
    elif kind < 0.48:
        blocks.append((x + wide * 0.1, x + wide * rng.uniform(0.4, 0.6), top - wide * 0.12))
    if rng.random() < 0.30:
        mast = x + wide * rng.uniform(0.4, 0.6)
        highest = min(b[2] for b in blocks)
        thick = max(0.0022, 1.2 / unit)
        blocks.append((mast - thick / 2, mast + thick / 2, highest - wide * rng.uniform(0.4, 0.9)))
    column = smoothstep(top - 0.05, shore, stage.rows)[None]
    tint = body[:, None, None] * np.float32(shade)
    planes = np.clip(tint + (foot[:, None, None] - tint) * column, 0, 1)
    for left, right, roof in blocks:
        rows = slice(stage.row_px(roof), base)
        first, last = (
            max(0, round(left * unit)),
            min(stage.width_px, max(round(right * unit), round(left * unit) + 1)),
        )
        if last > first:
            canvas[:, rows, first:last] = planes[:, rows]
            small = glow.shape[2] / stage.width_px
            glow[:, int(rows.start * small) : int(base * small), int(first * small) : int(last * small)] = 0
    if depth > 0.2:
        left, right, _ = blocks[0]
        _windows(canvas, glow, stage, rng, left=left, right=right, top=top, shore=shore, depth=depth)


def _windows(
    canvas: Array,
    glow: Array,
    stage: Stage,
    rng: np.random.Generator,
    *,
    left: float,
    right: float,
    top: float,
    shore: float,
    depth: float,
) -> None:
    """Light some of a tower's windows, in a grid with a margin; whole floors are lit or dark together."""
    unit = stage.unit_px
    pitch_x, pitch_y = (
        rng.uniform(0.0085, 0.0125) * (0.7 + 0.5 * depth),
        rng.uniform(0.012, 0.016) * (0.7 + 0.5 * depth),
    )
    margin = pitch_x * 0.6
    first, last = max(0, round((left + margin) * unit)), min(stage.width_px, round((right - margin) * unit))
    rows = slice(stage.row_px(top + pitch_y * 0.9), stage.row_px(shore - 0.004))
    if last - first < 2 or rows.stop - rows.start < 2 or pitch_x * unit < 3:
        return
    u = (np.arange(first, last) + 0.5) / unit - (left + margin)
    v = (np.arange(rows.start, rows.stop) + 0.5) / unit - (top + pitch_y * 0.9)
    across, down = np.maximum(u / pitch_x, 0), np.maximum(v / pitch_y, 0)
    grid = (int(down.max()) + 1, int(across.max()) + 1)
    share = rng.uniform(0.12, 0.46)
    floors = rng.random((grid[0], 1)) < 0.16
    on = (rng.random(grid) < np.where(floors, 0.85, share)) * rng.uniform(0.35, 1.0, grid)
    lamps = np.stack([colour(lamp) for lamp in _LAMPS])
    choice = rng.choice(len(_LAMPS), size=grid, p=(0.34, 0.26, 0.2, 0.14, 0.06))
    # Coverage of each pixel by its window, with an edge one pixel soft.
    part_x = np.clip((0.29 - np.abs(across % 1 - 0.5)) * pitch_x * unit + 0.5, 0, 1)
    part_y = np.clip((0.30 - np.abs(down % 1 - 0.5)) * pitch_y * unit + 0.5, 0, 1)
    cell_y, cell_x = down.astype(np.intp)[:, None], across.astype(np.intp)[None, :]
    alpha = (on[cell_y, cell_x] * part_y[:, None] * part_x[None, :] * (0.40 + 0.55 * depth)).astype(
        np.float32
    )
    tint = np.moveaxis(lamps[choice], -1, 0)[:, cell_y, cell_x]
    over(canvas[:, rows, first:last], tint, alpha)
    small = glow.shape[2] / stage.width_px
    area = (
        slice(int(rows.start * small), int(rows.stop * small)),
        slice(int(first * small), int(last * small)),
    )
    mean = float(on.mean()) * (0.05 + 0.25 * depth)
    for plane, value in zip(glow, colour(_LAMPS[0]), strict=True):
        plane[area] += np.float32(mean) * value
