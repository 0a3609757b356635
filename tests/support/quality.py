"""VMAF for tests, where an ffmpeg program has libvmaf."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.vmaf import ffmpeg_with_libvmaf, measure_vmaf
from video_pipeline.engine.render.planes import Buffer

QUALITY_TOLERANCE_VMAF = 1.5
"""How far a short video may be from the VMAF that was asked for; `benchmarks/quality.py` measures whole stories."""


def libvmaf_program() -> Path:
    """Return an ffmpeg program with libvmaf; skip the test if there is none."""
    program = ffmpeg_with_libvmaf()
    if program is None:
        pytest.skip("no ffmpeg program with libvmaf")
    return program


def mean_vmaf(video: Path, frames: list[Buffer], *, fps: Fraction, folder: Path) -> float:
    """Return the mean VMAF of a video against the frames that were encoded."""
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    raw = folder / "frames.yuv"
    raw.write_bytes(b"".join(frame.tobytes() for frame in frames))
    log = measure_vmaf(video, raw, size_px=(width, height), fps=fps)
    return float(np.mean([each["vmaf"] for each in log]))
