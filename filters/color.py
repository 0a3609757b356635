"""Colour: everything that is seen is converted to BT.709, limited range, before it meets anything else.

FFmpeg converts RGB to YUV with BT.601 unless it is told otherwise, so every conversion says so here.
"""

from __future__ import annotations

from video_pipeline.filters.graph import Stream

SCALER_FLAGS = "bicubic+accurate_rnd+full_chroma_int"

TAGS = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "color_range": "tv"}
"""Output options of the ffmpeg program that tag what the filters below converted; see `tag_bt709`."""


def scale_to_bt709(stream: Stream, *, width_px: int, height_px: int, pix_fmt: str = "yuv420p") -> Stream:
    """Scale to an exact size and convert to BT.709 limited range with square pixels."""
    return (
        stream.filter(
            "scale",
            width_px,
            height_px,
            flags=SCALER_FLAGS,
            out_color_matrix="bt709",
            out_range="tv",
        )
        .filter("setsar", 1)
        .filter("format", pix_fmt)
    )


def scale_each(stream: Stream, *, width_px: int, height_px: int) -> Stream:
    """Bring frames of changing sizes to one, each whole, on black."""
    return stream.filter(
        "scale", width_px, height_px, flags=SCALER_FLAGS, force_original_aspect_ratio="decrease", eval="frame"
    ).filter("pad", width_px, height_px, -1, -1, eval="frame")


def to_pix_fmt(stream: Stream, pix_fmt: str) -> Stream:
    """Change the chroma grid of a stream that is BT.709 already."""
    return stream.filter("format", pix_fmt)


def tag_bt709(stream: Stream) -> Stream:
    """Tag the frames themselves: FFmpeg 7 and later believe them and not the output's options."""
    return stream.filter(
        "setparams", colorspace="bt709", color_primaries="bt709", color_trc="bt709", range="tv"
    )
