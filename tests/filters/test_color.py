"""Colours from every kind of source come out as BT.709, limited range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.tolerances import assert_colour
from tests.support.video import (
    bt709,
    clip_of,
    compositor_of,
    draw,
    draw_stream,
    flat,
    middle_colour,
    planes,
    run_ffmpeg,
    timeline_of,
)
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.filters.color import TAGS, to_pix_fmt
from video_pipeline.filters.graph import open_input

SIZE_PX = (96, 170)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 90, 40)]


@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
@pytest.mark.parametrize("colour", COLOURS[:3] + COLOURS[-1:], ids=str)
@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_flat_still_comes_out_in_bt709(
    tmp_path: Path, ending: str, colour: tuple[int, int, int], fit: str
) -> None:
    path = tmp_path / f"c.{ending}"
    pixels = np.full((100, 100, 3), colour, np.uint8)
    options = {"png": {}, "jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}[ending]
    Image.fromarray(pixels).save(path, **options)
    with Image.open(path) as coded:
        seen = coded.convert("RGB").getpixel((50, 50))  # what the file itself says, after its own rounding
    still = flat(tmp_path / "x.png", (0, 0, 0), (100, 100))
    demuxer = {"png": "png_pipe", "jpg": "jpeg_pipe", "webp": "webp_pipe"}[ending]
    source = type(still)(path, 100, 100, "", demuxer)
    frame = draw(compositor_of(timeline_of([clip_of(source, 0, 2, fit=fit)], size_px=SIZE_PX)))[1]
    assert_colour(middle_colour(frame), bt709(*seen))  # type: ignore[misc]


@pytest.mark.parametrize("subsampling", [0, 2], ids=["4:4:4", "4:2:0"])
def test_a_grey_ramp_in_a_jpeg_keeps_its_whole_range(tmp_path: Path, subsampling: int) -> None:
    ramp = np.repeat(np.repeat(np.arange(256, dtype=np.uint8)[None, :], 256, axis=0)[..., None], 3, axis=2)
    path = tmp_path / "ramp.jpg"
    Image.fromarray(ramp).save(path, quality=100, subsampling=subsampling)
    source = flat(tmp_path / "x.png", (0, 0, 0), (256, 256))
    source = type(source)(path, 256, 256, "", "jpeg_pipe")
    frame = draw(compositor_of(timeline_of([clip_of(source, 0, 1)], size_px=(256, 256))))[0]
    y, u, v = planes(frame)
    expected = 16 + np.arange(256) * 219 / 255
    assert np.abs(y.astype(float) - expected).max() <= 1.2
    assert np.abs(u.astype(int) - 128).max() <= 1
    assert np.abs(v.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
@pytest.mark.parametrize("value_range", ["tv", "pc"])
@pytest.mark.parametrize("colour", COLOURS[:3], ids=str)
def test_footage_of_any_tagged_matrix_and_range_comes_out_in_bt709(
    tmp_path: Path, colour: tuple[int, int, int], value_range: str, matrix: str
) -> None:
    path = tmp_path / "c.mp4"
    name = {"bt709": "bt709", "smpte170m": "bt601"}[matrix]
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"color=0x{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}:s=96x96:r=30:d=0.2"),
        *("-vf", f"format=rgb24,scale=out_color_matrix={name}:out_range={value_range},format=yuv444p"),
        *("-colorspace", matrix, "-color_range", value_range, "-c:v", "libx264", "-qp", "0", path),
    )
    footage = probe_footage(path, VideoSpec(path="c.mp4")).footage
    frame = draw(compositor_of(timeline_of([clip_of(footage, 0, 2)], size_px=SIZE_PX)))[1]
    assert_colour(middle_colour(frame), bt709(*colour))


def test_an_untagged_clip_in_high_definition_is_taken_for_bt709(tmp_path: Path) -> None:
    path = tmp_path / "hd.mp4"
    run_ffmpeg(
        *("-i", flat(tmp_path / "c.png", (0, 0xC0, 0x40), (1280, 720)).path),
        *(
            "-vf",
            "format=rgb24,scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt709:out_range=tv,format=yuv420p",
        ),
        *("-c:v", "libx264", "-qp", "0", "-bsf:v", "h264_metadata=matrix_coefficients=2", path),
    )
    footage = probe_footage(path, VideoSpec(path="hd.mp4")).footage
    frame = draw(compositor_of(timeline_of([clip_of(footage, 0, 2)], size_px=SIZE_PX)))[1]
    assert_colour(middle_colour(frame), bt709(0, 0xC0, 0x40))


def test_changing_the_grid_of_chroma_changes_no_level(tmp_path: Path) -> None:
    source = flat(tmp_path / "c.png", (200, 90, 40), SIZE_PX)
    stream = open_input(source.path, demuxer="png_pipe").filter(
        "scale", out_color_matrix="bt709", out_range="tv"
    )
    stream = to_pix_fmt(to_pix_fmt(stream, "yuv444p"), "yuv420p")
    assert_colour(middle_colour(draw_stream(stream, SIZE_PX)[0]), bt709(200, 90, 40))


def test_the_tags_name_bt709_and_limited_range() -> None:
    assert TAGS == {
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "colorspace": "bt709",
        "color_range": "tv",
    }
