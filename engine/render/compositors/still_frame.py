"""Draw one frame of a timeline as a picture."""

from __future__ import annotations

import av
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timing import FrameRange


def draw_frame(compositor: Compositor, frame: int) -> Image.Image:
    """Return frame number `frame` of the compositor's timeline as RGB; raise RenderingError."""
    (picture,) = (
        rgb_picture(array)
        for array in compositor.frames(FrameRange(frame, frame + 1), threads=1, children=Children())
    )
    return picture


def rgb_picture(array: Buffer) -> Image.Image:
    """Return a frame, shape (height * 3 / 2, width), as RGB."""
    drawn = av.VideoFrame.from_ndarray(array, format="yuv420p")
    drawn.colorspace, drawn.color_range = Colorspace.ITU709, ColorRange.MPEG
    rgb = drawn.reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )
    return Image.fromarray(rgb.to_ndarray())
