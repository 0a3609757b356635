"""Grade the frames of video clips with the native kernels."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Final

import numpy as np

from video_pipeline.engine.assets.cube import load_lut
from video_pipeline.engine.render.planes import Buffer, Planes, new_frame, planes_of
from video_pipeline.engine.timeline import Clip, Grade
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.fade import light
from video_pipeline.filters.fit import contained_window
from video_pipeline.native import kernels

GRADING_VERSION: Final = 1
"""Increase it when graded frames of a clip change, so that no older cached segment is used."""


def load_curves(grade: Grade) -> kernels.GradeCurves:
    """Return a grade for the frames of clips; raise OSError or ValueError if its file is damaged."""
    return kernels.GradeCurves(np.ascontiguousarray(load_lut(grade.path)))


def graded_by_kernel(clip: Clip) -> bool:
    """Return whether the kernels grade a clip: a blurred background is graded before it is blurred, by FFmpeg."""
    return clip.grade is not None and clip.fit != "blur"


def graded_frames(
    plain: Generator[Buffer, None, None], curves: kernels.GradeCurves, clip: Clip, span: FrameRange
) -> Generator[Buffer, None, None]:
    """Yield frames `span` of a clip in the colours of its grade, then faded; each overwrites the one before.

    `plain` has the frames without grade and fades. It may yield one of them again, so they are not changed.
    """
    target: Buffer | None = None
    with contextlib.closing(plain):
        for number, frame in enumerate(plain, start=span.start):
            if target is None:
                target = new_frame(frame.shape[1], frame.shape[0] * 2 // 3)
            planes = planes_of(target)
            if clip.fit == "cover":
                curves.apply(planes_of(frame), planes)
            else:
                np.copyto(target, frame)
                curves.apply(_inner(planes_of(frame), clip), _inner(planes, clip))
            dark = 1 - light(number, len(clip.frames), clip.fade_in_frames, clip.fade_out_frames)
            if dark > 0:
                kernels.fade(planes, amount=dark)
            yield target


def _inner(planes: Planes, clip: Clip) -> Planes:
    """Return the part of a frame that a contained picture fills."""
    height, width = planes[0].shape
    left, top, wide, high = contained_window((clip.source.width_px, clip.source.height_px), (width, height))
    luma, u, v = planes
    half = (slice(top // 2, (top + high) // 2), slice(left // 2, (left + wide) // 2))
    return luma[top : top + high, left : left + wide], u[half], v[half]
