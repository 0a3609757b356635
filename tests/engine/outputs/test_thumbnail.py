"""Thumbnails of real videos, opened again."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageDraw, JpegImagePlugin

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.outputs.thumbnail import (
    FrameWatch,
    candidate_times,
    draw_title,
    frame_at,
    judge,
    make_thumbnail,
    pick_frame,
)
from video_pipeline.engine.timeline import Clip, Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.typeset import FontStack

MakeVideo = Callable[..., Path]

TAGS = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
RGB_TO_YUV = f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{TAGS}"


@pytest.fixture(scope="session")
def bold() -> FontStack:
    return FontCatalogue().resolve("NotoSans-Bold")


@pytest.fixture
def video(tmp_path: Path) -> MakeVideo:
    """Return a function that renders a lavfi graph to a small H.264 video."""

    def make(graph: str, *, name: str = "v.mp4") -> Path:
        path = tmp_path / name
        argv = [find_ffmpeg().path, "-v", "error", "-y", "-f", "lavfi", "-i", graph]
        argv += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", "30", "-bf", "2", path]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
        return path

    return make


def pixels(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.asarray(image.convert("RGB"), np.float64)


def grey_of(image: Image.Image) -> float:
    return float(pixels(image).mean())


def test_the_frame_picked_is_clear_of_black_and_fades(video: MakeVideo) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=3,fade=in:0:30,fade=out:60:30,{RGB_TO_YUV}")
    assert Fraction(1) <= pick_frame(path).time < Fraction(2)


def test_candidates_that_are_black_are_given_up_for_the_rest_of_the_video(video: MakeVideo) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=4,fade=in:60:1,fade=out:75:1,{RGB_TO_YUV}")
    picked = pick_frame(path, [Fraction(1, 2), Fraction(1), Fraction(3)])
    assert Fraction(2) <= picked.time <= Fraction(5, 2)
    assert grey_of(picked.image) > 60


def test_the_brighter_richer_scene_wins_over_a_dull_one(video: MakeVideo) -> None:
    path = video(
        "color=c=0x303030:s=180x320:r=30:d=2[a];testsrc=s=180x320:r=30:d=2,format=rgb24[b];"
        f"[a]format=rgb24[c];[c][b]concat,{RGB_TO_YUV}"
    )
    assert pick_frame(path, [Fraction(1), Fraction(3)]).time == Fraction(3)


def test_a_video_that_is_black_throughout_still_has_a_thumbnail(
    video: MakeVideo, bold: FontStack, tmp_path: Path
) -> None:
    path = video("color=c=black:s=180x320:r=30:d=1")
    target = make_thumbnail(path, tmp_path / "t.jpg", title="Night", fonts=bold)
    with Image.open(target) as image:
        assert (pixels(image).min(axis=2) > 200).sum() > 100


@pytest.mark.parametrize("frame", [0, 1, 14, 29, 30, 44])
def test_a_timestamp_gives_the_very_frame_that_is_shown_then(video: MakeVideo, frame: int) -> None:
    path = video("color=c=black:s=64x64:r=30:d=1.5,format=gray,geq=lum=40+N*4,format=yuv420p")
    shown = frame_at(path, Fraction(2 * frame + 1, 60))
    assert shown.time == Fraction(frame, 30)
    expected = 40 + 4 * frame
    assert grey_of(shown.image) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("time", [Fraction(-1), Fraction(99)])
def test_a_time_outside_the_video_means_its_first_or_last_frame(video: MakeVideo, time: Fraction) -> None:
    path = video("color=c=black:s=64x64:r=30:d=1.5,format=gray,geq=lum=40+N*4,format=yuv420p")
    assert frame_at(path, time).time == (0 if time < 0 else Fraction(44, 30))


def test_a_video_of_one_frame_will_do(video: MakeVideo, bold: FontStack, tmp_path: Path) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=0.034,{RGB_TO_YUV}")
    with Image.open(make_thumbnail(path, tmp_path / "t.jpg", title=None, fonts=bold)) as image:
        assert image.size == (180, 320)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
def test_colours_are_those_that_the_video_names(video: MakeVideo, matrix: str) -> None:
    path = video(
        f"color=c=0xE03020:s=64x64:r=30:d=0.2,format=rgb24,scale=out_color_matrix={matrix}:out_range=tv,"
        f"format=yuv444p,setparams=colorspace={matrix}:range=tv"
    )
    mean = pixels(frame_at(path, Fraction(0)).image).mean(axis=(0, 1))
    assert mean == pytest.approx((0xE0, 0x30, 0x20), abs=3)


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


def test_frames_watched_while_rendering_give_the_best_of_those_asked_for() -> None:
    def planes(grey: int, noise: int) -> npt.NDArray[np.uint8]:
        made = np.full((480, 180), 128, np.uint8)
        rng = np.random.default_rng(1)
        made[:320] = np.clip(
            grey + rng.integers(-noise, noise + 1, (20, 12)).repeat(16, 0).repeat(15, 1), 16, 235
        )
        return made

    watch = FrameWatch([3, 7, 9])
    assert watch.best is None
    watch(9, planes(16, 0))  # black: never chosen
    assert watch.best is None
    watch(5, planes(120, 100))  # not asked for
    assert watch.best is None
    watch(3, planes(60, 40))
    assert watch.best == 3
    watch(7, planes(120, 100))
    assert watch.best == 7


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


def test_judging_prefers_sharp_to_soft_and_colour_to_grey() -> None:
    seed = 7
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (40, 24, 3), np.uint8)).resize(
        (192, 320), Image.Resampling.NEAREST
    )
    soft = noise.resize((24, 40), Image.Resampling.BOX).resize((192, 320), Image.Resampling.BICUBIC)
    sharp_looks, soft_looks = judge(np.asarray(noise)), judge(np.asarray(soft))
    grey_looks = judge(np.asarray(noise.convert("L").convert("RGB")))
    assert sharp_looks.sharpness > soft_looks.sharpness, f"seed {seed}"
    assert sharp_looks.colour > grey_looks.colour + 0.3, f"seed {seed}"


def test_candidates_of_a_timeline_are_clear_of_transitions_and_fades() -> None:
    still = Still(Path("a.png"), 9, 16, "")
    clips = (
        Clip("a", FrameRange(0, 60), still, fade_in_frames=15),
        Clip("b", FrameRange(45, 120), still),
        Clip("c", FrameRange(120, 180), still, fade_out_frames=30),
    )
    line = Timeline(1080, 1920, Fraction(30), "t", clips, (Transition("fade", 0, FrameRange(45, 60)),))
    assert candidate_times(line) == (Fraction(30, 30), Fraction(90, 30), Fraction(135, 30))
    assert candidate_times(line, limit=2) == (Fraction(30, 30), Fraction(90, 30))
