"""The subject of a picture: what stands out is found, and pictures without one have none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from video_pipeline.engine.assets.subject import PLACES, SIDE, find_subject, seen_px
from video_pipeline.filters.geometry import largest_rect

SKY, GRASS, COAT = (120, 160, 210), (90, 130, 70), (200, 40, 40)


def meadow(place: tuple[float, float] | None, *, size: tuple[int, int] = (1280, 720)) -> Image.Image:
    """Return grass under a sky, with noise, and a red figure about `place` in fractions of the picture."""
    width, height = size
    image = Image.new("RGB", size, SKY)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 0.6, width, height), fill=GRASS)
    if place:
        x, y, radius = place[0] * width, place[1] * height, 0.1 * min(size)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COAT)
    noise = np.random.default_rng(5).integers(-6, 7, (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("place", [(0.15, 0.5), (0.3, 0.3), (0.5, 0.6), (0.75, 0.7), (0.85, 0.4)])
@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (600, 600)])
def test_a_crop_about_the_subject_keeps_a_figure_whole(
    place: tuple[float, float], size: tuple[int, int]
) -> None:
    x, y = find_subject(meadow(place, size=size)) or (PLACES // 2, PLACES // 2)
    for frame in (9 / 16, 16 / 9):
        crop = largest_rect(size[0] / size[1], frame, focus=(x / PLACES, y / PLACES))
        across, down = 0.09 * min(size) / size[0], 0.09 * min(size) / size[1]
        assert crop.x <= place[0] - across
        assert place[0] + across <= crop.x + crop.width
        assert crop.y <= place[1] - down
        assert place[1] + down <= crop.y + crop.height


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 2), (3, 40), (40, 3), (640, 360)])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 200, 30)])
def test_a_picture_of_one_colour_has_no_subject(size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    assert find_subject(Image.new("RGB", size, colour)) is None


def test_bands_from_edge_to_edge_have_no_subject() -> None:
    assert find_subject(meadow(None)) is None


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_cropped_near_the_middle(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(100, 140, (360, 640, 3)).astype(np.uint8)
    x, _ = find_subject(Image.fromarray(noise)) or (PLACES // 2, PLACES // 2)
    assert abs(x - PLACES // 2) < PLACES // 10


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_tiny_picture_has_a_place_inside_or_none(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    found = find_subject(Image.fromarray(pixels))
    assert found is None or (0 <= found[0] <= PLACES and 0 <= found[1] <= PLACES)


def test_a_mirrored_picture_has_its_subject_on_the_other_side() -> None:
    image = meadow((0.2, 0.5)).filter(ImageFilter.GaussianBlur(3))
    found, other = find_subject(image), find_subject(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert found is not None
    assert other is not None
    assert abs(found[0] - (PLACES - other[0])) <= 2 * PLACES // SIDE
    assert abs(found[1] - other[1]) <= 2 * PLACES // SIDE


def test_grey_is_looked_at_like_colour() -> None:
    grey: npt.NDArray[np.uint8] = np.full((360, 640), 90, np.uint8)
    grey[100:200, 480:560] = 220
    found = find_subject(Image.fromarray(grey))
    assert found is not None
    assert found[0] / PLACES > 0.65


@pytest.mark.parametrize("size", [(6000, 4000), (100, 30000), (96, 54), (50, 20), (1, 1)])
def test_the_copy_that_is_looked_at_is_small_and_never_enlarged(size: tuple[int, int]) -> None:
    width, height = seen_px(size)
    assert 1 <= width <= min(SIDE, size[0])
    assert 1 <= height <= min(SIDE, size[1])
