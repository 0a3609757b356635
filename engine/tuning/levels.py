"""What settings cost at one and the same quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from video_pipeline.engine.tuning.curves import Curve
from video_pipeline.engine.tuning.fronts import pareto_front
from video_pipeline.engine.tuning.summaries import Summary

LEVELS: Final = (70.0, 80.0, 85.0, 90.0, 92.0, 94.0, 95.0, 96.0, 97.0, 98.0, 99.0)
"""Qualities to compare at, in VMAF."""

MOST_LEVELS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What settings cost at a level of VMAF.

    Between two trials of a curve that have the level between them, costs are interpolated: `trials` has both. Otherwise
    it is a trial with at least that quality.
    """

    trials: tuple[Summary, ...]
    cpu_s_per_minute: float
    mbit_s: float
    vmaf: float
    front: bool = False

    @property
    def interpolated(self) -> bool:
        """Whether the point lies between two trials."""
        return len(self.trials) > 1


def cost_at(level: float, summaries: Sequence[Summary], curves: Sequence[Curve]) -> tuple[Point, ...]:
    """Return what settings cost at a level of VMAF, with the Pareto front of speed and size marked.

    A trial counts if no curve of its settings reaches the level between two trials and it has at least that quality.
    """
    points: list[Point] = []
    done: set[int] = set()
    for curve in curves:
        along = [summaries[position] for position in curve.positions]
        for low, high in pairwise(along):
            if (
                low.vmaf is None
                or high.vmaf is None
                or not low.vmaf <= level <= high.vmaf
                or low.vmaf == high.vmaf
            ):
                continue
            share = (level - low.vmaf) / (high.vmaf - low.vmaf)
            points.append(
                Point(
                    trials=(low, high),
                    cpu_s_per_minute=_between(low.cpu_s_per_minute, high.cpu_s_per_minute, share),
                    mbit_s=_between(low.mbit_s, high.mbit_s, share),
                    vmaf=level,
                )
            )
            done.update(each.trial.number for each in along)
            break
    points += [
        Point(trials=(each,), cpu_s_per_minute=each.cpu_s_per_minute, mbit_s=each.mbit_s, vmaf=each.vmaf)
        for each in summaries
        if each.vmaf is not None and each.vmaf >= level and each.trial.number not in done
    ]
    if not points:
        return ()
    costs = np.array([[point.cpu_s_per_minute, point.mbit_s] for point in points])
    best = set(pareto_front(costs))
    return tuple(
        Point(
            trials=point.trials,
            cpu_s_per_minute=point.cpu_s_per_minute,
            mbit_s=point.mbit_s,
            vmaf=point.vmaf,
            front=number in best,
        )
        for number, point in enumerate(points)
    )


def _between(low: float, high: float, share: float) -> float:
    return math.exp(math.log(low) * (1 - share) + math.log(high) * share)


def choose_levels(summaries: Sequence[Summary], *, wanted: float | None = None) -> tuple[float, ...]:
    """Return the levels of VMAF at which a run's trials are worth comparing, rising; `wanted` is one of them.

    At each, at least two trials are as good and one is not.
    """
    found = [each.vmaf for each in summaries if each.vmaf is not None]
    worth = [
        level
        for level in LEVELS
        if sum(vmaf >= level for vmaf in found) >= 2 and any(vmaf < level for vmaf in found)
    ]
    levels = worth[-MOST_LEVELS:]
    if wanted is not None and any(vmaf >= wanted for vmaf in found):
        levels = sorted({*(level for level in levels if abs(level - wanted) > 0.005), wanted})
    if not levels and found:
        levels = [math.floor(min(found) * 10) / 10]
    return tuple(levels)
