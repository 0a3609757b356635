"""RGB becomes BT.709, limited range, as float64 has it, on every target; and as the ffmpeg program has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.kernels import MISSING, GuardedFrame, bytes_of, draw_on_every_target, seed_of
from tests.support.tolerances import COLOUR_LEVELS, CONVERSION_LEVELS, assert_levels
from tests.support.video import run_ffmpeg
from video_pipeline.native import available, reference

if not available():
    pytest.skip(MISSING, allow_module_level=True)

from video_pipeline.native import _core


def test_random_pictures_agree_with_the_reference() -> None:
    rng = np.random.default_rng(seed_of("rgb_to_yuv"))
    for _ in range(150):
        height, width = (int(n) for n in rng.integers(1, 71, 2))
        rgb = bytes_of(rng, height, width + int(rng.integers(0, 9)), 3)[:, :width]
        frame = GuardedFrame(rng, height, width)
        drawn = draw_on_every_target(_core, frame, lambda: _core.rgb_to_yuv(rgb, frame.planes))  # noqa: B023
        for name, plane, expected in zip("YUV", drawn, reference.rgb_to_yuv(rgb), strict=True):
            assert_levels(plane, expected, within=CONVERSION_LEVELS, what=f"{name} of {rgb.shape}")


def test_every_colour_of_a_fine_grid_agrees_with_the_reference() -> None:
    levels = np.array([*range(0, 256, 8), 255], np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 1, 3)
    for start in range(0, len(grid), 4096):
        flats = np.broadcast_to(grid[start : start + 4096], (len(grid[start : start + 4096]), 2, 4, 3))
        rgb = np.ascontiguousarray(flats).reshape(-1, 4, 3)
        planes = (
            np.zeros(rgb.shape[:2], np.uint8),
            np.zeros((len(rgb) // 2, 2), np.uint8),
            np.zeros((len(rgb) // 2, 2), np.uint8),
        )
        _core.rgb_to_yuv(rgb, planes)
        for name, plane, expected in zip("YUV", planes, reference.rgb_to_yuv(rgb), strict=True):
            assert_levels(plane, expected, within=CONVERSION_LEVELS, what=name)


def test_greys_have_no_colour_and_keep_to_the_limited_range() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 2, axis=0).repeat(3, axis=2)
    rng = np.random.default_rng(seed_of("greys"))
    frame = GuardedFrame(rng, 2, 256)
    y, u, v = draw_on_every_target(_core, frame, lambda: _core.rgb_to_yuv(ramp, frame.planes))
    assert (int(y[0, 0]), int(y[0, 255])) == (16, 235)
    assert (np.diff(y[0].astype(int)) >= 0).all()
    assert np.unique(u).tolist() == np.unique(v).tolist() == [128]


def test_flat_colours_agree_with_the_ffmpeg_program(tmp_path: Path) -> None:
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 90, 40), (12, 200, 230)):
        rgb = np.full((16, 16, 3), colour, np.uint8)
        path = tmp_path / "flat.png"
        Image.fromarray(rgb).save(path)
        converted = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd,format=yuv420p"
        data = run_ffmpeg("-i", path, "-vf", converted, "-f", "rawvideo", "-")
        theirs = np.frombuffer(data, np.uint8)
        planes = (np.zeros((16, 16), np.uint8), np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8))
        _core.rgb_to_yuv(rgb, planes)
        ours = np.concatenate([plane.ravel() for plane in planes])
        assert np.abs(ours.astype(int) - theirs).max() <= COLOUR_LEVELS, colour


def test_bad_pictures_are_errors_that_say_what_is_allowed() -> None:
    planes = (np.zeros((4, 6), np.uint8), np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"rgb: an array of shape \(4, 6, 4\); allowed: .* 3 channels"):
        _core.rgb_to_yuv(np.zeros((4, 6, 4), np.uint8), planes)
    with pytest.raises(ValueError, match=r"target\[0\]: .*\(4, 6\); allowed: \(4, 5\), the size of rgb"):
        _core.rgb_to_yuv(np.zeros((4, 5, 3), np.uint8), planes)
    with pytest.raises(ValueError, match=r"rgb: pixels 6 bytes apart, channels 1; allowed: 3 and 1"):
        _core.rgb_to_yuv(np.zeros((4, 12, 3), np.uint8)[:, ::2], planes)
    with pytest.raises(ValueError, match=r"target\[2\]: .*\(2, 2\); allowed: \(2, 3\), half of target\[0\]"):
        _core.rgb_to_yuv(np.zeros((4, 6, 3), np.uint8), (*planes[:2], np.zeros((2, 2), np.uint8)))
    with pytest.raises(TypeError):
        _core.rgb_to_yuv(np.zeros((4, 6, 3), np.float64), planes)
