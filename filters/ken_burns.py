"""Ken Burns: a camera that moves over a still picture.

A camera goes from one rectangle of the picture to another. Both have the canvas's aspect. On its way every
point of the picture moves over the screen in proportion to the eased time: with u the position on the
screen, P the position in the picture, z the zoom and o the offset, u = z P - o, and z and o are both
interpolated linearly in the eased progress s. So a zoom is steady to the eye, and since the rectangle's
sides are weighted means of those at the two ends, it never leaves the picture that holds both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from filters.graph import Stream

Easing = Literal["linear", "ease_in", "ease_out", "ease_in_out", "cubic"]
EASINGS: tuple[Easing, ...] = get_args(Easing)

MotionFilter = Literal["perspective", "zoompan"]

EASING_EXPRESSIONS: dict[Easing, str] = {
    "linear": "{p}",
    "ease_in": "({p}*{p})",
    "ease_out": "(1-(1-{p})*(1-{p}))",
    "ease_in_out": "({p}*{p}*(3-2*{p}))",
    "cubic": "if(lt({p},0.5),4*{p}*{p}*{p},1-4*(1-{p})*(1-{p})*(1-{p}))",
}
"""FFmpeg expressions of the eased progress in terms of the linear progress `{p}`, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in fractions of a picture's width and height: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Camera:
    """A move from the rectangle `start` to the rectangle `end`, both of the canvas's aspect."""

    start: Rect
    end: Rect
    easing: Easing = "linear"

    @property
    def moves(self) -> bool:
        """Whether the two ends differ."""
        return self.start != self.end

    def bounds(self) -> Rect:
        """Return the smallest rectangle that holds both ends."""
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
    """Return `outer` divided by `zoom` so that the point `focus` keeps its place on the screen.

    `focus` is in fractions of the picture and is drawn into `outer` first.
    """
    fx = min(max(focus[0], outer.x), outer.x + outer.width)
    fy = min(max(focus[1], outer.y), outer.y + outer.height)
    width, height = outer.width / zoom, outer.height / zoom
    x = fx - (fx - outer.x) / zoom
    y = fy - (fy - outer.y) / zoom
    return Rect(x, y, width, height)


def widen_to_aspect(rect: Rect, picture_aspect: float, canvas_aspect: float) -> Rect:
    """Return the smallest rectangle of the canvas's aspect around `rect`, moved inside the picture.

    Where such a rectangle is larger than the picture, the largest that fits is returned.
    """
    ratio = canvas_aspect / picture_aspect  # width / height in fractions of the picture
    width = max(rect.width, rect.height * ratio)
    largest = largest_rect(picture_aspect, canvas_aspect)
    width = min(width, largest.width)
    height = width / ratio
    x = min(max(rect.x + rect.width / 2 - width / 2, 0.0), 1.0 - width)
    y = min(max(rect.y + rect.height / 2 - height / 2, 0.0), 1.0 - height)
    return Rect(max(x, 0.0), max(y, 0.0), width, height)


def _relative(rect: Rect, bounds: Rect) -> Rect:
    return Rect(
        (rect.x - bounds.x) / bounds.width,
        (rect.y - bounds.y) / bounds.height,
        rect.width / bounds.width,
        rect.height / bounds.height,
    )


def _progress(easing: Easing, counter: str, first_frame: int, frames: int) -> str:
    linear = f"clip(({counter}+{first_frame})/{max(1, frames - 1)},0,1)"
    return EASING_EXPRESSIONS[easing].format(p=linear)


def _between(start: float, end: float, progress: str) -> str:
    if start == end:
        return f"{start:.12g}"
    return f"({start:.12g}+{end - start:.12g}*{progress})"


def perspective(
    stream: Stream,
    camera: Camera,
    *,
    bounds: Rect,
    first_frame: int,
    frames: int,
    interpolation: str = "cubic",
) -> Stream:
    """Move the camera with the perspective filter: subpixel positions, cubic resampling.

    The stream shows `bounds` at the canvas's own size, one frame for each frame to come; frame 0 of it is
    frame `first_frame` of a move over `frames` frames.
    """
    start, end = _relative(camera.start, bounds), _relative(camera.end, bounds)
    s = _progress(camera.easing, "on", first_frame, frames)
    # z and o of the module's formula, for a screen of unit size; x and y are the rectangle's corner.
    zoom = _between(1 / start.width, 1 / end.width, s)
    zoom_y = _between(1 / start.height, 1 / end.height, s)
    left = f"W*{_between(start.x / start.width, end.x / end.width, s)}/{zoom}"
    top = f"H*{_between(start.y / start.height, end.y / end.height, s)}/{zoom_y}"
    right, bottom = f"{left}+W/{zoom}", f"{top}+H/{zoom_y}"
    return stream.filter(
        "perspective",
        x0=left,
        y0=top,
        x1=right,
        y1=top,
        x2=left,
        y2=bottom,
        x3=right,
        y3=bottom,
        interpolation=interpolation,
        eval="frame",
    )


def zoompan(
    stream: Stream,
    camera: Camera,
    *,
    bounds: Rect,
    first_frame: int,
    count: int,
    frames: int,
    canvas_px: tuple[int, int],
    fps: Fraction,
) -> Stream:
    """Move the camera with the zoompan filter: `count` frames out of one.

    zoompan cuts positions to whole pixels of its input (of the chroma grid), so the stream should show
    `bounds`, padded to the canvas's aspect at the right and bottom, several times larger than the canvas.
    """
    start, end = _relative(camera.start, bounds), _relative(camera.end, bounds)
    s = _progress(camera.easing, "on", first_frame, frames)
    zoom = _between(1 / start.width, 1 / end.width, s)
    left = f"round(iw*{_between(start.x / start.width, end.x / end.width, s)}/zoom)"
    top = f"round(ih*{_between(start.y / start.width, end.y / end.width, s)}/zoom)"
    return stream.filter(
        "zoompan", z=zoom, x=left, y=top, d=count, s=f"{canvas_px[0]}x{canvas_px[1]}", fps=fps
    )
