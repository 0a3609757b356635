"""Places by the water: open sea, beach, harbour, lake, island and bridge."""

from __future__ import annotations

import numpy as np

from .land import Ground, crest_at, ground_tint, land_tint
from .noise import field, line, peaks
from .outlines import OUTLINES
from .paint import colour, enlarge, mix, over, screen, smoothstep
from .ridges import lay_land
from .shapes import Polygon, conifer, fill_polygons
from .silhouettes import Stand, box, glow, set_outline
from .sky import draw_sky, place_light
from .stage import Array, Stage
from .water import mirror_in_water, moonlit_sea, sea_view


def sea(stage: Stage, *, rock: bool) -> Ground:
    """Draw the open sea; with `rock`, a headland of rocks on which a subject stands."""
    canvas = moonlit_sea(stage)
    light, horizon = sea_view(stage)
    near = colour(stage.palette.near)
    side = -1.0 if light.x > stage.width / 2 else 1.0
    x = stage.width * (0.5 + side * 0.22)
    foot = horizon + 0.055
    walk_x = x - side * 0.16
    walk_y = foot + 0.035
    if rock:
        walk_y = crest_at(stage, _rocks(canvas, stage, x=x, foot=foot, side=side), walk_x) + 0.006
    drift = stage.rng("boat").uniform(-0.05, 0.05)
    return Ground(
        canvas=canvas,
        light=light,
        subject=Stand(x=x, foot=foot, tall=0.52, tint=mix(near, land_tint(stage, 0.6), 0.35), flip=side < 0),
        people=Stand(x=walk_x, foot=walk_y, tall=0.085, tint=near),
        afloat=Stand(
            x=stage.width * (0.5 - side * (0.10 if rock else 0.02)) + drift,
            foot=horizon + (0.05 if rock else 0.03),
            tall=0.13 if rock else 0.24,
            tint=mix(near, land_tint(stage, 0.7), 0.2),
        ),
    )


def _rocks(canvas: Array, stage: Stage, *, x: float, foot: float, side: float) -> Array:
    """Lay three shelves of rock that fall toward the middle of the picture, with surf at their feet.

    Returns the height of their upper edge, shape (1, width_px).
    """
    rng = stage.rng("rocks")
    columns = stage.columns
    upper = np.full_like(columns, foot + 0.10)
    for depth in range(3):
        reach = 0.26 + 0.10 * depth
        inland = side * (columns - np.float32(x))
        slope = smoothstep(-reach, 0.02, inland)
        jag = peaks(rng, columns, cell=0.12 + 0.05 * depth, octaves=6) - 0.45
        crest = (
            np.float32(foot + 0.10 + 0.055 * depth)
            - slope * np.float32(0.105 + 0.02 * depth)
            - jag * np.float32(0.03) * slope
        )
        crest = crest + (depth > 0) * np.float32(0.022)
        upper = np.minimum(upper, np.where(slope > 0.002, crest, upper))
        lower = foot + 0.11 + 0.07 * depth
        body = mix(land_tint(stage, 0.6 + 0.16 * depth), colour(stage.palette.near), 0.15 + 0.3 * depth)
        edge = np.float32(lower) + np.float32(0.008) * line(rng, columns, cell=0.06, octaves=3)
        first, last = (
            max(0, stage.row_px(float(crest.min())) - 1),
            min(stage.height_px, stage.row_px(float(edge.max())) + 2),
        )
        y = stage.rows[first:last]
        unit = np.float32(stage.unit_px)
        alpha = (
            np.clip((y - crest) * unit + 0.5, 0, 1) * np.clip((edge - y) * unit + 0.5, 0, 1) * (slope > 0.002)
        )
        grain = field(stage.coarse(500), rng, cell=(0.07, 0.035), octaves=5, gain=0.65)
        tone = 1 + np.float32(0.22) * enlarge(grain, stage, rows=slice(first, last))
        top = np.exp(-np.maximum(y - crest, 0) / np.float32(0.012)) * np.float32(0.30)
        pale = mix(colour(stage.palette.horizon), colour(stage.palette.light), 0.3)
        planes = body[:, None, None] * tone + (pale - body)[:, None, None] * top * tone
        over(canvas[:, first:last], np.clip(planes, 0, 1), alpha)
        foam = np.exp(-(((y - edge) / np.float32(0.004)) ** 2)) * (slope > 0.002) * np.float32(0.30)
        screen(canvas[:, first:last], pale, foam * np.clip(tone * 2 - 1.2, 0, 1))
    return upper


def beach(stage: Stage) -> Ground:
    """Draw a beach: surf that runs up the sand under a low light."""
    ground = sea(stage, rock=False)
    _, horizon = sea_view(stage)
    canvas, palette = ground.canvas, stage.palette
    rng = stage.rng("beach")
    x = stage.columns
    tilt = 0.05 if ground.light.x > stage.width / 2 else -0.05
    shore = (
        np.float32(stage.height * 0.70)
        + np.float32(tilt) * (x - 0.5)
        + np.float32(0.018) * line(rng, x, cell=0.5, octaves=2)
    )
    wet = mix(mix(colour(palette.horizon), colour(palette.middle), 0.5), colour(palette.near), 0.30)
    dry = mix(mix(colour(palette.horizon), colour(palette.light), 0.1), colour(palette.near), 0.48)
    first = stage.row_px(float(shore.min()) - 0.05)
    y = stage.rows[first:]
    under = y - shore
    grain = field(stage.coarse(500), stage.rng("sand"), cell=(0.16, 0.03), octaves=5, gain=0.6)
    tone = 1 + np.float32(0.07) * enlarge(grain, stage, rows=slice(first, stage.height_px))
    dryness = smoothstep(0.03, 0.12, under)
    dark = smoothstep(0.10, 0.45, under) * np.float32(0.6)
    sand = (wet[:, None, None] + (dry - wet)[:, None, None] * dryness) * (tone * (1 - dark))
    over(canvas[:, first:], sand.astype(np.float32), smoothstep(-0.006, 0.004, under))
    for drop, power in ((0.0, 0.75), (-0.035, 0.35), (0.022, 0.20)):
        wave = under - np.float32(drop) - np.float32(0.006) * line(rng, x, cell=0.08, octaves=3)
        foam = np.exp(-np.maximum(wave, 0) / 0.003) * smoothstep(-0.016, 0.0, wave) * np.float32(power)
        screen(canvas[:, first:], mix(colour(palette.light), colour(palette.horizon), 0.35), foam)
    at = stage.width * (0.62 if ground.light.x < stage.width / 2 else 0.38)
    return Ground(
        canvas=canvas,
        light=ground.light,
        subject=Stand(x=at, foot=stage.height * 0.745, tall=0.22, tint=colour(palette.near)),
        people=Stand(x=stage.width - at, foot=stage.height * 0.755, tall=0.22, tint=colour(palette.near)),
        afloat=Stand(x=at, foot=horizon + 0.05, tall=0.15, tint=land_tint(stage, 0.8)),
    )


def island(stage: Stage) -> Ground:
    """Draw a wooded island that rises from the sea."""
    ground = sea(stage, rock=False)
    light, horizon = sea_view(stage)
    rng = stage.rng("island")
    side = -1.0 if light.x > stage.width / 2 else 1.0
    at, foot = stage.width * (0.5 + side * 0.14), horizon + 0.025
    away = (stage.columns - np.float32(at)) / np.float32(0.30)
    rise = np.clip(1 - away * away, 0, None) ** 0.7
    shape = rise * (0.62 + 0.38 * peaks(rng, stage.columns, cell=0.22, octaves=6))
    crest = np.float32(foot) - np.float32(0.15) * shape
    rows = slice(stage.row_px(foot - 0.2), stage.row_px(foot) + 1)
    tint = land_tint(stage, 0.62)
    alpha = np.clip((stage.rows[rows] - crest) * np.float32(stage.unit_px), 0, 1) * (rise > 0.01)
    over(ground.canvas[:, rows], tint, alpha.astype(np.float32))
    trees: list[Polygon] = []
    for place in rng.normal(at, 0.13, 90):
        column = min(max(0, int(place * stage.unit_px)), stage.width_px - 1)
        if rise[0, column] > 0.25:
            trees.append(
                conifer(
                    rng,
                    x=float(place),
                    foot=float(crest[0, column]) + 0.008,
                    tall=float(rng.uniform(0.025, 0.055)),
                )
            )
    fill_polygons(ground.canvas, stage, trees, mix(tint, colour(stage.palette.near), 0.3))
    # The island's dark reflection, broken by the waves.
    deep = slice(stage.row_px(foot), stage.row_px(foot + 0.11))
    y = stage.rows[deep] - np.float32(foot)
    ripple = line(rng, stage.rows[deep][:, 0], cell=0.02, octaves=2)[:, None] * np.float32(0.05)
    shade = smoothstep(1.0, 0.5, np.abs(away + ripple)) * np.exp(-y / np.float32(0.05)) * np.float32(0.7)
    over(ground.canvas[:, deep], tint, shade)
    top = float(crest.min())
    peak = float(stage.columns[0, int(np.argmin(crest[0]))])
    return Ground(
        canvas=ground.canvas,
        light=light,
        subject=Stand(x=peak, foot=top + 0.012, tall=0.22, tint=mix(tint, colour(stage.palette.near), 0.4)),
        people=Stand(x=at, foot=foot + 0.004, tall=0.06, tint=colour(stage.palette.near)),
        afloat=Stand(x=stage.width - at, foot=horizon + 0.28, tall=0.20, tint=colour(stage.palette.near)),
    )


def still_water(stage: Stage, *, peaks_high: bool = True) -> Ground:
    """Draw a lake that mirrors the mountains behind it; a shore in front carries people."""
    rng = stage.rng("lake")
    light = place_light(stage, low=0.12, high=0.22)
    shore = stage.height * rng.uniform(0.45, 0.48)
    canvas = draw_sky(stage, light, horizon=shore, clouds=0.8, until=shore + 0.02)
    x = stage.columns
    for near, tall, cell in ((0.12, 0.30, 0.6), (0.34, 0.16, 0.5), (0.58, 0.06, 0.4)):
        crest = np.float32(shore) - np.float32(tall * (1.0 if peaks_high else 0.45)) * peaks(
            rng, x, cell=cell, octaves=7
        )
        lay_land(canvas, stage, crest, ground_tint(stage, near)[:, None, None])
    trees = [
        conifer(rng, x=float(p), foot=shore + 0.004, tall=float(rng.uniform(0.02, 0.055)))
        for p in rng.random(int(60 * stage.width)) * stage.width
    ]
    fill_polygons(canvas, stage, trees, land_tint(stage, 0.7))
    side = -1.0 if light.x > stage.width / 2 else 1.0
    at = stage.width * (0.5 + side * 0.2)
    return Ground(
        canvas=canvas,
        light=light,
        subject=Stand(x=at, foot=shore + 0.002, tall=0.19, tint=land_tint(stage, 0.8)),
        people=Stand(
            x=stage.width * (0.5 - side * 0.18),
            foot=stage.height * 0.80,
            tall=0.22,
            tint=colour(stage.palette.near),
        ),
        afloat=Stand(
            x=stage.width * (0.5 - side * 0.06), foot=shore + 0.24, tall=0.17, tint=colour(stage.palette.near)
        ),
    )


def bank(stage: Stage, ground: Ground) -> None:
    """Mirror what stands above the shore in the water, and lay a grassy bank in front."""
    rng = stage.rng("bank")
    shore = ground.subject.foot
    mirror_in_water(ground.canvas, stage, rng, shore=shore)
    crest = np.float32(stage.height * 0.80) - np.float32(0.03) * line(rng, stage.columns, cell=0.6, octaves=3)
    tint = mix(ground_tint(stage, 1.0), colour(stage.palette.near), 0.25 if stage.snow else 0.6)
    lay_land(ground.canvas, stage, crest, tint[:, None, None])
    reeds: list[Polygon] = []
    for x in rng.random(int(190 * stage.width)) * stage.width:
        foot = float(crest[0, min(int(x * stage.unit_px), stage.width_px - 1)]) + 0.01
        tall, lean = rng.uniform(0.015, 0.075), rng.normal() * 0.014
        reeds.append([(x - 0.0016, foot), (x + lean, foot - tall), (x + 0.0016, foot)])
    fill_polygons(ground.canvas, stage, reeds, mix(land_tint(stage, 1.0), colour(stage.palette.near), 0.6))


def bridge(stage: Stage) -> Ground:
    """Draw a stone bridge of arches across still water."""
    ground = still_water(stage, peaks_high=False)
    shore, tint = ground.subject.foot, mix(land_tint(stage, 0.8), colour(stage.palette.near), 0.35)
    deck, spans = shore - 0.15, max(4, round(4 * stage.width))
    half = stage.width / spans / 2
    x = stage.columns
    rise = np.float32(deck) + np.float32(0.03) * ((x / np.float32(stage.width) - 0.5) * 2) ** 2
    gap = np.abs(((x / np.float32(2 * half)) % 1) - 0.5) * np.float32(2 * half)
    arch = np.float32(shore) - np.sqrt(np.maximum(np.float32((half * 0.8) ** 2) - gap * gap, 0)) * np.float32(
        0.95
    )
    rows = slice(stage.row_px(deck - 0.03), stage.row_px(shore) + 1)
    y, unit = stage.rows[rows], np.float32(stage.unit_px)
    alpha = np.clip((y - rise) * unit + 0.5, 0, 1) * np.clip((arch - y) * unit + 0.5, 0, 1)
    over(ground.canvas[:, rows], tint, alpha)
    edge = np.exp(-np.abs(y - rise) / np.float32(0.002)) * np.float32(0.4)
    screen(ground.canvas[:, rows], mix(colour(stage.palette.light), colour(stage.palette.horizon), 0.5), edge)
    posts: list[Polygon] = []
    for k in range(spans + 1):
        px = (k - 0.5 + 0.5) * 2 * half
        top = deck + 0.03 * ((px / stage.width - 0.5) * 2) ** 2
        posts += [
            [(px - 0.003, top), (px + 0.003, top), (px + 0.003, top - 0.075), (px - 0.003, top - 0.075)],
            [
                (px - 0.009, top - 0.074),
                (px + 0.009, top - 0.074),
                (px + 0.006, top - 0.095),
                (px - 0.006, top - 0.095),
            ],
        ]
    fill_polygons(ground.canvas, stage, posts, tint)
    for k in range(spans + 1):
        glow(ground.canvas, stage, x=k * 2 * half, y=deck - 0.055, reach=0.022, power=0.7)
    middle = stage.width * 0.5
    return Ground(
        canvas=ground.canvas,
        light=ground.light,
        subject=ground.subject,
        people=Stand(x=middle + 0.1, foot=deck + 0.004, tall=0.095, tint=tint),
        afloat=ground.afloat,
    )


def harbour(stage: Stage) -> Ground:
    """Draw a harbour at rest: a lit town on the far shore, masts, and a pier."""
    ground = still_water(stage, peaks_high=False)
    rng = stage.rng("harbour")
    shore = ground.subject.foot
    for x in np.arange(-0.02, stage.width, 0.062):
        house = Stand(
            x=float(x + rng.uniform(-0.015, 0.015)),
            foot=shore + 0.001,
            tall=float(rng.uniform(0.05, 0.085)),
            tint=land_tint(stage, 0.72),
        )
        set_outline(ground.canvas, stage, OUTLINES["house"], house, light=ground.light)
    for _ in range(5):
        boat = Stand(
            x=float(rng.uniform(0.05, 0.95) * stage.width),
            foot=shore + 0.002,
            tall=float(rng.uniform(0.10, 0.17)),
            tint=land_tint(stage, 0.9),
        )
        set_outline(ground.canvas, stage, OUTLINES["boat"], boat, light=ground.light)
    return ground


def pier(stage: Stage, ground: Ground) -> None:
    """Mirror the harbour in its water and run a pier of planks out from the lower edge."""
    rng = stage.rng("pier")
    shore, canvas = ground.subject.foot, ground.canvas
    mirror_in_water(canvas, stage, rng, shore=shore)
    foot, x0 = shore + 0.16, ground.people.x
    near = mix(land_tint(stage, 1.0), colour(stage.palette.near), 0.5)
    lower = stage.height + 0.02
    deck = [(x0 - 0.055, foot), (x0 + 0.055, foot), (x0 + 0.42, lower), (x0 - 0.42, lower)]
    fill_polygons(canvas, stage, [deck], near)
    pale = mix(near, mix(colour(stage.palette.horizon), colour(stage.palette.middle), 0.4), 0.30)
    planks: list[Polygon] = []
    for k in range(26):
        t, u = (k / 26) ** 1.7, ((k + 0.82) / 26) ** 1.7
        a, b = 0.055 + 0.365 * t, 0.055 + 0.365 * u
        planks.append(
            [
                (x0 - a, foot + (lower - foot) * t),
                (x0 + a, foot + (lower - foot) * t),
                (x0 + b, foot + (lower - foot) * u),
                (x0 - b, foot + (lower - foot) * u),
            ]
        )
    fill_polygons(canvas, stage, planks, pale)
    fade = smoothstep(foot, stage.height, stage.rows[stage.row_px(foot) :]) * np.float32(0.5)
    over(
        canvas[:, stage.row_px(foot) :],
        colour(stage.palette.near),
        np.ascontiguousarray(np.broadcast_to(fade, canvas[0, stage.row_px(foot) :].shape)),
    )
    posts = [
        box(
            x0 + s * (0.055 + 0.365 * t) - 0.006 - 0.012 * t,
            foot + (lower - foot) * t - 0.03 - 0.08 * t,
            x0 + s * (0.055 + 0.365 * t) + 0.006 + 0.012 * t,
            foot + (lower - foot) * t + 0.03,
        )
        for t in (0.0, 0.12, 0.36)
        for s in (-1, 1)
    ]
    fill_polygons(canvas, stage, posts, near)
