"""The plots of a report: cost at equal quality, and quality over the bit rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from video_pipeline.engine.tuning.curves import Curve
from video_pipeline.engine.tuning.levels import Point, cost_at
from video_pipeline.engine.tuning.report.content import Report
from video_pipeline.engine.tuning.report.plots import Axis, Line, Mark, draw_plot
from video_pipeline.engine.tuning.report.words import settings_text, trial_text
from video_pipeline.engine.tuning.summaries import Summary

RATE_AXIS: Final = Axis("Mbit/s", log=True)
TIME_AXIS: Final = Axis("CPU seconds for a minute of video", log=True)
COLOURS: Final = 8
"""Curves that have a colour of their own."""

QUALITIES: Final = (
    ("vmaf", "VMAF", Axis("VMAF, mean")),
    ("vmaf_p1", "1st percentile", Axis("VMAF, 1st percentile")),
    ("xpsnr_y", "XPSNR", Axis("XPSNR of luma, dB")),
)
"""Fields of summaries to plot over the bit rate, with their tabs and axes."""


def hover_text(summary: Summary) -> str:
    """Return what is shown of a trial when the pointer is on it."""
    lines = [
        trial_text(summary.trial),
        f"{summary.cpu_s_per_minute:.1f} CPU s/min, {summary.mbit_s:.2f} Mbit/s",
    ]
    if summary.vmaf is not None:
        percentile = "" if summary.vmaf_p1 is None else f", 1st percentile {summary.vmaf_p1:.2f}"
        lines.append(f"VMAF {summary.vmaf:.2f}{percentile}")
    if summary.xpsnr_y is not None:
        lines.append(f"XPSNR {summary.xpsnr_y:.2f} dB")
    return "\n".join(lines)


def cost_plot(report: Report, level: float) -> str:
    """Return the plot of CPU time over bit rate at a level of VMAF, as SVG."""
    points = cost_at(level, report.summaries, report.curves)
    chosen = None if report.answer is None else report.answer.chosen.trial.number
    marks = [_cost_mark(point, chosen, report.reference, level) for point in points]
    front = sorted((point.mbit_s, point.cpu_s_per_minute) for point in points if point.front)
    lines = [Line(tuple(front), "front", stairs=True)] if len(front) > 1 else []
    marks.sort(key=lambda mark: (bool(mark.label), "front" in mark.kind))  # the last are on top
    return draw_plot(
        RATE_AXIS, TIME_AXIS, marks, lines, title=f"CPU time over bit rate at a VMAF of {level:g}"
    )


def _cost_mark(point: Point, chosen: int | None, reference: int | None, level: float) -> Mark:
    numbers = [each.trial.number for each in point.trials]
    kinds = ["front"] if point.front else []
    label = ""
    if point.interpolated:
        low, high = point.trials
        text = "\n".join(
            [
                f"between {trial_text(low.trial)} and {trial_text(high.trial)}",
                f"at VMAF {level:.2f}: {point.cpu_s_per_minute:.1f} CPU s/min, {point.mbit_s:.2f} Mbit/s",
            ]
        )
    else:
        kinds.append("single")
        text = hover_text(point.trials[0])
    if chosen in numbers:
        kinds.append("chosen")
        label = "chosen" if not point.interpolated else "chosen curve"
    elif reference in numbers:
        kinds.append("reference")
        label = "reference"
    nearest = min(point.trials, key=lambda each: abs((each.vmaf or 0.0) - level))
    return Mark(
        point.mbit_s,
        point.cpu_s_per_minute,
        text,
        kind=" ".join(kinds),
        trial=nearest.trial.number,
        label=label,
    )


def coloured_curves(report: Report) -> tuple[Curve, ...]:
    """Return the curves to name: those of the chosen trial and the anchor, then by BD-time."""
    chosen = (
        None if report.answer is None else report.analysis.samples.position(report.answer.chosen.trial.number)
    )
    own = [curve for curve in report.curves if chosen in curve.positions]
    anchor = [] if report.anchor is None else [report.anchor]
    ordered = [*own, *anchor, *(each.curve for each in report.deltas), *report.curves]
    unique = [curve for at, curve in enumerate(ordered) if curve not in ordered[:at]]
    return tuple(unique[:COLOURS])


def curve_text(curve: Curve) -> str:
    """Return the settings that a curve's trials share."""
    return settings_text(curve.encoder, curve.settings)


def quality_plot(report: Report, field: str, axis: Axis, named: Sequence[Curve]) -> str | None:
    """Return the plot of a quality over the bit rate, as SVG; None if it was not measured."""
    summaries = report.summaries
    known = {at: value for at, each in enumerate(summaries) if (value := getattr(each, field)) is not None}
    if not known:
        return None
    colour = {at: f"curve c{number}" for number, curve in enumerate(named) for at in curve.positions}
    chosen = None if report.answer is None else report.answer.chosen.trial.number

    def mark(at: int) -> Mark:
        each, kind, label = summaries[at], colour.get(at, "dot"), ""
        if each.trial.number == chosen:
            kind, label = f"{kind} chosen", "chosen"
        elif each.trial.number == report.reference:
            kind, label = f"{kind} reference", "reference"
        return Mark(each.mbit_s, known[at], hover_text(each), kind=kind, trial=each.trial.number, label=label)

    lines = []
    for curve in report.curves:
        points = tuple((summaries[at].mbit_s, known[at]) for at in curve.positions if at in known)
        if len(points) > 1:
            number = f" c{named.index(curve)}" if curve in named else ""
            lines.append(Line(points, f"curve{number}"))
    lines.sort(key=lambda line: line.kind != "curve")  # the coloured ones on top
    marks = sorted((mark(at) for at in known), key=lambda each: (bool(each.label), "curve" in each.kind))
    return draw_plot(RATE_AXIS, axis, marks, lines, title=f"{axis.title} over bit rate")
