"""drawtext against our own raster: the real ffmpeg draws, the pixels are compared."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import manimgx_fonts
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from video_pipeline.filters.graph import argv, open_input
from video_pipeline.filters.text import drawtext_able, drawtext_options
from video_pipeline.filters.typeset import (
    Box,
    FontFace,
    FontStack,
    Shadow,
    TextLayout,
    TextStyle,
    layout_text,
    rasterise,
    static_instance,
)
from video_pipeline.filters.typeset.face import load

FONTS = Path(manimgx_fonts.__file__).parent
REGULAR = FontStack(
    (FontFace(FONTS / "NotoSans[wght].ttf", 400), FontFace(FONTS / "NotoSansHebrew[wght].ttf", 400))
)
WIDTH, HEIGHT = 900, 420
BACKGROUND = (60, 110, 140)

Pixels = npt.NDArray[np.uint8]


def drawn_by_ffmpeg(layout: TextLayout, folder: Path, *, x_px: float | str, y_px: float | str) -> Pixels:
    canvas = folder / "canvas.png"
    Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND).save(canvas)
    stream = open_input(canvas, demuxer="png_pipe").filter("format", "gbrp")
    for number, options in enumerate(drawtext_options(layout, x_px=x_px, y_px=y_px)):
        text = folder / f"{number}.txt"
        text.write_text(str(options.pop("text")), encoding="utf-8", newline="")
        stream = stream.filter("drawtext", textfile=text, **options)
    command = argv(
        imageio_ffmpeg.get_ffmpeg_exe(),
        [stream],
        "-",
        f="rawvideo",
        pix_fmt="rgb24",
        vframes=1,
        loglevel="error",
    )
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.uint8).reshape(HEIGHT, WIDTH, 3)


def drawn_by_us(layout: TextLayout, *, x_px: int, y_px: int) -> Pixels:
    raster = rasterise(layout)
    picture = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    picture.paste(raster.image, (x_px + raster.left_px, y_px + raster.top_px), raster.image)
    return np.asarray(picture)


def ink_box(pixels: Pixels) -> tuple[int, int, int, int]:
    ink = np.abs(pixels.astype(int) - BACKGROUND).max(axis=2) > 40
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def psnr(a: Pixels, b: Pixels) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


STYLES = {
    "plain": TextStyle(size_px=56),
    "stroke": TextStyle(size_px=56, stroke_px=5),
    "hard shadow": TextStyle(size_px=50, shadow=Shadow(dx_px=4, dy_px=-3, blur_px=0, color=(0, 0, 0, 150))),
    "box": TextStyle(size_px=40, align="left", box=Box(padding_px=14, color=(10, 20, 30, 180))),
    "all": TextStyle(
        size_px=44,
        align="right",
        color=(255, 220, 90, 255),
        stroke_px=3,
        shadow=Shadow(dx_px=5, dy_px=6, blur_px=0, color=(0, 0, 0, 255)),
        box=Box(padding_px=9, color=(90, 20, 60, 255)),
    ),
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize(
    "text",
    [
        "jumping Tavern, Wolf: \u00c5ngstr\u00f6m jfj fj",
        "Съешь же ещё этих булок, да выпей чаю",
        "a: b\\n %{pts} '[v]'",
    ],
)
def test_drawtext_draws_what_our_raster_draws(text: str, style: TextStyle, tmp_path: Path) -> None:
    assert drawtext_able(text, REGULAR, style)
    layout = layout_text(text, fonts=REGULAR, style=style, max_width_px=640, max_height_px=300)
    theirs = drawn_by_ffmpeg(layout, tmp_path, x_px=90, y_px=60)
    ours = drawn_by_us(layout, x_px=90, y_px=60)
    assert max(abs(a - b) for a, b in zip(ink_box(theirs), ink_box(ours), strict=True)) <= 2
    assert psnr(theirs, ours) > 32
    # Inside the strokes both are solid, so a shift of the whole text by more than a pixel would show here.
    same = np.abs(theirs.astype(int) - ours.astype(int)).max(axis=2) < 100
    assert same.mean() > 0.999


def test_a_leading_j_and_a_tall_accent_are_not_cut_by_drawtext(tmp_path: Path) -> None:
    style = TextStyle(size_px=160)
    layout = layout_text("j\u1ea4j", fonts=REGULAR, style=style, max_width_px=800, max_height_px=300)
    theirs = drawn_by_ffmpeg(layout, tmp_path, x_px=200, y_px=120)
    box = ink_box(theirs)
    assert (
        max(abs(a - b) for a, b in zip(box, ink_box(drawn_by_us(layout, x_px=200, y_px=120)), strict=True))
        <= 1
    )
    assert box[0] < 200, "the j reaches left of its origin"


def test_a_bold_text_is_drawn_through_a_static_instance(tmp_path: Path) -> None:
    bold = FontStack((FontFace(FONTS / "NotoSans[wght].ttf", 700),))
    style = TextStyle(size_px=60)
    assert not drawtext_able("Bold words", bold, style)
    static = FontStack((static_instance(bold.faces[0], directory=tmp_path / "fonts"),))
    assert drawtext_able("Bold words", static, style)
    limits = {"max_width_px": 700, "max_height_px": 300}
    from_static = layout_text("Bold words", fonts=static, style=style, **limits)
    from_variable = layout_text("Bold words", fonts=bold, style=style, **limits)
    assert from_static.width_px == pytest.approx(from_variable.width_px, abs=1)
    theirs = drawn_by_ffmpeg(from_static, tmp_path, x_px=50, y_px=50)
    assert psnr(theirs, drawn_by_us(from_variable, x_px=50, y_px=50)) > 30
    written = (tmp_path / "fonts").stat().st_mtime_ns
    assert static_instance(bold.faces[0], directory=tmp_path / "fonts") == static.faces[0]
    assert (tmp_path / "fonts").stat().st_mtime_ns == written, "the second call finds the file"


def test_positions_may_be_expressions(tmp_path: Path) -> None:
    layout = layout_text(
        "Right here", fonts=REGULAR, style=TextStyle(size_px=50), max_width_px=600, max_height_px=200
    )
    fixed = drawn_by_ffmpeg(layout, tmp_path, x_px=(WIDTH - layout.width_px) // 2, y_px=100)
    expressed = drawn_by_ffmpeg(layout, tmp_path, x_px=f"(w-{layout.width_px})/2", y_px="100*min(1,t+1)")
    assert max(abs(a - b) for a, b in zip(ink_box(fixed), ink_box(expressed), strict=True)) <= 1


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("שלום", TextStyle()),
        ("Latin и кириллица", TextStyle()),
        ("漢字", TextStyle()),
        ("rocket 🚀", TextStyle()),
        ("", TextStyle()),
        ("soft", TextStyle(shadow=Shadow(blur_px=3))),
        ("round", TextStyle(box=Box(radius_px=4))),
        ("half", TextStyle(stroke_px=1.5)),
        ("glass", TextStyle(stroke_px=2, stroke_color=(0, 0, 0, 100))),
    ],
)
def test_captions_that_drawtext_cannot_draw_are_rasterised(text: str, style: TextStyle) -> None:
    assert not drawtext_able(text, REGULAR, style)


def test_emoji_are_rasterised_even_if_the_face_has_them() -> None:
    plain = FontStack((FontFace(FONTS / "NotoEmoji[wght].ttf"),))
    assert load(plain.faces[0]).covers("🚀")
    assert not drawtext_able("🚀", plain, TextStyle())


def test_the_weight_decides_whether_a_variable_face_will_do() -> None:
    face = REGULAR.faces[0]
    assert drawtext_able("word", FontStack((replace(face, weight=None),)), TextStyle())
    assert not drawtext_able("word", FontStack((replace(face, weight=500),)), TextStyle())
