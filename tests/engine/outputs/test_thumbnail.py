"""Thumbnails of real videos, opened again."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, JpegImagePlugin

from tests.support.lavfi import RGB_TO_YUV, MakeVideo, pixels
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.outputs.frame_choice import frame_at
from video_pipeline.engine.outputs.thumbnail import draw_title, make_thumbnail
from video_pipeline.filters.typeset import FontStack


@pytest.fixture(scope="session")
def bold() -> FontStack:
    return FontCatalogue().resolve("NotoSans-Bold")


def test_a_video_that_is_black_throughout_still_has_a_thumbnail(
    video: MakeVideo, bold: FontStack, tmp_path: Path
) -> None:
    path = video("color=c=black:s=180x320:r=30:d=1")
    target = make_thumbnail(path, tmp_path / "t.jpg", title="Night", fonts=bold)
    with Image.open(target) as image:
        assert (pixels(image).min(axis=2) > 200).sum() > 100


def test_a_video_of_one_frame_will_do(video: MakeVideo, bold: FontStack, tmp_path: Path) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=0.034,{RGB_TO_YUV}")
    with Image.open(make_thumbnail(path, tmp_path / "t.jpg", title=None, fonts=bold)) as image:
        assert image.size == (180, 320)


def test_another_aspect_is_cropped_and_never_squashed(
    video: MakeVideo, bold: FontStack, tmp_path: Path
) -> None:
    path = video(
        "color=c=black:s=320x180:r=30:d=0.2,format=gray,"
        "geq=lum='if(lt(hypot(X-159.5,Y-89.5),50),235,30)',format=yuv420p"
    )
    with Image.open(
        make_thumbnail(path, tmp_path / "t.jpg", title=None, fonts=bold, size_px=(360, 640))
    ) as image:
        assert image.size == (360, 640)
        disc = pixels(image)[..., 0] > 128
    columns, rows = np.flatnonzero(disc.any(axis=0)), np.flatnonzero(disc.any(axis=1))
    assert len(columns) == pytest.approx(len(rows), abs=4)
    assert len(rows) == pytest.approx(100 * 640 / 180, abs=4)


LONG_TITLE = (
    "The Extraordinary and Entirely True History of the Lighthouse Keeper Who Taught the Sea to Sing, "
    "and of Everyone Who Came to Listen on the Last Night of Winter"
)


@pytest.mark.parametrize("size_px", [(540, 960), (540, 540), (960, 540), (540, 676)])
@pytest.mark.parametrize(
    "title",
    [
        "Dune",
        LONG_TITLE,
        "حارس المنارة الأخير",
        "समुद्र का आख़िरी पहरेदार",
        "Donaudampfschifffahrtskapitän",
    ],
)
def test_a_title_of_any_length_and_script_stays_inside_the_frame(
    bold: FontStack, size_px: tuple[int, int], title: str
) -> None:
    width, height = size_px
    drawn = pixels(draw_title(Image.new("RGB", size_px, (20, 30, 60)), title, fonts=bold))
    ink = drawn.min(axis=2) > 150
    assert ink.sum() > 100, "the title is there"
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert rows[0] > 0.55 * height
    assert rows[-1] < 0.96 * height
    assert columns[0] > 0.05 * width
    assert columns[-1] < 0.95 * width


def test_a_title_that_no_font_can_write_is_left_off(
    bold: FontStack, caplog: pytest.LogCaptureFixture
) -> None:
    picture = Image.new("RGB", (270, 480), (20, 30, 60))
    drawn = draw_title(picture, "Notes in Tangut: 𗼇𗟲", fonts=bold)
    assert drawn.tobytes() == picture.tobytes()
    assert "𗼇" in caplog.text


@pytest.mark.parametrize("grey", [0, 90, 180, 255])
def test_white_letters_can_be_read_on_any_picture(bold: FontStack, grey: int) -> None:
    picture = Image.new("RGB", (540, 960), (grey, grey, grey))
    drawn = pixels(draw_title(picture, "The Lighthouse Keeper", fonts=bold))
    beside = drawn[:, :20].mean(axis=(1, 2))
    ink = (drawn.min(axis=2) > 250) & (beside < 250)[:, None]
    rows = np.flatnonzero(ink.sum(axis=1) > 10)
    behind = beside[rows[0] : rows[-1]].max() / 255
    linear = ((behind + 0.055) / 1.055) ** 2.4 if behind > 0.04 else behind / 12.92
    assert 1.05 / (linear + 0.05) >= 4.5  # WCAG 2


def test_the_scrim_leaves_the_upper_half_alone_and_has_no_edge(bold: FontStack) -> None:
    picture = Image.new("RGB", (540, 960), (200, 190, 180))
    drawn = pixels(draw_title(picture, "Dune", fonts=bold))
    assert np.array_equal(drawn[:480], pixels(picture)[:480])
    left = drawn[:, :20].mean(axis=(1, 2))
    assert np.abs(np.diff(left)).max() < 2.5


def test_a_caption_in_the_frame_does_not_show_beneath_the_title(bold: FontStack) -> None:
    picture = Image.new("RGB", (540, 960), (70, 90, 110))
    pen = ImageDraw.Draw(picture)
    for x in range(40, 500, 12):  # upright strokes, as letters have
        pen.rectangle((x, 720, x + 5, 760), fill=(255, 255, 255))
    covered = pixels(draw_title(picture, "I", fonts=bold))[700:780, 60:220]
    kept = pixels(draw_title(picture, "I", fonts=bold, hide_captions=False))[700:780, 60:220]
    assert np.abs(np.diff(covered, axis=1)).max() < 8
    assert np.abs(np.diff(kept, axis=1)).max() > 40


@pytest.mark.parametrize("title", [None, "", " \n"])
def test_a_thumbnail_without_title_is_the_frame(
    video: MakeVideo, bold: FontStack, tmp_path: Path, title: str | None
) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=1,{RGB_TO_YUV}")
    target = make_thumbnail(path, tmp_path / "t.jpg", title=title, fonts=bold, timestamp=Fraction(1, 2))
    frame = pixels(frame_at(path, Fraction(1, 2)).image)
    with Image.open(target) as image:
        assert np.abs(pixels(image) - frame).mean() < 2.5


def test_the_file_is_an_srgb_jpeg_without_chroma_subsampling_and_always_the_same(
    video: MakeVideo, bold: FontStack, tmp_path: Path
) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=1,{RGB_TO_YUV}")
    first = make_thumbnail(path, tmp_path / "a.jpg", title="Dune", fonts=bold)
    second = make_thumbnail(path, tmp_path / "b.jpg", title="Dune", fonts=bold)
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert image.format == "JPEG"
        assert JpegImagePlugin.get_sampling(image) == 0
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jpg", "b.jpg", "v.mp4"]


def test_a_file_that_is_not_a_video_is_an_error_that_names_it(bold: FontStack, tmp_path: Path) -> None:
    path = tmp_path / "words.mp4"
    path.write_text("no video")
    with pytest.raises(RenderingError, match=r"words\.mp4"):
        make_thumbnail(path, tmp_path / "t.jpg", title=None, fonts=bold)


def test_a_folder_that_is_not_there_is_an_error_that_names_the_target(
    video: MakeVideo, bold: FontStack, tmp_path: Path
) -> None:
    path = video("color=c=gray:s=64x64:r=30:d=0.1")
    with pytest.raises(RenderingError, match=r"nowhere.*t\.jpg"):
        make_thumbnail(path, tmp_path / "nowhere" / "t.jpg", title=None, fonts=bold)
