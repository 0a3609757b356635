"""Predict what settings reach from those that were tried: kernel regression, and the gain for a front."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.tuning.samples import Floats

LENGTHS: Final = (0.5, 1.0, 2.0)
ORDERS: Final = (1, 2, 4, 8)
NOISES: Final = (1e-5, 1e-4, 1e-3, 1e-2)
"""What a fit chooses from: how far a value's effect reaches, how many keys work together, and noise."""

SPOTS: Final = 4000
"""Random places at which a front's volume is measured."""

BEHIND: Final = 0.05
"""How far behind the worst value the volume reaches, as a share of the values' range."""


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A fitted prediction of one value from the features of settings; each row of `rows` (N, D) was tried."""

    rows: Floats
    weights: Floats
    mean: float
    scale: float
    length: float
    order: int

    def predict(self, rows: Floats) -> Floats:
        """Return the predicted value of each row of (M, D)."""
        found: Floats = _kernel(rows, self.rows, self.length, self.order) @ self.weights
        return found * self.scale + self.mean


def _kernel(rows: Floats, others: Floats, length: float, order: int) -> Floats:
    """Return how alike rows are: each key adds its part, and the power lets that many of them work together."""
    distance = (rows[:, None, :] - others[None, :, :]) / length
    alike: Floats = ((1 + np.exp(-0.5 * distance * distance).sum(2)) / (1 + rows.shape[1])) ** order
    return alike


def fit_surrogate(rows: Floats, values: Floats) -> Surrogate:
    """Return the prediction whose error is least when each row is predicted from the others."""
    mean, scale = float(values.mean()), float(values.std()) or 1.0
    wanted = (values - mean) / scale
    best: tuple[float, Surrogate] | None = None
    for length, order in itertools.product(LENGTHS, ORDERS):
        alike = _kernel(rows, rows, length, order)
        for noise in NOISES:
            inverse = np.linalg.inv(alike + noise * np.eye(len(rows)))
            weights = inverse @ wanted
            error = float(np.mean((weights / np.diag(inverse)) ** 2))  # of leaving each one out
            if best is None or error < best[0]:
                best = error, Surrogate(rows, weights, mean, scale, length, order)
    assert best is not None
    return best[1]


def choose_by_gain(
    tried: Floats, predicted: Floats, misses: Floats, *, count: int, seed: int
) -> tuple[int, ...]:
    """Return the positions of the predicted values that would add most to the front of the tried ones, best first.

    Each column of `tried` (N, D) and `predicted` (M, D) is to be small. Values that miss a limit (M, L above 0) add
    nothing; if no other adds anything, those that miss least are chosen. The gain is the volume that is won, at random
    spots.
    """
    random = np.random.default_rng(seed)
    both = np.concatenate([tried, predicted])
    low, high = both.min(0), both.max(0)
    extent = np.where(high > low, high - low, 1.0)
    spots = random.uniform(-BEHIND, 1 + BEHIND, (SPOTS, tried.shape[1]))
    known = (tried - low) / extent
    spots = spots[~(known[:, None, :] <= spots[None]).all(2).any(0)]
    wins = ((predicted - low)[:, None, :] / extent <= spots[None]).all(2)
    missed = np.maximum(misses, 0).sum(1)
    wins[missed > 0] = False
    left = np.ones(len(predicted), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(count, len(predicted))):
        gains = wins.sum(1)
        gains[~left] = -1
        best = int(gains.argmax())
        if gains[best] <= 0:
            best = int(np.where(left, missed + 1e-9 * random.random(len(missed)), np.inf).argmin())
        chosen.append(best)
        left[best] = False
        wins[:, wins[best]] = False
    return tuple(chosen)
