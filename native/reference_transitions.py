"""Float64 versions of the transitions, evaluated for every pixel.

The formulas are those of FFmpeg's xfade filter, and tests compare them with it. Chroma is computed on the luma grid:
each chroma sample is repeated over the luma pixels that it covers, the formula is applied, and the mean is taken. `p`
is the progress, from 1 (only the first picture) to 0. Whole-pixel thresholds are float32 products truncated to
integers, as in xfade.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
Values = npt.NDArray[np.float64]

DIRECTIONS = ("left", "right", "up", "down")
BLACK = np.array([0.0, 128.0, 128.0])[:, None, None]
WHITE = np.array([255.0, 128.0, 128.0])[:, None, None]


def transition(name: str, progress: float, first: Planes, second: Planes) -> Planes:
    """Return the planes Y, U, V of a transition; Y has shape (h, w), U and V (ceil(h/2), ceil(w/2))."""
    height, width = first[0].shape
    p = float(np.float32(progress))
    drawn = np.broadcast_to(FORMULAS[name](_full(first), _full(second), p, width, height), (3, height, width))
    u, v = (_halved(drawn[plane]) for plane in (1, 2))
    if name == "zoomin":
        u, v = (_zoom_in_chroma(first[plane], second[plane], p, width, height) for plane in (1, 2))
    return _bytes(drawn[0]), _bytes(u), _bytes(v)


def _full(picture: Planes) -> Values:
    height, width = picture[0].shape
    chroma = (plane.repeat(2, 0).repeat(2, 1)[:height, :width] for plane in picture[1:])
    return np.stack([picture[0], *chroma]).astype(np.float64)


def _halved(plane: Values) -> Values:
    height, width = plane.shape
    padded = np.pad(plane, ((0, height % 2), (0, width % 2)), constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2)
    return np.asarray(np.nanmean(blocks, axis=(1, 3)))


def _bytes(values: Values) -> Plane:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def _whole(length: int, part: float) -> int:
    return int(np.float32(length) * np.float32(part))


def _rest(p: float) -> float:
    return float(np.float32(1) - np.float32(p))


def _grid(width: int, height: int) -> tuple[Values, Values]:
    return np.arange(width, dtype=np.float64)[None, :], np.arange(height, dtype=np.float64)[:, None]


def _mix(a: Values, b: Values, weight: Values | float) -> Values:
    """Interpolate linearly: weight 1 gives `a`, weight 0 gives `b`."""
    return np.asarray(a * weight + b * (1 - np.asarray(weight)))


def _step(low: float, high: float, value: Values | float) -> Values:
    """Return the smoothstep 3t² - 2t³, with t = 0 at `low` and 1 at `high`."""
    t = ((np.asarray(value, np.float64) - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t))


Formula = Callable[[Values, Values, float, int, int], Values]
Weight = Callable[[Values, Values, float, int, int], "Values | float"]
Soft = Callable[[Values, Values, int, int], Values]


def _weighted(weight: Weight) -> Formula:
    """Mix the pictures with a weight for the first that depends on position and progress."""

    def formula(a: Values, b: Values, p: float, w: int, h: int) -> Values:
        return _mix(a, b, weight(*_grid(w, h), p, w, h))

    return formula


def _wipe(first_left: bool | None, first_top: bool | None) -> Formula:
    """Show the first picture on one side of an edge that moves across, down, or both."""

    def weight(x: Values, y: Values, p: float, w: int, h: int) -> Values:
        shown = np.ones((h, w), bool)
        if first_left is not None:
            shown &= (x <= _whole(w, p)) if first_left else (x > _whole(w, _rest(p)))
        if first_top is not None:
            shown &= (y <= _whole(h, p)) if first_top else (y > _whole(h, _rest(p)))
        return shown.astype(np.float64)

    return _weighted(weight)


def _soft(place: Soft) -> Formula:
    """Mix along a soft edge: the weight of the second picture is the smoothstep of 1 + place - 2p."""
    return _weighted(lambda x, y, p, w, h: 1 - _step(0, 1, 1 + place(x, y, w, h) - 2 * p))


def _from_middle(x: Values, length: int) -> Values:
    return np.asarray(np.abs((x - length / 2) / (length / 2)))


def _circle(x: Values, y: Values, w: int, h: int) -> Values:
    reach = np.hypot(w // 2, h // 2)
    return np.asarray(np.hypot(x - w // 2, y - h // 2) / reach) if reach else np.zeros((h, w))


def _circle_open(x: Values, y: Values, p: float, w: int, h: int) -> Values:
    return _step(0, 1, _circle(x, y, w, h) + (p - 0.5) * 3)


def _circle_close(x: Values, y: Values, p: float, w: int, h: int) -> Values:
    return 1 - _step(0, 1, _circle(x, y, w, h) + (0.5 - p) * 3)


def _radial(x: Values, y: Values, p: float, w: int, h: int) -> Values:
    return 1 - _step(0, 1, np.arctan2(x - w // 2, y - h // 2) - (p - 0.5) * 2.5 * np.pi)


def _slice(across: bool, turned: bool) -> Formula:
    """Open ten bands one after another."""

    def weight(x: Values, y: Values, p: float, w: int, h: int) -> Values:
        line, length = (x, w) if across else (y, h)
        line = length - 1 - line if turned else line
        opened = _step(-0.5, 0, line / length - float(np.float32(p) * np.float32(1.5)))
        return np.asarray(opened <= (10 * line % length) / length, np.float64)

    return _weighted(weight)


ROW_FREQUENCY, COLUMN_FREQUENCY = 78.233, 12.9898


def noise(count: int, frequency: float) -> Values:
    """Return xfade's pseudo-random number for each of `count` lines: the fraction of 43758.545 sin(f n), in float32."""
    angle = (np.arange(count, dtype=np.float32) * np.float32(frequency)).astype(np.float64)
    value = np.sin(angle).astype(np.float32) * np.float32(43758.545)
    return np.asarray(value - np.floor(value), np.float64)


def _wind(across: bool, turned: bool) -> Formula:
    """Mix along a soft edge whose position differs from line to line."""

    def weight(x: Values, y: Values, p: float, w: int, h: int) -> Values:
        place = 1 - (x / w if across else y / h) if turned else (x / w if across else y / h)
        shift = noise(h, ROW_FREQUENCY)[:, None] if across else noise(w, COLUMN_FREQUENCY)[None, :]
        return 1 - _step(0, -0.2, place * 0.8 + 0.2 * shift - (1 - p) * 1.2)

    return _weighted(weight)


def chance(width: int, height: int) -> Values:
    """Return a number in [0, 1) for each pixel: 16 bits of a hash of its position."""
    x, y = np.arange(width, dtype=np.uint32)[None, :], np.arange(height, dtype=np.uint32)[:, None]
    value = x * np.uint32(0x9E3779B1) + y * np.uint32(0x85EBCA77)
    value ^= value >> np.uint32(15)
    value *= np.uint32(0x2C1B3C6D)
    value ^= value >> np.uint32(12)
    value *= np.uint32(0x297A2D39)
    return np.asarray((value >> np.uint32(16)) / 65536.0)


def _dissolve(x: Values, y: Values, p: float, w: int, h: int) -> Values:
    return (chance(w, h) >= 1 - p).astype(np.float64)


def _circle_crop(a: Values, b: Values, p: float, w: int, h: int) -> Values:
    x, y = _grid(w, h)
    radius = (2 * abs(p - 0.5)) ** 3 * np.hypot(w // 2, h // 2)
    return np.where(np.hypot(x - w // 2, y - h // 2) <= radius, b if p < 0.5 else a, BLACK)


def _rect_crop(a: Values, b: Values, p: float, w: int, h: int) -> Values:
    x, y = _grid(w, h)
    reach_x, reach_y = _whole(w, abs(p - 0.5)), _whole(h, abs(p - 0.5))
    inside = (np.abs(x - w // 2) < reach_x) & (np.abs(y - h // 2) < reach_y)
    return np.where(inside, b if p < 0.5 else a, BLACK)


def _through(level: Values | None) -> Formula:
    """Fade from the first picture to a level (None: to the picture without colour), then to the second picture."""

    def formula(a: Values, b: Values, p: float, w: int, h: int) -> Values:
        out, into = (level, level) if level is not None else (a.copy(), b.copy())
        if level is None:
            out[1:] = into[1:] = 128
        return _mix(_mix(a, out, _step(0.8, 1, p)), _mix(into, b, _step(0.2, 1, p)), p)

    return formula


def _moved(direction: str, *, first_moves: bool, second_moves: bool) -> Formula:
    """Slide the second picture in and the first out; either may stay still."""

    def formula(a: Values, b: Values, p: float, w: int, h: int) -> Values:
        axis, length = (2, w) if direction in ("left", "right") else (1, h)
        moved = _whole(length, p)
        shift = -moved if direction in ("left", "up") else moved
        at = np.arange(length) + shift
        inside = (at >= 0) & (at < length)
        wrapped = at % length
        still = np.arange(length)
        into = np.take(b, wrapped if second_moves else still, axis)
        out = np.take(a, wrapped if first_moves else still, axis)
        return np.where(inside[:, None] if axis == 1 else inside, into, out)

    return formula


def _squeeze(axis: int) -> Formula:
    """Squeeze the first picture towards its centre, over the second; the ends are float32, since they often tie."""

    def formula(a: Values, b: Values, p: float, w: int, h: int) -> Values:
        length = a.shape[axis]
        with np.errstate(divide="ignore", invalid="ignore"):
            line = np.arange(length, dtype=np.float32) / np.float32(length)
            z = np.float32(0.5) + (line - np.float32(0.5)) / np.float32(p)
        inside = (z >= 0) & (z <= 1)
        away = np.where(inside, 2 * np.arange(length) - length, 0)
        exact = (length - 1) / 2 + away * ((length - 1) / (2 * length * max(p, 1e-6)))
        at = np.rint(exact).clip(0, length - 1).astype(np.int64)
        return np.where(inside[:, None] if axis == 1 else inside, np.take(a, at, axis), b)

    return formula


def _zoom_places(length: int, p: float) -> npt.NDArray[np.int64]:
    exact = ((np.arange(length) / length - 0.5) * _step(0.5, 1, p) + 0.5) * (length - 1)
    return np.ceil(exact - 1e-6).astype(np.int64)


def _zoom_in(a: Values, b: Values, p: float, w: int, h: int) -> Values:
    return _mix(a[:, _zoom_places(h, p)][:, :, _zoom_places(w, p)], b, _step(0, 0.5, p))


def _zoom_in_chroma(a: Plane, b: Plane, p: float, w: int, h: int) -> Values:
    """Interpolate the zoom's chroma at the mean position of the luma pixels that each sample covers."""

    def lines(length: int, count: int) -> Values:
        places = _zoom_places(length, p)
        one, two = places[0::2], places[np.minimum(np.arange(1, length + 1, 2), length - 1)]
        at = ((one + two - 1) / 4).clip(0, count - 1)
        return (1 - np.abs(at[:, None] - np.arange(count)[None, :])).clip(0, 1)

    taken = lines(h, a.shape[0]) @ a.astype(np.float64) @ lines(w, a.shape[1]).T
    return _mix(taken, b.astype(np.float64), _step(0, 0.5, p))


def _pixelize(a: Values, b: Values, p: float, w: int, h: int) -> Values:
    """Draw blocks of 2/20 of the smaller side times min(p, 1 - p), rounded up to a fiftieth; float32."""
    f = np.float32
    part = np.ceil(f(min(p, _rest(p))) * f(50)) / f(50)
    block = f(2) * part * f(min(w, h)) / f(20)

    def places(length: int) -> npt.NDArray[np.int64]:
        line = np.arange(length, dtype=f)
        if block > 0:
            line = np.minimum((np.floor(line / block) + f(0.5)) * block, f(length - 1))
        return line.astype(np.int64)

    rows, columns = places(h)[:, None], places(w)[None, :]
    return _mix(a[:, rows, columns], b[:, rows, columns], p)


def _by_difference(slow: bool) -> Formula:
    """Fade at a speed that depends on the difference of the pictures."""

    def formula(a: Values, b: Values, p: float, w: int, h: int) -> Values:
        apart = np.abs(a - b) / 255
        return _mix(a, b, np.power(p, 1 + np.log(2 - apart if slow else 1 + apart)))

    return formula


def chroma_between(plane: Values) -> Values:
    """Interpolate a plane of repeated chroma samples with a cubic (a = -0.6) whose weights are rounded to 1/32."""
    for axis in (0, 1):
        line, last = np.arange(plane.shape[axis]), plane.shape[axis] - 1
        sample, towards = line // 2, np.where(line % 2, 1, -1)
        taps = ((-3, -1), (28, 0), (8, 1), (-1, 2))
        places = [2 * np.clip(sample + step * towards, 0, last // 2) for _, step in taps]
        read = [np.take(plane, place, axis) for place in places]
        plane = np.asarray(sum(weight / 32 * part for (weight, _), part in zip(taps, read, strict=True)))
    return plane


def _distance(a: Values, b: Values, p: float, w: int, h: int) -> Values:
    """Mix with weight p where the pictures differ by at most p; show the second elsewhere."""
    apart = a - b
    apart = np.stack([apart[0], chroma_between(apart[1]), chroma_between(apart[2])]) / 255
    near = np.sqrt((apart**2).sum(axis=0)) <= p * (1 + 5e-7)
    return _mix(np.where(near, a, b), b, p)


def _blur_across(a: Values, b: Values, p: float, w: int, h: int) -> Values:
    part = np.float32(p) * 2 if p <= 0.5 else np.float32(_rest(p)) * 2
    size = 1 + _whole(w // 2, float(part))
    sums = np.zeros((3, h, w + 1))
    np.cumsum(_mix(a, b, p), axis=2, out=sums[:, :, 1:])
    start = np.arange(w)
    stop = np.minimum(start + size, w)
    return np.asarray((sums[:, :, stop] - sums[:, :, start]) / (stop - start))


FORMULAS: dict[str, Formula] = {
    "fade": _weighted(lambda x, y, p, w, h: p),
    "fadefast": _by_difference(slow=False),
    "fadeslow": _by_difference(slow=True),
    "fadeblack": _through(BLACK),
    "fadewhite": _through(WHITE),
    "fadegrays": _through(None),
    "wipeleft": _wipe(True, None),
    "wiperight": _wipe(False, None),
    "wipeup": _wipe(None, True),
    "wipedown": _wipe(None, False),
    "wipetl": _wipe(True, True),
    "wipetr": _wipe(False, True),
    "wipebl": _wipe(True, False),
    "wipebr": _wipe(False, False),
    **{f"slide{d}": _moved(d, first_moves=True, second_moves=True) for d in DIRECTIONS},
    **{f"cover{d}": _moved(d, first_moves=False, second_moves=True) for d in DIRECTIONS},
    **{f"reveal{d}": _moved(d, first_moves=True, second_moves=False) for d in DIRECTIONS},
    "smoothleft": _soft(lambda x, y, w, h: x / w),
    "smoothright": _soft(lambda x, y, w, h: (w - 1 - x) / w),
    "smoothup": _soft(lambda x, y, w, h: y / h),
    "smoothdown": _soft(lambda x, y, w, h: (h - 1 - y) / h),
    "circleopen": _weighted(_circle_open),
    "circleclose": _weighted(_circle_close),
    "circlecrop": _circle_crop,
    "rectcrop": _rect_crop,
    "vertopen": _soft(lambda x, y, w, h: 1 - _from_middle(x, w)),
    "vertclose": _soft(lambda x, y, w, h: _from_middle(x, w)),
    "horzopen": _soft(lambda x, y, w, h: 1 - _from_middle(y, h)),
    "horzclose": _soft(lambda x, y, w, h: _from_middle(y, h)),
    "diagtl": _soft(lambda x, y, w, h: x / w * (y / h)),
    "diagtr": _soft(lambda x, y, w, h: (w - 1 - x) / w * (y / h)),
    "diagbl": _soft(lambda x, y, w, h: x / w * ((h - 1 - y) / h)),
    "diagbr": _soft(lambda x, y, w, h: (w - 1 - x) / w * ((h - 1 - y) / h)),
    "hlslice": _slice(across=True, turned=False),
    "hrslice": _slice(across=True, turned=True),
    "vuslice": _slice(across=False, turned=False),
    "vdslice": _slice(across=False, turned=True),
    "hlwind": _wind(across=True, turned=True),
    "hrwind": _wind(across=True, turned=False),
    "vuwind": _wind(across=False, turned=True),
    "vdwind": _wind(across=False, turned=False),
    "radial": _weighted(_radial),
    "distance": _distance,
    "dissolve": _weighted(_dissolve),
    "pixelize": _pixelize,
    "hblur": _blur_across,
    "squeezeh": _squeeze(1),
    "squeezev": _squeeze(2),
    "zoomin": _zoom_in,
}
