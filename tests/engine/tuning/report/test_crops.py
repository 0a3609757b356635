"""Crops show the frames that were measured, where they differ most."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.tuning_runs import make_run
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.render.planes import planes_of
from video_pipeline.engine.timing import FrameRange
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.records import Trial
from video_pipeline.engine.tuning.report.crops import (
    SIDE_PX,
    Place,
    crop_frames,
    encoded_frame,
    worst_places,
)

WIDTH, HEIGHT, FRAMES = 480, 480, 6
GOOD = Trial(number=1, settings={"preset": "ultrafast", "crf": 10}, encoder="libx264", status="done")
BAD = Trial(number=2, settings={"preset": "ultrafast", "crf": 45}, encoder="libx264", status="done")

Array = npt.NDArray[np.uint8]


@pytest.fixture
def clip(tmp_path: Path) -> RawClip:
    """Six grey frames with noise in their lower right quarter, a white bar as high as the frame's number."""
    random = np.random.default_rng(1)
    frames = []
    for number in range(FRAMES):
        luma = np.full((HEIGHT, WIDTH), 100, np.uint8)
        luma[HEIGHT // 2 :, WIDTH // 2 :] = random.integers(30, 200, (HEIGHT // 2, WIDTH // 2))
        luma[: 16 * number, :16] = 235
        frames.append(np.concatenate([luma.ravel(), np.full(WIDTH * HEIGHT // 2, 128, np.uint8)]))
    path = tmp_path / "clip.yuv"
    path.write_bytes(np.stack(frames).tobytes())
    return RawClip(
        name="noise",
        part="training",
        source="made",
        path=path,
        width_px=WIDTH,
        height_px=HEIGHT,
        fps=Fraction(30),
        frames=FRAMES,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        scenes=(FrameRange(0, FRAMES),),
    )


def pixels(png: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(png)))


def bar(frame: Array) -> int:
    """The height of the white bar."""
    return int(np.sum(planes_of(frame)[0][:, 4] > 200)) // 16


@pytest.mark.parametrize("number", [0, 3, 5])
def test_the_frame_with_this_number_is_encoded(clip: RawClip, number: int) -> None:
    assert bar(encoded_frame(clip, GOOD, number)) == number


def test_a_frame_of_a_later_segment_is_found(clip: RawClip) -> None:
    trial = replace(GOOD, settings={**GOOD.settings, "segment_seconds": 0.1})  # three frames
    assert len(clip.segments(0.1)) == 2
    assert bar(encoded_frame(clip, trial, 4)) == 4


def test_the_crop_is_where_the_first_trial_differs_most(clip: RawClip) -> None:
    (crop,) = crop_frames([Place("noise", 2, 80.0)], [BAD, GOOD], {"noise": clip})
    assert (crop.left_px, crop.top_px) == (WIDTH // 2, HEIGHT // 2)
    assert (crop.width_px, crop.height_px) == (SIDE_PX, SIDE_PX)
    drawn = pixels(crop.drawn).astype(int)
    bad, good = (pixels(png).astype(int) for _, png in crop.encoded)
    assert drawn.shape == bad.shape == (SIDE_PX, SIDE_PX, 3)
    assert np.abs(bad - drawn).mean() > 3 * np.abs(good - drawn).mean()
    difference = pixels(crop.difference).astype(int)
    assert abs(difference.mean() - 128) < 20
    assert difference.std() > 40


def test_a_frame_smaller_than_a_crop_is_shown_whole(clip: RawClip, tmp_path: Path) -> None:
    path = tmp_path / "small.yuv"
    path.write_bytes(bytes([60]) * (64 * 48 * 3 // 2))
    small = replace(clip, path=path, width_px=64, height_px=48, frames=1, scenes=(FrameRange(0, 1),))
    (crop,) = crop_frames([Place("noise", 0, 80.0)], [BAD], {"noise": small})
    assert pixels(crop.drawn).shape == (48, 64, 3)


def test_a_clip_that_is_not_there_is_an_error(clip: RawClip) -> None:
    for place in (Place("gone", 0, 80.0), Place("noise", FRAMES, 80.0)):
        with pytest.raises(InputError, match=f"clip '{place.clip}': frame {place.frame} is not there"):
            list(crop_frames([place], [BAD], {"noise": clip}))


def test_the_worst_frames_are_those_of_the_clips_with_the_lowest_vmaf() -> None:
    data = make_run()
    places = worst_places(data, [2], count=2)
    assert [place.clip for place in places] == ["grain", "fast_pan"]
    assert places[0].vmaf < places[1].vmaf
    assert len(worst_places(data, [2], count=99)) == 6
    without = replace(data, measurements=tuple(replace(each, worst_frame=None) for each in data.measurements))
    assert worst_places(without, [2]) == ()
