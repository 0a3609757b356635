"""Plots as inline SVG: axes, marks with hover text, and lines. Colours are classes of the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH_PX: Final = 860
HEIGHT_PX: Final = 400
LEFT_PX: Final = 64
RIGHT_PX: Final = 24
TOP_PX: Final = 16
BOTTOM_PX: Final = 52
MARGIN: Final = 0.06
"""Room between the outermost marks and the frame, as a share of the axis."""

LABEL_PX: Final = 90
"""Width that the longest label beside a mark may have."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with its hover text; `kind` is its class, `trial` the row of the table that it belongs to."""

    x: float
    y: float
    text: str
    kind: str = "dot"
    trial: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points in their order; `stairs` goes right before it goes up or down."""

    points: tuple[tuple[float, float], ...]
    kind: str
    stairs: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """A direction of a plot: what it shows, and whether equal ways are equal ratios."""

    title: str
    log: bool = False


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return round numbers of a logarithmic axis between two bounds."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)):
        ticks = [
            step * 10.0**power
            for power in range(first, last + 1)
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(ticks) >= 4:
            return tuple(ticks)
    return tuple(ticks) if len(ticks) >= 3 else linear_ticks(low, high)


def linear_ticks(low: float, high: float, *, about: int = 6) -> tuple[float, ...]:
    """Return round numbers at equal distances between two bounds."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1.0, 2.0, 2.5, 5.0, 10.0) if each * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return tuple(number * step for number in range(first, math.floor(high / step + 1e-9) + 1))


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where the values of an axis lie in pixels."""

    log: bool
    low: float
    high: float
    start_px: float
    end_px: float

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        forward: Callable[[float], float] = math.log10 if self.log else float
        share = (forward(value) - forward(self.low)) / (forward(self.high) - forward(self.low))
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self) -> tuple[float, ...]:
        """Return the round values to name."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)


def _scale(axis: Axis, values: Sequence[float], start_px: float, end_px: float) -> _Scale:
    low, high = min(values), max(values)
    if axis.log:
        room = (high / low) ** MARGIN if high > low else 1.2
        return _Scale(True, low / room, high * room, start_px, end_px)
    extra = (high - low) * MARGIN if high > low else max(abs(high) * 0.01, 0.5)
    return _Scale(False, low - extra, high + extra, start_px, end_px)


def draw_plot(x: Axis, y: Axis, marks: Sequence[Mark], lines: Sequence[Line] = (), *, title: str) -> str:
    """Return a plot of at least one mark as SVG; `title` names it for who does not see it."""
    xs = _scale(x, [mark.x for mark in marks], LEFT_PX, WIDTH_PX - RIGHT_PX)
    ys = _scale(y, [mark.y for mark in marks], HEIGHT_PX - BOTTOM_PX, TOP_PX)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="group" aria-label="{escape(title)}">',
        *_grid(x, y, xs, ys),
        *(_line(line, xs, ys) for line in lines),
        *(_mark(mark, xs, ys) for mark in marks),
        *(_label(mark, xs, ys) for mark in marks if mark.label),
        "</svg>",
    ]
    return "\n".join(parts)


def _grid(x: Axis, y: Axis, xs: _Scale, ys: _Scale) -> list[str]:
    bottom, right = HEIGHT_PX - BOTTOM_PX, WIDTH_PX - RIGHT_PX
    parts = []
    for tick in xs.ticks():
        at = f"{xs.place(tick):.1f}"
        parts.append(f'<path class="grid" d="M{at} {TOP_PX}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 18}" text-anchor="middle">{tick:.4g}</text>')
    for tick in ys.ticks():
        at = f"{ys.place(tick):.1f}"
        parts.append(f'<path class="grid" d="M{LEFT_PX} {at}H{right}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT_PX - 8}" y="{at}" dy="4" text-anchor="end">{tick:.4g}</text>'
        )
    middle = (TOP_PX + bottom) / 2
    parts.append(
        f'<text class="axis" x="{(LEFT_PX + right) / 2}" y="{HEIGHT_PX - 10}" text-anchor="middle">'
        f"{escape(x.title)}</text>"
    )
    parts.append(
        f'<text class="axis" transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.title)}</text>"
    )
    return parts


def _line(line: Line, xs: _Scale, ys: _Scale) -> str:
    points = [(xs.place(x), ys.place(y)) for x, y in line.points]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for x, y in points[1:]:
        path += f"H{x:.1f}V{y:.1f}" if line.stairs else f"L{x:.1f} {y:.1f}"
    return f'<path class="line {escape(line.kind)}" d="{path}"/>'


def _mark(mark: Mark, xs: _Scale, ys: _Scale) -> str:
    row = "" if mark.trial is None else f' data-trial="{mark.trial}"'
    return (
        f'<circle class="mark {escape(mark.kind)}" cx="{xs.place(mark.x):.1f}" cy="{ys.place(mark.y):.1f}" r="5" '
        f'tabindex="0"{row}><title>{escape(mark.text)}</title></circle>'
    )


def _label(mark: Mark, xs: _Scale, ys: _Scale) -> str:
    x, y = xs.place(mark.x), ys.place(mark.y)
    left = x > WIDTH_PX - RIGHT_PX - LABEL_PX
    at, anchor = (x - 10, "end") if left else (x + 10, "start")
    above = max(y - 8, TOP_PX + 12)
    return (
        f'<text class="label" x="{at:.1f}" y="{above:.1f}" text-anchor="{anchor}">{escape(mark.label)}</text>'
    )
