"""A table in candlelight, and what lies on it: a map, a letter, a book, a key, a clock or flowers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .indoors import plastered_wall
from .land import Ground, land_tint
from .noise import field, line
from .paint import colour, enlarge, mix, smoothstep
from .shapes import Polygon, fill_polygons
from .silhouettes import LAMP, Stand, box, glow, oval, rounded
from .sky import Light
from .stage import Array, Stage


def table(stage: Stage, things: frozenset[str]) -> Ground:
    """Draw a table in lamplight with the things that lie on it: map, letter, book, key, clock or flower."""
    rng = stage.rng("table")
    palette = stage.palette
    side = 1.0 if rng.random() < 0.5 else -1.0
    edge = stage.height * 0.43
    candle_x = stage.width * (0.5 + side * 0.27)
    canvas = plastered_wall(stage, at=(candle_x, edge - 0.22), warm=0.5)
    first = stage.row_px(edge)
    y = stage.rows[first:] - np.float32(edge)
    x = stage.columns - np.float32(candle_x)
    wood = mix(colour(palette.near), mix(colour(palette.middle), colour(LAMP), 0.3), 0.30)
    lit = mix(mix(colour(LAMP), colour(palette.horizon), 0.35), colour(palette.near), 0.18)
    grain = enlarge(
        field(stage.coarse(600), stage.rng("grain"), cell=(0.5, 0.018), octaves=4, gain=0.6),
        stage,
        rows=slice(first, stage.height_px),
    )
    shine = np.exp(-np.sqrt(x * x + (1.5 * (y - 0.12)) ** 2) / np.float32(0.34))
    tone = (1 + 0.16 * grain) * (1 - 0.5 * smoothstep(0.35, 1.0, y))
    canvas[:, first:] = np.clip(
        (wood[:, None, None] + (lit - wood)[:, None, None] * shine * np.float32(0.75)) * tone, 0, 1
    )
    paper = mix(colour("#ead9b4"), colour(palette.horizon), 0.25)
    at, foot = stage.width * (0.5 - side * 0.04), edge + 0.34
    lighting = np.clip(shine * np.float32(1.25) + np.float32(0.16), 0, 1)
    if "map" in things or "letter" in things or "book" in things or not things:
        kind = next((each for each in ("map", "letter", "book") if each in things), "book")
        _paper(canvas, stage, rng, kind, at=at, foot=foot, tint=paper, shine=lighting, first=first)
    dark = mix(colour(palette.near), colour(palette.middle), 0.08)
    brass = mix(colour(palette.accents[1]), colour(LAMP), 0.45)
    if "key" in things:
        kx, ky = at - side * 0.05, edge + 0.30
        ring = [
            oval(kx, ky, 0.075, 0.045),
            box(kx + 0.07, ky - 0.012, kx + 0.30, ky + 0.012),
            box(kx + 0.23, ky, kx + 0.255, ky + 0.06),
            box(kx + 0.275, ky, kx + 0.30, ky + 0.05),
        ]
        fill_polygons(
            canvas,
            stage,
            [[(px + 0.008, py + 0.012) for px, py in s] for s in ring],
            mix(wood, colour(palette.near), 0.7),
        )
        fill_polygons(canvas, stage, ring, brass)
        fill_polygons(canvas, stage, [oval(kx, ky, 0.045, 0.025)], mix(wood, lit, 0.45))
    if "clock" in things:
        cx, cy = at - side * 0.16, edge - 0.16
        fill_polygons(
            canvas,
            stage,
            [
                rounded(
                    [
                        (cx - 0.21, edge + 0.07),
                        (cx - 0.21, cy - 0.04),
                        (cx - 0.12, cy - 0.19),
                        (cx + 0.12, cy - 0.19),
                        (cx + 0.21, cy - 0.04),
                        (cx + 0.21, edge + 0.07),
                    ],
                    2,
                )
            ],
            dark,
        )
        fill_polygons(canvas, stage, [oval(cx, cy, 0.135, 0.135)], brass)
        fill_polygons(canvas, stage, [oval(cx, cy, 0.122, 0.122)], mix(paper, colour(palette.near), 0.12))
        marks = [
            [
                (cx + r * np.sin(a + d), cy - r * np.cos(a + d))
                for r, d in ((0.098, -0.03), (0.098, 0.03), (0.115, 0.03), (0.115, -0.03))
            ]
            for a in np.arange(12) * np.pi / 6
        ]
        hands = [
            [
                (cx + 0.006 * np.cos(a), cy + 0.006 * np.sin(a)),
                (cx + r * np.sin(a), cy - r * np.cos(a)),
                (cx - 0.006 * np.cos(a), cy - 0.006 * np.sin(a)),
            ]
            for a, r in ((-0.06, 0.095), (-0.5, 0.066))
        ]
        fill_polygons(canvas, stage, [*marks, *hands], dark)
    if "flower" in things:
        vx = at - side * 0.2
        fill_polygons(
            canvas,
            stage,
            [
                rounded(
                    [
                        (vx - 0.05, edge + 0.09),
                        (vx - 0.08, edge - 0.02),
                        (vx - 0.035, edge - 0.12),
                        (vx + 0.035, edge - 0.12),
                        (vx + 0.08, edge - 0.02),
                        (vx + 0.05, edge + 0.09),
                    ],
                    2,
                )
            ],
            dark,
        )
        for _ in range(9):
            fx, fy = vx + rng.normal() * 0.07, edge - rng.uniform(0.20, 0.36)
            fill_polygons(
                canvas,
                stage,
                [[(vx - 0.003, edge - 0.1), (fx, fy), (vx + 0.003, edge - 0.1)]],
                mix(land_tint(stage, 0.9), colour(palette.near), 0.4),
            )
            petals = [
                oval(fx + 0.022 * np.cos(a), fy + 0.018 * np.sin(a), 0.02, 0.017)
                for a in np.arange(5) * 1.2566
            ]
            fill_polygons(
                canvas,
                stage,
                petals,
                mix(colour(palette.accents[0]), colour(palette.near), float(rng.uniform(0.15, 0.45))),
            )
    _candle(canvas, stage, x=candle_x, foot=edge + 0.10)
    light = Light(x=candle_x, y=edge - 0.16, radius=0.03)
    stand = Stand(x=at, foot=edge, tall=0.2, tint=dark)
    return Ground(canvas=canvas, light=light, subject=stand, people=stand)


def _candle(canvas: Array, stage: Stage, *, x: float, foot: float) -> None:
    """Stand a burning candle on its dish."""
    palette = stage.palette
    wax = mix(colour("#f3e3c0"), colour(palette.horizon), 0.3)
    dark = mix(colour(palette.near), colour(palette.middle), 0.15)
    top = foot - 0.20
    fill_polygons(
        canvas,
        stage,
        [
            oval(x, foot, 0.085, 0.022),
            rounded(
                [
                    (x - 0.05, foot - 0.015),
                    (x + 0.05, foot - 0.015),
                    (x + 0.04, foot + 0.01),
                    (x - 0.04, foot + 0.01),
                ],
                1,
            ),
        ],
        dark,
    )
    down = smoothstep(top, foot, stage.rows)[None]
    tone = mix(wax, colour(LAMP), 0.35)[:, None, None] * (1 - 0.45 * down)
    fill_polygons(
        canvas,
        stage,
        [
            rounded(
                [
                    (x - 0.026, top + 0.004),
                    (x - 0.01, top - 0.004),
                    (x + 0.026, top + 0.002),
                    (x + 0.028, foot),
                    (x - 0.028, foot),
                ],
                1,
            )
        ],
        np.ascontiguousarray(np.broadcast_to(tone, canvas.shape), dtype=np.float32),
    )
    glow(canvas, stage, x=x, y=top - 0.045, reach=0.05, power=0.8)
    glow(canvas, stage, x=x, y=top - 0.03, reach=0.20, power=0.35)
    flame = rounded(
        [
            (x, top - 0.10),
            (x + 0.018, top - 0.04),
            (x + 0.012, top - 0.014),
            (x - 0.012, top - 0.014),
            (x - 0.018, top - 0.04),
        ],
        2,
    )
    fill_polygons(canvas, stage, [box(x - 0.0015, top - 0.018, x + 0.0015, top)], dark)
    fill_polygons(canvas, stage, [flame], colour("#fff0c4"))


def _paper(
    canvas: Array,
    stage: Stage,
    rng: np.random.Generator,
    kind: str,
    *,
    at: float,
    foot: float,
    tint: Array,
    shine: Array,
    first: int,
) -> None:
    """Lay a map, a letter or an open book on the table, in perspective and in the candle's light."""
    turn = rng.uniform(-0.10, 0.10)

    def flat(u: float, v: float) -> tuple[float, float]:
        """Return the table's point `u` to the right and `v` away, each -1..1."""
        scale = 1 - 0.20 * v
        return at + (0.36 * u * scale) + turn * 0.3 * v, foot - 0.20 * v + turn * 0.22 * u

    sheet = [flat(u, v) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    if kind == "letter":
        sheet = [flat(u * 0.72, v * 0.70) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    shadow = [(x + 0.014, y + 0.018) for x, y in sheet]
    near = colour(stage.palette.near)
    fill_polygons(canvas, stage, [shadow], mix(near, colour(stage.palette.middle), 0.12))
    whole = np.zeros((3, stage.height_px, stage.width_px), dtype=np.float32)
    dim = mix(tint, near, 0.62)
    whole[:, first:] = dim[:, None, None] + (tint - dim)[:, None, None] * shine
    fill_polygons(canvas, stage, [sheet], whole)
    ink, faint = mix(tint, near, 0.72), mix(tint, near, 0.42)
    strokes: list[Polygon] = []

    def stroke(points: list[tuple[float, float]], thick: float = 0.0022) -> None:
        for (ax, ay), (bx, by) in pairwise(points):
            strokes.append(
                [(ax, ay - thick), (bx, by - thick), (bx + thick, by + thick), (ax + thick, ay + thick)]
            )

    if kind == "map":
        fill_polygons(
            canvas,
            stage,
            [
                [
                    flat(k * 0.5 - 0.012, -1),
                    flat(k * 0.5 + 0.012, -1),
                    flat(k * 0.5 + 0.012, 1),
                    flat(k * 0.5 - 0.012, 1),
                ]
                for k in (-1, 0, 1)
            ],
            mix(tint, near, 0.30),
        )
        turns = np.linspace(0, 2 * np.pi, 90)
        bump = line(
            rng, np.concatenate([np.cos(turns), np.sin(turns)]).astype(np.float32) + 2, cell=0.6, octaves=4
        )
        radius = 0.42 + 0.13 * (bump[:90] + bump[90:])
        coast = [
            flat(0.12 + 1.15 * r * np.cos(a), 0.05 + 1.2 * r * np.sin(a))
            for a, r in zip(turns, radius, strict=True)
        ]
        fill_polygons(canvas, stage, [coast], mix(tint, near, 0.36))
        stroke(coast, 0.0026)
        stroke(
            [flat(-0.85 + 1.1 * k, -0.75 + 0.9 * k + 0.18 * np.sin(9 * k)) for k in np.linspace(0, 1, 24)][
                :-1:1
            ],
            0.0016,
        )
        cross = flat(0.25, 0.15)
        red = mix(colour("#a8322a"), near, 0.15)
        fill_polygons(
            canvas,
            stage,
            [
                [
                    (cross[0] + s * -0.022, cross[1] - 0.016),
                    (cross[0] + s * -0.014, cross[1] - 0.018),
                    (cross[0] + s * 0.024, cross[1] + 0.016),
                    (cross[0] + s * 0.016, cross[1] + 0.018),
                ]
                for s in (-1, 1)
            ],
            red,
        )
        rose = flat(-0.68, 0.55)
        strokes += [
            [
                (rose[0] + 0.006 * np.cos(a + 1.57), rose[1] + 0.005 * np.sin(a + 1.57)),
                (rose[0] + r * np.cos(a), rose[1] + 0.8 * r * np.sin(a)),
                (rose[0] - 0.006 * np.cos(a + 1.57), rose[1] - 0.005 * np.sin(a + 1.57)),
            ]
            for k in range(8)
            for a, r in ((k * np.pi / 4, 0.06 if k % 2 == 0 else 0.034),)
        ]
    elif kind == "letter":
        for k in range(9):
            v = 0.52 - 0.13 * k
            end = 0.55 if k < 8 else 0.1
            stroke(
                [flat(u, v + 0.012 * rng.normal()) for u in np.linspace(-0.56, end - 0.1 * rng.random(), 26)],
                0.0017,
            )
    else:
        fill_polygons(
            canvas,
            stage,
            [[flat(-0.05, -1.02), flat(0.05, -1.02), flat(0.05, 1.0), flat(-0.05, 1.0)]],
            mix(tint, near, 0.45),
        )
        for page in (-1, 1):
            for k in range(14):
                v = 0.78 - 0.12 * k
                stroke([flat(page * 0.14, v), flat(page * (0.86 if k % 5 < 4 else 0.55), v)], 0.0016)
    fill_polygons(canvas, stage, strokes, ink if kind != "book" else faint)
