"""The extension's kernels. Importing this module fails if the extension was not built."""

from __future__ import annotations

from video_pipeline.native._core import (
    FEWEST_TAPS_STEP,
    MAX_STEP,
    CudaPlan,
    FrameGrade,
    Overlay,
    active_target,
    blend,
    fade,
    force_target,
    pack_overlay,
    resample,
    resample_frame,
    rgb_to_yuv,
    transition,
    transition_records,
    usable_targets,
)

__all__ = [
    "FEWEST_TAPS_STEP",
    "MAX_STEP",
    "CudaPlan",
    "FrameGrade",
    "Overlay",
    "active_target",
    "blend",
    "fade",
    "force_target",
    "pack_overlay",
    "resample",
    "resample_frame",
    "rgb_to_yuv",
    "transition",
    "transition_records",
    "usable_targets",
]
