"""Cutting frames of any pixel format at any whole pixel."""

from __future__ import annotations

from video_pipeline.filters.color import SCALER_FLAGS
from video_pipeline.filters.geometry import Window
from video_pipeline.filters.graph import Stream

COARSEST_GRID_PX = (4, 4)
"""The grid of 4:1:0: windows on it may be cut out of every pixel format."""

FULL_CHROMA = "|".join(
    (
        *("gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le", "ya8", "ya16le"),
        *("yuv444p", "yuv444p9le", "yuv444p10le", "yuv444p12le", "yuv444p14le", "yuv444p16le", "yuvj444p"),
        *("yuva444p", "yuva444p9le", "yuva444p10le", "yuva444p12le", "yuva444p16le"),
        *("gbrp", "gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le"),
        *("gbrap", "gbrap10le", "gbrap12le", "gbrap16le", "rgb24", "bgr24", "rgba", "bgra", "argb", "abgr"),
        *("0rgb", "0bgr", "rgb0", "bgr0", "rgb48le", "rgba64le"),
    )
)
"""Pixel formats with as much chroma as luma. FFmpeg takes the one that loses least: same depth, same kind."""


def crop(
    stream: Stream, window: Window, *, size_px: tuple[int, int], chroma_grid_px: tuple[int, int]
) -> Stream:
    """Cut a window out of frames of `size_px`.

    `chroma_grid_px` is how many pixels of luma share one of chroma, across and down. FFmpeg's crop takes wrong
    bytes at places off that grid in formats of more than 8 bits or with interleaved chroma, and shifts the
    chroma of all others: there the frames are given full chroma first, at their depth.
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
