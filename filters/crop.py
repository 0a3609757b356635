"""Crop frames of any pixel format at any whole pixel."""

from __future__ import annotations

from video_pipeline.filters.color import FULL_CHROMA, SCALER_FLAGS
from video_pipeline.filters.geometry import Window
from video_pipeline.filters.graph import Stream

COARSEST_GRID_PX = (4, 4)
"""The chroma grid of 4:1:0; windows on it can be cropped in every pixel format."""


def crop(
    stream: Stream, window: Window, *, size_px: tuple[int, int], chroma_grid_px: tuple[int, int]
) -> Stream:
    """Crop frames of `size_px` to a window.

    `chroma_grid_px` is the number of luma pixels per chroma pixel, across and down. Off that grid, FFmpeg's crop reads
    wrong bytes in formats of more than 8 bits or with interleaved chroma, and shifts the chroma of all others, so
    the frames are converted to full chroma first, at their depth.
    """
    if window == Window(0, 0, *size_px):
        return stream
    if window.lies_on(chroma_grid_px, size_px):
        return stream.filter("crop", window.width, window.height, window.x, window.y, exact=1)
    outer = window.widened(COARSEST_GRID_PX, size_px)
    if outer != Window(0, 0, *size_px):
        stream = stream.filter("crop", outer.width, outer.height, outer.x, outer.y, exact=1)
    stream = stream.filter("scale", flags=SCALER_FLAGS).filter("format", FULL_CHROMA)
    return stream.filter("crop", window.width, window.height, window.x - outer.x, window.y - outer.y, exact=1)
