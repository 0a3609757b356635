"""Layered land: misty mountains, a sea of clouds, paper-cut hills."""

from __future__ import annotations

import numpy as np

from .noise import field, line, peaks
from .paint import blur, colour, enlarge, mix, over, screen, smoothstep
from .shapes import conifer, fill_polygons
from .sky import Light, draw_sky, halo, place_light
from .stage import Array, Stage


def lay_land(canvas: Array, stage: Stage, crest: Array, tint: Array) -> None:
    """Fill below a crest line (1, width_px), in units from the top, with `tint` (3, height_px or 1, 1 or w).

    Rows wholly below the crest are copied, so that only the rows the crest runs through are blended.
    """
    top, bottom = stage.row_px(float(crest.min())), min(stage.row_px(float(crest.max())) + 2, stage.height_px)
    top = max(0, top - 1)
    tall = np.broadcast_to(tint, (3, stage.height_px, tint.shape[2]))
    alpha = np.clip((stage.rows[top:bottom] - crest) * np.float32(stage.unit_px) + 0.5, 0, 1)
    over(canvas[:, top:bottom], tall[:, top:bottom], alpha)
    canvas[:, bottom:] = tall[:, bottom:]


def _mist(tint: Array, haze: Array, stage: Stage, *, top: float, depth: float, amount: float) -> Array:
    """Return `tint` as a column (3, height_px, 1) which fades into `haze` over `depth` units below `top`."""
    t = smoothstep(top, top + depth, stage.rows)[None] * np.float32(amount)
    column: Array = tint[:, None, None] * (1 - t) + haze[:, None, None] * t
    return column


def misty_ridges(stage: Stage) -> Array:
    """Draw mountain ridges one behind another, paler with distance, with mist lying between them."""
    rng = stage.rng("ridges")
    palette = stage.palette
    light = place_light(stage, low=0.17, high=0.36)
    horizon = stage.height * rng.uniform(0.5, 0.58)
    canvas = draw_sky(stage, light, horizon=horizon, clouds=rng.uniform(0.3, 0.8))
    low, near, tint = colour(palette.horizon), colour(palette.near), colour(palette.light)
    middle = mix(colour(palette.middle), colour(palette.zenith), 0.25)
    count = int(rng.integers(6, 8))
    first = horizon - stage.height * 0.08
    x = stage.columns
    coarse = stage.coarse(160)
    air = halo(coarse, light, reach=1.5)
    sharp = rng.uniform(0.0, 1.0) < 0.7
    for i in range(count):
        t = i / (count - 1)
        base = first + (stage.height * 0.93 - first) * t**1.25
        tall = stage.height * (0.085 + 0.05 * t) * rng.uniform(0.8, 1.2)
        cell = 0.55 + 0.5 * t
        if sharp:
            shape = peaks(rng, x, cell=cell * 0.8, octaves=7, gain=0.46) - 0.55
            shape = shape + 0.35 * line(rng, x, cell=cell * 1.6, octaves=2)
        else:
            shape = 0.7 * line(rng, x, cell=cell * 0.9, octaves=7, gain=0.42)
        crest = np.float32(base) - shape * np.float32(tall * (1.5 if i == 0 else 1.1))
        far = mix(low, middle, min(1.0, 0.18 + t * 1.15)) if t < 0.7 else middle
        body = mix(far, near, t**1.5)
        haze = mix(mix(low, body, 0.25 + 0.6 * t), tint, 0.06 * (1 - t))
        column = _mist(
            body, haze, stage, top=float(crest.min()), depth=tall * 2.4, amount=0.85 * (1 - t) ** 0.7
        )
        lay_land(canvas, stage, crest, column)
        if i == count // 2:
            # The lit air between the far and the near ridges.
            rows = slice(stage.row_px(first - tall * 2), stage.height_px)
            lit = air * smoothstep(first - tall * 2, first + tall, coarse.rows) * np.float32(0.36)
            screen(canvas[:, rows], mix(tint, low, 0.4), enlarge(lit, stage, rows=rows))
        if i == count - 1:
            _pines(canvas, stage, crest, body)
        elif i > 0:
            _fog_bank(canvas, stage, crest, haze, tall, seed=f"fog-{i}", amount=0.5 * (1 - t))
    return canvas


def _fog_bank(
    canvas: Array, stage: Stage, crest: Array, haze: Array, tall: float, *, seed: str, amount: float
) -> None:
    """Lay drifting fog along the foot of a ridge."""
    middle = float(crest.mean()) + tall * 0.9
    top, bottom = stage.row_px(middle - tall * 1.2), stage.row_px(middle + tall * 1.6)
    if bottom - top < 2:
        return
    rows = slice(top, bottom)
    coarse = stage.coarse(160)
    drift = field(coarse, stage.rng(seed), cell=(0.55, 0.14), octaves=3)
    veil = smoothstep(-0.5, 1.0, drift) * np.exp(-(((coarse.rows - np.float32(middle)) / (tall * 0.6)) ** 2))
    veil *= np.float32(amount)
    over(canvas[:, rows], haze, enlarge(veil, stage, rows=rows))


def _pines(canvas: Array, stage: Stage, crest: Array, tint: Array) -> None:
    """Stand conifers on the nearest ridge, in groves."""
    rng = stage.rng("pines")
    count = int(70 * stage.width)
    xs = np.sort(rng.random(count) * stage.width)
    grove = line(rng, xs.astype(np.float32), cell=0.45, octaves=2)
    shapes = []
    for x, thick in zip(xs, grove, strict=True):
        if thick < -0.25:
            continue
        foot = float(crest[0, min(int(x * stage.unit_px), stage.width_px - 1)])
        tall = rng.uniform(0.035, 0.085) * (0.8 + 0.5 * float(thick))
        shapes.append(conifer(rng, x=float(x), foot=foot + 0.012, tall=tall))
    fill_polygons(canvas, stage, shapes, mix(tint, colour(stage.palette.near), 0.35))


def cloud_sea(stage: Stage) -> Array:
    """Draw billowing clouds in layers seen from above, lit along their tops, under an open sky."""
    rng = stage.rng("cloud-sea")
    palette = stage.palette
    light = place_light(stage, low=0.2, high=0.36, radius=(0.05, 0.1))
    horizon = stage.height * rng.uniform(0.44, 0.52)
    canvas = draw_sky(stage, light, horizon=horizon, clouds=0.45)
    top, middle = colour(palette.zenith), colour(palette.middle)
    low, tint = colour(palette.horizon), colour(palette.light)
    count = 7
    x = stage.columns
    coarse = stage.coarse(280)
    air = halo(coarse, light, reach=1.6)
    fluff = field(coarse, stage.rng("fluff"), cell=(0.16, 0.1), octaves=5, gain=0.6)
    near_by = [i / (count - 1) for i in range(count)]
    bases = [horizon + stage.height * (0.43 * t**1.25 - 0.02) for t in near_by]
    crests = [_billows(rng, stage, base=b, puff=0.05 + 0.14 * t) for t, b in zip(near_by, bases, strict=True)]
    for i, (t, crest) in enumerate(zip(near_by, crests, strict=True)):
        puff = 0.05 + 0.14 * t
        first = max(0, stage.row_px(float(crest.min()) - 0.02))
        # Skip parts that the next bank hides completely.
        last = stage.row_px(float(crests[i + 1].max()) + 0.02) + 1 if i < count - 1 else stage.height_px
        rows = slice(first, max(first + 1, min(last, stage.height_px)))
        # How deep inside the cloud a pixel lies: its coverage blurred at two widths, unlike the depth under
        # the crest in the same column, has no vertical streaks where the crest jumps.
        edge = np.interp(coarse.columns[0], x[0], crest[0]).astype(np.float32)[None]
        cover = np.clip((coarse.rows - edge) * np.float32(coarse.unit_px) + 0.5, 0, 1)
        scale = coarse.unit_px * puff
        inside = 0.45 * blur(cover, scale * 0.12) + 0.55 * blur(cover, scale * 0.5)
        bright = smoothstep(1.02, 0.38, inside + 0.10 * fluff)
        glow = np.clip(air * (1.5 - 0.8 * t), 0, 1) * bright
        rim = mix(mix(low, tint, 0.5 * (1 - t)), middle, 0.10 + 0.6 * t)
        deep = mix(mix(low, middle, 0.3 + 0.7 * t), top, 0.08 + 0.72 * t)
        body = deep[:, None, None] + (rim - deep)[:, None, None] * bright
        body += (tint[:, None, None] - body) * glow * 0.75
        soft = 0.002 + 0.006 * t
        top_px = slice(first, min(rows.stop, stage.row_px(float(crest.max()) + soft) + 2))
        planes = enlarge(body, stage, rows=rows)
        alpha = smoothstep(-soft, soft, stage.rows[top_px] - crest)
        over(canvas[:, top_px], planes[:, : alpha.shape[0]], alpha)
        canvas[:, top_px.stop : rows.stop] = planes[:, alpha.shape[0] :]
    return canvas


def _billows(rng: np.random.Generator, stage: Stage, *, base: float, puff: float) -> Array:
    """Return the upper edge of a bank of round clouds: arcs of circles, small ones on large ones."""
    x = stage.columns
    swell = line(rng, x, cell=0.9, octaves=2) * np.float32(puff * 0.9)
    crest = np.full_like(x, base + puff * 0.4) - swell
    for scale, count in ((1.0, 1.1), (0.55, 2.2), (0.28, 4.5)):
        number = max(3, int(count * stage.width / puff / 1.2))
        centres = rng.random(number) * (stage.width + 0.4) - 0.2
        radii = puff * scale * rng.uniform(0.55, 1.1, number)
        ground = np.interp(centres, x[0], crest[0])
        for cx, radius, floor in zip(centres, radii, ground, strict=True):
            inside = np.float32(radius * radius) - (x - np.float32(cx)) ** 2
            arc = np.float32(floor + radius * 0.35) - np.sqrt(np.maximum(inside, 0))
            crest = np.where(inside > 0, np.minimum(crest, arc), crest)
    return crest


def paper_hills(stage: Stage) -> Array:
    """Draw hills cut from sheets of coloured paper, each sheet throwing a soft shadow on the next."""
    rng = stage.rng("paper")
    palette = stage.palette
    light = place_light(stage, low=0.2, high=0.34, radius=(0.11, 0.16))
    horizon = stage.height * 0.52
    top, middle = colour(palette.zenith), colour(palette.middle)
    low, tint, near = colour(palette.horizon), colour(palette.light), colour(palette.near)
    canvas = np.empty((3, stage.height_px, stage.width_px), dtype=np.float32)
    sky = mix(middle, low, 0.15)
    canvas[:] = sky[:, None, None]
    # The sky itself is sheets with round holes, one within another, around the sun.
    rings = 5
    for i in range(rings):
        t = i / (rings - 1)
        sheet = Light(x=light.x, y=light.y, radius=light.radius * (4.9 - 3.9 * t**0.8))
        _paper_disc(canvas, stage, sheet, mix(sky, mix(low, tint, 0.35 + 0.55 * t), 0.15 + 0.85 * t))
    if palette.night:
        _paper_stars(canvas, stage, rng, until=horizon * 0.8, tint=mix(tint, low, 0.15))
    _paper_clouds(canvas, stage, rng, horizon=horizon, tint=mix(low, tint, 0.6))
    accents = [colour(a) for a in palette.accents]
    count = int(rng.integers(6, 8))
    x = stage.columns
    order = int(rng.integers(0, 3))
    for i in range(count):
        t = i / (count - 1)
        base = horizon + stage.height * (0.42 * t**1.1 - 0.02)
        tall = stage.height * (0.05 + 0.018 * t)
        crest = np.float32(base) - np.float32(tall) * line(rng, x, cell=0.65 + 0.25 * t, octaves=2, gain=0.3)
        body = mix(mix(low, middle, 0.35 + 0.65 * t), accents[order], 0.28 * (1 - t))
        body = mix(body, mix(near, top, 0.35), t**1.15)
        _paper_shadow(canvas, stage, crest, depth=0.03 + 0.035 * t)
        lay_land(canvas, stage, crest, body[:, None, None])
        _paper_rim(canvas, stage, crest, mix(body, tint, 0.5))
        if 0 < i < count - 1 and rng.random() < 0.75:
            _paper_trees(canvas, stage, rng, crest, tall=0.04 + 0.11 * t, tint=mix(body, near, 0.45))
    return _paper_fibre(canvas, stage)


def _paper_fibre(canvas: Array, stage: Stage) -> Array:
    """Give the sheets a faint tooth and uneven light."""
    fibre = field(stage.coarse(600), stage.rng("fibre"), cell=(0.03, 0.012), octaves=3, gain=0.8)
    wash = field(stage.coarse(80), stage.rng("wash"), cell=(0.9, 0.9), octaves=2)
    canvas *= 1 + 0.010 * enlarge(fibre, stage) + 0.03 * enlarge(wash, stage)
    return canvas


def _paper_disc(canvas: Array, stage: Stage, disc: Light, tint: Array) -> None:
    reach = disc.radius + 0.08
    rows = slice(stage.row_px(disc.y - reach), stage.row_px(disc.y + reach) + 1)
    y = stage.rows[rows] - np.float32(disc.y)
    x = stage.columns - np.float32(disc.x)
    away = np.sqrt(x * x + y * y)
    if away.size == 0:
        return
    # The shadow is the disc moved down a little and blurred: distance outside it, eased.
    dropped = np.sqrt(x * x + (y - np.float32(0.012)) ** 2)
    shadow = 0.26 * smoothstep(0.055, -0.02, dropped - np.float32(disc.radius))
    canvas[:, rows] *= 1 - shadow
    over(canvas[:, rows], tint, np.clip((disc.radius - away) * np.float32(stage.unit_px) + 0.5, 0, 1))


def _paper_shadow(canvas: Array, stage: Stage, crest: Array, *, depth: float) -> None:
    first = stage.row_px(float(crest.min()) - depth * 1.4)
    last = min(stage.height_px, stage.row_px(float(crest.max())) + 2)
    above = crest - stage.rows[first:last]
    canvas[:, first:last] *= 1 - 0.34 * smoothstep(depth, -depth * 0.5, above) ** 1.5


def _paper_rim(canvas: Array, stage: Stage, crest: Array, tint: Array) -> None:
    """Light the cut edge of a sheet: a line a few pixels wide just under the crest."""
    first, last = stage.row_px(float(crest.min())), stage.row_px(float(crest.max()) + 0.01) + 1
    under = stage.rows[first:last] - crest
    edge = smoothstep(-0.0005, 0.0008, under) * smoothstep(0.0042, 0.0012, under)
    over(canvas[:, first:last], tint, edge * 0.5)


def _paper_clouds(
    canvas: Array, stage: Stage, rng: np.random.Generator, *, horizon: float, tint: Array
) -> None:
    for _ in range(int(rng.integers(2, 5))):
        cx = rng.uniform(0.05, 0.95) * stage.width
        cy = rng.uniform(0.12, 0.75) * horizon
        long, x = rng.uniform(0.14, 0.26), stage.columns
        upper = np.full_like(x, 9.0)
        for _ in range(6):
            at, radius = cx + rng.uniform(-0.7, 0.7) * long, long * rng.uniform(0.2, 0.42)
            inside = np.float32(radius**2) - (x - np.float32(at)) ** 2
            upper = np.where(inside > 0, np.minimum(upper, cy - np.sqrt(np.maximum(inside, 0))), upper)
        first, last = stage.row_px(cy - long * 0.5), stage.row_px(cy + 0.06) + 1
        y = stage.rows[first:last]
        # Rounded ends: the lower edge lifts to meet the upper one.
        body = np.minimum(y - upper, np.float32(cy) - y)
        shadow = smoothstep(-0.03, 0.01, np.minimum(y - 0.012 - upper, np.float32(cy + 0.012) - y))
        canvas[:, first:last] *= 1 - 0.16 * shadow
        over(canvas[:, first:last], tint, np.clip(body * np.float32(stage.unit_px) + 0.5, 0, 1) * 0.92)


def _paper_stars(canvas: Array, stage: Stage, rng: np.random.Generator, *, until: float, tint: Array) -> None:
    shapes = []
    for _ in range(int(26 * stage.width * until)):
        x, y = rng.random() * stage.width, rng.random() * until
        size = rng.uniform(0.005, 0.013)
        turn = rng.uniform(0, 1.2)
        corners = [(size if k % 2 == 0 else size * 0.4, turn + k * np.pi / 4) for k in range(8)]
        shapes.append([(x + r * float(np.cos(a)), y + r * float(np.sin(a))) for r, a in corners])
    fill_polygons(canvas, stage, shapes, tint)


def _paper_trees(
    canvas: Array, stage: Stage, rng: np.random.Generator, crest: Array, *, tall: float, tint: Array
) -> None:
    shapes = []
    start = rng.random() * stage.width
    for _ in range(int(rng.integers(3, 8))):
        x = start + rng.normal() * 0.14
        if not 0 <= x < stage.width:
            continue
        foot = float(crest[0, min(int(x * stage.unit_px), stage.width_px - 1)]) + 0.006
        high, half = tall * rng.uniform(0.7, 1.15), tall * 0.2
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        leaf = [
            (
                x + half * float(np.sin(a)) * (1 - 0.25 * float(np.cos(a))),
                foot - high * 0.6 - high * 0.42 * float(np.cos(a)),
            )
            for a in angles
        ]
        stem = half * 0.12
        shapes += [
            leaf,
            [
                (x - stem, foot - high * 0.5),
                (x + stem, foot - high * 0.5),
                (x + stem, foot),
                (x - stem, foot),
            ],
        ]
    fill_polygons(canvas, stage, shapes, tint)
