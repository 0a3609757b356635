"""Drawn backgrounds: repeatable, of the size asked for, varied, free of bands, dark enough for captions."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.paths import ROOT
from video_pipeline.engine.assets.backgrounds import GENRES, STYLES, draw_background
from video_pipeline.engine.assets.backgrounds.paint import CAPTION_ZONE, enlarge, finish, ramp, shading
from video_pipeline.engine.assets.backgrounds.palettes import MIDNIGHT, PARCHMENT
from video_pipeline.engine.assets.backgrounds.stage import Stage

NAMES = [style.name for style in STYLES]


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def luminance(image: Image.Image) -> np.ndarray:
    srgb = np.asarray(image).astype(np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    weighted: np.ndarray = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((12, 12), Image.Resampling.BOX)).astype(np.float64)


@pytest.mark.parametrize("style", NAMES)
@pytest.mark.parametrize("size_px", [(90, 160), (120, 120), (160, 90), (96, 120), (16, 16), (131, 37)])
def test_every_style_fills_every_aspect_and_the_smallest_size(style: str, size_px: tuple[int, int]) -> None:
    image = draw_background(genre="general", seed=5, size_px=size_px, style=style)
    assert image.mode == "RGB"
    assert image.size == size_px
    assert np.asarray(image).std() > 3, "the picture is flat"


def test_the_same_arguments_give_the_same_bytes_in_another_process() -> None:
    here = [digest(draw_background(genre="fantasy", seed=9, size_px=(90, 160), style=name)) for name in NAMES]
    code = (
        "import hashlib\n"
        "from video_pipeline.engine.assets.backgrounds import STYLES, draw_background\n"
        "for s in STYLES:\n"
        "    image = draw_background(genre='fantasy', seed=9, size_px=(90, 160), style=s.name)\n"
        "    print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == here


@pytest.mark.parametrize("style", NAMES)
def test_seeds_move_the_layout_and_not_only_the_grain(style: str) -> None:
    # "space" with these seeds keeps one palette wherever the style is given: only the layout differs.
    lap = len(GENRES["space"].styles) * len(GENRES["space"].palettes)
    pictures = [
        small(draw_background(genre="space", seed=seed, size_px=(90, 160), style=style))
        for seed in (0, lap, 2 * lap)
    ]
    for a in range(3):
        for b in range(a):
            assert np.abs(pictures[a] - pictures[b]).mean() > 1.0


def test_styles_differ_from_one_another() -> None:
    pictures = {n: small(draw_background(genre="general", seed=1, size_px=(90, 160), style=n)) for n in NAMES}
    for a in NAMES:
        for b in NAMES:
            assert a == b or np.abs(pictures[a] - pictures[b]).mean() > 4, (a, b)


def test_a_composition_is_the_same_at_every_size() -> None:
    for style in ("misty_ridges", "dunes", "arches", "silk"):
        low = draw_background(genre="history", seed=4, size_px=(180, 320), style=style)
        high = draw_background(genre="history", seed=4, size_px=(540, 960), style=style)
        assert np.abs(small(low) - small(high)).mean() < 4, style


def test_genre_and_seed_choose_the_style_and_the_palette() -> None:
    size_px = (54, 96)
    for name, genre in GENRES.items():
        assert set(genre.styles) <= set(NAMES), name
        assert len(set(genre.styles)) == len(genre.styles) >= 3, name
        assert len(genre.palettes) >= 3, name
    for name in ("mystery", "children", "space"):
        for seed in (0, 5, 31):
            styles = GENRES[name].styles
            picked = draw_background(genre=name, seed=seed, size_px=size_px)
            named = draw_background(genre=name, seed=seed, size_px=size_px, style=styles[seed % len(styles)])
            assert digest(picked) == digest(named)
    seen = {digest(draw_background(genre="space", seed=seed, size_px=size_px)) for seed in range(12)}
    assert len(seen) == 12


def test_an_unknown_genre_is_drawn_as_general() -> None:
    known = draw_background(genre="general", seed=3, size_px=(54, 96))
    for name in ("", "no such genre", "Übersinnlich"):
        assert digest(draw_background(genre=name, seed=3, size_px=(54, 96))) == digest(known)


def test_genre_names_ignore_case_spaces_and_hyphens() -> None:
    drawn = {
        digest(draw_background(genre=name, seed=2, size_px=(54, 96)))
        for name in ("sci-fi", "Sci Fi", "SCIENCE FICTION", " science-fiction ", "scifi")
    }
    assert len(drawn) == 1


def test_negative_and_large_seeds_are_seeds_too() -> None:
    drawn = {digest(draw_background(genre="drama", seed=s, size_px=(54, 96))) for s in (-1, -(2**70), 2**70)}
    assert len(drawn) == 3


def test_a_wrong_style_names_the_value_and_the_choices() -> None:
    with pytest.raises(ValueError, match="watercolour") as caught:
        draw_background(genre="drama", seed=1, size_px=(54, 96), style="watercolour")
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("size_px", [(15, 100), (100, 0), (7681, 100), (-20, 100)])
def test_a_size_out_of_range_names_the_value_and_the_limits(size_px: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{size_px[0]}x{size_px[1]}.*16 to 7680"):
        draw_background(genre="drama", seed=1, size_px=size_px)


def test_a_slow_gradient_keeps_its_slope_through_quantisation() -> None:
    # 25 levels over 960 rows: plain rounding makes bands some 40 rows high, each half a level off at its ends.
    stage = Stage.of(size_px=(540, 960), palette=MIDNIGHT, key="gradient")
    dark, light = np.full(3, 0.30, dtype=np.float32), np.full(3, 0.40, dtype=np.float32)
    column = ramp(stage.rows / stage.height, [(0.0, dark), (1.0, light)])
    planes = np.ascontiguousarray(np.broadcast_to(column, (3, 960, 540)))
    wanted = (planes * enlarge(shading(stage, planes), stage) * 255).astype(np.float64)
    drawn = np.moveaxis(np.asarray(finish(stage, planes, size_px=(540, 960))), -1, 0).astype(np.float64)
    middle = slice(250, 290)

    def local_error(picture: np.ndarray) -> float:
        error = (picture - wanted)[:, :, middle].mean(axis=2)
        return float(np.abs(error.reshape(3, -1, 10).mean(axis=2)).max())

    assert local_error(drawn) < 0.2
    assert local_error(np.round(wanted)) > 0.4, "the check would not see bands"
    assert abs((drawn - wanted).mean()) < 0.01
    assert (drawn - wanted).std() < 1.0, "the grain is heavy"


@pytest.mark.parametrize("style", ["misty_ridges", "moonlit_sea", "silk"])
def test_no_run_of_equal_pixels_is_long_enough_to_be_a_band(style: str) -> None:
    picture = np.asarray(draw_background(genre="adventure", seed=0, size_px=(405, 720), style=style))[..., 1]
    sky = picture[5:260]
    same = np.diff(sky.astype(np.int16), axis=1) == 0
    # Bands are rows of one value from edge to edge; dither leaves neighbours equal by chance only.
    assert same.mean(axis=1).max() < 0.6


@pytest.mark.parametrize("style", NAMES)
@pytest.mark.parametrize("genre", ["children", "romance"])
def test_white_captions_can_be_read_over_the_lower_part(style: str, genre: str) -> None:
    image = draw_background(genre=genre, seed=2, size_px=(135, 240), style=style)
    lower = luminance(image)[int(CAPTION_ZONE * 240) :]
    # A contrast of 3:1 with white is a luminance of 0.30; small bright things are left to the text's stroke.
    assert np.percentile(lower, 80) < 0.30


def test_a_picture_above_the_drawing_limit_has_its_full_size_and_fine_grain() -> None:
    image = draw_background(genre="history", seed=1, size_px=(2700, 4800), style="bokeh")
    assert image.size == (2700, 4800)
    corner = np.asarray(image)[:400, :400, 1].astype(np.float64)
    # Noise enlarged with the picture would make neighbours alike; noise laid after it does not.
    step = np.diff(corner, axis=1)
    assert np.corrcoef(step[:, :-1].ravel(), step[:, 1:].ravel())[0, 1] < -0.3
    assert PARCHMENT in GENRES["history"].palettes
