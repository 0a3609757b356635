"""A run's answers in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.config.encoder_keys import RATE_KEYS
from video_pipeline.engine.tuning.analysis import Against
from video_pipeline.engine.tuning.answers import Answer, Held
from video_pipeline.engine.tuning.density import STREAM_FPS, Density
from video_pipeline.engine.tuning.queries import Query
from video_pipeline.engine.tuning.records import Trial, Value
from video_pipeline.engine.tuning.resampling import COVERED, Confidence, Interval
from video_pipeline.engine.tuning.summaries import Summary

GOALS: Final = {"fastest": "Fastest", "smallest": "Smallest", "best": "Best VMAF"}
FIRST_KEYS: Final = ("preset", *RATE_KEYS)
"""Keys of settings that are written first."""

MINUS: Final = "\N{MINUS SIGN}"


def value_text(value: Value) -> str:
    """Return the value of a setting as it is written in a configuration."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_text(encoder: str, settings: Mapping[str, Value]) -> str:
    """Return settings in words: the encoder and preset, the rate, then the other keys by name."""
    first = [key for key in FIRST_KEYS if settings.get(key) is not None]
    others = sorted(key for key in settings if key not in FIRST_KEYS)
    named = [f"{key} {value_text(settings[key])}" for key in [*first, *others] if key != "preset"]
    begin = f"{encoder} {value_text(settings['preset'])}" if "preset" in first else encoder
    return ", ".join([begin, *named])


def trial_text(trial: Trial) -> str:
    """Return a trial in words: its number and settings."""
    return f"trial {trial.number} ({settings_text(trial.encoder, trial.settings)})"


def query_text(query: Query) -> str:
    """Return what was asked for."""
    limits = [
        f"{limit.words} {'≥' if limit.at_least else '≤'} {bound:.{limit.digits}f}"
        for limit, bound in query.bounds()
    ]
    words = GOALS[query.goal]
    if query.encoder:
        words += f" of {query.encoder}"
    return f"{words} with {' and '.join(limits)}" if limits else words


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{MINUS if value < 0 else '+'}{text}"


def percent(share: float) -> str:
    """Return a share as a percentage; what is nearly all is not called all."""
    shown = 100 * share
    if 99 < shown < 100:
        return f"{shown:.1f} %"
    return f"{shown:.0f} %"


def ratio_text(ratio: Interval) -> str:
    """Return a ratio with the bounds of its resamples, if they differ."""
    return f"{ratio.value:.2f}{range_text(ratio, lambda value: f'{value:.2f}')}"


def difference_text(difference: Interval) -> str:
    """Return a difference with the bounds of its resamples, if they differ."""
    return f"{signed(difference.value)}{range_text(difference, signed)}"


def range_text(interval: Interval, shown: Callable[[float], str]) -> str:
    """Return an interval's bounds in brackets, with a blank before them; nothing if they are unknown or look equal."""
    if interval.low is None or interval.high is None:
        return ""
    low, high = shown(interval.low), shown(interval.high)
    return "" if low == high else f" ({low} to {high})"


def summary_text(summary: Summary) -> str:
    """Return what a trial took and gave."""
    parts = [
        f"{summary.cpu_s_per_minute:.1f} CPU s for a minute of video",
        f"{summary.fps:.1f} frames/s",
        f"{summary.mbit_s:.2f} Mbit/s",
    ]
    if summary.vmaf is not None:
        more = [f"1st percentile {summary.vmaf_p1:.2f}"] if summary.vmaf_p1 is not None else []
        if summary.worst_clip is not None and summary.clips > 1:
            more.append(f"lowest clip {summary.worst_clip} {summary.worst_vmaf:.2f}")
        parts.append(f"VMAF {summary.vmaf:.2f}" + (f" ({', '.join(more)})" if more else ""))
    if summary.xpsnr_y is not None:
        parts.append(f"XPSNR {summary.xpsnr_y:.2f} dB")
    return ", ".join(parts)


def against_text(against: Against) -> str:
    """Return how a trial compares with its reference."""
    parts = [f"{ratio_text(against.speedup)} times as fast", f"{ratio_text(against.bits)} times the bytes"]
    for words, unit, difference in (
        ("VMAF", "", against.vmaf),
        ("its 1st percentile", "", against.vmaf_p1),
        ("XPSNR", " dB", against.xpsnr_y),
    ):
        if difference is not None:
            parts.append(f"{words} {difference_text(difference)}{unit}")
    return ", ".join(parts)


def density_text(density: Density) -> str:
    """Return how much a machine encodes with a trial's settings."""
    parts = [
        f"a core that only encodes makes {density.minutes_per_core_hour:.0f} minutes of video in an hour"
    ]
    if density.cores is not None and density.streams is not None:
        cores = count_text(density.cores, "core encodes", "cores encode")
        parts.append(f"{cores} {density.streams:.1f} streams of {STREAM_FPS} frames/s at once")
    if density.cost_per_hour is not None:
        parts.append(f"an hour of video costs {density.cost_per_hour:.4g}")
    return ", ".join(parts)


def answer_lines(answer: Answer) -> tuple[str, ...]:
    """Return an answer as sentences; the first has the settings."""
    sure = answer.confidence
    lines = [
        f"{query_text(answer.query)}: {trial_text(answer.chosen.trial)}.",
        f"It takes and gives: {summary_text(answer.chosen)}.",
        _confidence_text(sure),
    ]
    if answer.rivals:
        others = "; ".join(
            f"{trial_text(each.trial)} in {percent(share)}" for each, share in answer.rivals[:3]
        )
        lines.append(f"On other clips it would otherwise be {others}.")
    if answer.tie and answer.candidates > 1:
        lines.append(
            f"Speeds within {100 * answer.tie:.1f} %, the spread of the run, count as equal: the smallest file is chosen."
        )
    if answer.against is not None and answer.against.reference.trial == answer.chosen.trial:
        lines.append("That is the reference itself: nothing measured is better within these limits.")
    else:
        lines += map(_held_text, answer.held)
    if answer.against is not None and answer.against.reference.trial != answer.chosen.trial:
        faster = answer.against.faster
        sure_of_it = "" if faster is None else f"; faster in {percent(faster)} of resamples"
        lines.append(
            f"Beside {trial_text(answer.against.reference.trial)}: {against_text(answer.against)}{sure_of_it}."
        )
    lines += _held_out_lines(answer)
    if answer.density is not None:
        text = density_text(answer.density)
        lines.append(f"{text[0].upper()}{text[1:]}.")
    return (*lines, *(f"Note: {caveat}." for caveat in sure.caveats()))


def _confidence_text(sure: Confidence) -> str:
    if sure.again is None:
        return "How often the same would be chosen is not known: speed was measured once."
    again = (
        f"Measured again on {'this clip' if sure.clips == 1 else 'these clips'}, the same would be chosen in "
    )
    again += f"{percent(sure.again)} of {sure.resamples} resamples"
    if sure.elsewhere is None:
        return f"{again}."
    return f"{again}; on other clips of their kinds in {percent(sure.elsewhere)}."


def _held_text(held: Held) -> str:
    digits, low, high = held.limit.digits, held.value.low, held.value.high
    text = f"{held.limit.words[0].upper()}{held.limit.words[1:]}: {held.value.value:.{digits}f}"
    if low is None or high is None or held.share is None:
        return f"{text}; asked for: at {'least' if held.limit.at_least else 'most'} {held.bound:.{digits}f}."
    spread = f"on other clips {low:.{digits}f} to {high:.{digits}f} ({percent(COVERED)})"
    return f"{text}, {spread}; the limit holds in {percent(held.share)}."


def _held_out_lines(answer: Answer) -> list[str]:
    if answer.held_out is None:
        return ["These settings were not measured on held-out clips."]
    found = answer.held_out
    held = "all limits hold" if not found.missed else f"{', '.join(found.missed)} does not hold"
    clips = count_text(found.summary.clips, "clip")
    end = f"; {held}." if answer.held else "."
    lines = [f"On {clips} that the search did not see: {summary_text(found.summary)}{end}"]
    if found.against is not None and found.against.reference.trial != found.summary.trial:
        lines.append(f"There, beside the same reference: {against_text(found.against)}.")
    return lines
