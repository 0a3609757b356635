"""Rectangles, camera moves and fits as plain numbers, without filters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Easing = Literal["linear", "ease_in", "ease_out", "ease_in_out", "cubic"]


EASINGS: tuple[Easing, ...] = get_args(Easing)


EASING_FUNCTIONS: dict[Easing, Callable[[float], float]] = {
    "linear": lambda p: p,
    "ease_in": lambda p: p * p,
    "ease_out": lambda p: 1 - (1 - p) * (1 - p),
    "ease_in_out": lambda p: p * p * (3 - 2 * p),
    "cubic": lambda p: 4 * p**3 if p < 0.5 else 1 - 4 * (1 - p) ** 3,
}
"""Eased progress as a function of linear progress, both 0 to 1."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in fractions of a picture's width and height: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in whole pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def lies_on(self, grid_px: tuple[int, int], size_px: tuple[int, int]) -> bool:
        """Return whether each edge is on the grid, or on the edge of a picture of `size_px`."""
        edges = ((self.x, self.x + self.width), (self.y, self.y + self.height))
        return all(
            start % step == 0 and (stop % step == 0 or stop == length)
            for (start, stop), step, length in zip(edges, grid_px, size_px, strict=True)
        )

    def widened(self, grid_px: tuple[int, int], size_px: tuple[int, int]) -> Window:
        """Return a window on the grid, inside a picture of `size_px`, that is at least one step larger each way."""
        edges = ((self.x, self.x + self.width), (self.y, self.y + self.height))
        (left, right), (top, bottom) = (
            (max(0, start // step - 1) * step, min(length, (-(-stop // step) + 1) * step))
            for (start, stop), step, length in zip(edges, grid_px, size_px, strict=True)
        )
        return Window(left, top, right - left, bottom - top)


def enclosing_window(rect: Rect, size_px: tuple[int, int]) -> Window:
    """Return the whole pixels of a picture that `rect` touches, at least one."""
    width, height = size_px
    x, y = math.floor(rect.x * width + 1e-6), math.floor(rect.y * height + 1e-6)
    right = min(width, max(x + 1, math.ceil((rect.x + rect.width) * width - 1e-6)))
    bottom = min(height, max(y + 1, math.ceil((rect.y + rect.height) * height - 1e-6)))
    x, y = min(x, right - 1), min(y, bottom - 1)
    return Window(x, y, right - x, bottom - y)


UNSEEN_SHIFT = 1 / 1000
"""Most that an edge may move to reach the chroma grid, as a fraction of the picture's side."""


def nearest_window(rect: Rect, size_px: tuple[int, int], grid_px: tuple[int, int]) -> Window:
    """Return the whole pixels nearest to `rect`, on the chroma grid if no edge moves by more than UNSEEN_SHIFT."""

    def axis(start: float, stop: float, length: int, step: int) -> tuple[int, int]:
        slack = max(0.5, UNSEEN_SHIFT * length)
        first, last = round(start / step) * step, min(length, round(stop / step) * step)
        if length - stop <= slack:
            last = length
        if first < last and abs(first - start) <= slack and abs(last - stop) <= slack:
            return first, last
        first = min(math.floor(start + 0.5), length - 1)
        return first, max(first + 1, min(length, math.floor(stop + 0.5)))

    width, height = size_px
    left, right = axis(rect.x * width, (rect.x + rect.width) * width, width, grid_px[0])
    top, bottom = axis(rect.y * height, (rect.y + rect.height) * height, height, grid_px[1])
    return Window(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera move from the rectangle `start` to the rectangle `end`, both of the canvas's aspect."""

    start: Rect
    end: Rect
    easing: Easing = "linear"

    @property
    def moves(self) -> bool:
        """Whether `start` and `end` differ."""
        return self.start != self.end

    def view(self, frame: int, frames: int) -> Rect:
        """Return the visible rectangle at frame number `frame` of a move over `frames` frames."""
        s = EASING_FUNCTIONS[self.easing](min(max(frame / max(1, frames - 1), 0.0), 1.0))
        start, end = self.start, self.end

        def axis(near: float, near_size: float, far: float, far_size: float) -> tuple[float, float]:
            zoom = 1 / near_size + (1 / far_size - 1 / near_size) * s
            offset = near / near_size + (far / far_size - near / near_size) * s
            return offset / zoom, 1 / zoom

        x, width = axis(start.x, start.width, end.x, end.width)
        y, height = axis(start.y, start.height, end.y, end.height)
        return Rect(x, y, width, height)

    def bounds(self) -> Rect:
        """Return the smallest rectangle that contains `start` and `end`."""
        x, y = min(self.start.x, self.end.x), min(self.start.y, self.end.y)
        right = max(self.start.x + self.start.width, self.end.x + self.end.width)
        bottom = max(self.start.y + self.start.height, self.end.y + self.end.height)
        return Rect(x, y, right - x, bottom - y)


def largest_rect(
    picture_aspect: float, canvas_aspect: float, *, zoom: float = 1.0, focus: tuple[float, float] = (0.5, 0.5)
) -> Rect:
    """Return the largest rectangle of the canvas's aspect, divided by `zoom`, as near to `focus` as it can be.

    Aspects are width / height; `focus` is in fractions of the picture.
    """
    width = min(1.0, canvas_aspect / picture_aspect) / zoom
    height = min(1.0, picture_aspect / canvas_aspect) / zoom
    x = min(max(focus[0] - width / 2, 0.0), 1.0 - width)
    y = min(max(focus[1] - height / 2, 0.0), 1.0 - height)
    return Rect(x, y, width, height)


def zoom_about(outer: Rect, *, zoom: float, focus: tuple[float, float]) -> Rect:
    """Return `outer` divided by `zoom`, so that the point `focus` stays at its place on the screen.

    `focus` is in fractions of the picture; a point outside `outer` is moved to its edge.
    """
    fx = min(max(focus[0], outer.x), outer.x + outer.width)
    fy = min(max(focus[1], outer.y), outer.y + outer.height)
    width, height = outer.width / zoom, outer.height / zoom
    x = fx - (fx - outer.x) / zoom
    y = fy - (fy - outer.y) / zoom
    return Rect(x, y, width, height)


def widen_to_aspect(rect: Rect, picture_aspect: float, canvas_aspect: float) -> Rect:
    """Return the smallest rectangle of the canvas's aspect around `rect`, moved inside the picture.

    If it is larger than the picture, return the largest that fits.
    """
    ratio = canvas_aspect / picture_aspect  # width / height in fractions of the picture
    width = max(rect.width, rect.height * ratio)
    largest = largest_rect(picture_aspect, canvas_aspect)
    width = min(width, largest.width)
    height = width / ratio
    x = min(max(rect.x + rect.width / 2 - width / 2, 0.0), 1.0 - width)
    y = min(max(rect.y + rect.height / 2 - height / 2, 0.0), 1.0 - height)
    return Rect(max(x, 0.0), max(y, 0.0), width, height)


Fit = Literal["cover", "contain", "blur"]


FITS: tuple[Fit, ...] = get_args(Fit)


MAX_STAGE = 8
"""Largest size of a composed picture for a camera that zooms in, in multiples of the frame's."""


def contained_point(
    point: tuple[float, float], picture_aspect: float, canvas_aspect: float
) -> tuple[float, float]:
    """Return where a point of a picture lies in a canvas that holds the whole picture in its middle, in fractions."""
    width = min(1.0, picture_aspect / canvas_aspect)
    height = min(1.0, canvas_aspect / picture_aspect)
    return 0.5 + (point[0] - 0.5) * width, 0.5 + (point[1] - 0.5) * height


def even(value: float) -> int:
    """Return the even integer nearest to `value`, at least 2, as 4:2:0 chroma requires."""
    return max(2, 2 * round(value / 2))


def contained_size(source: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size (even pixels) with the source's aspect that fits inside the canvas."""
    (source_width, source_height), (width, height) = source, canvas
    ratio = min(width / source_width, height / source_height)
    return min(even(source_width * ratio), even(width)), min(even(source_height * ratio), even(height))


def blurred_copy(canvas: tuple[int, int]) -> tuple[tuple[int, int], float]:
    """Return the size in pixels of the small copy to blur behind a picture, and the Gaussian's sigma at that size.

    Blurring a copy of an eighth the size looks like a radius eight times as large, at a sixty-fourth of the cost. Its
    sides are at least 32, because ffmpeg's gblur with AVX-512 draws planes of 16 columns or fewer wrongly.
    """
    share = min(8.0, min(canvas) / 32)
    width, height = even(canvas[0] / share), even(canvas[1] / share)
    return (width, height), min(width, height) / 14
