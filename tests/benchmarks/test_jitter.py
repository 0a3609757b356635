"""The jitter measure: exact on motion that is known, and telling on real filters."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from benchmarks.handwritten import perspective_argv, zoompan_argv
from benchmarks.jitter import (
    BACKWARD_PX,
    Points,
    blob_centres,
    blob_workload,
    draw_blobs,
    follow,
    jitter_of,
    measure_frames,
)

SIZE_PX = (270, 480)
SIGMA_PX = 3.0
FRAMES = 40


def zoomed(*, rate: float, frames: int = FRAMES) -> Points:
    """Return the blobs' true places, (frames, blobs, 2), under a zoom about the middle of `rate` a frame."""
    middle = np.array(SIZE_PX) / 2
    scale = 1 + rate * np.arange(frames)[:, None, None]
    return (blob_centres(SIZE_PX) - middle) * scale + middle


def followed(places: Points) -> Points:
    """Draw blobs at `places` frame by frame and follow them."""
    frames = (draw_blobs(centres, size_px=SIZE_PX, sigma_px=SIGMA_PX) for centres in places)
    return follow(frames, places[0], window_px=30)


@pytest.mark.parametrize("rate", [0.05 / 30, -0.05 / 30, 0.01 / 30])
def test_a_steady_subpixel_zoom_has_no_jitter(rate: float) -> None:
    places = zoomed(rate=rate)
    tracks = followed(places)
    result = jitter_of(tracks)
    assert np.abs(tracks - places).max() < 0.01
    assert result.rms_px < 0.004
    assert result.backward_steps == 0
    assert result.blobs == places.shape[1]
    assert result.steps == places[1:].size


def test_motion_on_whole_pixels_has_the_jitter_of_its_rounding() -> None:
    places = np.rint(zoomed(rate=0.05 / 30))
    result = jitter_of(followed(places))
    expected = np.sqrt(np.mean(np.diff(places, 2, axis=0) ** 2))
    assert expected > 0.3
    assert result.rms_px == pytest.approx(expected, abs=0.002)
    assert result.backward_steps == 0  # rounding a steady way never turns it


def test_a_zoom_whose_corner_is_cut_to_whole_pixels_steps_backward_as_often_as_it_should() -> None:
    middle = np.array(SIZE_PX) / 2
    scale = 1 + 0.05 / 30 * np.arange(FRAMES)[:, None, None]
    corner = np.trunc(middle - middle / scale)  # zoompan's x and y
    places = (blob_centres(SIZE_PX) - corner) * scale
    steps = np.diff(places, axis=0)
    way = places[-1] - places[0]
    against = steps * np.sign(way) * (np.abs(way) >= 0.5)
    expected = int((against < -BACKWARD_PX).sum())
    near = int((np.abs(against + BACKWARD_PX) < 0.004).sum())  # steps that the centroid's own error may tip
    result = jitter_of(followed(places))
    assert expected > 100
    assert abs(result.backward_steps - expected) <= near
    assert result.rms_px == pytest.approx(np.sqrt(np.mean(np.diff(places, 2, axis=0) ** 2)), abs=0.004)


def test_a_blob_counts_until_its_window_leaves_the_frame() -> None:
    places = np.array([[[135.0 + 4 * frame, 240.0]] for frame in range(FRAMES)])
    tracks = followed(places)
    seen = ~np.isnan(tracks[:, 0, 0])
    last = (SIZE_PX[0] - 15 - 135) // 4
    assert seen[: last - 1].all()
    assert not seen[last + 2 :].any()
    assert jitter_of(tracks).rms_px < 0.01


@pytest.mark.parametrize("frames", [0, 2])
def test_too_few_frames_are_an_error(frames: int) -> None:
    with pytest.raises(ValueError, match="at least 3"):
        jitter_of(np.zeros((frames, 4, 2)))


def test_blobs_that_are_never_seen_are_an_error() -> None:
    with pytest.raises(ValueError, match="with 0 blobs"):
        jitter_of(np.full((5, 4, 2), np.nan))


@pytest.mark.parametrize("rate", [0.05, -0.05])
def test_ffmpeg_filters_are_told_apart(tmp_path: Path, rate: float) -> None:
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    work = blob_workload(seconds=1.0, zoom_per_second=rate, size_px=SIZE_PX, folder=tmp_path)
    smooth = measure_frames(perspective_argv(ffmpeg, work, pix_fmt="yuv420p"), work)
    shaky = measure_frames(zoompan_argv(ffmpeg, work, oversample=1, pix_fmt="yuv420p"), work)
    assert smooth.rms_px < 0.03
    assert smooth.backward_steps == 0
    assert shaky.rms_px > 0.5
    assert shaky.backward_steps > 50
