"""Colours from every kind of source come out as BT.709, limited range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
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
from video_pipeline.engine.timing import FrameRange
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


# -- clips of other primaries and transfers ------------------------------------------------------------

PATCHES = [
    (255, 255, 255),
    (128, 128, 128),
    (20, 20, 20),
    (224, 172, 138),
    (141, 85, 56),
    (200, 100, 50),
    (70, 120, 180),
]
"""White, greys, two tones of skin, and colours that no primary is far from."""

WHITE_NITS = 203
BT2020_FROM_BT709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
P3_FROM_BT709 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])


def pq(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the PQ signal of light, 1 for white (SMPTE ST 2084)."""
    power = (light * WHITE_NITS / 10_000).clip(0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the HLG signal of what a display of 1000 cd/m² shows as light, 1 for white (ITU-R BT.2100)."""
    shown = light * WHITE_NITS / 1000
    scene = shown * ((shown @ BT2020_LUMA).clip(1e-9) ** (-0.2 / 1.2))[..., None]
    low, high = (
        np.sqrt(3 * scene.clip(0)),
        0.17883277 * np.log((12 * scene - 0.28466892).clip(1e-9)) + 0.55991073,
    )
    return np.where(scene <= 1 / 12, low, high)


def gamma(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the signal of light for a display of gamma 2.4 (ITU-R BT.1886)."""
    return light.clip(0) ** (1 / 2.4)


WIDE = {
    "hlg": (BT2020_FROM_BT709, hlg, "bt2020", "arib-std-b67"),
    "pq": (BT2020_FROM_BT709, pq, "bt2020", "smpte2084"),
    "bt2020": (BT2020_FROM_BT709, gamma, "bt2020", "bt2020-10"),
    "p3": (P3_FROM_BT709, gamma, "smpte432", "bt709"),
}


def wide_clip(path: Path, kind: str, side_px: int) -> Path:
    """Write one frame of patches, side by side, in 10 bits."""
    matrix, encode, primaries, transfer = WIDE[kind]
    signal = encode((np.array(PATCHES) / 255) ** 2.4 @ matrix.T)
    luma = np.array([0.2126, 0.7152, 0.0722]) if kind == "p3" else BT2020_LUMA
    matrix_tag = "bt709" if kind == "p3" else "bt2020nc"
    y = signal @ luma
    u, v = (signal[:, 2] - y) / (2 - 2 * luma[2]), (signal[:, 0] - y) / (2 - 2 * luma[0])
    levels = np.stack([64 + 876 * y, 512 + 896 * u, 512 + 896 * v]).round().astype("<u2")
    planes = np.repeat(np.repeat(levels[:, None, :], side_px, axis=1), 17, axis=2)
    path.with_suffix(".yuv").write_bytes(planes.tobytes())
    run_ffmpeg(
        *("-f", "rawvideo", "-pixel_format", "yuv444p10le", "-video_size", f"{17 * len(PATCHES)}x{side_px}"),
        *("-framerate", "30", "-i", path.with_suffix(".yuv"), "-pix_fmt", "yuv420p10le", "-c:v", "ffv1"),
        *(
            "-vf",
            f"setparams=color_primaries={primaries}:color_trc={transfer}:colorspace={matrix_tag}:range=tv",
            path,
        ),
    )
    return path


@pytest.mark.parametrize("converter", ["zscale", "scale"])
@pytest.mark.parametrize("kind", WIDE)
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_clip_of_any_primaries_and_transfer_comes_out_in_bt709(
    tmp_path: Path, fit: str, kind: str, converter: str
) -> None:
    path = wide_clip(tmp_path / "c.mkv", kind, 33)
    footage = probe_footage(path, VideoSpec(path="c.mkv")).footage
    assert footage.color is not None
    size = (17 * len(PATCHES) // 2 * 2, 32)
    compositor = compositor_of(timeline_of([clip_of(footage, 0, 1, fit=fit)], size_px=size))
    frame = draw(replace(compositor, converter=converter))[0]  # type: ignore[arg-type]
    y, u, v = (plane.astype(float) for plane in planes(frame))
    for number, patch in enumerate(PATCHES):
        column = 17 * number + 8
        y_, u_, v_ = (y[16, column] - 16) / 219, *((p[8, column // 2] - 128) / 224 for p in (u, v))
        red, blue = y_ + 1.5748 * v_, y_ + 1.8556 * u_
        seen = 255 * np.array([red, (y_ - 0.2126 * red - 0.0722 * blue) / 0.7152, blue])
        if patch == (255, 255, 255):
            assert y[16, column] >= 235 - 6
            assert seen.min() >= 247
        else:
            assert np.abs(seen - patch).max() <= (6 if kind in ("hlg", "pq") else 3), f"{patch}: {seen}"


@pytest.mark.parametrize("primaries", ["smpte431", "smpte432", "bt2020", "smpte170m"])
@pytest.mark.parametrize("fit", ["cover", "blur"])
def test_greys_stay_grey_whatever_white_the_primaries_have(tmp_path: Path, primaries: str, fit: str) -> None:
    path = tmp_path / "c.mkv"
    tags = f"setparams=color_primaries={primaries}:color_trc=bt709:colorspace=bt709:range=tv"
    grey = "color=0xC0C0C0:s=64x64:d=0.2,format=yuv444p10le"
    run_ffmpeg("-f", "lavfi", "-i", grey, "-vf", tags, "-c:v", "ffv1", path)
    footage = probe_footage(path, VideoSpec(path="c.mkv")).footage
    for size in ((64, 64), (64, 62)):
        timeline = timeline_of([clip_of(footage, 0, 1, fit=fit)], size_px=size)
        _, u, v = planes(draw(compositor_of(timeline))[0])
        assert np.abs(u[8:-8, 8:-8].astype(int) - 128).max() <= 1
        assert np.abs(v[8:-8, 8:-8].astype(int) - 128).max() <= 1


def test_a_plain_clip_gets_no_filter_for_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    tags = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:d=0.2", *tags, path)
    footage = probe_footage(path, VideoSpec(path="c.mp4")).footage
    timeline = timeline_of([clip_of(footage, 0, 2)], size_px=(160, 90))
    command = " ".join(compositor_of(timeline).frames_command(FrameRange(0, 2), threads=1))
    assert footage.color is None
    assert "zscale" not in command
    assert command.count("scale=") == 1
    assert "crop" not in command
