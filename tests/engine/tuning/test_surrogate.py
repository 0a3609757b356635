"""What is predicted from settings that were tried, and the choice of those that would add most."""

from __future__ import annotations

import numpy as np

from video_pipeline.engine.tuning.samples import Floats
from video_pipeline.engine.tuning.surrogate import choose_by_gain, fit_surrogate

NONE = np.zeros((3, 0))


def _measured(rows: Floats) -> Floats:
    """Return values with a curve in the first key, a slope in the second, and an effect of both together."""
    values: Floats = 3 * (rows[:, 0] - 0.4) ** 2 + rows[:, 1] + 0.5 * rows[:, 0] * rows[:, 1]
    return values


def test_a_prediction_is_near_what_is_measured_later() -> None:
    random = np.random.default_rng(1)
    tried, later = random.random((40, 3)), random.random((50, 3))
    found = fit_surrogate(tried, _measured(tried)).predict(later)
    assert np.abs(found - _measured(later)).max() < 0.1 * _measured(later).std()


def test_noise_is_not_taken_for_an_effect() -> None:
    random = np.random.default_rng(1)
    tried, later = random.random((60, 3)), random.random((50, 3))
    noisy = _measured(tried) + random.normal(0, 0.05, 60)
    found = fit_surrogate(tried, noisy).predict(later)
    assert np.abs(found - _measured(later)).mean() < 0.05


def test_values_that_are_all_equal_are_predicted_as_they_are() -> None:
    rows = np.random.default_rng(1).random((10, 2))
    assert np.allclose(fit_surrogate(rows, np.full(10, 7.0)).predict(rows), 7.0)


def test_what_adds_most_to_the_front_is_chosen_first() -> None:
    tried = np.array([[0.0, 1.0], [1.0, 0.0]])
    predicted = np.array([[0.9, 0.9], [0.3, 0.3], [0.25, 0.6]])
    assert choose_by_gain(tried, predicted, NONE, count=2, seed=1) == (1, 2)
    assert choose_by_gain(tried, predicted, NONE, count=9, seed=1) == (1, 2, 0)


def test_values_beyond_all_that_was_tried_count_too() -> None:
    tried = np.array([[0.5, 0.5]])
    predicted = np.array([[0.45, 0.55], [0.0, 1.0], [0.4, 0.6]])
    assert choose_by_gain(tried, predicted, NONE, count=1, seed=1) != (0,)


def test_what_misses_a_limit_comes_last_and_the_least_miss_first() -> None:
    tried = np.array([[0.0, 1.0], [1.0, 0.0]])
    predicted = np.array([[0.1, 0.1], [0.5, 0.5], [0.2, 0.2]])
    misses = np.array([[0.1], [-1.0], [0.05]])
    assert choose_by_gain(tried, predicted, misses, count=3, seed=1) == (1, 2, 0)
