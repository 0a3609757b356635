"""Dunes: smooth sand with sharp crests, a lit and a shaded face."""

from __future__ import annotations

import numpy as np

from .noise import field, line
from .paint import colour, enlarge, lay_lit, mix, screen, smoothstep
from .sky import draw_sky, halo, place_light
from .stage import Array, Stage


def dunes(stage: Stage) -> Array:
    """Draw sand dunes in low light, each with a lit face and a shaded one parted by a winding crest."""
    rng = stage.rng("dunes")
    palette = stage.palette
    light = place_light(stage, low=0.24, high=0.37, radius=(0.05, 0.09))
    horizon = stage.height * rng.uniform(0.47, 0.54)
    canvas = draw_sky(stage, light, horizon=horizon * 1.04, clouds=0.4)
    low, middle = colour(palette.horizon), colour(palette.middle)
    tint, near = colour(palette.light), colour(palette.near)
    sand = mix(low, tint, 0.12)
    side = 1.0 if light.x > stage.width / 2 else -1.0
    coarse = stage.coarse(300)
    air = halo(coarse, light, reach=1.5)
    soft = field(coarse, stage.rng("soft"), cell=(0.5, 0.16), octaves=3)
    count = 5
    near_by = [i / (count - 1) for i in range(count)]
    bases = [horizon + stage.height * (0.40 * t**1.25) for t in near_by]
    talls = [stage.height * (0.022 + 0.075 * t) for t in near_by]
    lines = [
        _crest(rng, stage, base=base, tall=tall, spread=0.45 + 0.5 * t)
        for t, base, tall in zip(near_by, bases, talls, strict=True)
    ]
    for i, (t, base, tall) in enumerate(zip(near_by, bases, talls, strict=True)):
        crest, peaks_at = lines[i]
        lit = mix(mix(sand, mix(low, middle, 0.5), 0.1 + 0.55 * t), near, 0.42 * t**1.6)
        dark = mix(mix(mix(low, middle, 0.75), near, 0.22 + 0.62 * t), lit, 0.1 * (1 - t))
        first = max(0, stage.row_px(float(crest.min())) - 1)
        # Skip parts that the next dune hides completely.
        last = stage.row_px(float(lines[i + 1][0].max())) + 2 if i < count - 1 else stage.height_px
        rows = slice(first, max(first + 1, min(last, stage.height_px)))
        face = _faces(stage, rng, crest, peaks_at, side=side, rows=rows, depth=tall)
        down = smoothstep(base, base + stage.height * 0.42, stage.rows[rows])
        bright = (1 - 0.45 * down) * (1 + 0.05 * enlarge(soft, stage, rows=rows))
        bright += _ripples(stage, rng, crest, rows=rows, near=t) * (0.35 + 0.65 * face)
        alpha = np.clip((stage.rows[rows] - crest) * np.float32(stage.unit_px) + 0.5, 0, 1)
        # A ripple or a hollow is a little more or less lit: folding that into the share saves three planes.
        share = (face * bright + (bright - 1) * 0.6).astype(np.float32, copy=False)
        lay_lit(canvas[:, rows], dark, lit, share, alpha)
        if i < count - 1:
            haze = enlarge(air, stage, rows=rows) * np.float32(0.30 * (1 - t) ** 1.5)
            screen(canvas[:, rows], mix(tint, low, 0.5), haze * alpha)
    return canvas


def _crest(
    rng: np.random.Generator, stage: Stage, *, base: float, tall: float, spread: float
) -> tuple[Array, list[float]]:
    """Return a dune field's skyline (1, width_px) and where its summits are."""
    x = stage.columns
    crest = np.full_like(x, base) - np.float32(tall * 0.5) * line(
        rng, x, cell=0.9 * spread, octaves=2, gain=0.25
    )
    summits = []
    at = rng.uniform(-0.3, 0.2) * spread
    while at < stage.width + 0.2:
        # Two eased slopes of different length meet in a summit that is just pointed.
        left, right = spread * rng.uniform(0.5, 0.9), spread * rng.uniform(0.4, 0.8)
        gap = x - np.float32(at)
        slope = np.where(gap < 0, 1 + gap / np.float32(left), 1 - gap / np.float32(right))
        rise = np.clip(slope, 0, 1)
        crest -= np.float32(tall * rng.uniform(0.8, 1.25)) * rise * rise * (1.6 - 0.6 * rise)
        summits.append(at)
        at += spread * rng.uniform(1.0, 1.6)
    return crest, summits


def _faces(
    stage: Stage,
    rng: np.random.Generator,
    crest: Array,
    summits: list[float],
    *,
    side: float,
    rows: slice,
    depth: float,
) -> Array:
    """Return how far each pixel faces the light, 0..1: right or left of the ridge that winds down from a summit."""
    y, x = stage.rows[rows], stage.columns
    face = np.full((y.shape[0], stage.width_px), 0.5, dtype=np.float32)
    for k, planned in enumerate(summits):
        # The skyline's noise moves the summit a little: take the highest point close by.
        nearby = np.where(np.abs(x[0] - np.float32(planned)) < 0.06, crest[0], np.inf)
        at = float(x[0, int(np.argmin(nearby))]) if np.isfinite(nearby).any() else planned
        top = float(crest[0, min(max(int(at * stage.unit_px), 0), stage.width_px - 1)])
        fall = np.maximum(y - np.float32(top), 0)
        winding = rng.uniform(0.6, 1.3) * side
        bend = np.float32(0.10 * rng.uniform(0.6, 1.4)) * np.sin(
            fall / np.float32(depth * 1.5) + rng.uniform(0, 1)
        )
        ridge = (
            np.float32(at)
            - np.float32(winding * 0.75) * fall
            + bend * np.minimum(fall / np.float32(depth), 1)
        )
        gap = (x - ridge) * np.float32(side)
        blurred = np.float32(1.4 / stage.unit_px) + fall * np.float32(0.10)
        # On the far side of the ridge the shade deepens at once and eases off with distance.
        one = np.clip(gap / blurred * 0.5 + 0.5, 0, 1)
        one = one * one * (3 - 2 * one)
        one = one * (0.78 + 0.22 * np.exp(-np.abs(gap) / 0.22)) + (1 - one) * 0.55 * (
            1 - np.exp(-np.abs(gap) / 0.45)
        )
        if k == 0:
            face = one
        else:
            edge = (summits[k - 1] + at) / 2
            share = smoothstep(-0.16, 0.16, x - np.float32(edge))
            face = face + (one - face) * share
    return face


def _ripples(stage: Stage, rng: np.random.Generator, crest: Array, *, rows: slice, near: float) -> Array:
    """Return the wind's ripples: fine lines which follow the dune and widen toward the viewer."""
    if near < 0.4:
        return np.zeros((1, 1), dtype=np.float32)
    under = stage.rows[rows] - crest
    wander = enlarge(field(stage.coarse(120), rng, cell=(0.35, 0.12), octaves=3), stage, rows=rows)
    phase = np.log1p(np.maximum(under, 0) * 7) * np.float32(75) + wander * 5
    strength = smoothstep(0.01, 0.10, under) * np.float32(0.035 * near)
    waves: Array = np.sin(phase) * strength
    return waves
