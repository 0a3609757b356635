"""Fit a picture into a canvas of another aspect ratio."""

from __future__ import annotations

from typing import Literal

from video_pipeline.filters.color import scale_to_bt709
from video_pipeline.filters.geometry import blurred_copy, contained_size, largest_rect, nearest_window
from video_pipeline.filters.graph import Stream, merge


def contained_window(source_px: tuple[int, int], canvas_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return where a whole picture lies on a canvas, in even pixels: left, top, width, height."""
    width, height = contained_size(source_px, canvas_px)
    return (canvas_px[0] - width) // 4 * 2, (canvas_px[1] - height) // 4 * 2, width, height


def compose_fit(
    stream: Stream,
    *,
    fit: Literal["contain", "blur"],
    source_px: tuple[int, int],
    pixels_px: tuple[int, int],
    canvas_px: tuple[int, int],
) -> Stream:
    """Place the whole picture on a canvas: on black (`contain`) or on an enlarged, blurred copy (`blur`).

    `source_px` is the display size of the picture, `pixels_px` its size in pixels, which need not be square.
    The result is BT.709 limited range 4:2:0 of exactly `canvas_px` (even).
    """
    width, height = canvas_px
    x, y, inner_width, inner_height = contained_window(source_px, canvas_px)
    if fit == "contain":
        inner = scale_to_bt709(stream, width_px=inner_width, height_px=inner_height)
        return inner.filter("pad", width, height, x, y, color="black")
    behind, front = stream.split(2)
    inner = scale_to_bt709(front, width_px=inner_width, height_px=inner_height)
    small, sigma = blurred_copy(canvas_px)
    shown = largest_rect(source_px[0] / source_px[1], width / height)
    window = nearest_window(shown, pixels_px, (1, 1))
    # Without `exact`, crop rounds to the chroma grid, which is precise enough for a blurred picture.
    back = behind.filter("crop", window.width, window.height, window.x, window.y)
    back = scale_to_bt709(back, width_px=small[0], height_px=small[1], pix_fmt="yuv444p")
    back = back.filter("gblur", sigma=sigma).filter("eq", brightness=-0.06)
    back = scale_to_bt709(back, width_px=width, height_px=height)
    # alpha=straight, because FFmpeg 8 keeps the `premultiply` flag when alpha is dropped, and overlay obeys the flag.
    return merge("overlay", (back, inner), x=x, y=y, format="yuv420", alpha="straight")
