"""The outlines of subjects: buildings, vessels, vehicles and trees."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .figures import FIGURES
from .shapes import Polygon
from .silhouettes import Outline, box, oval, rounded, shifted


def _steps(left: float, right: float, bottom: float, top: float, count: int) -> list[Polygon]:
    """Return battlements: `count` merlons along an edge."""
    wide = (right - left) / (2 * count - 1)
    return [box(left + 2 * i * wide, bottom, left + (2 * i + 1) * wide, top) for i in range(count)]


def _rod(ax: float, ay: float, bx: float, by: float, thick: float) -> Polygon:
    """Return a thin bar between two points."""
    long = math.hypot(bx - ax, by - ay)
    nx, ny = -(by - ay) / long * thick / 2, (bx - ax) / long * thick / 2
    return [(ax + nx, ay + ny), (bx + nx, by + ny), (bx - nx, by - ny), (ax - nx, ay - ny)]


def _tree() -> list[Polygon]:
    rng = np.random.Generator(np.random.PCG64(11))
    parts: list[Polygon] = [
        [(-0.055, 0), (-0.03, 0.06), (-0.026, 0.40), (0.026, 0.40), (0.03, 0.06), (0.06, 0)],
        _rod(0, 0.30, 0.20, 0.58, 0.026),
        _rod(0, 0.34, -0.20, 0.62, 0.028),
        _rod(0, 0.38, 0.03, 0.72, 0.03),
    ]
    for _ in range(120):
        turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
        cx, cy = (
            0.36 * far * math.cos(turn),
            0.68 + 0.25 * far * math.sin(turn) - 0.05 * abs(far * math.cos(turn)),
        )
        size = rng.uniform(0.03, 0.07)
        parts.append(
            rounded(
                [
                    (
                        cx + size * rng.uniform(0.6, 1.2) * math.cos(a),
                        cy + size * rng.uniform(0.6, 1.2) * math.sin(a),
                    )
                    for a in np.linspace(0, 2 * math.pi, 9)[:-1]
                ],
                1,
            )
        )
    return parts


def _ship() -> Outline:
    hull = rounded(
        [
            (-0.62, 0.17),
            (-0.58, 0.02),
            (-0.50, -0.02),
            (0.42, -0.02),
            (0.58, 0.13),
            (0.60, 0.15),
            (0.30, 0.115),
            (-0.35, 0.115),
            (-0.38, 0.18),
        ],
        1,
    )
    body = [hull, _rod(0.55, 0.14, 0.82, 0.26, 0.014)]
    sails: list[Polygon] = []
    for x, top in ((-0.34, 0.82), (-0.02, 1.0), (0.30, 0.88)):
        body.append(box(x - 0.008, 0.1, x + 0.008, top))
        for low, high, half in ((0.17, 0.40, 0.155), (0.42, 0.62, 0.13), (0.64, 0.80, 0.10)):
            if high * top > top - 0.02:
                continue
            bottom, upper = 0.13 + (low - 0.13) * top, 0.13 + (high - 0.13) * top
            sails.append(
                rounded(
                    [
                        (x - half, bottom),
                        (x + half, bottom),
                        (x + half * 1.08 + 0.02, (bottom + upper) / 2),
                        (x + half * 0.86, upper),
                        (x - half * 0.86, upper),
                        (x - half * 0.90, (bottom + upper) / 2),
                    ],
                    1,
                )
            )
            body.append(_rod(x - half * 0.95, upper, x + half * 0.95, upper, 0.009))
    sails += [[(0.33, 0.80), (0.80, 0.25), (0.40, 0.28)]]
    body += [
        _rod(-0.60, 0.17, -0.34, 0.80, 0.003),
        _rod(-0.34, 0.80, -0.02, 0.97, 0.003),
        _rod(-0.02, 0.97, 0.80, 0.25, 0.003),
    ]
    return Outline(
        body=tuple(body), pale=tuple(sails), lit=(box(-0.54, 0.10, -0.515, 0.13),), lamps=((-0.53, 0.115),)
    )


def _castle() -> Outline:
    body: list[Polygon] = [box(-0.52, 0, 0.52, 0.34), *_steps(-0.52, 0.52, 0.33, 0.37, 13)]
    lit: list[Polygon] = []
    for x, half, top, roof in (
        (-0.50, 0.085, 0.50, 0.16),
        (0.50, 0.085, 0.46, 0.16),
        (-0.24, 0.075, 0.62, 0.20),
        (0.27, 0.09, 0.56, 0.0),
        (0.03, 0.13, 0.68, 0.0),
        (0.09, 0.05, 0.80, 0.19),
    ):
        body.append(box(x - half, 0, x + half, top))
        if roof:
            body += [
                box(x - half * 1.18, top - 0.02, x + half * 1.18, top + 0.015),
                [(x - half * 1.25, top + 0.01), (x + half * 1.25, top + 0.01), (x, top + roof)],
            ]
        else:
            body += [
                box(x - half * 1.15, top - 0.03, x + half * 1.15, top + 0.01),
                *_steps(x - half * 1.15, x + half * 1.15, top, top + 0.035, 4),
            ]
        for k, dx in ((0.62, -0.3), (0.80, 0.25)):
            wide = 0.011
            lit.append(rounded(box(x + dx * half - wide, top * k, x + dx * half + wide, top * k + 0.045), 1))
    body.append(_rod(0.09, 0.97, 0.09, 1.0, 0.008))
    lit.append(rounded([(-0.04, 0.0), (0.04, 0.0), (0.04, 0.10), (0, 0.15), (-0.04, 0.10)], 1))
    return Outline(body=tuple(body), lit=tuple(lit), lamps=((0.0, 0.06), (0.03, 0.5), (-0.24, 0.45)))


def _house() -> Outline:
    body = (box(-0.55, 0, 0.55, 0.52), [(-0.68, 0.50), (0.68, 0.50), (0.46, 0.94), (-0.46, 0.94)], box(0.22, 0.85, 0.36, 1.0), box(0.20, 0.985, 0.38, 1.03))  # fmt: skip
    panes = [
        box(x + dx, y + dy, x + dx + 0.075, y + dy + 0.085)
        for x in (-0.40, 0.22)
        for y in (0.16,)
        for dx in (0, 0.09)
        for dy in (0, 0.10)
    ]
    return Outline(
        body=body, lit=(*panes, box(-0.06, 0, 0.07, 0.27)), lamps=((-0.32, 0.25), (0.30, 0.25), (0, 0.12))
    )


def _church() -> Outline:
    body = (box(-0.10, 0, 0.52, 0.30), [(-0.12, 0.29), (0.56, 0.29), (0.50, 0.50), (-0.08, 0.50)], box(-0.24, 0, 0.0, 0.58), [(-0.27, 0.57), (0.03, 0.57), (-0.12, 0.93)], box(-0.126, 0.92, -0.114, 1.0), box(-0.15, 0.96, -0.09, 0.972))  # fmt: skip
    arch = [(-0.022, 0), (0.022, 0), (0.022, 0.09), (0, 0.13), (-0.022, 0.09)]
    lit = (
        *(shifted(arch, x, 0.09) for x in (0.10, 0.22, 0.34, 0.46)),
        shifted(arch, -0.12, 0.40),
        shifted(arch, -0.12, 0.0, 1.3),
    )
    return Outline(body=body, lit=lit, lamps=((0.22, 0.14), (0.4, 0.14), (-0.12, 0.45)))


def _lighthouse() -> Outline:
    def half(y: float) -> float:
        return 0.105 - 0.045 * math.pow(y / 0.74, 0.8)

    def band(a: float, b: float) -> Polygon:
        return [(-half(a), a), (half(a), a), (half(b), b), (-half(b), b)]

    body = [
        band(0, 0.30),
        band(0.29, 0.745),
        box(-0.088, 0.74, 0.088, 0.758),
        box(-0.056, 0.75, 0.056, 0.785),
        box(-0.003, 0.90, 0.003, 1.0),
        oval(0, 0.925, 0.012, 0.012),
    ]
    body += [rounded([(-0.068, 0.855), (0.068, 0.855), (0.045, 0.89), (0, 0.915), (-0.045, 0.89)], 1)]
    body += [box(x - 0.0022, 0.755, x + 0.0022, 0.80) for x in np.linspace(-0.085, 0.085, 8)]
    body += [
        box(-0.088, 0.797, 0.088, 0.802),
        *(box(x - 0.004, 0.78, x + 0.004, 0.86) for x in (-0.05, -0.017, 0.017, 0.05)),
    ]
    body += [box(0.06, 0, 0.34, 0.12), [(0.05, 0.115), (0.37, 0.115), (0.32, 0.19), (0.10, 0.19)]]
    lit = (
        box(-0.047, 0.786, 0.047, 0.855),
        box(-0.012, 0.20, 0.012, 0.235),
        box(-0.010, 0.46, 0.010, 0.49),
        box(0.16, 0.04, 0.20, 0.08),
        box(0.25, 0.04, 0.29, 0.08),
    )
    return Outline(
        body=tuple(body),
        pale=(band(0.12, 0.28), band(0.42, 0.58)),
        lit=lit,
        lamps=((0.0, 0.82), (0.22, 0.06)),
    )


def _mill() -> Outline:
    body: list[Polygon] = [
        [(-0.17, 0), (0.17, 0), (0.10, 0.52), (-0.10, 0.52)],
        rounded([(-0.13, 0.50), (0.13, 0.50), (0.09, 0.62), (0, 0.66), (-0.09, 0.62)], 1),
    ]
    for quarter in range(4):
        turn = 0.35 + quarter * math.pi / 2
        cos, sin = math.cos(turn), math.sin(turn)

        def bar(
            ends: tuple[float, float, float, float], thick: float, cos: float = cos, sin: float = sin
        ) -> Polygon:
            """Return a bar between two points (along, across) of one sail."""
            a, b, c, d = ends
            return _rod(
                a * cos - b * sin,
                0.57 + a * sin + b * cos,
                c * cos - d * sin,
                0.57 + c * sin + d * cos,
                thick,
            )

        body.append(bar((0, 0, 0.42, 0), 0.016))
        body += [bar((k, 0, k, 0.085), 0.006) for k in np.linspace(0.10, 0.42, 9)]
        body += [bar((0.10, d, 0.42, d), 0.006) for d in (0.045, 0.085)]
    return Outline(
        body=tuple(body),
        lit=(box(-0.025, 0.32, 0.025, 0.37), box(-0.035, 0, 0.035, 0.12)),
        lamps=((0, 0.34), (0, 0.06)),
    )


def _car() -> Outline:
    """Return a car that comes toward the viewer with its lamps lit."""
    body = rounded(
        [(-0.62, 0.14), (-0.65, 0.40), (-0.62, 0.56), (-0.53, 0.63), (-0.50, 0.66), (-0.41, 0.94), (-0.34, 1.0),
         (0.34, 1.0), (0.41, 0.94), (0.50, 0.66), (0.53, 0.63), (0.62, 0.56), (0.65, 0.40), (0.62, 0.14)], 1,
    )  # fmt: skip
    wheels = [box(x - 0.10, 0, x + 0.10, 0.26) for x in (-0.49, 0.49)]
    mirrors = [oval(x, 0.68, 0.065, 0.045) for x in (-0.60, 0.60)]
    screen = rounded([(-0.44, 0.665), (-0.36, 0.92), (0.36, 0.92), (0.44, 0.665)], 1)
    lamps = ((-0.47, 0.44), (0.47, 0.44))
    return Outline(
        body=(body, *wheels, *mirrors),
        pale=(screen, box(-0.27, 0.40, 0.27, 0.415), box(-0.27, 0.45, 0.27, 0.465)),
        marks=(oval(-0.20, 0.70, 0.10, 0.12), oval(0.20, 0.70, 0.10, 0.12)),
        lit=tuple(oval(x, y, 0.085, 0.07) for x, y in lamps),
        lamps=(*lamps, *lamps),
    )


def _candlestick() -> Outline:
    dish = [oval(0, 0.05, 0.30, 0.05), box(-0.14, 0.04, 0.14, 0.16), oval(0.31, 0.12, 0.09, 0.09)]
    flame = rounded([(0, 1.02), (0.065, 0.84), (0.05, 0.73), (-0.05, 0.73), (-0.065, 0.84)], 2)
    return Outline(
        body=(*dish, box(-0.10, 0.12, 0.10, 0.66), box(-0.008, 0.64, 0.008, 0.74)),
        pale=(box(-0.095, 0.14, 0.095, 0.655),),
        lit=(flame,),
        lamps=((0, 0.84), (0, 0.84)),
    )


def _mantel_clock() -> Outline:
    case = rounded([(-0.40, 0.06), (-0.40, 0.58), (-0.26, 0.93), (0.26, 0.93), (0.40, 0.58), (0.40, 0.06)], 2)
    turns = [(math.sin(k * math.pi / 6), math.cos(k * math.pi / 6)) for k in range(12)]
    ticks = [_rod(0.21 * x, 0.55 + 0.21 * y, 0.25 * x, 0.55 + 0.25 * y, 0.024) for x, y in turns]
    hands = [_rod(0, 0.55, -0.085, 0.655, 0.035), _rod(0, 0.55, 0.04, 0.765, 0.025)]
    return Outline(
        body=(case, box(-0.48, 0, 0.48, 0.08), oval(0, 0.96, 0.05, 0.04)),
        pale=(oval(0, 0.55, 0.28, 0.28),),
        marks=(*ticks, *hands),
    )


def _vase() -> Outline:
    """Return flowers in a vase."""
    rng = np.random.Generator(np.random.PCG64(3))
    vase = rounded(
        [(-0.10, 0), (-0.19, 0.16), (-0.07, 0.36), (-0.10, 0.42), (0.10, 0.42), (0.07, 0.36), (0.19, 0.16), (0.10, 0)], 2
    )  # fmt: skip
    body: list[Polygon] = [vase]
    blossoms: list[Polygon] = []
    for k in range(9):
        x, y = -0.34 + 0.085 * k + rng.normal() * 0.02, 0.66 + rng.uniform(0.0, 0.28)
        body.append(_rod(0.02 * (k - 4), 0.38, x, y, 0.016))
        turn = rng.uniform(0, 2 * math.pi)
        petals = [turn + 2 * math.pi * petal / 5 for petal in range(5)]
        blossoms += [oval(x + 0.055 * math.cos(a), y + 0.05 * math.sin(a), 0.05, 0.046) for a in petals]
        body.append(oval(x * 0.7 + 0.06, y - 0.17, 0.05, 0.022))
    return Outline(body=tuple(body), pale=tuple(blossoms))


OUTLINES: Final[dict[str, Outline]] = {
    "lighthouse": _lighthouse(),
    "boat": Outline(
        body=(
            rounded([(-0.44, 0.15), (0.47, 0.17), (0.34, -0.01), (-0.32, -0.01)], 1),
            box(-0.008, 0.1, 0.008, 1.0),
        ),
        pale=(
            rounded([(0.022, 0.19), (0.022, 0.97), (0.16, 0.62), (0.36, 0.21)], 1),
            rounded([(-0.022, 0.20), (-0.022, 0.86), (-0.30, 0.21)], 1),
        ),
    ),
    "ship": _ship(),
    "castle": _castle(),
    "house": _house(),
    "church": _church(),
    "tower": Outline(
        body=(
            box(-0.14, 0, 0.14, 0.82),
            box(-0.175, 0.80, 0.175, 0.87),
            *_steps(-0.175, 0.175, 0.86, 0.91, 5),
            [(-0.12, 0.86), (0.12, 0.86), (0, 1.06)],
        ),
        lit=(rounded(box(-0.022, 0.58, 0.022, 0.68), 1), rounded(box(0.03, 0.30, 0.07, 0.38), 1)),
        lamps=((0, 0.63), (0.05, 0.34)),
    ),
    "mill": _mill(),
    "tree": Outline(body=tuple(_tree())),
    "tent": Outline(
        body=(
            [(-0.85, 0), (0.85, 0), (0.06, 0.98), (-0.06, 0.98)],
            _rod(-0.04, 0.93, 0.06, 1.06, 0.02),
            _rod(0.04, 0.93, -0.06, 1.06, 0.02),
        ),
        lit=([(-0.24, 0), (0.24, 0), (0.0, 0.80)],),
        lamps=((0, 0.25),),
    ),
    "rocket": Outline(
        body=(
            rounded(
                [
                    (-0.09, 0.10),
                    (-0.11, 0.45),
                    (-0.09, 0.75),
                    (0, 1.0),
                    (0.09, 0.75),
                    (0.11, 0.45),
                    (0.09, 0.10),
                ],
                2,
            ),
            [(-0.09, 0.35), (-0.22, 0.10), (-0.20, 0.0), (-0.08, 0.14)],
            [(0.09, 0.35), (0.22, 0.10), (0.20, 0.0), (0.08, 0.14)],
            box(-0.02, 0.02, 0.02, 0.2),
        ),
        lit=(oval(0, 0.68, 0.032, 0.032),),
        lamps=((0, 0.68),),
    ),
    "plane": Outline(
        body=(
            rounded(
                [
                    (-0.95, 0.42),
                    (-0.70, 0.36),
                    (0.75, 0.34),
                    (0.98, 0.42),
                    (0.92, 0.50),
                    (0.75, 0.54),
                    (-0.60, 0.52),
                    (-0.78, 0.54),
                ],
                2,
            ),
            [(-0.72, 0.50), (-0.95, 0.80), (-0.85, 0.80), (-0.52, 0.51)],
            [(0.20, 0.42), (-0.35, 0.06), (-0.46, 0.06), (-0.14, 0.42)],
            [(0.12, 0.51), (-0.12, 0.72), (-0.20, 0.72), (-0.10, 0.51)],
            oval(-0.05, 0.27, 0.11, 0.045),
        ),
        lit=tuple(box(x, 0.455, x + 0.028, 0.485) for x in np.linspace(-0.5, 0.62, 15)),
    ),
    "balloon": Outline(
        body=(
            rounded(
                [
                    (-0.10, 0.26),
                    (-0.34, 0.52),
                    (-0.38, 0.74),
                    (-0.22, 0.98),
                    (0.22, 0.98),
                    (0.38, 0.74),
                    (0.34, 0.52),
                    (0.10, 0.26),
                ],
                3,
            ),
            box(-0.075, 0.02, 0.075, 0.12),
            _rod(-0.07, 0.12, -0.10, 0.28, 0.008),
            _rod(0.07, 0.12, 0.10, 0.28, 0.008),
        ),
        pale=(
            rounded(
                [
                    (-0.05, 0.27),
                    (-0.14, 0.52),
                    (-0.15, 0.74),
                    (-0.07, 0.965),
                    (0.07, 0.965),
                    (0.15, 0.74),
                    (0.14, 0.52),
                    (0.05, 0.27),
                ],
                2,
            ),
        ),
        lit=(oval(0, 0.22, 0.018, 0.035),),
        lamps=((0, 0.24),),
    ),
    "car": _car(),
    "candle": _candlestick(),
    "clock": _mantel_clock(),
    "flower": _vase(),
    **FIGURES,
}
