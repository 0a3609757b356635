"""What a search aims at, and how: strategy, goals, metrics, repeats, limits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.metrics import METRICS, Metric
from video_pipeline.engine.tuning.records import Measurement

Strategy = Literal["grid", "guided"]
Goal = Literal["cpu", "wall", "size", "vmaf", "vmaf_p1", "xpsnr", "ssim", "psnr"]
GOALS: Final[tuple[Goal, ...]] = get_args(Goal)
DEFAULT_GOALS: Final[tuple[Goal, ...]] = ("cpu", "size", "vmaf")

HIGHER_IS_BETTER: Final = frozenset(["vmaf", "vmaf_p1", "xpsnr", "ssim", "psnr"])

MARGINS: Final[Mapping[Goal, float]] = {
    **{"cpu": 0.15, "wall": 0.15, "size": 0.03},
    **{"vmaf": 0.3, "vmaf_p1": 0.6, "xpsnr": 0.2, "psnr": 0.2, "ssim": 0.002},
}
"""By how much a trial must be behind another in every goal to be given up; logarithms for times and sizes."""

_FIELDS: Final[Mapping[str, tuple[str, Metric]]] = {
    "vmaf": ("vmaf", "vmaf"),
    "vmaf_p1": ("vmaf_p1", "vmaf"),
    "xpsnr": ("xpsnr_y", "xpsnr"),
    "ssim": ("ssim", "ssim"),
    "psnr": ("psnr_y", "psnr"),
}
"""The measurement's field of a goal of quality, and the metric that gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How a run searches. `every`: VMAF of every n-th frame. `trials` and `minutes`: the most of them, None: no limit.

    A guided search prefers settings within `min_vmaf` and `max_mbit_s`.
    """

    strategy: Strategy = "grid"
    goals: tuple[Goal, ...] = DEFAULT_GOALS
    metrics: tuple[Metric, ...] = METRICS
    every: int = 4
    repeats: int = 3
    seed: int = 1
    trials: int | None = None
    minutes: float | None = None
    min_vmaf: float | None = None
    max_mbit_s: float | None = None

    def describe(self) -> dict[str, Any]:
        """Return the objective as plain values."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }


def goals_of(goals: Iterable[Goal], metrics: Sequence[Metric]) -> tuple[Goal, ...]:
    """Return the goals that can be told with metrics."""
    return tuple(goal for goal in goals if goal not in _FIELDS or _FIELDS[goal][1] in metrics)


def read_objective(data: Mapping[str, Any]) -> Objective:
    """Return an objective from what `describe` returned."""
    return check_objective(
        Objective(**{**data, "goals": tuple(data["goals"]), "metrics": tuple(data["metrics"])})
    )


def check_objective(objective: Objective) -> Objective:
    """Return the objective; raise InputError naming what is wrong with it."""
    _check_names("goals", objective.goals, GOALS)
    _check_names("metrics", objective.metrics, METRICS)
    for goal in objective.goals:
        if goal in _FIELDS and _FIELDS[goal][1] not in objective.metrics:
            raise InputError(
                f"goals: got {goal!r}, which needs the metric {_FIELDS[goal][1]}; allowed with metrics "
                f"{', '.join(objective.metrics) or 'none'}: {', '.join(goals_of(GOALS, objective.metrics))}"
            )
    if objective.min_vmaf is not None and "vmaf" not in objective.metrics:
        raise InputError(
            f"min_vmaf: got {objective.min_vmaf:g}, which needs the metric vmaf; metrics: got "
            f"{', '.join(objective.metrics) or 'none'}"
        )
    bounds = (
        ("every", 1, 1000),
        ("repeats", 1, 100),
        ("trials", 1, 1_000_000),
        ("minutes", 0, 1_000_000),
        ("min_vmaf", 0, 100),
        ("max_mbit_s", 0, 1_000_000),
    )
    for name, low, high in bounds:
        value = getattr(objective, name)
        if value is not None and not (low <= value <= high and (low or value > 0)):
            least = f"{low}" if low else "more than 0,"
            raise InputError(f"{name}: got {value:g}; allowed: {least} to {high}")
    if objective.strategy == "guided" and objective.trials is None and objective.minutes is None:
        raise InputError("guided: got neither trials nor minutes; set the most of one of them")
    return objective


def _check_names(field: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"{field}: got {name!r}{closest(name, known)}; allowed: {', '.join(known)}")
    if len(set(given)) < len(given) or (field == "goals" and not given):
        raise InputError(f"{field}: got {', '.join(given) or 'none'}; allowed: {', '.join(known)}, each once")


def reach(goals: Iterable[Goal], measured: Iterable[Measurement]) -> tuple[float, ...]:
    """Return how far a trial comes towards each goal, from its measurements; lower is better throughout.

    cpu and wall: seconds for a second of video, size: Mbit/s, each over all clips and as a logarithm, so that a share
    counts alike everywhere; a quality is the mean over the clips, negated. Repeats of a clip count as their median.
    """
    clips: dict[str, list[Measurement]] = {}
    for each in measured:
        clips.setdefault(each.clip, []).append(each)
    first = [repeats[0] for repeats in clips.values()]
    seconds = sum(each.bytes * 8e-6 / each.mbit_s for each in first)

    def value(goal: Goal) -> float:
        if goal in _FIELDS:
            scores = [getattr(each, _FIELDS[goal][0]) for each in first]
            return -statistics.fmean(score if score is not None else 0.0 for score in scores)
        if goal == "size":
            return math.log(sum(each.bytes for each in first) * 8e-6 / seconds)
        field = f"{goal}_s"
        taken = sum(statistics.median(getattr(each, field) for each in repeats) for repeats in clips.values())
        return math.log(max(taken, 1e-6) / seconds)

    return tuple(value(goal) for goal in goals)


def is_hopeless(goals: Sequence[Goal], own: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether a trial is clearly behind another in every goal, by what each has reached on the same clips."""
    return all(mine >= theirs + MARGINS[goal] for goal, mine, theirs in zip(goals, own, other, strict=True))


def misses(objective: Objective, measured: Sequence[Measurement]) -> tuple[float, ...]:
    """Return by how much a trial misses the least VMAF and the most Mbit/s; 0 or less if it keeps to it."""
    found: list[float] = []
    if objective.min_vmaf is not None:
        found.append(objective.min_vmaf + reach(("vmaf",), measured)[0])
    if objective.max_mbit_s is not None:
        found.append(reach(("size",), measured)[0] - math.log(objective.max_mbit_s))
    return tuple(found)
