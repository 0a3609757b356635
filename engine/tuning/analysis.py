"""A part of a run, ready for questions; and two of its trials side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.config.values import parse_bit_rate
from video_pipeline.engine.tuning.records import Part, RunData, Trial
from video_pipeline.engine.tuning.resampling import (
    RESAMPLES,
    SEED,
    Interval,
    Resampled,
    draw_samples,
    interval,
)
from video_pipeline.engine.tuning.samples import Floats, Samples, sample_run
from video_pipeline.engine.tuning.summaries import Summary, summarise

REFERENCE_PRESET: Final = "medium"
REFERENCE_BIT_RATE: Final = 8_000_000


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

    def measured(self, name: str) -> Floats:
        """Return a field of `Summary` of every trial, of shape (1, T); NaN where it was not measured."""
        values = (getattr(each, name) for each in self.summaries)
        return np.array([[math.nan if value is None else value for value in values]])

    def of(self, number: int) -> Summary:
        """Return the summary of a trial by its number; raise InputError."""
        return self.summaries[self.samples.position(number)]


def analyse(
    data: RunData,
    *,
    part: Part = "training",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Analysis:
    """Prepare a part of a run for questions; raise InputError if no trial of it is complete."""
    samples = sample_run(data, part=part)
    return Analysis(
        data=data,
        samples=samples,
        summaries=summarise(samples),
        resampled=draw_samples(samples, resamples=resamples, seed=seed),
        again=draw_samples(samples, resamples=resamples, seed=seed, same_clips=True),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A trial beside a reference on the same clips.

    `speedup` and `bits` are ratios (reference's CPU time by the trial's, trial's bytes by the reference's), the others
    differences in points and dB; None if a metric was not measured. `faster` is the share of resamples with less CPU time;
    None if one of the two was measured once.
    """

    reference: Summary
    speedup: Interval
    bits: Interval
    vmaf: Interval | None
    vmaf_p1: Interval | None
    xpsnr_y: Interval | None
    faster: float | None


def compare_with(analysis: Analysis, number: int, reference: int) -> Against:
    """Compare a trial with a reference on the same clips; raise InputError if one of them is not complete."""
    samples, resampled = analysis.samples, analysis.resampled
    position, other = samples.position(number), samples.position(reference)
    own, base = analysis.summaries[position], analysis.summaries[other]
    repeated, several = min(own.repeats, base.repeats) > 1, len(samples.clips) > 1

    def ratio(name: str, *, known: bool, inverse: bool = False) -> Interval:
        values = resampled.values(name)
        upper, lower = (other, position) if inverse else (position, other)
        return interval(
            getattr(analysis.summaries[upper], name) / getattr(analysis.summaries[lower], name),
            values[:, upper] / values[:, lower],
            known=known,
        )

    def difference(name: str) -> Interval | None:
        mine, theirs = getattr(own, name), getattr(base, name)
        if mine is None or theirs is None:
            return None
        values = resampled.values(name)
        return interval(mine - theirs, values[:, position] - values[:, other], known=several)

    times = resampled.cpu_s_per_minute
    return Against(
        reference=base,
        speedup=ratio("cpu_s_per_minute", known=repeated, inverse=True),
        bits=ratio("mbit_s", known=several),
        vmaf=difference("vmaf"),
        vmaf_p1=difference("vmaf_p1"),
        xpsnr_y=difference("xpsnr_y"),
        faster=float(np.mean(times[:, position] < times[:, other])) if repeated else None,
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
