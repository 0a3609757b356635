"""Resampled planes agree with float64 on every target, and nothing else is written."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.kernels import MISSING, Guarded, bytes_of, draw_on_every_target, seed_of
from tests.support.tolerances import RESAMPLE_LEVELS, RESAMPLE_MEAN_LEVELS, assert_levels
from video_pipeline.native import available, reference

if not available():
    pytest.skip(MISSING, allow_module_level=True)

from video_pipeline.native import _core


def check(rng: np.random.Generator, source: Guarded, target: Guarded, place: dict[str, float]) -> None:
    before = source.around.copy()
    (drawn,) = draw_on_every_target(
        _core, target, lambda: _core.resample(source.plane, target.plane, **place)
    )
    assert np.array_equal(source.around, before), "the source was written"
    expected = reference.resample(source.plane, shape=drawn.shape, **place)
    what = f"{source.plane.shape} to {drawn.shape} at {place}"
    assert_levels(drawn, np.clip(expected, 0, 255), within=RESAMPLE_LEVELS, what=what)


def test_random_sizes_places_and_steps_agree_with_the_reference() -> None:
    rng = np.random.default_rng(seed_of("resample"))
    for _ in range(300):
        source, target = (Guarded(rng, *(int(n) for n in rng.integers(1, 71, 2))) for _ in range(2))
        source.plane[:] = bytes_of(rng, *source.plane.shape)
        place = {
            "left": rng.uniform(-40, 80),
            "top": rng.uniform(-40, 80),
            "step_x": rng.uniform(0.05, 2),
            "step_y": rng.uniform(0.05, 2),
        }
        check(rng, source, target, place)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (33, 7)], ids=str)
@pytest.mark.parametrize("step", [0.05, 0.5, 1.0, 1.0001, 1.5, 1.5001, 2.0])
def test_extreme_sizes_and_steps_agree_with_the_reference(size: tuple[int, int], step: float) -> None:
    rng = np.random.default_rng(seed_of("extremes"))
    for left, top in ((0.0, 0.0), (-1e5, 1e5), (1e5, -1e5), (0.5, -0.25)):
        place = {"left": left, "top": top, "step_x": step, "step_y": step}
        check(rng, Guarded(rng, *size), Guarded(rng, 37, 35), place)


@pytest.mark.parametrize("step", [1.1, 1.65, _core.MAX_STEP], ids=str)
def test_places_a_rounding_away_from_whole_ones_agree_with_the_reference(step: float) -> None:
    rng = np.random.default_rng(seed_of("whole"))
    for whole in (0.0, 3.0, 9.0):
        for left in (whole, np.nextafter(whole, -1), np.nextafter(whole, 100)):
            for half in (0.0, 0.5):
                place = {"left": left + half, "top": left - half, "step_x": step, "step_y": step}
                source, target = Guarded(rng, 90, 90), Guarded(rng, 37, 40)
                source.plane[:] = bytes_of(rng, *source.plane.shape)
                check(rng, source, target, place)


@pytest.mark.parametrize("step", [0.5, 0.95, 1.05, 1.3, 1.6, 1.9])
def test_levels_are_neither_raised_nor_lowered_in_the_mean(step: float) -> None:
    rng = np.random.default_rng(seed_of("mean"))
    source, drawn = rng.integers(60, 196, (420, 420), dtype=np.uint8), np.zeros((200, 200), np.uint8)
    place = {"left": 3.3, "top": 4.7, "step_x": step, "step_y": step}
    _core.resample(source, drawn, **place)
    error = drawn - reference.resample(source, shape=drawn.shape, **place)
    assert abs(error.mean()) < RESAMPLE_MEAN_LEVELS


def test_whole_places_at_step_one_copy_the_source() -> None:
    rng = np.random.default_rng(seed_of("copy"))
    source, target = bytes_of(rng, 50, 60), Guarded(rng, 31, 33)
    (drawn,) = draw_on_every_target(
        _core, target, lambda: _core.resample(source, target.plane, left=7, top=5, step_x=1, step_y=1)
    )
    assert np.array_equal(drawn, source[5:36, 7:40])


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_a_flat_plane_stays_flat(level: int) -> None:
    source, target = np.full((20, 30), level, np.uint8), np.zeros((40, 50), np.uint8)
    for step in (0.3, 0.9, 1.3, 1.9):
        _core.resample(source, target, left=-3.3, top=1.7, step_x=step, step_y=step)
        assert np.unique(target).tolist() == [level]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_x": 0.0}, "step_x: 0.0.*allowed: more than 0, up to 2"),
        ({"step_y": 2.1}, "step_y: 2.1.*allowed: more than 0, up to 2"),
        ({"step_x": float("nan")}, "step_x: .*nan"),
        ({"left": float("inf")}, "left: inf; allowed"),
        ({"top": float("nan")}, "top: .*nan"),
    ],
    ids=str,
)
def test_a_bad_place_is_an_error_that_says_what_is_allowed(change: dict[str, float], message: str) -> None:
    place = {"left": 0.0, "top": 0.0, "step_x": 1.0, "step_y": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        _core.resample(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), **place)


def test_bad_planes_are_errors() -> None:
    place = {"left": 0.0, "top": 0.0, "step_x": 1.0, "step_y": 1.0}
    plane = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"source: an array of shape \(0, 4\)"):
        _core.resample(np.zeros((0, 4), np.uint8), plane, **place)
    with pytest.raises(ValueError, match="target: its columns lie 2 bytes apart; allowed: 1"):
        _core.resample(plane, np.zeros((4, 8), np.uint8)[:, ::2], **place)
    with pytest.raises(TypeError):  # a copy in bytes would be drawn on and thrown away
        _core.resample(plane, np.zeros((4, 4), np.int16), **place)


def test_a_target_that_shares_bytes_with_its_source_is_an_error() -> None:
    place = {"left": 0.0, "top": 0.0, "step_x": 1.0, "step_y": 1.0}
    memory = np.arange(200, dtype=np.uint8).reshape(10, 20)
    before = memory.copy()
    for source, target in (
        (memory, memory),
        (memory[:, :12], memory[:, 10:15]),
        (memory[::-1, 8:], memory[:, :9]),
        (memory[4:], memory[:5, 3:]),
        (memory[:1, :10], memory[:1, 9:]),
    ):
        with pytest.raises(ValueError, match="target: shares memory with source; allowed: memory of its own"):
            _core.resample(source, target, **place)
        assert np.array_equal(memory, before)


def test_a_source_and_a_target_beside_each_other_in_one_array_are_drawn() -> None:
    place = {"left": 0.0, "top": 0.0, "step_x": 1.0, "step_y": 1.0}
    for rows in (slice(None), slice(None, None, -1), slice(0, 1)):
        memory = np.arange(200, dtype=np.uint8).reshape(10, 20)
        _core.resample(memory[rows, :12], memory[:, 12:][rows], **place)
        assert np.array_equal(memory[rows, 12:], memory[rows, :8])


def test_a_plane_of_more_columns_than_a_plan_holds_is_an_error() -> None:
    place = {"left": 0.0, "top": 0.0, "step_x": 1.0, "step_y": 1.0}
    plane, wide = np.zeros((4, 4), np.uint8), np.zeros((1, 1_000_001), np.uint8)
    with pytest.raises(ValueError, match=r"source: .*allowed: rows and columns from 1 to 1000000"):
        _core.resample(wide, plane, **place)
    with pytest.raises(ValueError, match=r"target: .*allowed: rows and columns from 1 to 1000000"):
        _core.resample(plane, wide.T, **place)
