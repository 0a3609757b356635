"""Open land: far ridges, rolling hills and grass, on which villages, roads, rivers and ruins lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import field, line, peaks
from .outlines import OUTLINES
from .paint import colour, enlarge, lay_lit, mix, over, screen, smoothstep
from .ridges import lay_land
from .shapes import Polygon, conifer, fill_polygons
from .silhouettes import Stand, box, set_outline
from .sky import Light, draw_sky, halo, place_light
from .stage import Array, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A place drawn on a canvas: its light, and where a subject and, nearer, people may stand; what floats or drives has its own."""

    canvas: Array
    light: Light
    subject: Stand
    people: Stand
    afloat: Stand | None = None
    driven: Stand | None = None


def crest_at(stage: Stage, crest: Array, x: float) -> float:
    """Return a crest's height at `x`, in units from the top."""
    return float(crest[0, min(max(0, int(x * stage.unit_px)), stage.width_px - 1)])


def land_tint(stage: Stage, near: float) -> Array:
    """Return the colour of land: hazy at `near` 0, the palette's darkest at 1."""
    palette = stage.palette
    far = mix(colour(palette.horizon), colour(palette.middle), 0.45)
    return mix(mix(far, colour(palette.middle), min(1.0, near * 1.4)), colour(palette.near), near**1.2)


def ground_tint(stage: Stage, near: float) -> Array:
    """Return the colour of the ground itself: that of land, or of the snow that lies on it."""
    tint = land_tint(stage, near)
    if not stage.snow:
        return tint
    palette = stage.palette
    shade = mix(
        mix(colour("#dfe8f2"), colour(palette.horizon), 0.30), colour(palette.middle), 0.25 + 0.25 * near
    )
    return mix(tint, shade, stage.snow)


def _hill(canvas: Array, stage: Stage, crest: Array, *, near: float, light: Light) -> None:
    """Lay a hill whose upper slope is lit from the sky's light and whose foot is dark."""
    palette = stage.palette
    body = ground_tint(stage, near)
    strength = 0.42 * (1 - 0.65 * near) if not stage.snow else 0.5
    lit = mix(body, mix(colour(palette.horizon), colour(palette.light), 0.3), strength)
    first = max(0, stage.row_px(float(crest.min())) - 1)
    rows = slice(first, stage.height_px)
    under = stage.rows[rows] - crest
    side = np.exp(-np.abs(stage.columns - np.float32(light.x)) / np.float32(0.55))
    texture = field(stage.coarse(360), stage.rng(f"turf-{near:.2f}"), cell=(0.30, 0.05), octaves=4, gain=0.6)
    share = np.exp(-np.maximum(under, 0) / np.float32(0.05 + 0.10 * near)) * (0.35 + 0.65 * side)
    share *= 1 + np.float32(0.5) * enlarge(texture, stage, rows=rows)
    share += np.float32(0.05) * enlarge(texture, stage, rows=rows)
    alpha = np.clip(under * np.float32(stage.unit_px) + 0.5, 0, 1)
    lay_lit(canvas[:, rows], body, lit, np.clip(share, -0.1, 1).astype(np.float32), alpha)


def open_land(stage: Stage, *, hills: float = 1.0, grass: bool = True) -> Ground:
    """Draw a sky, far ridges and three rolling hills; a subject stands on the middle one."""
    rng = stage.rng("land")
    light = place_light(stage, low=0.13, high=0.27)
    horizon = stage.height * rng.uniform(0.40, 0.44)
    canvas = draw_sky(stage, light, horizon=horizon, clouds=rng.uniform(0.5, 0.9), until=horizon + 0.02)
    x = stage.columns
    for i, near in enumerate((0.08, 0.24)):
        base = horizon - 0.01 + 0.035 * i
        crest = np.float32(base) - np.float32((0.11 - 0.03 * i) * hills) * (
            peaks(rng, x, cell=0.5, octaves=6) - 0.35
        )
        lay_land(canvas, stage, crest, ground_tint(stage, near)[:, None, None])
    coarse = stage.coarse(160)
    rows = slice(stage.row_px(horizon - 0.12), stage.row_px(horizon + 0.25))
    band = halo(coarse, light, reach=1.5) * np.exp(
        -(((coarse.rows - np.float32(horizon + 0.04)) / 0.10) ** 2)
    )
    screen(
        canvas[:, rows],
        mix(colour(stage.palette.light), colour(stage.palette.horizon), 0.5),
        enlarge(band.astype(np.float32), stage, rows=rows) * np.float32(0.55),
    )
    away = rng.uniform(0.34, 0.42)
    at = stage.width * (away if light.x > stage.width / 2 else 1 - away)
    knoll = np.exp(-(((x - np.float32(at)) / np.float32(0.30)) ** 2))
    crests = []
    for near, drop, tall in ((0.42, 0.055, 0.03), (0.68, 0.13, 0.035), (0.95, 0.30, 0.03)):
        crest = np.float32(horizon + drop * stage.height / 1.6) - np.float32(tall * hills) * line(
            rng, x, cell=0.8, octaves=3, gain=0.3
        )
        if near == 0.68:
            crest = crest - np.float32(0.05 * hills) * knoll
        crests.append(crest)
        _hill(canvas, stage, crest, near=near, light=light)
        if near == 0.42:
            _groves(canvas, stage, rng, crest, tint=land_tint(stage, 0.55))
    if grass and not stage.snow:
        _grass(
            canvas, stage, rng, crests[2], tint=mix(land_tint(stage, 1.0), colour(stage.palette.near), 0.5)
        )
    near_x = stage.width - at + rng.uniform(-0.06, 0.06)
    return Ground(
        canvas=canvas,
        light=light,
        subject=Stand(
            x=at, foot=crest_at(stage, crests[1], at) + 0.006, tall=0.3, tint=land_tint(stage, 0.82)
        ),
        people=Stand(
            x=near_x,
            foot=crest_at(stage, crests[2], near_x) + 0.01,
            tall=0.21,
            tint=colour(stage.palette.near),
        ),
    )


def winter_wood(stage: Stage) -> Ground:
    """Draw a clearing in a snowy wood: spruces on both sides, small ones far off, tall ones near."""
    ground = open_land(stage, hills=1.2)
    rng = stage.rng("winter wood")
    for depth in range(4):
        near = depth / 3
        foot = ground.subject.foot - 0.03 + 0.085 * depth
        trees: list[Polygon] = []
        for _ in range(round((26 - 6 * depth) * stage.width)):
            x = rng.random() * stage.width
            # The clearing is a wedge that opens toward the viewer.
            if abs(x - stage.width / 2) < (0.10 + 0.10 * depth) * min(1.0, stage.width):
                continue
            tall, down = rng.uniform(0.10, 0.17) * (1 + 1.1 * depth), rng.uniform(-0.012, 0.02)
            trees.append(conifer(rng, x=float(x), foot=foot + down, tall=tall))
        tint = mix(land_tint(stage, 0.45 + 0.5 * near), colour(stage.palette.near), 0.15 + 0.35 * near)
        fill_polygons(ground.canvas, stage, trees, tint)
    return ground


def _groves(canvas: Array, stage: Stage, rng: np.random.Generator, crest: Array, *, tint: Array) -> None:
    shapes = []
    for x in rng.random(int(34 * stage.width)) * stage.width:
        foot = crest_at(stage, crest, float(x)) + 0.006
        shapes.append(conifer(rng, x=float(x), foot=foot, tall=float(rng.uniform(0.018, 0.042))))
    fill_polygons(canvas, stage, shapes, tint)


def _grass(canvas: Array, stage: Stage, rng: np.random.Generator, crest: Array, *, tint: Array) -> None:
    """Draw blades along the nearest crest."""
    blades: list[Polygon] = []
    for x in rng.random(int(420 * stage.width)) * stage.width:
        foot = crest_at(stage, crest, float(x)) + 0.012
        tall, lean = rng.uniform(0.012, 0.040), rng.normal() * 0.010
        blades.append([(x - 0.0016, foot), (x + lean, foot - tall), (x + 0.0016, foot)])
    fill_polygons(canvas, stage, blades, tint)


def village(stage: Stage) -> Ground:
    """Draw a village on a hillside: houses with lit windows around a church."""
    ground = open_land(stage)
    rng = stage.rng("village")
    spot = ground.subject
    for i in range(11):
        back = i < 6
        x = spot.x + (rng.uniform(-0.34, 0.34) if back else -0.36 + 0.16 * (i - 6) + rng.uniform(-0.03, 0.03))
        foot = spot.foot + (
            rng.uniform(0.0, 0.015) + 0.6 * (x - spot.x) ** 2
            if back
            else rng.uniform(0.035, 0.06) + 0.4 * (x - spot.x) ** 2
        )
        tall = rng.uniform(0.045, 0.06) if back else rng.uniform(0.065, 0.085)
        tint = land_tint(stage, 0.75 if back else 0.92)
        house = Stand(x=x, foot=foot, tall=tall, tint=tint, flip=bool(rng.random() < 0.5))
        set_outline(ground.canvas, stage, OUTLINES["house"], house, light=ground.light)
        if i == 5:
            church = Stand(x=spot.x, foot=spot.foot + 0.02, tall=0.21, tint=land_tint(stage, 0.85))
            set_outline(ground.canvas, stage, OUTLINES["church"], church, light=ground.light)
    return ground


def _ribbon(
    stage: Stage, *, start: float, foot: float, bend: float, wide: float, narrows: float = 1.7
) -> list[Polygon]:
    """Return a winding band from far (start, foot) to the lower edge, in perspective; `narrows` is how fast."""
    left, right = [], []
    for k in range(60):
        t = k / 59
        y = foot + (stage.height + 0.02 - foot) * t**1.6
        centre = start + (stage.width * 0.5 - start) * t + bend * np.sin(t**0.7 * 7.5) * (0.25 + 0.75 * t)
        half = 0.004 + wide * t**narrows
        left.append((centre - half, y))
        right.append((centre + half, y))
    return [left + right[::-1]]


def _across(band: Polygon, y: float) -> tuple[float, float, float]:
    """Return the middle of a `_ribbon` at a height (x, y), and its width there."""
    step = next((k for k, (_, at) in enumerate(band) if at > y), 0)
    (left, at), (right, _) = band[step], band[len(band) - 1 - step]
    return (left + right) / 2, at, right - left


def road(stage: Stage) -> Ground:
    """Draw a road that winds over the land toward the light."""
    ground = open_land(stage, grass=False)
    palette = stage.palette
    pale = mix(mix(colour(palette.horizon), colour(palette.middle), 0.3), colour(palette.near), 0.15)
    band = _ribbon(
        stage, start=ground.light.x, foot=ground.subject.foot + 0.045, bend=0.10, wide=0.29, narrows=1.45
    )
    drive_x, drive_y, wide = _across(band[0], stage.height * 0.69)
    walk_x, walk_y, _ = _across(band[0], stage.height * 0.72)
    down = smoothstep(ground.subject.foot, stage.height, stage.rows)[None]
    dark = mix(pale, colour(palette.near), 0.72)
    tone = pale[:, None, None] + (dark - pale)[:, None, None] * down
    fill_polygons(
        ground.canvas, stage, band, np.ascontiguousarray(np.broadcast_to(tone, ground.canvas.shape))
    )
    return Ground(
        canvas=ground.canvas,
        light=ground.light,
        subject=ground.subject,
        people=Stand(x=walk_x, foot=walk_y, tall=0.20, tint=colour(palette.near)),
        driven=Stand(
            x=drive_x,
            foot=drive_y,
            tall=0.68 * wide,
            tint=mix(land_tint(stage, 0.9), colour(palette.near), 0.5),
        ),
    )


def river(stage: Stage) -> Ground:
    """Draw a river that winds through hills and holds the sky's light."""
    ground = open_land(stage, grass=False)
    palette = stage.palette
    bright = mix(colour(palette.horizon), colour(palette.light), 0.25)
    dark = mix(colour(palette.middle), colour(palette.near), 0.35)
    band = _ribbon(stage, start=ground.light.x, foot=ground.subject.foot + 0.02, bend=0.13, wide=0.34)
    row_x, row_y, _ = _across(band[0], stage.height * 0.70)
    down = smoothstep(ground.subject.foot, stage.height, stage.rows)[None]
    sheen = field(stage.coarse(400), stage.rng("sheen"), cell=(0.30, 0.016), octaves=3)
    tone = bright[:, None, None] + (dark - bright)[:, None, None] * down
    tone = tone * (1 + np.float32(0.16) * enlarge(sheen, stage))
    fill_polygons(ground.canvas, stage, band, np.ascontiguousarray(np.clip(tone, 0, 1), dtype=np.float32))
    return Ground(
        canvas=ground.canvas,
        light=ground.light,
        subject=ground.subject,
        people=ground.people,
        afloat=Stand(x=row_x, foot=row_y, tall=0.20, tint=colour(palette.near)),
    )


def garden(stage: Stage) -> Ground:
    """Draw a garden: flowers in the foreground, catching the light."""
    ground = open_land(stage)
    rng = stage.rng("garden")
    accents = [mix(colour(a), colour(stage.palette.near), 0.15) for a in stage.palette.accents]
    for depth in range(3):
        for k, accent in enumerate(accents):
            heads: list[Polygon] = []
            stems: list[Polygon] = []
            for x in rng.random(int((44 - 8 * depth) * stage.width)) * stage.width:
                foot = stage.height * (0.80 + 0.075 * depth) + rng.uniform(-0.03, 0.05)
                tall, size = (
                    rng.uniform(0.05, 0.09) * (1 + 0.5 * depth),
                    rng.uniform(0.0035, 0.0065) * (1 + 0.7 * depth),
                )
                lean = rng.normal() * 0.012
                stems.append([(x - 0.002, foot + 0.08), (x + lean, foot - tall), (x + 0.002, foot + 0.08)])
                turn = rng.uniform(0, 6.28)
                for petal in range(5):
                    a = turn + petal * 1.2566
                    px, py = x + lean + size * np.cos(a), foot - tall + 0.8 * size * np.sin(a)
                    heads.append(
                        [
                            (px + size * 0.8 * np.cos(t), py + size * 0.7 * np.sin(t))
                            for t in np.linspace(0, 6.28, 12)
                        ]
                    )
            fill_polygons(
                ground.canvas, stage, stems, mix(land_tint(stage, 0.9), colour(stage.palette.near), 0.5)
            )
            fill_polygons(
                ground.canvas,
                stage,
                heads,
                mix(accent, colour(stage.palette.near), 0.30 + 0.14 * (2 - depth) + 0.05 * k),
            )
    return ground


def ruins(stage: Stage) -> Ground:
    """Draw the columns of a ruined temple on a hill."""
    ground = open_land(stage)
    rng = stage.rng("ruins")
    spot = ground.subject
    shapes: list[Polygon] = [box(-0.33, -0.05, 0.33, 0.0), box(-0.30, 0.0, 0.30, 0.016)]
    xs = np.linspace(-0.27, 0.27, 7)
    tops = [0.30 if i in (1, 2, 3) else float(rng.uniform(0.08, 0.30)) for i in range(7)]
    for x, top in zip(xs, tops, strict=True):
        ragged = [
            (x - 0.020, 0.01),
            (x + 0.020, 0.01),
            (x + 0.017, top),
            (x + 0.004, top - 0.012),
            (x - 0.017, top + 0.004),
        ]
        shapes.append(ragged if top < 0.29 else [*box(x - 0.018, 0.01, x + 0.018, top)])
        if top > 0.29:
            shapes.append(box(x - 0.028, top - 0.012, x + 0.028, top + 0.002))
    shapes += [
        box(xs[1] - 0.03, 0.30, xs[3] + 0.03, 0.335),
        [(xs[1] - 0.03, 0.335), (xs[3] + 0.01, 0.335), (xs[2] + 0.05, 0.385), (xs[2], 0.40)],
    ]
    tint = land_tint(stage, 0.82)
    fill_polygons(ground.canvas, stage, [[(spot.x + x, spot.foot - y) for x, y in s] for s in shapes], tint)
    return ground


def cemetery(stage: Stage) -> Ground:
    """Draw gravestones and crosses in grass, with mist between them."""
    ground = open_land(stage)
    rng = stage.rng("graves")
    haze = mix(colour(stage.palette.horizon), colour(stage.palette.middle), 0.4)
    for row in range(3):
        shapes: list[Polygon] = []
        near = row / 2
        for k in range(5 - row):
            x = stage.width * ((k + 0.5) / (5 - row)) + rng.uniform(-0.05, 0.05)
            foot = ground.people.foot - 0.10 + 0.075 * row + rng.uniform(-0.008, 0.008)
            tall, lean = rng.uniform(0.07, 0.10) * (0.7 + 0.7 * near), rng.normal() * 0.05
            if rng.random() < 0.4:
                parts = [box(-0.07, 0, 0.07, 1.25), box(-0.30, 0.78, 0.30, 0.92)]
            else:
                arc = np.linspace(0, np.pi, 14)
                parts = [
                    [(0.34, 0.0), *((0.34 * np.cos(a), 0.66 + 0.34 * np.sin(a)) for a in arc), (-0.34, 0.0)]
                ]
            shapes += [
                [(x + (px + lean * py) * tall, foot + 0.02 - py * tall) for px, py in part] for part in parts
            ]
        fill_polygons(
            ground.canvas,
            stage,
            shapes,
            mix(land_tint(stage, 0.7 + 0.3 * near), colour(stage.palette.near), near),
        )
        band = np.exp(-(((stage.rows - np.float32(ground.people.foot - 0.08 + 0.075 * row)) / 0.05) ** 2))
        over(
            ground.canvas,
            haze,
            np.broadcast_to(band * np.float32(0.22 * (1 - 0.6 * near)), ground.canvas.shape[1:]),
        )
    return ground
