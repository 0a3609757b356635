"""Rectangles, views and sizes as numbers, from known results or the formula of `tests.support.camera`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.camera import EASED, place
from video_pipeline.filters.geometry import (
    EASING_FUNCTIONS,
    EASINGS,
    FITS,
    MAX_STAGE,
    Camera,
    Easing,
    Rect,
    Window,
    blurred_copy,
    contained_size,
    enclosing_window,
    even,
    largest_rect,
    nearest_window,
    widen_to_aspect,
    zoom_about,
)

MOVE = Camera(Rect(0.1, 0.2, 0.8, 0.5), Rect(0.4, 0.05, 0.3, 0.9))


def close(rect: Rect, *numbers: float) -> bool:
    return (rect.x, rect.y, rect.width, rect.height) == pytest.approx(numbers, abs=1e-9)


def test_the_names_are_those_of_the_story_format() -> None:
    assert EASINGS == ("linear", "ease_in", "ease_out", "ease_in_out", "cubic")
    assert FITS == ("cover", "contain", "blur")
    assert MAX_STAGE == 8
    assert set(EASING_FUNCTIONS) == set(EASINGS)


@pytest.mark.parametrize("easing", EASINGS)
def test_an_easing_follows_its_formula(easing: Easing) -> None:
    for step in range(101):
        assert EASING_FUNCTIONS[easing](step / 100) == pytest.approx(EASED[easing](step / 100), abs=1e-12)


@pytest.mark.parametrize("easing", EASINGS)
@pytest.mark.parametrize("frames", [2, 3, 17])
def test_the_corners_of_a_view_are_those_of_the_formula(easing: Easing, frames: int) -> None:
    camera = Camera(MOVE.start, MOVE.end, easing)
    for frame in range(frames):
        view = camera.view(frame, frames)
        near = place(camera, (view.x, view.y), frame, frames, (1, 1))
        far = place(camera, (view.x + view.width, view.y + view.height), frame, frames, (1, 1))
        assert (*near, *far) == pytest.approx((0, 0, 1, 1), abs=1e-9)


def test_a_view_stays_at_the_ends_before_the_first_and_after_the_last_frame() -> None:
    start = (0.1, 0.2, 0.8, 0.5)
    end = (0.4, 0.05, 0.3, 0.9)
    for frame, frames, expected in (
        (0, 10, start), (-3, 10, start), (9, 10, end), (20, 10, end),
        (0, 1, start), (0, 2, start), (1, 2, end), (1, 1, end), (0, 0, start),
    ):  # fmt: skip
        assert close(MOVE.view(frame, frames), *expected), (frame, frames)


def test_a_camera_moves_if_its_start_and_end_differ() -> None:
    assert MOVE.moves
    assert not Camera(MOVE.start, MOVE.start).moves
    assert MOVE.easing == "linear"


def test_the_bounds_of_a_move_are_the_smallest_rectangle_around_both_ends() -> None:
    assert close(MOVE.bounds(), 0.1, 0.05, 0.8, 0.9)
    assert close(Camera(MOVE.end, MOVE.start).bounds(), 0.1, 0.05, 0.8, 0.9)
    assert close(Camera(Rect(0, 0.5, 0.2, 0.5), Rect(0.7, 0, 0.3, 0.1)).bounds(), 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("picture", "canvas", "options", "expected"),
    [
        (1, 1, {}, (0, 0, 1, 1)),
        (2, 1, {}, (0.25, 0, 0.5, 1)),
        (1, 2, {}, (0, 0.25, 1, 0.5)),
        (2, 1, {"zoom": 2}, (0.375, 0.25, 0.25, 0.5)),
        (2, 1, {"focus": (0, 0)}, (0, 0, 0.5, 1)),
        (2, 1, {"focus": (1, 1)}, (0.5, 0, 0.5, 1)),
        (1, 2, {"focus": (0, 0.6)}, (0, 0.35, 1, 0.5)),
        (1, 1, {"zoom": 4, "focus": (0.3, 0.8)}, (0.175, 0.675, 0.25, 0.25)),
    ],
)
def test_the_largest_rectangle_is_as_near_to_its_focus_as_it_can_be(
    picture: float, canvas: float, options: dict[str, Any], expected: tuple[float, ...]
) -> None:
    assert close(largest_rect(picture, canvas, **options), *expected)


@pytest.mark.parametrize(
    ("focus", "expected"),
    [
        ((0.5, 0.5), (0.35, 0.3, 0.3, 0.4)),
        ((0.3, 0.2), (0.25, 0.15, 0.3, 0.4)),
        ((0.2, 0.1), (0.2, 0.1, 0.3, 0.4)),
        ((0, 0), (0.2, 0.1, 0.3, 0.4)),
        ((1, 1), (0.5, 0.5, 0.3, 0.4)),
    ],
)
def test_a_zoom_about_a_point_outside_is_about_the_nearest_inside(
    focus: tuple[float, float], expected: tuple[float, ...]
) -> None:
    assert close(zoom_about(Rect(0.2, 0.1, 0.6, 0.8), zoom=2, focus=focus), *expected)


@pytest.mark.parametrize(
    ("rect", "picture", "canvas", "expected"),
    [
        (Rect(0.4, 0.4, 0.2, 0.2), 1, 1, (0.4, 0.4, 0.2, 0.2)),
        (Rect(0.4, 0.4, 0.1, 0.2), 1, 1, (0.35, 0.4, 0.2, 0.2)),
        (Rect(0.4, 0.4, 0.2, 0.1), 1, 1, (0.4, 0.35, 0.2, 0.2)),
        (Rect(0, 0.4, 0.1, 0.2), 1, 1, (0, 0.4, 0.2, 0.2)),
        (Rect(0.9, 0.4, 0.1, 0.2), 1, 1, (0.8, 0.4, 0.2, 0.2)),
        (Rect(0.4, 0.95, 0.2, 0.05), 1, 1, (0.4, 0.8, 0.2, 0.2)),
        (Rect(0.4, 0, 0.2, 0.05), 1, 1, (0.4, 0, 0.2, 0.2)),
        (Rect(0.4, 0.4, 0.2, 0.2), 1, 2, (0.3, 0.4, 0.4, 0.2)),
        (Rect(0.4, 0.4, 0.2, 0.2), 2, 1, (0.4, 0.3, 0.2, 0.4)),
        (Rect(0, 0, 1, 1), 2, 1, (0.25, 0, 0.5, 1)),
        (Rect(0, 0, 1, 1), 1, 2, (0, 0.25, 1, 0.5)),
        (Rect(0, 0, 0.9, 0.4), 2, 1, (0.2, 0, 0.5, 1)),
    ],
)
def test_a_rectangle_is_widened_about_its_middle_and_moved_inside(
    rect: Rect, picture: float, canvas: float, expected: tuple[float, ...]
) -> None:
    assert close(widen_to_aspect(rect, picture, canvas), *expected)


@pytest.mark.parametrize(
    ("window", "lies"),
    [
        (Window(2, 4, 6, 8), True),
        (Window(0, 0, 100, 61), True),
        (Window(2, 4, 98, 57), True),
        (Window(1, 4, 7, 8), False),
        (Window(2, 3, 6, 9), False),
        (Window(2, 4, 7, 8), False),
        (Window(2, 4, 6, 7), False),
        (Window(1, 3, 6, 7), False),
        (Window(2, 4, 98, 56), True),
    ],
)
def test_a_window_is_on_the_grid_if_its_edges_are_on_it_or_are_those_of_the_picture(
    window: Window, lies: bool
) -> None:
    assert window.lies_on((2, 2), (100, 61)) == lies


@pytest.mark.parametrize(
    ("window", "wider"),
    [
        (Window(10, 20, 6, 8), Window(8, 16, 10, 16)),
        (Window(11, 21, 6, 8), Window(8, 16, 12, 20)),
        (Window(0, 0, 4, 4), Window(0, 0, 6, 8)),
        (Window(1, 3, 4, 4), Window(0, 0, 8, 12)),
        (Window(96, 56, 4, 5), Window(94, 52, 6, 9)),
        (Window(0, 0, 100, 61), Window(0, 0, 100, 61)),
    ],
)
def test_a_window_is_widened_by_a_step_each_way_and_stays_inside(window: Window, wider: Window) -> None:
    assert window.widened((2, 4), (100, 61)) == wider


@pytest.mark.parametrize(
    ("rect", "window"),
    [
        (Rect(0, 0, 1, 1), Window(0, 0, 200, 100)),
        (Rect(0.1, 0.2, 0.5, 0.5), Window(20, 20, 100, 50)),
        (Rect(0.101, 0.201, 0.5, 0.5), Window(20, 20, 101, 51)),
        (Rect(0.104, 0.209, 0.002, 0.002), Window(20, 20, 2, 2)),
        (Rect(0.1, 0.2, 0, 0), Window(20, 20, 1, 1)),
        (Rect(0.1, 0.2, 1e-12, 1e-12), Window(20, 20, 1, 1)),
        (Rect(1, 1, 0, 0), Window(199, 99, 1, 1)),
        (Rect(0.1 - 1e-10, 0.2 - 1e-10, 0.5 + 2e-10, 0.5 + 2e-10), Window(20, 20, 100, 50)),
    ],
)
def test_the_enclosing_window_is_the_pixels_that_are_touched(rect: Rect, window: Window) -> None:
    assert enclosing_window(rect, (200, 100)) == window


@pytest.mark.parametrize(
    ("rect", "size_px", "grid_px", "window"),
    [
        (Rect(0, 0, 1, 1), (200, 100), (2, 2), Window(0, 0, 200, 100)),
        (Rect(0.1, 0.2, 0.5, 0.5), (200, 100), (2, 2), Window(20, 20, 100, 50)),
        # Half a pixel off the grid is as good as on it; a whole one is not.
        (Rect(0.1025, 0.205, 0.5, 0.5), (200, 100), (2, 2), Window(20, 20, 100, 50)),
        (Rect(0.105, 0.21, 0.5, 0.5), (200, 100), (2, 2), Window(21, 21, 100, 50)),
        (Rect(0.105, 0.21, 0.5, 0.5), (200, 100), (1, 1), Window(21, 21, 100, 50)),
        # Of a large picture a thousandth of the side is not seen.
        (Rect(0.1005, 0, 0.5, 1), (4000, 100), (4, 2), Window(400, 0, 2000, 100)),
        (Rect(0.10025, 0, 0.5, 1), (4000, 100), (8, 2), Window(400, 0, 2000, 100)),
        (Rect(0.0210005, 0, 0.5, 1), (1000, 100), (4, 2), Window(21, 0, 500, 100)),
        (Rect(0.1, 0, 0.205, 1), (200, 100), (4, 2), Window(20, 0, 41, 100)),
        (Rect(0, 0.205, 1, 0.5), (200, 100), (4, 1), Window(0, 20, 200, 50)),
        # The picture's own edge is kept though it is odd.
        (Rect(0.5, 0.5, 0.5, 0.5), (201, 101), (2, 2), Window(100, 50, 101, 51)),
        # At least a pixel, and inside.
        (Rect(0.25, 0.25, 0, 0), (200, 100), (2, 2), Window(50, 25, 1, 1)),
        (Rect(1, 1, 0, 0), (200, 100), (2, 2), Window(199, 99, 1, 1)),
    ],
)
def test_the_nearest_window_is_aligned_to_the_grid_if_that_is_invisible(
    rect: Rect, size_px: tuple[int, int], grid_px: tuple[int, int], window: Window
) -> None:
    assert nearest_window(rect, size_px, grid_px) == window


@pytest.mark.parametrize(
    ("value", "expected"), [(-5, 2), (0, 2), (1, 2), (2.9, 2), (3.1, 4), (4.9, 4), (5.1, 6), (1080, 1080)]
)
def test_the_nearest_even_number_is_at_least_two(value: float, expected: int) -> None:
    assert even(value) == expected


@pytest.mark.parametrize(
    ("source", "canvas", "expected"),
    [
        ((100, 100), (1080, 1920), (1080, 1080)),
        ((1920, 1080), (1080, 1920), (1080, 608)),
        ((1080, 1920), (1920, 1080), (608, 1080)),
        ((1, 5000), (1080, 1920), (2, 1920)),
        ((5000, 1), (1080, 1920), (1080, 2)),
        ((400, 300), (40, 30), (40, 30)),
    ],
)
def test_contain_makes_a_picture_as_large_as_the_frame_allows(
    source: tuple[int, int], canvas: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert contained_size(source, canvas) == expected


@pytest.mark.parametrize(
    ("canvas", "size"),
    [
        ((1080, 1920), (136, 240)),
        ((1920, 1080), (240, 136)),
        ((256, 512), (32, 64)),
        ((180, 320), (32, 56)),
        ((32, 32), (32, 32)),
        ((64, 640), (32, 320)),
    ],
)
def test_the_blurred_copy_is_an_eighth_and_its_sides_at_least_32(
    canvas: tuple[int, int], size: tuple[int, int]
) -> None:
    assert blurred_copy(canvas) == (size, min(size) / 14)


fractions = st.floats(min_value=0, max_value=1)


@given(st.tuples(fractions, fractions, fractions, fractions), st.floats(0.2, 5), st.floats(0.2, 5))
def test_a_widened_rectangle_is_inside_and_never_smaller_than_it_can_be(
    corners: tuple[float, float, float, float], picture: float, canvas: float
) -> None:
    (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
    widened = widen_to_aspect(Rect(x0, y0, max(x1 - x0, 0.01), max(y1 - y0, 0.01)), picture, canvas)
    assert widened.x >= 0
    assert widened.y >= 0
    assert widened.x + widened.width <= 1 + 1e-9
    assert widened.y + widened.height <= 1 + 1e-9
