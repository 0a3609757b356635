"""Grade colours by a 3D LUT in a filter graph."""

from __future__ import annotations

from pathlib import Path

from video_pipeline.filters.color import SCALER_FLAGS
from video_pipeline.filters.graph import Stream, Value


def grade_colours(stream: Stream, lut: Path, *, size_px: tuple[int, int] | None = None) -> Stream:
    """Return the stream as planar RGB with the colours of a .cube file, scaled to `size_px` on the way.

    Interpolation is trilinear, as in Pillow, which grades the native compositor's stills.
    """
    sides: tuple[Value, ...] = size_px or ()
    stream = stream.filter("scale", *sides, flags=SCALER_FLAGS, out_range="pc").filter("format", "gbrp")
    return stream.filter("lut3d", file=lut, interp="trilinear")
