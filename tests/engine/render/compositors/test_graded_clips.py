"""Graded video clips by the native kernels: their fades, fits and held frames, and FFmpeg's own grade beside them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.tolerances import COMPOSITORS_DB, assert_frames_equal
from tests.support.video import clip_of, compositor_of, draw_range, footage_of, run_ffmpeg, timeline_of
from video_pipeline import native
from video_pipeline.engine.assets.cube import cube_text, identity
from video_pipeline.engine.assets.grades import grade_table
from video_pipeline.engine.common.grades import GRADE_NAMES, GradeName
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.planes import Buffer, planes_of
from video_pipeline.engine.timeline import Clip, Footage, Grade, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Fit

pytestmark = pytest.mark.skipif(not native.available(), reason="the native extension was not built")

MEAN_LEVELS, MOST_LEVELS = 0.8, 2
"""How far luma of smooth colours may lie from FFmpeg's grade, which cuts RGB values off and so is darker."""

FORMATS = {
    "yuv420p": ("libx264", "clip.mp4"),
    "yuv422p": ("libx264", "clip.mp4"),
    "yuv444p": ("libx264", "clip.mp4"),
    "yuv420p10le": ("libx264", "clip.mp4"),
    "gbrp": ("ffv1", "clip.mkv"),
    "yuva444p": ("ffv1", "clip.mkv"),
}


def moving(folder: Path, pix_fmt: str = "yuv420p") -> Footage:
    """Return a clip of a slow gradient."""
    codec, name = FORMATS[pix_fmt]
    path = folder / name
    lossless = ("-qp", "0") if codec == "libx264" else ()
    run_ffmpeg(
        *("-f", "lavfi", "-i", "gradients=s=180x320:r=30:d=0.3:c0=0xE0A080:c1=0x203060:seed=3"),
        *("-vf", f"scale=out_color_matrix=bt709:out_range=tv,format={pix_fmt}", "-c:v", codec, *lossless),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", path),
    )
    return footage_of(path)


def grade_of(folder: Path, name: GradeName | None) -> Grade:
    """Return a grade of the package, or one that changes nothing."""
    file = folder / f"{name}.cube"
    file.write_text(cube_text(identity(17) if name is None else grade_table(name)))
    return Grade(file, str(name), str(name), 1.0)


def natively(shown: Timeline) -> Compositor:
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    return NativeCompositor(timeline=shown, captions=(), graphs=compositor_of(shown))


def drawn(clip: Clip) -> Buffer:
    return draw_range(natively(timeline_of([clip])))


@pytest.mark.parametrize("name", GRADE_NAMES)
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_kernels_grade_a_clip_as_ffmpeg_does(tmp_path: Path, name: GradeName, fit: Fit) -> None:
    shown = timeline_of([clip_of(moving(tmp_path), 0, 2, fit=fit, grade=grade_of(tmp_path, name))])
    one, other = draw_range(natively(shown)), draw_range(compositor_of(shown))
    assert_frames_equal(one, other, min_psnr_db=COMPOSITORS_DB)
    difference = np.abs(one[:, :320].astype(int) - other[:, :320])
    assert difference.mean() <= MEAN_LEVELS
    assert difference.max() <= MOST_LEVELS


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_clips_of_every_format_are_graded_alike(tmp_path: Path, pix_fmt: str) -> None:
    shown = timeline_of([clip_of(moving(tmp_path, pix_fmt), 0, 2, grade=grade_of(tmp_path, "warm"))])
    assert_frames_equal(
        draw_range(natively(shown)), draw_range(compositor_of(shown)), min_psnr_db=COMPOSITORS_DB
    )


@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_grade_that_changes_nothing_leaves_a_clip_as_it_is(tmp_path: Path, fit: Fit) -> None:
    clip = clip_of(moving(tmp_path), 0, 4, fit=fit)
    np.testing.assert_array_equal(drawn(clip), drawn(replace(clip, grade=grade_of(tmp_path, None))))


def test_a_graded_clip_is_faded_after_it_is_graded(tmp_path: Path) -> None:
    clip = clip_of(moving(tmp_path), 0, 8, grade=grade_of(tmp_path, "faded"))
    plain, faded = drawn(clip), drawn(replace(clip, fade_in_frames=4, fade_out_frames=4))
    assert (faded[0, :320] == 16).all()
    np.testing.assert_array_equal(faded[4], plain[4])
    expected = 16 + (plain[2, :320].astype(float) - 16) / 2
    assert np.abs(faded[2, :320] - expected).max() <= 1


def test_a_held_frame_is_graded_once(tmp_path: Path) -> None:
    from video_pipeline.engine.render.compositors.graded_clips import clip_frames_drawn, load_frame_grade

    grade = grade_of(tmp_path, "vivid")
    clip = clip_of(moving(tmp_path), 0, 3, grade=grade)
    own = np.random.default_rng(4).integers(16, 236, (96, 64), np.uint8)
    before = own.copy()

    def held() -> Generator[Buffer, None, None]:
        for _ in range(3):
            yield own

    frames = [np.zeros_like(own) for _ in range(3)]
    drawn_frames = clip_frames_drawn(held(), clip, FrameRange(0, 3), load_frame_grade(grade))
    for frame, target in zip(drawn_frames, frames, strict=True):
        frame.draw(planes_of(target))
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame, frames[0])
    np.testing.assert_array_equal(own, before)
    assert (planes_of(frames[0])[0] != planes_of(own)[0]).any()


def test_the_version_of_grading_is_in_the_identity(tmp_path: Path) -> None:
    from video_pipeline.engine.render.compositors.graded_clips import GRADING_VERSION

    identity_of = natively(timeline_of([clip_of(moving(tmp_path), 0, 2)])).identity()
    assert identity_of["grading"] == GRADING_VERSION
