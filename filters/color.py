"""Convert pictures and clips to BT.709, limited range, before they are combined.

FFmpeg converts RGB to YUV with BT.601 by default, so every conversion here names its matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from video_pipeline.filters.graph import Stream

SCALER_FLAGS = "bicubic+accurate_rnd+full_chroma_int"

TAGS = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "color_range": "tv"}
"""Output options of the ffmpeg program that tag converted frames as BT.709; see `tag_bt709`."""


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
"""Pixel formats with full chroma, of which FFmpeg picks the one closest to its input in depth and kind."""

REFERENCE_WHITE_NITS = 203
"""Luminance of diffuse white in HDR (ITU-R BT.2408); it is mapped to the white of BT.709."""

PEAK = 1000 / REFERENCE_WHITE_NITS
"""Highlights above this are clipped, in multiples of diffuse white."""

HDR_TRANSFERS = frozenset(["smpte2084", "arib-std-b67", "linear"])

Converter = Literal["zscale", "scale", "none"]
"""Converter of primaries and transfer: zscale with tonemap, swscale (from FFmpeg 8 on), or none available."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """The colour tags of a clip that is not BT.709, by FFmpeg's names."""

    primaries: str
    transfer: str
    matrix: str


def convert_to_bt709(stream: Stream, tags: ColorTags, *, converter: Converter) -> Stream:
    """Convert colours of any primaries and transfer to BT.709, limited range; do nothing without a converter.

    HDR is linearised with diffuse white at 1; only values above 0.9 of it are compressed. `agamma` is off, so that
    zscale uses the exact formulas of the transfers; with it, the colours of HLG are too saturated.
    """
    if converter == "none":
        return stream
    stream = stream.filter(
        "setparams", color_primaries=tags.primaries, color_trc=tags.transfer, colorspace=tags.matrix
    )
    if converter == "scale":
        return stream.filter(
            "scale",
            flags=SCALER_FLAGS,
            out_primaries="bt709",
            out_transfer="bt709",
            out_color_matrix="bt709",
            out_range="tv",
            intent="relative_colorimetric",
        ).filter("format", "yuv444p")
    # zscale rejects odd sizes with subsampled chroma.
    stream = stream.filter("scale", flags=SCALER_FLAGS).filter("format", FULL_CHROMA)
    if tags.transfer not in HDR_TRANSFERS:
        return stream.filter("zscale", p="bt709", t="bt709", m="bt709", r="tv")
    stream = stream.filter("zscale", t="linear", npl=REFERENCE_WHITE_NITS, agamma="false")
    stream = stream.filter("format", "gbrpf32le").filter("zscale", p="bt709", agamma="false")
    stream = stream.filter("tonemap", "mobius", param=0.9, desat=0, peak=PEAK)
    return stream.filter("zscale", t="bt709", m="bt709", r="tv").filter("format", "yuv444p")


def on_black(stream: Stream) -> Stream:
    """Composite frames with transparency over black."""
    stream = stream.filter("scale", flags=SCALER_FLAGS).filter(
        "format", "gbrap|gbrap10le|gbrap12le|gbrap16le"
    )
    # Packed formats, because FFmpeg 8 loses the ends of the last rows from gbrap10le to gbrp10le.
    return stream.filter("premultiply", inplace=1).filter("format", "rgb24|rgb48le")


def scale_each(stream: Stream, *, width_px: int, height_px: int) -> Stream:
    """Scale frames of changing sizes to fit one size, uncropped, on black."""
    return stream.filter(
        "scale", width_px, height_px, flags=SCALER_FLAGS, force_original_aspect_ratio="decrease", eval="frame"
    ).filter("pad", width_px, height_px, -1, -1, eval="frame")


def to_pix_fmt(stream: Stream, pix_fmt: str) -> Stream:
    """Change the pixel format of a stream that is already BT.709."""
    return stream.filter("format", pix_fmt)


def tag_bt709(stream: Stream) -> Stream:
    """Tag the frames as BT.709: FFmpeg 7 and later use the frames' tags, not the output options."""
    return stream.filter(
        "setparams", colorspace="bt709", color_primaries="bt709", color_trc="bt709", range="tv"
    )
