"""Rooms: a window, a door, stairs, and shelves of books."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .land import Ground, land_tint
from .noise import field, peaks
from .paint import colour, enlarge, mix, over, smoothstep
from .ridges import lay_land
from .shapes import Polygon, fill_polygons
from .silhouettes import LAMP, Stand, box, glow, oval, rounded
from .sky import Light, draw_sky
from .stage import Array, Stage


def plastered_wall(stage: Stage, *, at: tuple[float, float], warm: float) -> Array:
    """Return a plastered wall, lit around a point; `warm` mixes the lamp's colour into the light."""
    palette = stage.palette
    coarse = stage.coarse(300)
    dx, dy = coarse.columns - np.float32(at[0]), coarse.rows - np.float32(at[1])
    shine = np.exp(-np.sqrt(dx * dx + 0.7 * dy * dy) / np.float32(0.40))
    grain = field(coarse, stage.rng("plaster"), cell=(0.20, 0.16), octaves=5, gain=0.6)
    dark = mix(mix(colour(palette.middle), colour(palette.zenith), 0.6), colour(palette.near), 0.55)
    lit = mix(mix(colour(palette.horizon), colour(palette.middle), 0.45), colour(LAMP), warm)
    share = np.clip(shine * (1 + 0.14 * grain) + 0.02 * grain, 0, 1) * np.float32(0.62)
    return enlarge((dark[:, None, None] + (lit - dark)[:, None, None] * share).astype(np.float32), stage)


def _floorboards(canvas: Array, stage: Stage, *, top: float, at: float, power: float) -> None:
    """Lay floorboards that run toward the viewer, with light lying on them from a point `at`."""
    first = stage.row_px(top)
    y = stage.rows[first:] - np.float32(top)
    x = stage.columns - np.float32(at)
    palette = stage.palette
    depth = y + np.float32(0.16)
    across = x / depth
    seam = np.abs((across * 1.35) % 1 - 0.5) * depth / np.float32(1.35)
    joints = smoothstep(2.2 / stage.unit_px, 0.0, seam)
    board = np.floor(across * 1.35 + 0.5)
    shade = 1 + np.float32(0.10) * np.sin(board * 12.9898) + np.float32(0.0)
    grain = enlarge(
        field(stage.coarse(400), stage.rng("boards"), cell=(0.03, 0.5), octaves=3),
        stage,
        rows=slice(first, stage.height_px),
    )
    dark = mix(mix(colour(palette.middle), colour(palette.zenith), 0.6), colour(palette.near), 0.70)
    lit = mix(mix(colour(palette.horizon), colour(palette.light), 0.2), colour(LAMP), 0.25)
    beam = np.exp(-((x / (0.15 + 0.55 * y)) ** 2)) * np.exp(-y / np.float32(0.30)) * np.float32(power)
    share = np.clip(beam * (1 + 0.2 * grain), 0, 1)
    tone = (shade + 0.06 * grain) * (1 - 0.45 * joints)
    canvas[:, first:] = (dark[:, None, None] + (lit - dark)[:, None, None] * share) * tone


def _view(stage: Stage, *, horizon: float, light: Light) -> Array:
    """Return the country that is seen through a window."""
    canvas = draw_sky(stage, light, horizon=horizon, clouds=0.8)
    rng = stage.rng("view")
    for near, tall in ((0.15, 0.10), (0.45, 0.05), (0.75, 0.02)):
        crest = np.float32(horizon + 0.06 * near) - np.float32(tall) * peaks(
            rng, stage.columns, cell=0.4, octaves=6
        )
        lay_land(canvas, stage, crest, land_tint(stage, near)[:, None, None])
    return canvas


def window(stage: Stage, *, big: bool = True) -> Ground:
    """Draw a window from within: the country outside, and its light on wall and floor."""
    side = stage.side()
    half, top, bottom = (0.29, 0.17, 0.56) if big else (0.19, 0.20, 0.46)
    at = stage.width * (0.5 + (0.0 if big else side * 0.14))
    high, low = stage.height * top, stage.height * bottom
    light = Light(x=at + side * half * 0.4, y=high + (low - high) * 0.34, radius=0.045 if big else 0.032)
    outside = _view(stage, horizon=high + (low - high) * 0.80, light=light)
    canvas = plastered_wall(stage, at=(at, (high + low) / 2), warm=0.12)
    floor = stage.height * 0.70
    _floorboards(canvas, stage, top=floor, at=at, power=0.75)
    palette = stage.palette
    skirting = mix(colour(palette.near), colour(palette.middle), 0.18)
    fill_polygons(canvas, stage, [box(0, floor - 0.035, stage.width, floor)], skirting)
    frame = mix(colour(palette.near), colour(palette.middle), 0.28)
    edge = mix(frame, mix(colour(palette.horizon), colour(palette.light), 0.4), 0.35)
    t = 0.018
    fill_polygons(canvas, stage, [box(at - half - t * 2, high - t * 2, at + half + t * 2, low + t)], frame)
    rows = slice(stage.row_px(high), stage.row_px(low))
    columns = slice(max(0, int((at - half) * stage.unit_px)), int((at + half) * stage.unit_px))
    canvas[:, rows, columns] = outside[:, rows, columns]
    bars = [box(at - t / 2, high, at + t / 2, low)]
    bars += [
        box(at - half, high + (low - high) * k - t / 2, at + half, high + (low - high) * k + t / 2)
        for k in (0.34, 0.67)
    ]
    fill_polygons(canvas, stage, bars, frame)
    sill = low + t
    fill_polygons(canvas, stage, [box(at - half - 0.07, sill, at + half + 0.07, sill + 0.022)], edge)
    fill_polygons(canvas, stage, [box(at - half - 0.06, sill + 0.022, at + half + 0.06, sill + 0.045)], frame)
    _curtains(canvas, stage, at=at, half=half + 0.05, top=high - 0.06, bottom=min(floor - 0.02, low + 0.16))
    return Ground(
        canvas=canvas,
        light=light,
        subject=Stand(x=at + side * half * 0.45, foot=sill, tall=0.13, tint=colour(palette.near)),
        people=Stand(
            x=at - side * half * 0.35,
            foot=stage.height * 0.79,
            tall=0.62 if big else 0.5,
            tint=colour(palette.near),
        ),
    )


def _curtains(canvas: Array, stage: Stage, *, at: float, half: float, top: float, bottom: float) -> None:
    """Hang curtains at both sides of a window, in folds that the light grazes."""
    palette = stage.palette
    rows = slice(stage.row_px(top), stage.row_px(bottom))
    y = (stage.rows[rows] - np.float32(top)) / np.float32(bottom - top)
    cloth = mix(mix(colour(palette.accents[2]), colour(palette.near), 0.72), colour(palette.zenith), 0.25)
    bright = mix(cloth, mix(colour(palette.horizon), colour(palette.light), 0.3), 0.38)
    for side in (-1.0, 1.0):
        away = side * (stage.columns - np.float32(at)) - np.float32(half)
        inner = np.float32(-0.055) + np.float32(0.035) * np.sin(y * np.float32(2.6)) * y
        fold = np.sin((away * (1 + 0.12 * y)) * np.float32(150)) * np.float32(0.5) + np.float32(0.5)
        lit = fold * np.exp(-np.maximum(away - inner, 0) / np.float32(0.06))
        alpha = np.clip((away - inner) * np.float32(stage.unit_px) + 0.5, 0, 1)
        alpha = alpha * np.clip((np.float32(0.10) - away) * np.float32(stage.unit_px) + 0.5, 0, 1)
        planes = cloth[:, None, None] * (0.75 + 0.25 * fold) + (bright - cloth)[:, None, None] * lit
        over(canvas[:, rows], planes.astype(np.float32), alpha.astype(np.float32))
    rod = mix(colour(palette.near), colour(palette.accents[1]), 0.25)
    fill_polygons(canvas, stage, [box(at - half - 0.13, top - 0.012, at + half + 0.13, top)], rod)


def room(stage: Stage) -> Ground:
    """Draw a room: a window, an armchair and a lamp that is lit."""
    ground = window(stage, big=False)
    palette, canvas = stage.palette, ground.canvas
    dark = mix(colour(palette.near), colour(palette.middle), 0.10)
    side = 1.0 if ground.light.x < stage.width / 2 else -1.0
    x, floor = stage.width * (0.5 + side * 0.22), stage.height * 0.755
    lamp_x, lamp_y = x + side * 0.19, floor - 0.52
    shade = [
        (lamp_x - 0.085, lamp_y + 0.11),
        (lamp_x + 0.085, lamp_y + 0.11),
        (lamp_x + 0.05, lamp_y),
        (lamp_x - 0.05, lamp_y),
    ]
    glow(canvas, stage, x=lamp_x, y=lamp_y + 0.1, reach=0.11, power=0.75)
    fill_polygons(
        canvas,
        stage,
        [box(lamp_x - 0.005, lamp_y, lamp_x + 0.005, floor), oval(lamp_x, floor, 0.06, 0.012)],
        dark,
    )
    fill_polygons(canvas, stage, [shade], mix(colour(LAMP), colour(palette.light), 0.3))
    chair = [
        rounded(
            [
                (x - 0.17, floor - 0.43),
                (x + 0.15, floor - 0.43),
                (x + 0.17, floor - 0.08),
                (x - 0.18, floor - 0.08),
            ],
            3,
        ),
        rounded(
            [
                (x - 0.24, floor - 0.25),
                (x - 0.14, floor - 0.25),
                (x - 0.13, floor - 0.04),
                (x - 0.23, floor - 0.04),
            ],
            2,
        ),
        rounded(
            [
                (x + 0.12, floor - 0.25),
                (x + 0.22, floor - 0.25),
                (x + 0.21, floor - 0.04),
                (x + 0.11, floor - 0.04),
            ],
            2,
        ),
        box(x - 0.19, floor - 0.16, x + 0.18, floor - 0.04),
        box(x - 0.20, floor - 0.05, x - 0.17, floor),
        box(x + 0.16, floor - 0.05, x + 0.19, floor),
    ]
    fill_polygons(canvas, stage, chair, dark)
    return Ground(
        canvas=canvas,
        light=ground.light,
        subject=ground.subject,
        people=Stand(
            x=stage.width * (0.5 - side * 0.20),
            foot=stage.height * 0.79,
            tall=0.52,
            tint=colour(palette.near),
        ),
    )


def door(stage: Stage) -> Ground:
    """Draw a door ajar in the dark, with light falling through it over the floor."""
    at = stage.width * (0.5 + stage.side() * stage.rng("door").uniform(0.03, 0.08))
    floor, top, half = stage.height * 0.66, stage.height * 0.24, 0.17
    canvas = plastered_wall(stage, at=(at, floor - 0.3), warm=0.35)
    canvas *= np.float32(0.72)
    _floorboards(canvas, stage, top=floor, at=at, power=1.0)
    palette = stage.palette
    bright = mix(colour(palette.light), colour(LAMP), 0.45)
    frame = mix(colour(palette.near), colour(palette.middle), 0.15)
    fill_polygons(canvas, stage, [box(at - half - 0.03, top - 0.03, at + half + 0.03, floor)], frame)
    down = smoothstep(top, floor, stage.rows)[None]
    tone = bright[:, None, None] * (1 - 0.25 * down)
    fill_polygons(
        canvas,
        stage,
        [box(at - half, top, at + half, floor)],
        np.ascontiguousarray(np.broadcast_to(tone, canvas.shape), dtype=np.float32),
    )
    for reach, power in ((0.10, 0.5), (0.26, 0.35)):
        for k in range(3):
            glow(
                canvas,
                stage,
                x=at,
                y=top + (floor - top) * (0.3 + 0.25 * k),
                reach=reach,
                power=power * 0.5,
                tint=bright,
            )
    leaf = [
        (at - half, top),
        (at - half + 0.14, top + 0.05),
        (at - half + 0.14, floor + 0.055),
        (at - half, floor),
    ]
    fill_polygons(canvas, stage, [leaf], mix(frame, colour(palette.near), 0.4))
    panels = [
        [
            (at - half + 0.025, t),
            (at - half + 0.115, t + 0.03),
            (at - half + 0.115, b + 0.04),
            (at - half + 0.025, b),
        ]
        for t, b in ((top + 0.07, top + 0.26), (top + 0.33, floor - 0.07))
    ]
    fill_polygons(canvas, stage, panels, mix(frame, colour(palette.middle), 0.10))
    light = Light(x=at, y=(top + floor) / 2, radius=0.05)
    stand = Stand(x=at + 0.05, foot=floor + 0.035, tall=0.46, tint=colour(palette.near))
    return Ground(canvas=canvas, light=light, subject=stand, people=stand)


def stairs(stage: Stage) -> Ground:
    """Draw stairs that rise through the dark to a lit doorway."""
    side = stage.side()
    at, top = stage.width * (0.5 + side * 0.07), stage.height * 0.36
    canvas = plastered_wall(stage, at=(at, top - 0.08), warm=0.30)
    canvas *= np.float32(0.80)
    palette = stage.palette
    bright = mix(colour(palette.light), colour(LAMP), 0.4)
    arc = np.linspace(0, np.pi, 24)
    arch = [
        (at + 0.085, top),
        *((at + 0.085 * np.cos(a), top - 0.20 - 0.085 * np.sin(a)) for a in arc),
        (at - 0.085, top),
    ]
    fill_polygons(canvas, stage, [arch], bright)
    tread = mix(mix(colour(palette.horizon), colour(palette.middle), 0.35), bright, 0.25)
    riser = mix(mix(colour(palette.middle), colour(palette.zenith), 0.5), colour(palette.near), 0.45)
    count, bottom = 17, stage.height * 1.02
    edges = [
        (top + (bottom - top) * (k / count) ** 1.35, 0.10 + 0.62 * (k / count) ** 1.25)
        for k in range(count + 1)
    ]
    drift = (stage.width / 2 - at) / count
    for k in range(count):
        (y0, w0), (y1, w1) = edges[k], edges[k + 1]
        fade = (k / (count - 1)) ** 0.55
        x0, x1 = at + drift * k, at + drift * (k + 1)
        middle = y0 + (y1 - y0) * 0.45
        fill_polygons(
            canvas,
            stage,
            [
                [
                    (x0 - w0, y0),
                    (x0 + w0, y0),
                    (
                        x1 - (w0 - w1) * 0.5 + w1 * 0.0 + w0 * 0.0 + (w1 - w0) * 0.0 + w1 - (w1 - w0) * 0.5,
                        middle,
                    ),
                    (x1 - w1 + (w1 - w0) * 0.5, middle),
                ]
            ],
            mix(tread, colour(palette.near), 0.25 + 0.62 * fade),
        )
        fill_polygons(
            canvas,
            stage,
            [
                [
                    (x1 - w1 + (w1 - w0) * 0.5, middle),
                    (x1 + w1 - (w1 - w0) * 0.5, middle),
                    (x1 + w1, y1),
                    (x1 - w1, y1),
                ]
            ],
            mix(riser, colour(palette.near), 0.25 + 0.62 * fade),
        )
    glow(canvas, stage, x=at, y=top - 0.13, reach=0.09, power=0.6, tint=bright)
    glow(canvas, stage, x=at, y=top - 0.05, reach=0.24, power=0.30, tint=bright)
    step = 6
    light = Light(x=at, y=top - 0.15, radius=0.05)
    stand = Stand(
        x=at + drift * step + 0.02, foot=edges[step][0] + 0.005, tall=0.25, tint=colour(palette.near)
    )
    return Ground(canvas=canvas, light=light, subject=stand, people=stand)


def library(stage: Stage) -> Ground:
    """Draw shelves of books on both sides of an aisle, with a lamp at its end."""
    rng = stage.rng("library")
    palette = stage.palette
    at, eye = stage.width * 0.5, stage.height * 0.45
    canvas = plastered_wall(stage, at=(at, eye), warm=0.45)
    _floorboards(canvas, stage, top=stage.height * 0.60, at=at, power=1.0)
    cover = [mix(colour(a), colour(palette.near), 0.5) for a in palette.accents] + [
        mix(colour(palette.horizon), colour(palette.near), 0.55),
        mix(colour(palette.middle), colour(palette.near), 0.3),
    ]
    wood = mix(colour(palette.near), colour(palette.middle), 0.12)
    # Depth z = 1 is the viewer; a shelf wall stands at distance `wide / z` from the middle.
    wide, tall, low = 0.64, 1.05, 0.62

    def at_depth(z: float, height: float, side: float) -> tuple[float, float]:
        """Return a point of a shelf wall; height -low is the floor, tall the top."""
        return at + side * wide / z, eye - height / z

    for side in (-1.0, 1.0):
        near, far = min(0.9, 1.8 * wide / stage.width), 4.2
        back = [
            at_depth(near, tall, side),
            at_depth(far, tall, side),
            at_depth(far, -low, side),
            at_depth(near, -low, side),
        ]
        fill_polygons(canvas, stage, [back], wood)
        books: dict[int, list[Polygon]] = {k: [] for k in range(15)}
        shelves = np.linspace(-low + 0.04, tall - 0.02, 7)
        for bottom, above in pairwise(shelves):
            z = near
            while z < far:
                thick = rng.uniform(0.022, 0.05) * z
                upper = bottom + (above - bottom) * rng.uniform(0.62, 0.88)
                if rng.random() > 0.06:
                    shade = min(2, int((z - near) / (far - near) * 3))
                    books[int(rng.integers(0, 5)) * 3 + shade].append(
                        [
                            at_depth(z, upper, side),
                            at_depth(z + thick * 0.9, upper, side),
                            at_depth(z + thick * 0.9, bottom + 0.015, side),
                            at_depth(z, bottom + 0.015, side),
                        ]
                    )
                z += thick
        for k, shapes in books.items():
            tone, shade = divmod(k, 3)
            lit = mix(cover[tone], mix(colour(LAMP), colour(palette.horizon), 0.4), 0.06 + 0.14 * shade)
            fill_polygons(canvas, stage, shapes, mix(lit, colour(palette.near), 0.30 - 0.12 * shade))
        boards = [
            [
                at_depth(near, h + 0.012, side),
                at_depth(far, h + 0.012, side),
                at_depth(far, h - 0.012, side),
                at_depth(near, h - 0.012, side),
            ]
            for h in shelves
        ]
        fill_polygons(canvas, stage, boards, mix(wood, colour(palette.horizon), 0.12))
    glow(canvas, stage, x=at, y=eye - 0.03, reach=0.05, power=0.9)
    glow(canvas, stage, x=at, y=eye, reach=0.20, power=0.35)
    light = Light(x=at, y=eye - 0.05, radius=0.04)
    stand = Stand(x=at + 0.03, foot=stage.height * 0.665, tall=0.36, tint=colour(palette.near))
    return Ground(canvas=canvas, light=light, subject=stand, people=stand)
