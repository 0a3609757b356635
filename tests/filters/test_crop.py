"""Cutting frames of every pixel format at every place, against float64 and the same frames decoded by PyAV."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.tolerances import CROP_LEVELS
from tests.support.video import (
    Frames,
    clip_of,
    compositor_of,
    draw,
    draw_range,
    draw_stream,
    planes,
    run_ffmpeg,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Still, Timeline
from video_pipeline.filters.color import scale_to_bt709
from video_pipeline.filters.crop import crop
from video_pipeline.filters.geometry import (
    FITS,
    Camera,
    Fit,
    Rect,
    Window,
    contained_size,
    largest_rect,
    nearest_window,
)
from video_pipeline.filters.graph import open_input

Rgb = npt.NDArray[np.float64]
"""Shape (height, width, 3), 0 to 1."""

CANVAS_PX = (66, 118)
SIZES_PX = [(102, 57), (101, 58), (58, 131)]
COARSE_SIZES_PX = [(104, 56), (108, 64), (60, 132)]
"""For chroma that four pixels share: FFmpeg's scaler stretches chroma where it reaches beyond the picture."""

TURNS = [0, 90, 180, 270]

CODED = {
    **dict.fromkeys(
        ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv410p", "yuv411p", "yuva420p", "yuva444p10le"], "ffv1"
    ),
    **dict.fromkeys(["yuv420p9le", "yuv420p10le", "yuv420p12le", "yuv420p14le", "yuv420p16le"], "ffv1"),
    **dict.fromkeys(["yuv422p10le", "yuv422p12le", "yuv422p16le", "yuv444p10le", "yuv444p16le"], "ffv1"),
    **dict.fromkeys(["yuva420p10le", "gray", "gray10le", "gray16le", "gbrp", "gbrp10le", "gbrp16le"], "ffv1"),
    **dict.fromkeys(["bgra", "rgb48le"], "ffv1"),
    **dict.fromkeys(["nv12", "yuyv422", "uyvy422"], "rawvideo"),
}
"""Pixel formats that decoders give, and what codes frames of them without loss."""

GREY = ("gray", "gray10le", "gray16le")


def smooth(size_px: tuple[int, int]) -> Rgb:
    """Return soft colours that differ at every place."""
    x, y = np.meshgrid(np.linspace(0, 1, size_px[0]), np.linspace(0, 1, size_px[1]))
    return np.stack([0.25 + 0.5 * x, 0.3 + 0.3 * y + 0.2 * x, 0.8 - 0.4 * y * x], axis=-1)


def write_clip(path: Path, pix_fmt: str, codec: str, size_px: tuple[int, int], turn: int) -> None:
    """Write one frame of soft colours in a pixel format, to be shown turned."""
    raw, coded = path.with_suffix(".rgb"), path.with_suffix(".coded.mkv")
    raw.write_bytes((smooth(size_px) * 65535).round().astype("<u2").tobytes())
    flags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    run_ffmpeg(
        *("-f", "rawvideo", "-pixel_format", "rgb48le", "-video_size", f"{size_px[0]}x{size_px[1]}"),
        *("-framerate", "30", "-i", raw),
        *("-vf", f"scale=flags={flags}:out_color_matrix=bt709:out_range=tv,format={pix_fmt}"),
        *("-c:v", codec, *(() if pix_fmt in ("gbrp", "bgra") else ("-colorspace", "bt709")), coded),
    )
    run_ffmpeg(*(("-display_rotation", str(turn)) if turn else ()), "-i", coded, "-c", "copy", path)


def read_rgb(path: Path, turn: int) -> Rgb:
    """Return the first frame of a clip, upright, as PyAV decodes it.

    FFmpeg's scaler only brings its planes to one size and depth: its ways from YUV to RGB are off by several levels.
    """
    with av.open(str(path)) as container:
        frame = next(container.decode(container.streams.video[0]))
    grey = frame.format.name.startswith("gray")
    wanted = "rgb48le" if frame.format.is_rgb else "gray16le" if grey else "yuv444p16le"
    wide = frame.reformat(format=wanted, interpolation="BICUBIC", threads=1)
    levels = wide.to_ndarray().astype(np.float64)
    if frame.format.is_rgb:
        rgb = levels / 65535
    elif grey:
        rgb = np.repeat(levels[..., None], 3, axis=2) / 65535
    else:
        y, u, v = np.moveaxis(levels / 256, -1, 0)
        y, u, v = (y - 16) / 219, (u - 128) / 224 * 1.8556, (v - 128) / 224 * 1.5748
        red, blue = y + v, y + u
        rgb = np.stack([red, (y - 0.2126 * red - 0.0722 * blue) / 0.7152, blue], axis=-1)
    return np.rot90(rgb, turn // 90)


def sampled(rgb: Rgb, rect: Rect, size_px: tuple[int, int]) -> Rgb:
    """Return a part of a picture at a size, each pixel a weighted mean of the four around its middle."""
    height, width, _ = rgb.shape
    x = (rect.x + rect.width * (np.arange(size_px[0]) + 0.5) / size_px[0]) * width - 0.5
    y = (rect.y + rect.height * (np.arange(size_px[1]) + 0.5) / size_px[1]) * height - 0.5
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    u, v = (x - left)[None, :, None], (y - top)[:, None, None]
    upper = rgb[top][:, left] * (1 - u) + rgb[top][:, left + 1] * u
    lower = rgb[top + 1][:, left] * (1 - u) + rgb[top + 1][:, left + 1] * u
    return upper * (1 - v) + lower * v


def as_bt709(rgb: Rgb) -> tuple[Rgb, Rgb, Rgb]:
    """Return Y, U, V in levels, limited range; U and V at half the size."""
    y = rgb @ [0.2126, 0.7152, 0.0722]
    levels = 16 + 219 * y, 128 + 224 * (rgb[..., 2] - y) / 1.8556, 128 + 224 * (rgb[..., 0] - y) / 1.5748
    half = [plane.reshape(plane.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)) for plane in levels[1:]]
    return levels[0], half[0], half[1]


def assert_near(drawn: tuple[Frames, Frames, Frames], expected: tuple[Rgb, Rgb, Rgb], what: str) -> None:
    for name, plane, levels in zip("YUV", drawn, expected, strict=True):
        worst = np.abs(plane - levels).max()
        assert worst <= CROP_LEVELS, f"{what}: {name} is off by {worst:.2f}; allowed: {CROP_LEVELS}"


def assert_as_reference(frame: Frames, picture: Rgb, fit: Fit, what: str) -> None:
    """Compare a drawn frame with the part of a picture that it is to show."""
    height, width, _ = picture.shape
    drawn = planes(frame)
    if fit == "cover":
        rect = largest_rect(width / height, CANVAS_PX[0] / CANVAS_PX[1])
        assert_near(drawn, as_bt709(sampled(picture, rect, CANVAS_PX)), what)
        return
    inner = contained_size((width, height), CANVAS_PX)
    x, y = ((whole - part) // 4 * 2 for whole, part in zip(CANVAS_PX, inner, strict=True))
    shown = tuple(
        plane[y // step : (y + inner[1]) // step, x // step : (x + inner[0]) // step]
        for plane, step in zip(drawn, (1, 2, 2), strict=True)
    )
    assert_near(shown, as_bt709(sampled(picture, Rect(0, 0, 1, 1), inner)), what)  # type: ignore[arg-type]


@cache
def clips(folder: Path, pix_fmt: str) -> tuple[Timeline, tuple[tuple[Rgb, Fit, str], ...]]:
    """Return a timeline with a frame of every size, rotation and fit, and the expected picture of each."""
    made, expected = [], []
    for size_px in COARSE_SIZES_PX if pix_fmt in ("yuv410p", "yuv411p") else SIZES_PX:
        for turn in TURNS:
            path = folder / f"{pix_fmt}-{size_px[0]}-{turn}.mkv"
            write_clip(path, pix_fmt, CODED[pix_fmt], size_px, turn)
            footage = probe_footage(path, VideoSpec(path=str(path))).footage
            picture = read_rgb(path, turn)
            for fit in FITS:
                made.append(clip_of(footage, len(made), len(made) + 1, fit=fit))
                expected.append((picture, fit, f"{path.stem}-{fit}"))
    return timeline_of(made, size_px=CANVAS_PX), tuple(expected)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.mark.parametrize("pix_fmt", CODED)
def test_a_clip_of_any_pixel_format_size_turn_and_fit_is_drawn_as_it_is(folder: Path, pix_fmt: str) -> None:
    timeline, expected = clips(folder, pix_fmt)
    for frame, (picture, fit, what) in zip(draw(compositor_of(timeline)), expected, strict=True):
        assert_as_reference(frame, picture, fit, what)


@pytest.mark.skipif(not native.available(), reason="the native extension was not built")
@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "nv12"])
def test_the_native_compositor_draws_the_same(folder: Path, pix_fmt: str) -> None:
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    timeline, expected = clips(folder, pix_fmt)
    compositor = NativeCompositor(timeline=timeline, captions=(), graphs=compositor_of(timeline))
    for frame, (picture, fit, what) in zip(draw_range(compositor), expected, strict=True):
        assert_as_reference(frame, picture, fit, what)


@pytest.mark.parametrize(
    "pix_fmt", ["nv21", "nv16", "p010le", "p016le", "p210le", "x2rgb10le", "yuv420p10be"]
)
@pytest.mark.parametrize("place", [(0, 0), (1, 0), (2, 1), (17, 4), (18, 7)], ids=str)
def test_frames_that_only_devices_give_are_cut_as_well(
    tmp_path: Path, pix_fmt: str, place: tuple[int, int]
) -> None:
    path, size_px = tmp_path / "c.mkv", (102, 126)
    write_clip(path, "gbrp16le", "ffv1", size_px, 0)
    stream = open_input(path, demuxer="matroska")
    stream = stream.filter("scale", out_color_matrix="bt709", out_range="tv").filter("format", pix_fmt)
    window = Window(*place, *CANVAS_PX)
    grid = (1, 1) if pix_fmt == "x2rgb10le" else (2, 1) if pix_fmt in ("nv16", "p210le") else (2, 2)
    stream = crop(stream, window, size_px=size_px, chroma_grid_px=grid)
    frame = draw_stream(scale_to_bt709(stream, width_px=CANVAS_PX[0], height_px=CANVAS_PX[1]), CANVAS_PX)[0]
    rect = Rect(place[0] / 102, place[1] / 126, CANVAS_PX[0] / 102, CANVAS_PX[1] / 126)
    assert_near(planes(frame), as_bt709(sampled(read_rgb(path, 0), rect, CANVAS_PX)), pix_fmt)


@pytest.mark.parametrize("layout", ["4:4:4", "4:2:2", "4:2:0", "grey"])
@pytest.mark.parametrize("place", [(1, 0), (3, 5), (20, 7)], ids=str)
def test_a_still_of_any_layout_is_cut_at_any_place(
    tmp_path: Path, layout: str, place: tuple[int, int]
) -> None:
    path, size_px = tmp_path / "p.jpg", (102, 126)
    image = Image.fromarray((smooth(size_px) * 255).round().astype(np.uint8))
    if layout == "grey":
        image.convert("L").save(path, quality=100)
    else:
        image.save(path, quality=100, subsampling=layout)
    picture = np.asarray(Image.open(path).convert("RGB")) / 255
    rect = Rect(place[0] / 102, place[1] / 126, CANVAS_PX[0] / 102, CANVAS_PX[1] / 126)
    source = clip_of(Still(path, *size_px, "", "jpeg_pipe"), 0, 1, camera=Camera(rect, rect))
    frame = draw(compositor_of(timeline_of([source], size_px=CANVAS_PX)))[0]
    assert_near(planes(frame), as_bt709(sampled(picture, rect, CANVAS_PX)), layout)


# -- windows ------------------------------------------------------------------------------------------

sides = st.integers(2, 8000)
grids = st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 1), (4, 4)])


@given(picture=st.tuples(sides, sides), canvas=st.tuples(sides, sides), grid=grids)
def test_a_window_is_inside_the_picture_near_its_rectangle(
    picture: tuple[int, int], canvas: tuple[int, int], grid: tuple[int, int]
) -> None:
    rect = largest_rect(picture[0] / picture[1], canvas[0] / canvas[1])
    window = nearest_window(rect, picture, grid)
    edges = ((window.x, window.width, rect.x, rect.width), (window.y, window.height, rect.y, rect.height))
    for (start, size, wanted, share), length in zip(edges, picture, strict=True):
        allowed = max(0.5, length / 1000) + 1e-6
        assert 0 <= start < start + size <= length
        assert abs(start - wanted * length) <= allowed
        assert abs(start + size - (wanted + share) * length) <= max(allowed, 1)
    outer = window.widened(grid, picture)
    assert outer.lies_on(grid, picture)
    assert outer.x <= window.x
    assert outer.x + outer.width >= window.x + window.width


@pytest.mark.parametrize("size_px", [(1920, 1080), (1280, 720), (3840, 2160), (1080, 1350), (1440, 1080)])
@pytest.mark.parametrize("canvas", [(1080, 1920), (1080, 1080), (1080, 1350)])
def test_windows_of_usual_clips_are_on_the_grid_of_their_chroma(
    size_px: tuple[int, int], canvas: tuple[int, int]
) -> None:
    rect = largest_rect(size_px[0] / size_px[1], canvas[0] / canvas[1])
    assert nearest_window(rect, size_px, (2, 2)).lies_on((2, 2), size_px)
