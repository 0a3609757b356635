"""Pareto fronts and hypervolumes, beside what they are by definition and beside Optuna's."""

from __future__ import annotations

import numpy as np
import pytest

from video_pipeline.engine.tuning.fronts import front_share, hypervolume, pareto_front


def test_the_front_has_the_points_that_no_other_dominates() -> None:
    points = np.array([[1.0, 5.0], [2.0, 2.0], [5.0, 1.0], [3.0, 3.0], [2.0, 2.0], [2.0, 6.0]])
    assert pareto_front(points) == (0, 1, 2, 4)


@pytest.mark.parametrize(
    ("points", "reference", "volume"),
    [
        ([[1.0, 1.0]], [3.0, 4.0], 6.0),
        ([[1.0, 3.0], [2.0, 1.0]], [4.0, 4.0], 3 + 6 - 2),
        ([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0]], [3.0, 3.0, 3.0], 8 + 3 - 2),
        ([[1.0], [2.0]], [4.0], 3.0),
        ([[5.0, 1.0]], [4.0, 4.0], 0.0),
        ([[4.0, 1.0]], [4.0, 4.0], 0.0),
    ],
)
def test_the_hypervolume_is_the_union_of_boxes(
    points: list[list[float]], reference: list[float], volume: float
) -> None:
    assert hypervolume(np.array(points), reference) == pytest.approx(volume)


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_the_hypervolume_is_optunas(dimensions: int) -> None:
    wfg = pytest.importorskip("optuna._hypervolume", reason="the extra `tune` is not installed")
    random = np.random.default_rng(dimensions)
    for count in (1, 2, 7, 40):
        points = random.random((count, dimensions)).round(2)  # rounded: some coordinates are equal
        reference = np.full(dimensions, 0.9)
        inside = points[np.all(points < reference, axis=1)]
        theirs = wfg.compute_hypervolume(inside, reference) if len(inside) else 0.0
        assert hypervolume(points, reference) == pytest.approx(theirs)


def test_a_search_that_found_the_whole_front_has_all_of_its_hypervolume_and_one_that_missed_it_less() -> None:
    random = np.random.default_rng(1)
    grid = random.random((200, 3))
    front = grid[list(pareto_front(grid))]
    assert front_share(front, grid) == pytest.approx(1.0)
    assert front_share(front[: len(front) // 4], grid) < 0.98
    assert front_share(np.concatenate([front, front * 0.9]), grid) > 1.0


def test_units_do_not_change_a_share() -> None:
    random = np.random.default_rng(2)
    grid, scale = random.random((50, 3)), np.array([1000.0, 0.01, 1.0])
    assert front_share(grid[:10] * scale, grid * scale) == pytest.approx(front_share(grid[:10], grid))
