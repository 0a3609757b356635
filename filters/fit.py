"""Fitting a picture of one aspect into a canvas of another."""

from __future__ import annotations

from typing import Literal, get_args

from video_pipeline.filters.color import scale_to_bt709
from video_pipeline.filters.graph import Stream, merge

Fit = Literal["cover", "contain", "blur"]
FITS: tuple[Fit, ...] = get_args(Fit)

MAX_STAGE = 8
"""A picture composed for a camera that goes close is at most so many times larger than the frame."""


def even(value: float) -> int:
    """Return the even integer nearest to `value`, at least 2: the grid of 4:2:0 chroma."""
    return max(2, 2 * round(value / 2))


def contained_size(source: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size (even pixels) with the source's aspect that fits inside the canvas."""
    (source_width, source_height), (width, height) = source, canvas
    ratio = min(width / source_width, height / source_height)
    return min(even(source_width * ratio), even(width)), min(even(source_height * ratio), even(height))


def blurred_copy(canvas: tuple[int, int]) -> tuple[tuple[int, int], float]:
    """Return the size in pixels of the copy that is blurred behind a picture, and the Gaussian's sigma there.

    Blurring an eighth-size copy gives the look of a radius eight times as large at a sixty-fourth the cost. Its
    sides are at least 32: ffmpeg's gblur draws planes of 16 columns and fewer wrongly where it uses AVX-512.
    """
    share = min(8.0, min(canvas) / 32)
    width, height = even(canvas[0] / share), even(canvas[1] / share)
    return (width, height), min(width, height) / 14


def compose_fit(
    stream: Stream,
    *,
    fit: Literal["contain", "blur"],
    source_px: tuple[int, int],
    canvas_px: tuple[int, int],
) -> Stream:
    """Place the whole picture on a canvas: on black (`contain`) or on itself, enlarged and blurred (`blur`).

    The result is BT.709 limited range 4:2:0 of exactly `canvas_px` (even).
    """
    width, height = canvas_px
    inner_width, inner_height = contained_size(source_px, canvas_px)
    x, y = (width - inner_width) // 4 * 2, (height - inner_height) // 4 * 2
    if fit == "contain":
        inner = scale_to_bt709(stream, width_px=inner_width, height_px=inner_height)
        return inner.filter("pad", width, height, x, y, color="black")
    behind, front = stream.split(2)
    inner = scale_to_bt709(front, width_px=inner_width, height_px=inner_height)
    small, sigma = blurred_copy(canvas_px)
    back = behind.filter(
        "crop",
        f"min(iw,ih*{width}/{height})",
        f"min(ih,iw*{height}/{width})",
    )
    back = scale_to_bt709(back, width_px=small[0], height_px=small[1], pix_fmt="yuv444p")
    back = back.filter("gblur", sigma=sigma).filter("eq", brightness=-0.06)
    back = scale_to_bt709(back, width_px=width, height_px=height)
    return merge("overlay", (back, inner), x=x, y=y, format="yuv420")
