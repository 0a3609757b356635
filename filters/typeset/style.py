"""The style of a text: size, colours, stroke, shadow, box, alignment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

Color = tuple[int, int, int, int]
"""Red, green, blue and straight alpha, each 0 to 255."""

Align = Literal["left", "center", "right"]

WHITE: Final[Color] = (255, 255, 255, 255)
BLACK: Final[Color] = (0, 0, 0, 255)

_MAX_SIZE_PX: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A shadow; `blur_px` is the blur radius as in CSS (twice the Gaussian's sigma)."""

    dx_px: int = 0
    dy_px: int = 4
    blur_px: float = 8.0
    color: Color = (0, 0, 0, 160)

    def __post_init__(self) -> None:
        _check_range("shadow.blur_px", self.blur_px, low=0, high=500)
        _check_range("shadow.dx_px", self.dx_px, low=-2000, high=2000)
        _check_range("shadow.dy_px", self.dy_px, low=-2000, high=2000)
        _check_color("shadow.color", self.color)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The box behind the text, `padding_px` larger than the layout on every side."""

    color: Color = (0, 0, 0, 160)
    padding_px: int = 16
    radius_px: int = 0

    def __post_init__(self) -> None:
        _check_range("box.padding_px", self.padding_px, low=0, high=2000)
        _check_range("box.radius_px", self.radius_px, low=0, high=2000)
        _check_color("box.color", self.color)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStyle:
    """The style of a text; `line_height` is the distance of baselines as a ratio of the size."""

    size_px: int = 64
    color: Color = WHITE
    stroke_px: float = 0.0
    stroke_color: Color = BLACK
    shadow: Shadow | None = None
    box: Box | None = None
    align: Align = "center"
    line_height: float = 1.25

    def __post_init__(self) -> None:
        _check_range("size_px", self.size_px, low=1, high=_MAX_SIZE_PX)
        _check_range("stroke_px", self.stroke_px, low=0, high=200)
        _check_range("line_height", self.line_height, low=0.5, high=4)
        _check_color("color", self.color)
        _check_color("stroke_color", self.stroke_color)
        if self.align not in get_args(Align):
            raise ValueError(f"align: got {self.align!r}; allowed: {', '.join(get_args(Align))}")


def _check_range(field: str, value: float, *, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{field}: got {value!r}; give a number from {low} to {high}")


def _check_color(field: str, value: Color) -> None:
    if len(value) != 4 or not all(isinstance(c, int) and 0 <= c <= 255 for c in value):
        raise ValueError(
            f"{field}: got {value!r}; give (red, green, blue, alpha), each a whole number from 0 to 255"
        )
