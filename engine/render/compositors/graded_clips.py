"""Grade the frames of video clips with the native kernels."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.assets.cube import load_lut
from video_pipeline.engine.render.planes import Buffer, Planes, planes_of
from video_pipeline.engine.timeline import Clip, Grade
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.fade import light
from video_pipeline.filters.fit import contained_window
from video_pipeline.native import kernels

GRADING_VERSION: Final = 2
"""Increase it when graded frames change, so that no older cached segment is used."""


def load_frame_grade(grade: Grade) -> kernels.FrameGrade:
    """Return a grade for frames; raise OSError or ValueError if its file is damaged."""
    return kernels.FrameGrade(np.ascontiguousarray(load_lut(grade.path)))


def graded_by_kernel(clip: Clip) -> bool:
    """Return whether the kernels grade a clip: a blurred background is graded before it is blurred, by FFmpeg."""
    return clip.grade is not None and clip.fit != "blur"


@dataclass(frozen=True, slots=True)
class ClipFrame:
    """A frame of a video clip to be drawn: in the colours of a grade if it has one, then `fade` towards black."""

    frame: Buffer
    clip: Clip
    grade: kernels.FrameGrade | None = None
    fade: float = 0.0

    def draw(self, target: Planes) -> None:
        """Draw it onto a frame of its size; its own bytes do not change, since a held frame is drawn again."""
        source = planes_of(self.frame)
        if self.grade is None or self.clip.fit != "cover":
            for drawn, plane in zip(target, source, strict=True):
                np.copyto(drawn, plane)
        if self.grade is not None:
            whole = self.clip.fit == "cover"
            read, drawn_on = (
                (source, target) if whole else (_inner(source, self.clip), _inner(target, self.clip))
            )
            self.grade.apply(read, drawn_on)
        if self.fade > 0:
            kernels.fade(target, amount=self.fade)


def clip_frames_drawn(
    plain: Generator[Buffer, None, None], clip: Clip, span: FrameRange, grade: kernels.FrameGrade | None
) -> Generator[ClipFrame, None, None]:
    """Yield frames `span` of a clip, each valid until the next; with a `grade`, `plain` has neither grade nor fades."""
    with contextlib.closing(plain):
        for number, frame in enumerate(plain, start=span.start):
            if grade is None:
                yield ClipFrame(frame, clip)
                continue
            shown = light(number, len(clip.frames), clip.fade_in_frames, clip.fade_out_frames)
            yield ClipFrame(frame, clip, grade, 1 - shown)


def _inner(planes: Planes, clip: Clip) -> Planes:
    """Return the part of a frame that a contained picture fills."""
    height, width = planes[0].shape
    left, top, wide, high = contained_window((clip.source.width_px, clip.source.height_px), (width, height))
    luma, u, v = planes
    half = (slice(top // 2, (top + high) // 2), slice(left // 2, (left + wide) // 2))
    return luma[top : top + high, left : left + wide], u[half], v[half]
