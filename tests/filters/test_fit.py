"""Fitting pictures of any aspect and size into canvases of any aspect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tolerances import COLOUR_LEVELS
from tests.support.video import Frames, clip_of, compositor_of, draw, luma, planes, still, timeline_of
from video_pipeline.filters.geometry import FITS, blurred_copy, contained_size, even

CANVASES = {"9:16": (180, 320), "1:1": (180, 180), "16:9": (320, 180), "4:5": (180, 226)}
ODD_SOURCES = [(1, 1), (2, 2), (3, 5), (2, 5000), (5000, 3), (641, 359), (17, 18), (1, 300)]

sides = st.integers(min_value=1, max_value=6000)


def marked(size_px: tuple[int, int]) -> Frames:
    """Return a picture whose left half is dark and right half bright, with a white line at every edge."""
    width, height = size_px
    picture = np.full((height, width, 3), 60, np.uint8)
    picture[:, (width + 1) // 2 :] = 160
    edge = max(1, min(size_px) // 30)
    picture[:edge], picture[-edge:], picture[:, :edge], picture[:, -edge:] = 255, 255, 255, 255
    return picture


def first_frame(path: Path, source_px: tuple[int, int], canvas_px: tuple[int, int], fit: str) -> Frames:
    source = still(path / "p.png", marked(source_px))
    frames = draw(compositor_of(timeline_of([clip_of(source, 0, 2, fit=fit)], size_px=canvas_px)))
    assert len(frames) == 2
    assert np.array_equal(frames[0], frames[1])
    return frames[0]


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("source_px", [*ODD_SOURCES, (720, 1280), (1280, 720), (600, 600)], ids=str)
def test_any_picture_fits_any_canvas_in_every_way(
    tmp_path: Path, source_px: tuple[int, int], canvas: str
) -> None:
    for fit in FITS:
        frame = first_frame(tmp_path, source_px, CANVASES[canvas], fit)
        assert luma(frame).max() > 60, fit


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("source_px", [(400, 900), (900, 400), (500, 500)], ids=str)
def test_contain_shows_the_whole_picture_in_the_middle_of_black(
    tmp_path: Path, source_px: tuple[int, int], canvas: str
) -> None:
    width, height = CANVASES[canvas]
    frame = first_frame(tmp_path, source_px, (width, height), "contain")
    y, u, v = planes(frame)
    inside = y > 40
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    scale = min(width / source_px[0], height / source_px[1])
    assert len(columns) == pytest.approx(source_px[0] * scale, abs=2)
    assert len(rows) == pytest.approx(source_px[1] * scale, abs=2)
    assert abs(columns[0] - (width - 1 - columns[-1])) <= 2
    assert abs(rows[0] - (height - 1 - rows[-1])) <= 2
    # All four edges of the picture are there, and black is black.
    assert y[rows[0], columns[5:-5]].min() > 150
    assert y[rows[-1], columns[5:-5]].min() > 150
    assert y[rows[5:-5], columns[0]].min() > 150
    assert y[rows[5:-5], columns[-1]].min() > 150
    outside = y[~inside.any(axis=1)][:, :] if len(rows) < height else y[:, ~inside.any(axis=0)]
    if outside.size:
        assert np.abs(outside.astype(int) - 16).max() <= COLOUR_LEVELS
    assert np.abs(u.astype(int) - 128).max() <= COLOUR_LEVELS
    assert np.abs(v.astype(int) - 128).max() <= COLOUR_LEVELS


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("source_px", [(400, 900), (900, 400), (500, 500)], ids=str)
def test_cover_fills_the_canvas_with_the_middle_of_the_picture(
    tmp_path: Path, source_px: tuple[int, int], canvas: str
) -> None:
    width, height = CANVASES[canvas]
    y = luma(first_frame(tmp_path, source_px, (width, height), "cover"))
    assert y.min() > 40
    middle = y[height // 2]
    step = int(np.argmax(np.diff(middle[10:-10].astype(int)))) + 10
    assert step == pytest.approx(width / 2 - 1, abs=1)


@pytest.mark.parametrize("source_px", [(900, 400), (400, 1200)], ids=str)
def test_blur_shows_the_whole_picture_over_a_soft_darker_fill(
    tmp_path: Path, source_px: tuple[int, int]
) -> None:
    width, height = CANVASES["9:16"]
    y = luma(first_frame(tmp_path, source_px, (width, height), "blur")).astype(int)
    inner = contained_size(source_px, (width, height))
    x0, y0 = (width - inner[0]) // 4 * 2, (height - inner[1]) // 4 * 2
    front = y[y0 : y0 + inner[1], x0 : x0 + inner[0]]
    assert front[0, 5:-5].min() > 150
    assert front[-1, 5:-5].min() > 150
    fill = y[: y0 - 4] if inner[1] < height else y[:, : x0 - 4]
    assert fill.min() > 25
    assert np.abs(np.diff(fill, axis=1)).max() < 12
    assert np.abs(np.diff(fill, axis=0)).max() < 12


@given(source=st.tuples(sides, sides), canvas=st.tuples(sides, sides))
def test_the_contained_size_is_even_inside_and_of_the_same_aspect(
    source: tuple[int, int], canvas: tuple[int, int]
) -> None:
    canvas = (even(canvas[0]), even(canvas[1]))
    width, height = contained_size(source, canvas)
    assert width % 2 == height % 2 == 0
    assert 2 <= width <= canvas[0]
    assert 2 <= height <= canvas[1]
    assert width == canvas[0] or height == canvas[1]
    exact = min(canvas[0] / source[0], canvas[1] / source[1])
    assert abs(width - source[0] * exact) <= 2
    assert abs(height - source[1] * exact) <= 2


@given(value=st.floats(min_value=0, max_value=1e6))
def test_even_is_the_nearest_even_number_and_at_least_two(value: float) -> None:
    assert even(value) % 2 == 0
    assert even(value) >= 2
    assert abs(even(value) - max(value, 2)) <= 1


@given(width=st.integers(8, 4096), height=st.integers(8, 4096))
def test_the_copy_that_is_blurred_is_an_eighth_of_the_canvas_and_never_narrow(
    width: int, height: int
) -> None:
    canvas = (2 * width, 2 * height)
    size, sigma = blurred_copy(canvas)
    assert min(size) >= 32
    assert sigma == min(size) / 14
    share = canvas[0] / size[0]
    assert share <= 8.4
    assert canvas[1] / size[1] == pytest.approx(share, rel=0.07)
