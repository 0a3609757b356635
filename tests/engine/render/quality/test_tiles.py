"""Tiles: a sample of a frame that stands for the whole, and the mosaic that is encoded."""

from __future__ import annotations

import numpy as np
import pytest

from video_pipeline.engine.render.planes import new_frame, planes_of
from video_pipeline.engine.render.quality.tiles import LEAST_TILES, TILE_PX, UNIT_PX, choose_tiles


def picture(width: int, height: int, *, seed: int = 1) -> np.ndarray:
    """Return a luma with noise that grows from top to bottom, and a bright square."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (height, width)) * np.linspace(1, 30, height)[:, None]
    luma = np.clip(110 + noise, 0, 255)
    luma[height // 3 : height // 3 + 90, width // 2 : width // 2 + 90] = 235
    return luma.astype(np.uint8)


@pytest.mark.parametrize("size_px", [(1080, 1920), (1920, 1080), (1080, 1080), (722, 1282)])
def test_tiles_cover_about_their_share_and_lie_inside_the_frame(size_px: tuple[int, int]) -> None:
    width, height = size_px
    tiles = choose_tiles(picture(width, height), share=0.06)
    covered = len(tiles.corners) * TILE_PX**2 / (width * height)
    assert 0.03 < covered < 0.075
    assert len(set(tiles.corners)) == len(tiles.corners)
    for left, top in tiles.corners:
        assert 0 <= left <= width - TILE_PX
        assert 0 <= top <= height - TILE_PX


def test_weights_estimate_the_sum_over_the_frame_of_what_the_tiles_hold() -> None:
    luma = picture(1080, 1920)
    squared = np.diff(luma.astype(float), axis=1) ** 2
    tiles = choose_tiles(luma)
    sums = [squared[top : top + TILE_PX, left : left + TILE_PX - 1].sum() for left, top in tiles.corners]
    assert np.dot(sums, tiles.weights) == pytest.approx(squared.sum(), rel=0.1)
    assert sum(tiles.weights) == pytest.approx(1080 * 1920 / TILE_PX**2, rel=0.25)


def test_there_are_more_tiles_where_there_is_more_to_lose() -> None:
    luma = np.full((1920, 1080), 128, np.uint8)
    luma[1400:] = picture(1080, 1920)[1400:]
    below = [top for _, top in choose_tiles(luma).corners if top >= 1400 - TILE_PX]
    assert len(below) > 0.6 * len(choose_tiles(luma).corners)


@pytest.mark.parametrize("size_px", [(16, 16), (180, 320), (322, 242), (64, 600)])
def test_a_small_frame_is_one_tile_of_whole_macroblocks(size_px: tuple[int, int]) -> None:
    width, height = size_px
    tiles = choose_tiles(picture(width, height))
    assert tiles.corners == ((0, 0),)
    assert tiles.tile_px == (width // UNIT_PX * UNIT_PX, height // UNIT_PX * UNIT_PX)
    assert tiles.weights[0] == pytest.approx(width * height / np.prod(tiles.tile_px))


def test_a_flat_frame_has_tiles_too() -> None:
    assert len(choose_tiles(np.zeros((1280, 720), np.uint8)).corners) >= LEAST_TILES


def test_a_mosaic_holds_the_tiles_of_all_planes_and_repeats_the_first_ones_at_its_end() -> None:
    width, height = 720, 1280
    frame = new_frame(width, height)
    rng = np.random.default_rng(3)
    frame[:] = rng.integers(0, 255, frame.shape, np.uint8)
    tiles = choose_tiles(frame[:height])
    mosaic = tiles.mosaic(frame)
    columns, rows = tiles.grid
    assert mosaic.shape == (rows * TILE_PX * 3 // 2, columns * TILE_PX)
    for place in range(columns * rows):
        left, top = tiles.corners[place % len(tiles.corners)]
        for small, plane, part in zip(planes_of(mosaic), planes_of(frame), (1, 2, 2), strict=True):
            side, x, y = TILE_PX // part, left // part, top // part
            row, column = place // columns * side, place % columns * side
            assert np.array_equal(
                small[row : row + side, column : column + side], plane[y : y + side, x : x + side]
            )
    apart = tiles.of_mosaic(mosaic[: rows * TILE_PX])
    assert apart.shape == (len(tiles.corners), TILE_PX, TILE_PX)
    left, top = tiles.corners[1]
    assert np.array_equal(apart[1], frame[top : top + TILE_PX, left : left + TILE_PX])
