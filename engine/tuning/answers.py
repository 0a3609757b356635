"""What a run says: the best settings within limits, how sure that is, and how they compare with a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.config.values import parse_bit_rate
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.render.encoders.base import load_encoder
from video_pipeline.engine.tuning.density import Density, density
from video_pipeline.engine.tuning.queries import Goal, Limit, Query
from video_pipeline.engine.tuning.records import RunData, Trial
from video_pipeline.engine.tuning.resampling import (
    RESAMPLES,
    SEED,
    Confidence,
    Interval,
    Resampled,
    interval,
    resample,
)
from video_pipeline.engine.tuning.samples import Floats, Samples, sample_run
from video_pipeline.engine.tuning.summaries import Summary, stated_spread, summarise

REFERENCE_PRESET: Final = "medium"
REFERENCE_BIT_RATE: Final = 8_000_000

RIVAL_SHARE: Final = 0.05
"""Share of resamples in which another trial is chosen, from which on it is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A limit, the value that meets it, and the share of resamples in which it is met."""

    limit: Limit
    bound: float
    value: Interval
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A trial beside a reference on the same clips.

    `speedup` and `bits` are ratios (reference's CPU time by the trial's, trial's bytes by the reference's), the others
    differences in points and dB; None if a metric was not measured. `faster` is the share of resamples with less CPU time.
    """

    reference: Summary
    speedup: Interval
    bits: Interval
    vmaf: Interval | None
    vmaf_p1: Interval | None
    xpsnr_y: Interval | None
    faster: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The chosen settings on clips that the search did not see. `missed` names the limits that do not hold there."""

    summary: Summary
    missed: tuple[str, ...]
    against: Against | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The settings that a query asks for.

    `confidence` has the shares of resamples in which the same rule chooses them; `rivals` are other trials that it
    chooses on some other clips, with their shares. `tie` is the share of the best speed within which speeds count as equal: the smallest file
    is then chosen.
    """

    query: Query
    chosen: Summary
    confidence: Confidence
    held: tuple[Held, ...]
    rivals: tuple[tuple[Summary, float], ...]
    candidates: int
    tie: float
    against: Against | None
    held_out: HeldOut | None
    density: Density | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analysis:
    """A part of a run with its summaries and resamples, from which questions are answered.

    `again` are resamples of repeats alone, `resampled` of clips too.
    """

    data: RunData
    samples: Samples
    summaries: tuple[Summary, ...]
    resampled: Resampled
    again: Resampled

    def of(self, number: int) -> Summary:
        """Return the summary of a trial by its number; raise InputError."""
        return self.summaries[self.samples.position(number)]


def analyse(
    data: RunData,
    *,
    part: Literal["training", "held_out"] = "training",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Analysis:
    """Prepare a part of a run for questions; raise InputError if no trial of it is complete."""
    samples = sample_run(data, part=part)
    return Analysis(
        data=data,
        samples=samples,
        summaries=summarise(samples),
        resampled=resample(samples, resamples=resamples, seed=seed),
        again=resample(samples, resamples=resamples, seed=seed, same_clips=True),
    )


def find_reference(samples: Samples) -> int | None:
    """Return the number of the trial with x264's medium at 8000k, the fewest other settings first; None without one."""
    found = [trial for trial in samples.trials if _is_reference(trial)]
    return min(found, key=lambda trial: (len(trial.settings), trial.number)).number if found else None


def _is_reference(trial: Trial) -> bool:
    rate = trial.settings.get("bitrate")
    return (
        trial.encoder == "libx264"
        and trial.settings.get("preset") == REFERENCE_PRESET
        and isinstance(rate, str)
        and parse_bit_rate(rate) == REFERENCE_BIT_RATE
    )


def answer(
    analysis: Analysis,
    query: Query,
    *,
    reference: int | None = None,
    price: float | None = None,
) -> Answer:
    """Return the settings that a query asks for; raise InputError if none meet its limits.

    `reference` is the number of the trial to compare with; None: that of find_reference.
    """
    samples, resampled, summaries = analysis.samples, analysis.resampled, analysis.summaries
    bounds = query.bounds()
    wanted = np.array([query.encoder in (None, trial.encoder) for trial in samples.trials])
    if not np.any(wanted):
        has = ", ".join(sorted({trial.encoder for trial in samples.trials}))
        raise InputError(f"encoder: got {query.encoder!r}; allowed: {has}")
    _check_measured(analysis, bounds)
    measured = {
        limit.name: np.array([_number(each, limit.field) for each in summaries]) for limit, _ in bounds
    }
    meets = wanted.copy()
    for limit, bound in bounds:
        meets &= limit.holds(measured[limit.name], bound)
    if not np.any(meets):
        raise InputError(_nearest(analysis, bounds, measured, wanted))
    on_gpu = any(load_encoder(trial.encoder).on_gpu for trial in samples.trials)
    tie = (stated_spread(samples) or 0.0) if query.goal == "fastest" else 0.0
    cost, size = _cost(query.goal, on_gpu, lambda name: _row(summaries, name))
    position = int(_choose(cost, size, meets[None, :], tie)[0])
    again, shares = (
        _shares(query.goal, on_gpu, drawn, bounds, wanted, tie) for drawn in (analysis.again, resampled)
    )
    rivals = [each for each in np.argsort(-shares) if each != position and shares[each] >= RIVAL_SHARE]
    chosen = summaries[position]
    number = find_reference(samples) if reference is None else reference
    return Answer(
        query=query,
        chosen=chosen,
        confidence=Confidence(
            again=float(again[position]),
            elsewhere=float(shares[position]),
            resamples=resampled.count,
            clips=len(samples.clips),
            repeats=chosen.repeats,
        ),
        held=tuple(
            Held(
                limit=limit,
                bound=bound,
                value=interval(
                    float(measured[limit.name][position]), resampled.values(limit.field)[:, position]
                ),
                share=float(np.mean(limit.holds(resampled.values(limit.field)[:, position], bound))),
            )
            for limit, bound in bounds
        ),
        rivals=tuple((summaries[each], float(shares[each])) for each in rivals),
        candidates=int(np.sum(meets)),
        tie=tie,
        against=None if number is None else compare_with(analysis, chosen.trial.number, number),
        held_out=_held_out(analysis, chosen.trial, query, number),
        density=density(chosen, analysis.data.run, price=price),
    )


def _number(summary: Summary, name: str) -> float:
    value: float | None = getattr(summary, name)
    return math.nan if value is None else value


def _row(summaries: tuple[Summary, ...], name: str) -> Floats:
    return np.array([[_number(each, name) for each in summaries]])


def _cost(goal: Goal, on_gpu: bool, values: Callable[[str], Floats]) -> tuple[Floats, Floats]:
    """Return what is to be small, and what decides between equals, from the fields of summaries or resamples."""
    size = values("mbit_s")
    if goal == "smallest":
        return size, values("cpu_s_per_minute")
    if goal == "best":
        return 100 - values("vmaf"), size
    return (1 / values("fps") if on_gpu else values("cpu_s_per_minute")), size


def _choose(cost: Floats, second: Floats, meets: npt.NDArray[np.bool_], tie: float) -> npt.NDArray[np.int64]:
    """Return for each row the position with the smallest second value among the cheapest, -1 if none meets.

    All arrays have the shape (B, T); costs within `tie` of the smallest count as equal.
    """
    allowed = np.where(meets & np.isfinite(cost), cost, np.inf)
    least = np.min(allowed, axis=1, keepdims=True)
    equal = (allowed <= least * (1 + tie)) & np.isfinite(allowed)
    chosen = np.argmin(np.where(equal, second, np.inf), axis=1)
    return np.where(np.any(equal, axis=1), chosen, -1)


def _shares(
    goal: Goal,
    on_gpu: bool,
    drawn: Resampled,
    bounds: tuple[tuple[Limit, float], ...],
    wanted: npt.NDArray[np.bool_],
    tie: float,
) -> Floats:
    """Return for each trial the share of resamples in which it is chosen."""
    within = np.broadcast_to(wanted, (drawn.count, len(wanted))).copy()
    for limit, bound in bounds:
        within &= limit.holds(drawn.values(limit.field), bound)
    cost, size = _cost(goal, on_gpu, drawn.values)
    winners = _choose(cost, size, within, tie)
    shares: Floats = np.bincount(winners[winners >= 0], minlength=len(wanted)) / drawn.count
    return shares


def _check_measured(analysis: Analysis, bounds: tuple[tuple[Limit, float], ...]) -> None:
    for limit, bound in bounds:
        if all(getattr(each, limit.field) is None for each in analysis.summaries):
            raise InputError(f"{limit.name}: got {bound:g}, but the run has not measured {limit.words}")


def _nearest(
    analysis: Analysis,
    bounds: tuple[tuple[Limit, float], ...],
    measured: Mapping[str, Floats],
    wanted: npt.NDArray[np.bool_],
) -> str:
    """Return the error for limits that no trial meets: which one alone is out of reach, or the trial that is nearest."""
    for limit, bound in bounds:
        values = np.where(wanted, measured[limit.name], np.nan)
        if not np.any(limit.holds(values, bound)):
            best = int(np.nanargmax(values) if limit.at_least else np.nanargmin(values))
            way = "at most" if limit.at_least else "at least"
            return (
                f"{limit.name}: got {bound:g}; no trial of run {analysis.data.run.id} has it; allowed: {way} "
                f"{values[best]:.{limit.digits}f} ({limit.words} of trial {analysis.samples.trials[best].number})"
            )
    missing = np.zeros(len(wanted))
    for limit, bound in bounds:
        short = (bound - measured[limit.name]) if limit.at_least else (measured[limit.name] - bound)
        extent = float(np.nanmax(measured[limit.name]) - np.nanmin(measured[limit.name])) or 1.0
        missing += np.maximum(short, 0) / extent
    nearest = int(np.nanargmin(np.where(wanted, missing, np.nan)))
    has = ", ".join(f"{limit.words} {measured[limit.name][nearest]:.{limit.digits}f}" for limit, _ in bounds)
    asked = " and ".join(f"{limit.name} {bound:g}" for limit, bound in bounds)
    return (
        f"no trial of run {analysis.data.run.id} meets {asked} together; "
        f"trial {analysis.samples.trials[nearest].number} comes nearest: {has}"
    )


def compare_with(analysis: Analysis, number: int, reference: int) -> Against:
    """Compare a trial with a reference on the same clips; raise InputError if one of them is not complete."""
    samples, resampled = analysis.samples, analysis.resampled
    position, other = samples.position(number), samples.position(reference)
    own, base = analysis.summaries[position], analysis.summaries[other]

    def ratio(name: str, *, inverse: bool = False) -> Interval:
        values = resampled.values(name)
        upper, lower = (other, position) if inverse else (position, other)
        return interval(
            getattr(analysis.summaries[upper], name) / getattr(analysis.summaries[lower], name),
            values[:, upper] / values[:, lower],
        )

    def difference(name: str) -> Interval | None:
        mine, theirs = getattr(own, name), getattr(base, name)
        if mine is None or theirs is None:
            return None
        values = resampled.values(name)
        return interval(mine - theirs, values[:, position] - values[:, other])

    times = resampled.cpu_s_per_minute
    return Against(
        reference=base,
        speedup=ratio("cpu_s_per_minute", inverse=True),
        bits=ratio("mbit_s"),
        vmaf=difference("vmaf"),
        vmaf_p1=difference("vmaf_p1"),
        xpsnr_y=difference("xpsnr_y"),
        faster=float(np.mean(times[:, position] < times[:, other])),
    )


def _held_out(analysis: Analysis, trial: Trial, query: Query, reference: int | None) -> HeldOut | None:
    """Return the trial's settings on the held-out clips; None if they were not measured there."""
    if analysis.samples.part == "held_out":
        return None
    try:
        other = analyse(analysis.data, part="held_out", resamples=analysis.resampled.count)
    except InputError:
        return None
    number = same_settings(other.samples, trial)
    if number is None:
        return None
    summary = other.of(number)
    missed = tuple(
        limit.name
        for limit, bound in query.bounds()
        if not limit.holds(np.array([_number(summary, limit.field)]), bound)[0]
    )
    base = None if reference is None else analysis.of(reference).trial
    there = None if base is None else same_settings(other.samples, base)
    return HeldOut(
        summary=summary,
        missed=missed,
        against=None if there is None else compare_with(other, number, there),
    )


def same_settings(samples: Samples, trial: Trial) -> int | None:
    """Return the number of the trial of a part that has the same encoder and settings as another; None without one."""
    return next(
        (
            each.number
            for each in samples.trials
            if each.encoder == trial.encoder and dict(each.settings) == dict(trial.settings)
        ),
        None,
    )
