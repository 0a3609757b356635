"""Ken Burns: a camera that moves over a still picture.

A camera moves from one rectangle of the picture to another, both of the canvas's aspect. During the move, every
point of the picture moves over the screen in proportion to the eased time: with u the position on the
screen, P the position in the picture, z the zoom and o the offset, u = z P - o, and z and o are both
interpolated linearly in the eased progress s. So a zoom looks steady, and since the rectangle's sides are
weighted means of those at the two ends, it never leaves a picture that contains both ends.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

from video_pipeline.filters.geometry import Camera, Easing, Rect
from video_pipeline.filters.graph import Stream

MotionFilter = Literal["perspective", "zoompan"]

MAX_PLANE = 40
MAX_PLANE_SIDE_PX = 32768
"""Limits of the picture that a camera moves along: its area, in multiples of the canvas, and its longer side."""

WINDOW_MARGIN_PX = 8
"""Margin of the window around the canvas: two even pixels for rounding, the rest for the cubic filter's width."""

ZOOMPAN_MAX_ZOOM = 10.0

EASING_EXPRESSIONS: dict[Easing, str] = {
    "linear": "{p}",
    "ease_in": "({p}*{p})",
    "ease_out": "(1-(1-{p})*(1-{p}))",
    "ease_in_out": "({p}*{p}*(3-2*{p}))",
    "cubic": "if(lt({p},0.5),4*{p}*{p}*{p},1-4*(1-{p})*(1-{p})*(1-{p}))",
}
"""FFmpeg expressions of the eased progress in terms of the linear progress `{p}`, 0 to 1."""


def _relative(rect: Rect, bounds: Rect) -> Rect:
    return Rect(
        (rect.x - bounds.x) / bounds.width,
        (rect.y - bounds.y) / bounds.height,
        rect.width / bounds.width,
        rect.height / bounds.height,
    )


def _eased_progress(easing: Easing, counter: str, first_frame: int, frames: int) -> str:
    linear = f"clip(({counter}+{first_frame})/{max(1, frames - 1)},0,1)"
    return EASING_EXPRESSIONS[easing].format(p=linear)


def _between(start: float, end: float, progress: str) -> str:
    if start == end:
        return f"{start:.12g}"
    return f"({start:.12g}+{end - start:.12g}*{progress})"


def plane_px(camera: Camera, *, bounds: Rect, canvas_px: tuple[int, int]) -> tuple[int, int]:
    """Return the size, in even pixels, to which `bounds` must be scaled for `perspective`.

    The camera's widest view is then as large as the canvas. For a very long move the picture is smaller, but
    never smaller than the canvas.
    """
    sides = (
        canvas_px[0] * bounds.width / max(camera.start.width, camera.end.width),
        canvas_px[1] * bounds.height / max(camera.start.height, camera.end.height),
    )
    shrink = min(1.0, math.sqrt(MAX_PLANE * canvas_px[0] * canvas_px[1] / (sides[0] * sides[1])))
    width, height = (
        max(least, 2 * round(min(side * shrink, MAX_PLANE_SIDE_PX) / 2))
        for least, side in zip(canvas_px, sides, strict=True)
    )
    return width, height


def perspective(
    stream: Stream,
    camera: Camera,
    *,
    bounds: Rect,
    canvas_px: tuple[int, int],
    first_frame: int,
    frames: int,
    interpolation: str = "cubic",
) -> Stream:
    """Move the camera with the perspective filter: subpixel positions, cubic resampling.

    The stream shows `bounds` at the size of `plane_px`, one frame for each output frame; its frame 0 is frame
    `first_frame` of a move over `frames` frames. If the plane is larger than the canvas, a window slightly
    larger than the canvas is cropped, moving by even pixels, and perspective adds the rest of the move.
    """
    plane = plane_px(camera, bounds=bounds, canvas_px=canvas_px)
    start, end = _relative(camera.start, bounds), _relative(camera.end, bounds)
    window = (min(plane[0], canvas_px[0] + WINDOW_MARGIN_PX), min(plane[1], canvas_px[1] + WINDOW_MARGIN_PX))

    def axis(counter: str, ends: tuple[float, float, float, float], index: int) -> tuple[str, str, str]:
        """Return the window's corner in the plane, and the first and last edge of the view in the window, in pixels."""
        near, near_size, far, far_size = ends
        first = first_frame - 1 if counter == "on" else first_frame  # perspective's `on` starts at 1
        s = _eased_progress(camera.easing, counter, first, frames)
        # z and o of the module's formula, for a screen of unit size.
        zoom = _between(1 / near_size, 1 / far_size, s)
        left = f"{plane[index]}*{_between(near / near_size, far / far_size, s)}/{zoom}"
        room = plane[index] - window[index]
        corner = f"clip(2*floor({left}/2)-{WINDOW_MARGIN_PX // 2 // 2 * 2},0,{room})" if room else "0"
        # perspective counts positions from the centre of the first pixel, in its output and its input.
        step = f"{plane[index] / canvas_px[index]:.12g}/{zoom}"
        edge = f"{left}-{corner}+0.5*{step}-0.5"
        return corner, edge, f"{edge}+{window[index]}*{step}"

    across = (start.x, start.width, end.x, end.width)
    down = (start.y, start.height, end.y, end.height)
    if window != plane:
        x, y = axis("n", across, 0)[0], axis("n", down, 1)[0]
        stream = stream.filter("crop", window[0], window[1], x, y)
    _, left, right = axis("on", across, 0)
    _, top, bottom = axis("on", down, 1)
    stream = stream.filter(
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
    return stream if window == canvas_px else stream.filter("crop", canvas_px[0], canvas_px[1], 0, 0)


def zoompan_zoom(camera: Camera, *, bounds: Rect) -> float:
    """Return the largest zoom that `zoompan` needs for a move in `bounds`; it supports up to ZOOMPAN_MAX_ZOOM."""
    return max(bounds.width / camera.start.width, bounds.width / camera.end.width)


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
    """Move the camera with the zoompan filter: `count` frames from one.

    zoompan truncates positions to whole pixels (of chroma) of its input, so the stream should show
    `bounds`, padded to the canvas's aspect at the right and bottom, several times larger than the canvas.
    """
    start, end = _relative(camera.start, bounds), _relative(camera.end, bounds)
    s = _eased_progress(camera.easing, "on", first_frame, frames)
    zoom = _between(1 / start.width, 1 / end.width, s)
    left = f"round(iw*{_between(start.x / start.width, end.x / end.width, s)}/zoom)"
    top = f"round(ih*{_between(start.y / start.width, end.y / end.width, s)}/zoom)"
    return stream.filter(
        "zoompan", z=zoom, x=left, y=top, d=count, s=f"{canvas_px[0]}x{canvas_px[1]}", fps=fps
    )
