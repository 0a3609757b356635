"""What changed between two runs, and which changes are more than noise.

Trials with the same settings are compared on the clips whose frames are the same. Encoding is deterministic, so any
difference of bytes or quality is a real one; times are compared by the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.records import Part, Run, RunData, Trial
from video_pipeline.engine.tuning.resampling import RESAMPLES, SEED, Interval, interval
from video_pipeline.engine.tuning.samples import Floats, Samples, sample_run
from video_pipeline.engine.tuning.summaries import pooled

FALSE_DISCOVERIES: Final = 0.05
"""Share of wrong ones that may be among the changes that are called real (Benjamini and Hochberg, 1995)."""

MIN_CHANGE: Final = 0.01
"""Changes of time below this share are not called real, however small the noise."""

SAME_QUALITY: Final = 0.005
"""VMAF, and dB of XPSNR, within which a quality counts as unchanged: metrics are stored rounded."""

MACHINE: Final = ("cpu", "cores")
"""What makes two machines the same for times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The same settings in two runs.

    `time` is the second run's CPU time as a multiple of the first's; `beyond` the same beside the change that all
    settings have in common. `real` says whether `beyond` is more than noise, and `chance` how often noise makes such a
    change; both are None if one of the runs measured times once. `bits` is the ratio of bytes; `vmaf`, `vmaf_p1` and `xpsnr_y` are differences, None if not measured in both.
    `worst_clip` is the clip that lost the most VMAF, with its difference.
    """

    before: Trial
    after: Trial
    time: Interval
    beyond: Interval
    chance: float | None
    real: bool | None
    bits: float
    vmaf: float | None
    vmaf_p1: float | None
    xpsnr_y: float | None
    worst_clip: tuple[str, float] | None

    @property
    def output_changed(self) -> bool:
        """Whether bytes or quality differ."""
        moved = (self.vmaf, self.vmaf_p1, self.xpsnr_y)
        return self.bits != 1 or any(value is not None and abs(value) > SAME_QUALITY for value in moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs side by side.

    `clips` were compared; `other_clips` were not, each with the reason. `differences` are of machines and versions: name,
    before, after. `overall` is the CPU time of the second run as a multiple of the first's, the median over settings. `unmatched` counts the trials of each run without a counterpart.
    """

    before: Run
    after: Run
    part: Part
    clips: tuple[str, ...]
    other_clips: Mapping[str, str]
    same_machine: bool
    differences: tuple[tuple[str, str, str], ...]
    overall: Interval
    changes: tuple[Change, ...]
    unmatched: tuple[int, int]


def compare_runs(
    before: RunData, after: RunData, *, part: Part = "training", resamples: int = RESAMPLES, seed: int = SEED
) -> Comparison:
    """Compare the trials of two runs that have the same settings; raise InputError if they share no clip or settings."""
    first, second = sample_run(before, part=part), sample_run(after, part=part)
    clips, other_clips = _common_clips(before, after, first, second)
    if not clips:
        why = "; ".join(f"{clip} {reason}" for clip, reason in list(other_clips.items())[:4])
        raise InputError(f"runs {before.run.id} and {after.run.id} have no clip in common: {why}")
    first, second = _only(first, clips), _only(second, clips)
    pairs = list(_pairs(first, second))
    if not pairs:
        raise InputError(f"runs {before.run.id} and {after.run.id} have no trial with the same settings")
    measured, drawn = _times(first, second, pairs, resamples, seed)
    repeats = [min(first.repeats()[at], second.repeats()[other]) for at, other in pairs]
    overall = interval(float(np.median(measured)), np.median(drawn, axis=1), known=min(repeats) > 1)
    several = len(pairs) >= 3  # of two, each would be half of what they have in common
    common, common_drawn = (
        (overall.value, np.median(drawn, axis=1)) if several else (0.0, np.zeros(resamples))
    )
    changes = [
        _compare_trials(first, second, pair, float(measured[at]), drawn[:, at], common, common_drawn)
        for at, pair in enumerate(pairs)
    ]
    return Comparison(
        before=before.run,
        after=after.run,
        part=part,
        clips=clips,
        other_clips=other_clips,
        same_machine=all(before.run.machine.get(name) == after.run.machine.get(name) for name in MACHINE),
        differences=(
            *_differences(before.run.machine, after.run.machine),
            *_differences(before.run.versions, after.run.versions),
        ),
        overall=_exp(overall),
        changes=tuple(sorted(_decide(changes), key=lambda each: -abs(math.log(each.beyond.value)))),
        unmatched=(len(first.trials) - len(pairs), len(second.trials) - len(pairs)),
    )


def _common_clips(
    before: RunData, after: RunData, first: Samples, second: Samples
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the clips with the same frames in both runs, and why the others are not compared."""
    hashes = [
        {clip.get("name"): clip.get("sha256") for clip in data.run.material.get("clips", ())}
        for data in (before, after)
    ]
    common, others = [], {}
    for clip in dict.fromkeys((*first.clips, *second.clips)):
        if clip not in first.clips:
            others[clip] = "is only in the second"
        elif clip not in second.clips:
            others[clip] = "is only in the first"
        elif hashes[0].get(clip) != hashes[1].get(clip):
            others[clip] = "has other frames in the second"
        else:
            common.append(clip)
    return tuple(common), others


def _only(samples: Samples, clips: tuple[str, ...]) -> Samples:
    """Return samples with these clips alone, in this order."""
    columns = [samples.clips.index(clip) for clip in clips]
    return replace(
        samples,
        clips=clips,
        frames=samples.frames[columns],
        seconds=samples.seconds[columns],
        cpu_s=samples.cpu_s[:, columns],
        wall_s=samples.wall_s[:, columns],
        bytes=samples.bytes[:, columns],
        quality={name: values[:, columns] for name, values in samples.quality.items()},
    )


def _pairs(first: Samples, second: Samples) -> Iterator[tuple[int, int]]:
    """Yield the positions of trials with the same encoder and settings."""
    by_settings = {_trial_key(trial): position for position, trial in enumerate(second.trials)}
    for position, trial in enumerate(first.trials):
        if (other := by_settings.get(_trial_key(trial))) is not None:
            yield position, other


def _trial_key(trial: Trial) -> tuple[object, ...]:
    return (
        trial.encoder,
        *sorted((key, value) for key, value in trial.settings.items() if value is not None),
    )


def _times(
    first: Samples, second: Samples, pairs: Sequence[tuple[int, int]], resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Return the logarithms of the ratios of CPU time, measured (pairs) and resampled (resamples, pairs).

    Clips are drawn with replacement, the same for both runs and all pairs; each run's repeats are drawn within a clip.
    """
    random = np.random.default_rng(seed)
    clips = len(first.clips)
    drawn = random.multinomial(clips, np.full(clips, 1 / clips), size=resamples).astype(float)
    totals: tuple[list[Floats], list[Floats]] = ([], [])
    measured: tuple[list[float], list[float]] = ([], [])
    for pair in pairs:
        for samples, position, into, known in zip((first, second), pair, totals, measured, strict=True):
            total = np.zeros(resamples)
            for clip, cell in enumerate(samples.cpu_s[position]):
                values = cell[np.isfinite(cell)]
                picked = values[random.integers(len(values), size=(resamples, len(values)))]
                total += drawn[:, clip] * np.median(picked, axis=1)
            into.append(total)
            known.append(float(np.sum(np.nanmedian(samples.cpu_s[position], axis=1))))
    return np.log(np.array(measured[1]) / np.array(measured[0])), np.stack(
        [np.log(after / before) for before, after in zip(*totals, strict=True)], axis=1
    )


def _compare_trials(
    first: Samples,
    second: Samples,
    pair: tuple[int, int],
    measured: float,
    drawn: Floats,
    common: float,
    common_drawn: Floats,
) -> Change:
    at, other = pair
    enough = min(first.repeats()[at], second.repeats()[other]) > 1
    beyond = interval(measured - common, drawn - common_drawn, known=enough)
    noise = float(np.std(drawn - common_drawn))
    chance = math.erfc(abs(beyond.value) / noise / math.sqrt(2)) if noise > 0 else float(beyond.value == 0)

    def moved(name: str) -> float | None:
        values = [
            float(pooled(name, samples.quality[name][position], samples.frames))
            for samples, position in ((first, at), (second, other))
        ]
        return values[1] - values[0] if all(map(math.isfinite, values)) else None

    by_clip = second.quality["vmaf"][other] - first.quality["vmaf"][at]
    worst = int(np.argmin(by_clip)) if np.all(np.isfinite(by_clip)) else None
    return Change(
        before=first.trials[at],
        after=second.trials[other],
        time=_exp(interval(measured, drawn, known=enough)),
        beyond=_exp(beyond),
        chance=chance if enough else None,
        real=False if enough else None,
        bits=float(np.sum(second.bytes[other]) / np.sum(first.bytes[at])),
        vmaf=moved("vmaf"),
        vmaf_p1=moved("vmaf_p1"),
        xpsnr_y=moved("xpsnr_y"),
        worst_clip=None if worst is None else (first.clips[worst], float(by_clip[worst])),
    )


def _decide(changes: Sequence[Change]) -> Iterator[Change]:
    """Yield the changes with those marked as real that Benjamini and Hochberg's procedure finds."""
    chances = sorted(change.chance for change in changes if change.chance is not None)
    limit = max(
        (
            chance
            for rank, chance in enumerate(chances, start=1)
            if chance <= FALSE_DISCOVERIES * rank / len(chances)
        ),
        default=-1.0,
    )
    for change in changes:
        large = abs(math.log(change.beyond.value)) >= math.log1p(MIN_CHANGE)
        yield change if change.chance is None else replace(change, real=large and change.chance <= limit)


def _exp(logarithms: Interval) -> Interval:
    low, high = (None if each is None else math.exp(each) for each in (logarithms.low, logarithms.high))
    return Interval(value=math.exp(logarithms.value), low=low, high=high)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name) and not name.startswith("load"):
            yield name, str(before.get(name)), str(after.get(name))
