"""A table in candlelight, and what lies on it: a map, a letter, a book, a key, a clock or flowers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .indoors import plastered_wall
from .land import Ground, land_tint
from .noise import field, line
from .outlines import OUTLINES
from .paint import colour, enlarge, mix, smoothstep
from .shapes import Polygon, fill_polygons
from .silhouettes import LAMP, Stand, box, glow, oval, rounded, set_outline, soft_shadow
from .sky import Light
from .stage import Array, Stage


def table(stage: Stage, things: frozenset[str]) -> Ground:
    """Draw a table in lamplight with the things that lie on it: map, letter, book, key, clock or flower."""
    rng = stage.rng("table")
    palette = stage.palette
    side = stage.side()
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
    kind = next(
        (each for each in ("map", "letter", "book") if each in things),
        "letter" if "key" in things else "book",
    )
    # What stands on the table stands beside the book.
    aside = 0.07 * side if things & {"clock", "flower", "candle"} else 0.0
    _paper(canvas, stage, rng, kind, at=at + aside, foot=foot, tint=paper, shine=lighting, first=first)
    dark = mix(colour(palette.near), colour(palette.middle), 0.08)
    if "key" in things:
        _brass_key(
            canvas, stage, x=at - side * 0.13, y=edge + 0.36, turn=float(rng.uniform(0.3, 0.6)), side=side
        )
    light = Light(x=candle_x, y=edge - 0.16, radius=0.03)
    if "clock" in things:
        stand = Stand(x=at - side * 0.18, foot=edge + 0.10, tall=0.42, tint=dark)
        soft_shadow(canvas, stage, x=stand.x, y=stand.foot, across=0.22)
        set_outline(canvas, stage, OUTLINES["clock"], stand, light=light)
    if "flower" in things:
        _flowers(canvas, stage, rng, x=at - side * 0.17, edge=edge)
    _candle(canvas, stage, x=candle_x, foot=edge + 0.10)
    stand = Stand(x=at, foot=edge, tall=0.2, tint=dark)
    return Ground(canvas=canvas, light=light, subject=stand, people=stand)


def _brass_key(canvas: Array, stage: Stage, *, x: float, y: float, turn: float, side: float) -> None:
    """Lay an old key on the table, its bow toward the viewer's edge."""
    near = colour(stage.palette.near)
    brass = mix(colour("#d2aa55"), colour(stage.palette.accents[1]), 0.15)
    cos, sin = np.cos(turn), np.sin(turn)

    def laid(part: Polygon, drop: float = 0.0) -> Polygon:
        """Return a part (along, across) on the table, which is seen at a slant."""
        return [
            (x + side * (u * cos - v * sin) + drop * 0.6, y - 0.62 * (u * sin + v * cos) + drop)
            for u, v in part
        ]

    bow = [oval(0, 0, 0.075, 0.075), oval(-0.065, 0.05, 0.045, 0.045), oval(-0.065, -0.05, 0.045, 0.045)]
    shaft = [
        box(0.065, -0.013, 0.34, 0.013),
        box(0.075, -0.026, 0.10, 0.026),
        oval(0.345, 0, 0.019, 0.019),
        box(0.255, -0.075, 0.28, 0.0),
        box(0.30, -0.06, 0.325, 0.0),
        box(0.28, -0.075, 0.30, -0.055),
    ]
    holes = [
        oval(0.012, 0, 0.036, 0.036),
        oval(-0.068, 0.052, 0.022, 0.022),
        oval(-0.068, -0.052, 0.022, 0.022),
    ]
    parts = [*bow, *shaft]
    under = canvas.copy()
    fill_polygons(canvas, stage, [laid(part, 0.011) for part in parts], mix(near, brass, 0.06))
    fill_polygons(canvas, stage, [laid(part) for part in parts], mix(brass, near, 0.35))
    lit = [
        box(0.07, 0.001, 0.33, 0.009),
        oval(0, 0, 0.060, 0.060),
        oval(-0.065, 0.05, 0.034, 0.034),
        oval(-0.065, -0.05, 0.034, 0.034),
    ]
    fill_polygons(canvas, stage, [laid(part) for part in lit], mix(brass, colour(LAMP), 0.25))
    fill_polygons(canvas, stage, [laid(part) for part in holes], under)


def _flowers(canvas: Array, stage: Stage, rng: np.random.Generator, *, x: float, edge: float) -> None:
    """Stand a vase of flowers on the table."""
    palette = stage.palette
    near = colour(palette.near)
    glaze = mix(mix(colour(palette.middle), colour(palette.accents[1]), 0.25), near, 0.45)
    leaf = mix(mix(land_tint(stage, 0.6), colour("#4f7a4a"), 0.35), near, 0.35)
    spots = [
        (
            x + 0.165 * np.sqrt((k + 0.5) / 13) * np.cos(2.4 * k),
            edge - 0.30 - 0.14 * np.sqrt((k + 0.5) / 13) * np.sin(2.4 * k),
        )
        for k in range(13)
    ]
    stems: list[Polygon] = []
    leaves: list[Polygon] = []
    for fx, fy in spots:
        stems.append([(x - 0.004, edge - 0.10), (fx - 0.002, fy), (fx + 0.002, fy), (x + 0.004, edge - 0.10)])
        lx, ly, lean = (x + fx) / 2, (edge - 0.10 + fy) / 2, (fx - x) * 0.9 + rng.normal() * 0.03
        leaves.append(
            rounded(
                [
                    (lx, ly + 0.02),
                    (lx + lean * 0.2 + 0.012, ly - 0.02),
                    (lx + lean, ly - 0.06),
                    (lx + lean * 0.5 - 0.012, ly - 0.02),
                ],
                2,
            )
        )
    fill_polygons(canvas, stage, [*stems, *leaves], leaf)
    for depth, (fx, fy) in enumerate(sorted(spots, key=lambda spot: spot[1])):
        tint = mix(colour(palette.accents[depth % 2]), near, float(rng.uniform(0.10, 0.30)))
        size, turn = rng.uniform(0.024, 0.034), rng.uniform(0, 6.28)
        angles = turn + np.arange(6) * (2 * np.pi / 6)
        petals = [
            oval(fx + 0.72 * size * np.cos(a), fy + 0.62 * size * np.sin(a), 0.62 * size, 0.52 * size)
            for a in angles
        ]
        fill_polygons(canvas, stage, petals, tint)
        inner = [
            oval(fx + 0.34 * size * np.cos(a), fy + 0.3 * size * np.sin(a), 0.34 * size, 0.3 * size)
            for a in angles
        ]
        fill_polygons(canvas, stage, inner, mix(tint, near, 0.28))
        fill_polygons(canvas, stage, [oval(fx, fy, 0.26 * size, 0.22 * size)], mix(colour(LAMP), near, 0.2))
    vase = rounded(
        [(x - 0.05, edge + 0.10), (x - 0.085, edge + 0.0), (x - 0.032, edge - 0.10), (x - 0.045, edge - 0.13),
         (x + 0.045, edge - 0.13), (x + 0.032, edge - 0.10), (x + 0.085, edge + 0.0), (x + 0.05, edge + 0.10)], 2,
    )  # fmt: skip
    fill_polygons(canvas, stage, [oval(x + 0.03, edge + 0.105, 0.10, 0.018)], mix(near, glaze, 0.2))
    fill_polygons(canvas, stage, [vase], glaze)
    shine = mix(glaze, colour(LAMP), 0.45)
    fill_polygons(
        canvas,
        stage,
        [
            rounded(
                [
                    (x + 0.042, edge + 0.05),
                    (x + 0.062, edge - 0.005),
                    (x + 0.03, edge - 0.075),
                    (x + 0.046, edge - 0.0),
                ],
                2,
            )
        ],
        shine,
    )


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
