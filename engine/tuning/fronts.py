"""Pareto fronts, and the hypervolume of what they leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from video_pipeline.engine.tuning.samples import Floats

SHORT_OF_WORST: Final = 0.05
"""How far behind the worst points the reference point of `front_share` lies, as a share of their range."""


def pareto_front(points: Floats) -> tuple[int, ...]:
    """Return the positions of the points that no other dominates; each column of (N, D) is to be small.

    A point dominates another if it is no larger in any column and smaller in one; equal points are all in the front.
    """
    found = []
    for position, point in enumerate(points):
        no_larger = np.all(points <= point, axis=1)
        smaller = np.any(points < point, axis=1)
        if not np.any(no_larger & smaller):
            found.append(position)
    return tuple(found)


def hypervolume(points: Floats, reference: Sequence[float] | Floats) -> float:
    """Return the volume that points of (N, D) dominate up to a reference point; each column is to be small.

    The volume is cut into slices along the last column, each as thick as the way to the next point; the slices have one
    dimension less. Points that are not below the reference point in every column add nothing.
    """
    bound = np.asarray(reference, dtype=float)
    inside = points[np.all(points < bound, axis=1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return float(bound[0] - np.min(inside))
    ordered = inside[np.argsort(inside[:, -1], kind="stable")]
    levels = [*ordered[:, -1], bound[-1]]
    return sum(
        float(levels[number + 1] - levels[number]) * hypervolume(ordered[: number + 1, :-1], bound[:-1])
        for number in range(len(ordered))
        if levels[number + 1] > levels[number]
    )


def front_share(found: Floats, of: Floats) -> float:
    """Return the hypervolume of one search's points as a share of another's.

    Columns are scaled to the range of both, and the reference point is a little behind the worst of both.
    """
    both = np.concatenate([found, of])
    low, high = np.min(both, axis=0), np.max(both, axis=0)
    extent = np.where(high > low, high - low, 1.0)
    reference = np.full(both.shape[1], 1 + SHORT_OF_WORST)
    whole = hypervolume((of - low) / extent, reference)
    return hypervolume((found - low) / extent, reference) / whole
