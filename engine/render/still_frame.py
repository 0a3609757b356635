"""One frame of a timeline as a picture."""

from __future__ import annotations

import subprocess

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from engine.errors import SubprocessError
from engine.render.ffmpeg import FfmpegCompositor
from engine.timing import FrameRange


def draw_frame(compositor: FfmpegCompositor, frame: int) -> Image.Image:
    """Return frame number `frame` as the compositor draws it, in RGB; raise SubprocessError."""
    timeline = compositor.timeline
    argv = compositor.frames_command(FrameRange(frame, frame + 1), threads=1)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    shape = (timeline.height_px * 3 // 2, timeline.width_px)
    if done.returncode != 0 or len(done.stdout) != shape[0] * shape[1]:
        raise SubprocessError(
            f"frame {frame}: ffmpeg drew nothing",
            argv=argv,
            returncode=done.returncode,
            stderr=done.stderr.decode("utf-8", "replace"),
        )
    drawn = av.VideoFrame.from_ndarray(np.frombuffer(done.stdout, np.uint8).reshape(shape), format="yuv420p")
    drawn.colorspace, drawn.color_range = Colorspace.ITU709, ColorRange.MPEG
    rgb = drawn.reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )
    return Image.fromarray(rgb.to_ndarray())
