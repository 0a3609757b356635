"""What a run says: the best settings within limits, how sure that is, and how they compare with a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.render.encoders.base import load_encoder
from video_pipeline.engine.tuning.analysis import (
    Against,
    Analysis,
    analyse,
    compare_with,
    find_reference,
    same_settings,
)
from video_pipeline.engine.tuning.density import Density, density
from video_pipeline.engine.tuning.queries import Goal, Limit, Query, Values
from video_pipeline.engine.tuning.records import Trial
from video_pipeline.engine.tuning.resampling import Confidence, Interval, Resampled, interval
from video_pipeline.engine.tuning.samples import Floats, Samples
from video_pipeline.engine.tuning.summaries import Summary, stated_spread

RIVAL_SHARE: Final = 0.05
"""Share of resamples in which another trial is chosen, from which on it is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A limit, the value that meets it, and the share of resamples in which it is met.

    `share` is None with one clip, and for a speed that was measured once.
    """

    limit: Limit
    bound: float
    value: Interval
    share: float | None


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
    chooses on some other clips, with their shares, none if the data do not tell. `tie` is the share of the best speed within which speeds count as equal: the smallest file
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
    samples, summaries = analysis.samples, analysis.summaries
    number = find_reference(samples) if reference is None else reference
    choice = _Choice(
        query.goal,
        query.bounds(),
        wanted=_of_encoder(samples, query.encoder),
        reference=None if number is None else samples.position(number),
        on_gpu=any(load_encoder(trial.encoder).on_gpu for trial in samples.trials),
        tie=(stated_spread(samples) or 0.0) if query.goal == "fastest" else 0.0,
    )
    choice.check_measured(analysis)
    meets = choice.meets(analysis.measured)
    if not np.any(meets):
        raise InputError(choice.nearest(analysis))
    position = int(choice.choose(analysis.measured)[0])
    again, shares = (choice.shares(drawn) for drawn in (analysis.again, analysis.resampled))
    chosen = summaries[position]
    repeats = int(np.min(samples.repeats()[meets[0]]))
    timed, several = repeats > 1 or not choice.about_speed, len(samples.clips) > 1
    rivals = [
        each
        for each in np.argsort(-shares)
        if timed and several and each != position and shares[each] >= RIVAL_SHARE
    ]
    return Answer(
        query=query,
        chosen=chosen,
        confidence=Confidence(
            again=float(again[position]) if timed else None,
            elsewhere=float(shares[position]) if timed and several else None,
            resamples=analysis.resampled.count,
            clips=len(samples.clips),
            repeats=repeats,
        ),
        held=choice.held(analysis, position),
        rivals=tuple((summaries[each], float(shares[each])) for each in rivals),
        candidates=int(np.sum(meets)),
        tie=choice.tie,
        against=None if number is None else compare_with(analysis, chosen.trial.number, number),
        held_out=_on_held_out(analysis, chosen.trial, query, number),
        density=density(chosen, analysis.data.run, price=price),
    )


def _of_encoder(samples: Samples, encoder: str | None) -> npt.NDArray[np.bool_]:
    """Return which trials are of an encoder; raise InputError if none is."""
    wanted = np.array([encoder in (None, trial.encoder) for trial in samples.trials])
    if not np.any(wanted):
        has = ", ".join(sorted({trial.encoder for trial in samples.trials}))
        raise InputError(f"encoder: got {encoder!r}; allowed: {has}")
    return wanted


@dataclass(frozen=True, slots=True)
class _Choice:
    """The rule by which trials are chosen, from measured values as from resampled ones."""

    goal: Goal
    bounds: tuple[tuple[Limit, float], ...]
    wanted: npt.NDArray[np.bool_]
    reference: int | None
    on_gpu: bool
    tie: float

    @property
    def about_speed(self) -> bool:
        """Whether times decide which trial is chosen; bytes and quality are the same in each encode."""
        return self.goal == "fastest" or any(limit.field == "fps" for limit, _ in self.bounds)

    def meets(self, values: Values) -> npt.NDArray[np.bool_]:
        """Return which trials keep all limits, of shape (B, T)."""
        within = np.broadcast_to(self.wanted, values("mbit_s").shape).copy()
        for limit, bound in self.bounds:
            within &= limit.holds(limit.read(values, self.reference), bound)
        return within

    def choose(self, values: Values) -> npt.NDArray[np.int64]:
        """Return for each row the position of the trial that is chosen, -1 if none keeps the limits.

        Costs within `tie` of the smallest count as equal.
        """
        cost, second = self._costs(values)
        allowed = np.where(self.meets(values) & np.isfinite(cost), cost, np.inf)
        least = np.min(allowed, axis=1, keepdims=True)
        equal = (allowed <= least * (1 + self.tie)) & np.isfinite(allowed)
        chosen = np.argmin(np.where(equal, second, np.inf), axis=1)
        return np.where(np.any(equal, axis=1), chosen, -1)

    def _costs(self, values: Values) -> tuple[Floats, Floats]:
        """Return what is to be small, and what decides between equals."""
        size = values("mbit_s")
        if self.goal == "smallest":
            return size, values("cpu_s_per_minute")
        if self.goal == "best":
            return 100 - values("vmaf"), size
        return (1 / values("fps") if self.on_gpu else values("cpu_s_per_minute")), size

    def shares(self, drawn: Resampled) -> Floats:
        """Return for each trial the share of resamples in which it is chosen."""
        winners = self.choose(drawn.values)
        shares: Floats = np.bincount(winners[winners >= 0], minlength=len(self.wanted)) / drawn.count
        return shares

    def held(self, analysis: Analysis, position: int) -> tuple[Held, ...]:
        """Return how a trial keeps each limit."""
        found = []
        for limit, bound in self.bounds:
            value = float(limit.read(analysis.measured, self.reference)[0, position])
            drawn = limit.read(analysis.resampled.values, self.reference)[:, position]
            known = len(analysis.samples.clips) > 1 and (
                limit.field != "fps" or analysis.summaries[position].repeats > 1
            )
            share = float(np.mean(limit.holds(drawn, bound))) if known else None
            held = Held(limit=limit, bound=bound, value=interval(value, drawn, known=known), share=share)
            found.append(held)
        return tuple(found)

    def check_measured(self, analysis: Analysis) -> None:
        """Raise InputError if a limit or the goal is about what no trial has measured."""
        goal = [("goal", "best", "vmaf", "VMAF")] if self.goal == "best" else []
        limits = [(limit.name, f"{bound:g}", limit.field, limit.words) for limit, bound in self.bounds]
        for name, got, of, words in (*goal, *limits):
            if not np.any(np.isfinite(analysis.measured(of)[0, self.wanted])):
                raise InputError(f"{name}: got {got}, but the run has not measured {words}")

    def nearest(self, analysis: Analysis) -> str:
        """Return the error for limits that no trial keeps: the one that is out of reach, or the nearest trial."""
        run, trials = analysis.data.run.id, analysis.samples.trials
        values = {
            limit.name: np.where(self.wanted, limit.read(analysis.measured, self.reference)[0], np.nan)
            for limit, _ in self.bounds
        }
        missing = np.zeros(len(self.wanted))
        for limit, bound in self.bounds:
            own = values[limit.name]
            if not np.any(limit.holds(own, bound)):
                best = int(np.nanargmax(own) if limit.at_least else np.nanargmin(own))
                way = "at most" if limit.at_least else "at least"
                return (
                    f"{limit.name}: got {bound:g}; no trial of run {run} has it; allowed: {way} "
                    f"{own[best]:.{limit.digits}f} ({limit.words} of trial {trials[best].number})"
                )
            short = (bound - own) if limit.at_least else (own - bound)
            extent = float(np.nanmax(own) - np.nanmin(own)) or 1.0
            missing += np.maximum(short, 0) / extent
        nearest = int(np.argmin(np.where(self.wanted & np.isfinite(missing), missing, np.inf)))
        has = ", ".join(
            f"{limit.words} {values[limit.name][nearest]:.{limit.digits}f}" for limit, _ in self.bounds
        )
        asked = " and ".join(f"{limit.name} {bound:g}" for limit, bound in self.bounds)
        return f"no trial of run {run} meets {asked} together; trial {trials[nearest].number} comes nearest: {has}"


def _on_held_out(analysis: Analysis, trial: Trial, query: Query, reference: int | None) -> HeldOut | None:
    """Return the trial's settings on the held-out clips; None if they were not measured there.

    Limits beside a reference are left out if the reference was not.
    """
    if analysis.samples.part == "held_out":
        return None
    try:
        other = analyse(analysis.data, part="held_out", resamples=analysis.resampled.count)
    except InputError:
        return None
    number = same_settings(other.samples, trial)
    if number is None:
        return None
    base = None if reference is None else same_settings(other.samples, analysis.of(reference).trial)
    position, base_position = (
        other.samples.position(number),
        None if base is None else other.samples.position(base),
    )
    missed = tuple(
        limit.name
        for limit, bound in query.bounds()
        if (limit.beside is None or base_position is not None)
        and not limit.holds(limit.read(other.measured, base_position)[0, position], bound)
    )
    return HeldOut(
        summary=other.of(number),
        missed=missed,
        against=None if base is None else compare_with(other, number, base),
    )
