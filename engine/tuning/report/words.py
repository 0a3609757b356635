"""A run's answers in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from video_pipeline.engine.config.encoder_keys import RATE_KEYS
from video_pipeline.engine.tuning.analysis import Against
from video_pipeline.engine.tuning.answers import Answer, Held
from video_pipeline.engine.tuning.density import STREAM_FPS, Density
from video_pipeline.engine.tuning.queries import Query
from video_pipeline.engine.tuning.records import Trial, Value
from video_pipeline.engine.tuning.resampling import COVERED, Interval
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
    return f"{ratio.value:.2f}{_bounds(f'{ratio.low:.2f}', f'{ratio.high:.2f}')}"


def difference_text(difference: Interval) -> str:
    """Return a difference with the bounds of its resamples, if they differ."""
    return f"{signed(difference.value)}{_bounds(signed(difference.low), signed(difference.high))}"


def _bounds(low: str, high: str) -> str:
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
    if density.streams is not None:
        cores = "core encodes" if density.cores == 1 else "cores encode"
        parts.append(
            f"{density.cores} {cores} {density.streams:.1f} streams of {STREAM_FPS} frames/s at once"
        )
    if density.cost_per_hour is not None:
        parts.append(f"an hour of video costs {density.cost_per_hour:.4g}")
    return ", ".join(parts)


def answer_lines(answer: Answer) -> tuple[str, ...]:
    """Return an answer as sentences; the first has the settings."""
    sure = answer.confidence
    general = sure.clips > 1  # of one clip, nothing follows for others
    again = f"Measured again on {'these clips' if general else 'this clip'}, the same would be chosen in "
    again += f"{percent(sure.again)} of {sure.resamples} resamples"
    lines = [
        f"{query_text(answer.query)}: {trial_text(answer.chosen.trial)}.",
        f"It takes and gives: {summary_text(answer.chosen)}.",
        f"{again}; on other clips of their kinds in {percent(sure.elsewhere)}." if general else f"{again}.",
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
        lines += [_held_text(held, general=general) for held in answer.held]
    if answer.against is not None and answer.against.reference.trial != answer.chosen.trial:
        lines.append(
            f"Beside {trial_text(answer.against.reference.trial)}: {against_text(answer.against)}; faster in "
            f"{percent(answer.against.faster)} of resamples."
        )
    lines += _held_out_lines(answer)
    if answer.density is not None:
        text = density_text(answer.density)
        lines.append(f"{text[0].upper()}{text[1:]}.")
    return (*lines, *(f"Note: {caveat}." for caveat in sure.caveats()))


def _held_text(held: Held, *, general: bool) -> str:
    digits = held.limit.digits
    text = f"{held.limit.words[0].upper()}{held.limit.words[1:]}: {held.value.value:.{digits}f}"
    if not general:
        return f"{text}."
    low, high = f"{held.value.low:.{digits}f}", f"{held.value.high:.{digits}f}"
    return f"{text}, on other clips {low} to {high} ({percent(COVERED)}); the limit holds in {percent(held.share)}."


def _held_out_lines(answer: Answer) -> list[str]:
    if answer.held_out is None:
        return ["These settings were not measured on held-out clips."]
    found = answer.held_out
    held = "all limits hold" if not found.missed else f"{', '.join(found.missed)} does not hold"
    clips = "1 clip" if found.summary.clips == 1 else f"{found.summary.clips} clips"
    end = f"; {held}." if answer.held else "."
    lines = [f"On {clips} that the search did not see: {summary_text(found.summary)}{end}"]
    if found.against is not None and found.against.reference.trial != found.summary.trial:
        lines.append(f"There, beside the same reference: {against_text(found.against)}.")
    return lines
