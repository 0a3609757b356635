"""What a report says about a run, before it has a form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from video_pipeline.engine.errors import InputError, UnavailableError
from video_pipeline.engine.tuning.analysis import Analysis, analyse, find_reference
from video_pipeline.engine.tuning.answers import Answer, answer
from video_pipeline.engine.tuning.curves import Curve, Delta, curves, deltas
from video_pipeline.engine.tuning.density import check_price
from video_pipeline.engine.tuning.fronts import pareto_front
from video_pipeline.engine.tuning.levels import choose_levels
from video_pipeline.engine.tuning.queries import LIMITS, Query
from video_pipeline.engine.tuning.records import RunData
from video_pipeline.engine.tuning.report.words import answer_lines, settings_text
from video_pipeline.engine.tuning.samples import differing_bytes
from video_pipeline.engine.tuning.summaries import Outlier, Summary, outliers, stated_spread

NO_WORSE: Final = {"max_vmaf_loss": 0.1, "max_p1_loss": 0.5, "max_xpsnr_loss": 0.2, "max_bytes": 1.0}
"""The limits beside the reference if nothing else is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveDeltas:
    """The Bjøntegaard deltas of a curve from the report's anchor."""

    curve: Curve
    rate: Delta
    time: Delta


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """A run and what follows from it.

    `answer` is None if nothing meets the query, for the reason `unanswered`. `front` has the numbers of the trials that
    no other beats in speed, size and VMAF at once. `deltas` compare curves with `anchor`; without one, `no_deltas` says
    why. `levels` are of VMAF, to compare costs at; `level`, one of them, is the query's own.
    """

    data: RunData
    analysis: Analysis
    query: Query
    answer: Answer | None
    unanswered: str
    reference: int | None
    front: frozenset[int]
    curves: tuple[Curve, ...]
    anchor: Curve | None
    deltas: tuple[CurveDeltas, ...]
    no_deltas: str
    level: float | None
    levels: tuple[float, ...]
    outliers: tuple[Outlier, ...]
    spread: float | None
    unequal: tuple[tuple[int, str], ...]
    held_out: tuple[Summary, ...]

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The complete trials of the training part."""
        return self.analysis.summaries


def default_query(analysis: Analysis, reference: int | None) -> Query:
    """Return what a run was made to answer: its objective's limits, or no worse and no larger than the reference."""
    objective = analysis.data.run.objective
    limits = {
        name: float(objective[key])
        for name, key in (("min_vmaf", "min_vmaf"), ("max_mbit", "max_mbit_s"))
        if isinstance(objective.get(key), int | float)
    }
    if not limits and reference is not None:
        base = analysis.of(reference)
        limits = {
            limit.name: NO_WORSE[limit.name]
            for limit in LIMITS
            if limit.name in NO_WORSE and getattr(base, limit.field) is not None
        }
    return Query(limits=limits)


def make_report(
    data: RunData, *, query: Query | None = None, reference: int | None = None, price: float | None = None
) -> Report:
    """Return what a run says; raise InputError if no trial is complete or the price or a limit is wrong.

    If no settings meet the query, the report says so and has everything else.
    """
    if price is not None:
        check_price(price)
    analysis = analyse(data)
    number = find_reference(analysis.samples) if reference is None else reference
    if number is not None:
        analysis.of(number)
    asked = query or default_query(analysis, number)
    asked.bounds()
    found, reason = None, ""
    try:
        found = answer(analysis, asked, reference=number, price=price)
    except InputError as error:
        reason = str(error)
    level = _level(analysis, asked, number)
    lines = curves(analysis.samples)
    anchor, compared, no_deltas = _deltas(analysis, lines, number)
    return Report(
        data=data,
        analysis=analysis,
        query=asked,
        answer=found,
        unanswered=reason,
        reference=number,
        front=_front(analysis),
        curves=lines,
        anchor=anchor,
        deltas=compared,
        no_deltas=no_deltas,
        level=level,
        levels=choose_levels(analysis.summaries, wanted=level),
        outliers=outliers(analysis.samples),
        spread=stated_spread(analysis.samples),
        unequal=differing_bytes(data),
        held_out=_held_out(data),
    )


def _level(analysis: Analysis, query: Query, reference: int | None) -> float | None:
    """Return the VMAF that a query asks for at least."""
    if "min_vmaf" in query.limits:
        return query.limits["min_vmaf"]
    base = None if reference is None else analysis.of(reference).vmaf
    return None if base is None else base - query.limits.get("max_vmaf_loss", 0.0)


def _front(analysis: Analysis) -> frozenset[int]:
    measured = [each for each in analysis.summaries if each.vmaf is not None]
    if not measured:
        return frozenset()
    costs = np.array([[each.cpu_s_per_minute, each.mbit_s, -(each.vmaf or 0.0)] for each in measured])
    return frozenset(measured[position].trial.number for position in pareto_front(costs))


def _held_out(data: RunData) -> tuple[Summary, ...]:
    try:
        return analyse(data, part="held_out", resamples=1).summaries
    except InputError:
        return ()


def _deltas(
    analysis: Analysis, lines: tuple[Curve, ...], reference: int | None
) -> tuple[Curve | None, tuple[CurveDeltas, ...], str]:
    """Return the anchor, each other curve's deltas from it, and why there are none."""
    if len(lines) < 2:
        return None, (), "There are not two curves of settings that differ in the rate alone."
    anchor = lines[0]
    if reference is not None:
        position = analysis.samples.position(reference)
        preset = analysis.samples.trials[position].settings.get("preset")
        alike = [each for each in lines if position in each.positions] or [
            each for each in lines if each.settings.get("preset") == preset
        ]
        anchor = alike[0] if alike else anchor
    try:
        compared = []
        for curve in lines:
            if curve is not anchor:
                rate, time = deltas(analysis.samples, anchor, curve)
                compared.append(CurveDeltas(curve=curve, rate=rate, time=time))
    except UnavailableError as error:
        return None, (), f"{error}."
    compared.sort(key=lambda each: each.time.percent.value if each.time.percent else np.inf)
    return anchor, tuple(compared), ""


def report_data(report: Report) -> dict[str, Any]:
    """Return what a report says as plain values, for JSON; `load_run` passes over it."""
    found = report.answer
    return {
        "summaries": [
            _summary(each, front=each.trial.number in report.front)
            for each in (*report.summaries, *report.held_out)
        ],
        "answer": None if found is None else answer_data(found),
        "unanswered": report.unanswered or None,
        "reference": report.reference,
        "spread": report.spread,
        "outliers": [dataclasses.asdict(each) for each in report.outliers],
        "left_out": [
            {"trial": each.trial.number, "reason": each.reason} for each in report.analysis.samples.left_out
        ],
        "anchor": None if report.anchor is None else _curve(report.anchor),
        "deltas": [
            {"curve": _curve(each.curve), "rate": _delta(each.rate), "time": _delta(each.time)}
            for each in report.deltas
        ],
    }


def answer_data(found: Answer) -> dict[str, Any]:
    """Return an answer as plain values."""
    return {
        "query": {
            "goal": found.query.goal,
            "encoder": found.query.encoder,
            "limits": dict(found.query.limits),
        },
        "chosen": _summary(found.chosen),
        "confidence": dataclasses.asdict(found.confidence),
        "limits": [
            {
                "name": each.limit.name,
                "bound": each.bound,
                "value": dataclasses.asdict(each.value),
                "holds": each.share,
            }
            for each in found.held
        ],
        "rivals": [{"trial": each.trial.number, "share": share} for each, share in found.rivals],
        "against": None if found.against is None else _against(found.against),
        "held_out": None
        if found.held_out is None
        else {
            "summary": _summary(found.held_out.summary),
            "missed": list(found.held_out.missed),
            "against": None if found.held_out.against is None else _against(found.held_out.against),
        },
        "density": None if found.density is None else dataclasses.asdict(found.density),
        "text": list(answer_lines(found)),
    }


def _against(against: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dataclasses.asdict(against)
    return {**fields, "reference": against.reference.trial.number}


def _summary(summary: Summary, **more: Any) -> dict[str, Any]:
    fields = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
    trial = fields.pop("trial")
    return {
        "trial": trial.number,
        "part": trial.part,
        "encoder": trial.encoder,
        "settings": dict(trial.settings),
        **fields,
        **more,
    }


def _curve(curve: Curve) -> str:
    return settings_text(curve.encoder, curve.settings)


def _delta(delta: Delta) -> Mapping[str, Any]:
    return {
        "percent": None if delta.percent is None else dataclasses.asdict(delta.percent),
        "clips": delta.clips,
        "without": dict(delta.without),
        "notes": list(delta.notes),
    }
