"""Grades of 4:2:0 frames: against their float64 twin, for every size, target and thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from video_pipeline.engine.assets.cube import Table, identity
from video_pipeline.engine.assets.grades import grade_table
from video_pipeline.engine.common.grades import GRADE_NAMES, GradeName
from video_pipeline.native import reference_grade

kernels = pytest.importorskip("video_pipeline.native.kernels")

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]  # type: ignore[type-arg]
KNOT_LEVELS = 1 / 128
"""How far a knot in whole numbers may lie from its exact level."""

MOST_FROM_LUT, MEAN_FROM_LUT = (1.2, 2.1, 2.1), 0.35
"""How far Y, U and V may lie from what the LUT gives to their colour; rounding alone is 0.5 at most and 0.25 in the mean."""

SIZES = [(16, 16), (1, 1), (7, 5), (2, 9), (33, 70)]


def planes(size: tuple[int, int], seed: int = 1) -> Planes:
    """Return a frame of random bytes, (height, width) given."""
    rng, (height, width) = np.random.default_rng(seed), size
    half = ((height + 1) // 2, (width + 1) // 2)
    luma, u, v = (rng.integers(0, 256, shape, np.uint8) for shape in (size, half, half))
    return luma, u, v


def graded(table: Table, source: Planes) -> Planes:
    luma, u, v = (np.zeros_like(plane) for plane in source)
    kernels.FrameGrade(np.ascontiguousarray(table)).apply(source, (luma, u, v))
    return luma, u, v


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [2, 17, 33])
def test_a_lut_that_changes_nothing_leaves_every_byte_as_it_is(size: tuple[int, int], side: int) -> None:
    source = planes(size)
    for one, other in zip(source, graded(identity(side), source), strict=True):
        np.testing.assert_array_equal(one, other)


def test_colours_that_a_lut_does_not_change_keep_their_bytes() -> None:
    table = identity(33)
    table[-1, -1, 0] = 0.5  # near cyan alone
    rng = np.random.default_rng(3)
    rgb = np.ascontiguousarray(rng.integers((60, 0, 0), (256, 200, 200), (64, 64, 3)), np.uint8)
    source = planes((64, 64))
    kernels.rgb_to_yuv(rgb[::2, ::2].repeat(2, axis=0).repeat(2, axis=1).copy(), source)
    flat = tuple(np.full_like(plane, plane[0, 0]) for plane in source)
    for one, other in zip(flat, graded(table, flat), strict=True):  # type: ignore[arg-type]
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", GRADE_NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_grade_is_its_twin_rounded(name: GradeName, size: tuple[int, int]) -> None:
    source, table = planes(size, 5), grade_table(name)
    for drawn, exact in zip(graded(table, source), reference_grade.grade_frame(table, source), strict=True):
        assert np.abs(drawn - np.clip(exact, 0, 255)).max() <= 0.5 + KNOT_LEVELS


@pytest.mark.parametrize("name", GRADE_NAMES)
def test_colours_between_knots_are_close_to_the_luts(name: GradeName) -> None:
    rng, table = np.random.default_rng(8), grade_table(name)
    rgb = rng.integers(0, 256, (64, 64, 3), np.uint8)
    rgb[:32] = rgb[:32] // 128 * 255  # black, white and the strongest colours
    source = planes((128, 128))
    kernels.rgb_to_yuv(rgb.repeat(2, axis=0).repeat(2, axis=1), source)
    flat = source[0][::2, ::2].astype(float).repeat(2, axis=0).repeat(2, axis=1)
    source[0][:] = flat
    new = graded(table, source)
    exact = reference_grade.graded_levels(table, np.stack((flat[::2, ::2], *source[1:]), axis=-1))
    for level, limit in enumerate(MOST_FROM_LUT):
        drawn = new[level] if level else new[0][::2, ::2]
        difference = np.abs(drawn - exact[..., level])
        assert difference.max() <= limit
        assert difference.mean() <= MEAN_FROM_LUT


def test_every_target_and_thread_draws_the_same_bytes() -> None:
    source, table = planes((271, 483), 7), np.ascontiguousarray(grade_table("vivid"))
    shared = kernels.FrameGrade(table)

    def drawn(_: int) -> Planes:
        luma, u, v = (np.zeros_like(plane) for plane in source)
        shared.apply(source, (luma, u, v))
        return luma, u, v

    frames = []
    try:
        for name in kernels.usable_targets():
            kernels.force_target(name)
            with ThreadPoolExecutor(4) as pool:
                frames += list(pool.map(drawn, range(4)))
    finally:
        kernels.force_target("auto")
    wanted = graded(table, source)
    for frame in frames:
        for one, other in zip(wanted, frame, strict=True):
            np.testing.assert_array_equal(one, other)


def test_columns_that_fill_no_vector_get_the_bytes_of_those_that_do() -> None:
    luma, u, v = planes((6, 64), 11)
    table = grade_table("vivid")
    wide = graded(table, (luma, u, v))
    for left in range(0, 58, 2):
        half = slice(left // 2, left // 2 + 3)
        narrow = graded(table, (luma[:, left : left + 6], u[:, half], v[:, half]))
        # The last column has the chroma of its neighbour alone.
        np.testing.assert_array_equal(narrow[0][:, :5], wide[0][:, left : left + 5])
        for one, other in zip(narrow[1:], wide[1:], strict=True):
            np.testing.assert_array_equal(one[:, :2], other[:, left // 2 : left // 2 + 2])


def test_a_part_of_a_frame_is_drawn_and_nothing_beside_it() -> None:
    source, whole = planes((40, 60), 9), planes((40, 60), 10)
    before = [plane.copy() for plane in whole]
    inner = [(slice(10, 30), slice(20, 50))] + 2 * [(slice(5, 15), slice(10, 25))]
    parts = tuple(plane[part] for plane, part in zip(whole, inner, strict=True))
    read = tuple(plane[part] for plane, part in zip(source, inner, strict=True))
    table = np.ascontiguousarray(grade_table("warm"))
    kernels.FrameGrade(table).apply(read, parts)
    for plane, old, part, wanted in zip(whole, before, inner, graded(table, read), strict=True):  # type: ignore[arg-type]
        np.testing.assert_array_equal(plane[part], wanted)
        plane[part] = old[part]
        np.testing.assert_array_equal(plane, old)


def test_wrong_tables_and_frames_are_refused() -> None:
    for shape in [(1, 1, 1, 3), (3, 3, 2, 3), (3, 3, 3, 4)]:
        with pytest.raises(ValueError, match="allowed: \\(size, size, size, 3\\)"):
            kernels.FrameGrade(np.zeros(shape))
    for value in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="allowed: 0 to 1"):
            kernels.FrameGrade(np.full((2, 2, 2, 3), value))
    grade, source = kernels.FrameGrade(identity(2)), planes((8, 8))
    with pytest.raises(ValueError, match="the size of source"):
        grade.apply(source, planes((8, 10)))
    with pytest.raises(ValueError, match="shares memory"):
        grade.apply(source, source)
