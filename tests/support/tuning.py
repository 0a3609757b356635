"""Small clips for tuning: raw frames that move, and video files."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.support.video import run_ffmpeg
from video_pipeline.engine.timing import FrameRange
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.records import Part

SIZE_PX = (96, 64)
FRAMES = 12


def raw_clip(
    folder: Path,
    name: str = "clip",
    *,
    part: Part = "training",
    frames: int = FRAMES,
    size_px: tuple[int, int] = SIZE_PX,
    scenes: tuple[FrameRange, ...] = (),
) -> RawClip:
    """Write a clip of a gradient with detail that moves; another name has other detail."""
    width, height = size_px
    random = np.random.default_rng(len(name))
    detail = random.integers(0, 40, (height, width + frames), np.uint8)
    slope = np.linspace(40, 180, width, dtype=np.uint8)
    data = b""
    for number in range(frames):
        luma = slope + detail[:, number : number + width]
        data += luma.tobytes() + bytes([128]) * (width * height // 2)
    path = folder / f"{name}.yuv"
    path.write_bytes(data)
    return RawClip(
        name=name,
        part=part,
        source="test",
        path=path,
        width_px=width,
        height_px=height,
        fps=Fraction(30),
        frames=frames,
        sha256=hashlib.sha256(data).hexdigest(),
        scenes=scenes or (FrameRange(0, frames),),
    )


def video_file(path: Path, *options: str, size: str = "96x64", seconds: float = 0.4, rate: int = 30) -> Path:
    """Write a video of FFmpeg's moving test picture, tagged BT.709; `options` are of its output."""
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    source = f"mandelbrot=size={size}:rate={rate}"
    kept = options or ("-c:v", "ffv1", "-pix_fmt", "yuv420p")
    run_ffmpeg("-f", "lavfi", "-i", source, "-t", f"{seconds:g}", "-vf", tags, *kept, path)
    return path
