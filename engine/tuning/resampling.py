"""The bootstrap: what trials would have taken if measured again, and on other clips of the kind.

Clips are drawn with replacement, the same ones for all trials, so that comparisons are paired; within a clip, each trial's
repeats are drawn with replacement. (Efron and Tibshirani, An Introduction to the Bootstrap, 1993.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.tuning.samples import Floats, Samples
from video_pipeline.engine.tuning.summaries import pooled

RESAMPLES: Final = 1000
SEED: Final = 1
FEW_CLIPS: Final = 5
FEW_REPEATS: Final = 3
MEASURED_ONCE: Final = f"speed measured once: its spread is not known; repeat with --repeats {FEW_REPEATS}"
COVERED: Final = 0.95
"""The share of resamples that an interval holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A measured value, and the bounds of 95 % of its resamples; None if the data do not tell how far it moves."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The shares of resamples in which a statement holds, and what it rests on.

    `again` is of other repeats of the same clips, `elsewhere` of other clips too. Both are None for a statement about
    speed that was measured once, `elsewhere` also for one clip. `repeats` is of the trial that has the fewest.
    """

    again: float | None
    elsewhere: float | None
    resamples: int
    clips: int
    repeats: int

    def caveats(self) -> tuple[str, ...]:
        """Return what the data is too small to tell."""
        said = []
        if self.clips == 1:
            said.append("one clip: nothing is known about other material")
        elif self.clips < FEW_CLIPS:
            said.append(f"only {self.clips} clips: other material may differ by more than the intervals say")
        if self.repeats == 1:
            said.append(MEASURED_ONCE)
        elif self.repeats < FEW_REPEATS:
            said.append(f"only {self.repeats} repeats: the spread of times is hardly known")
        return tuple(said)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """B resamples of each of T trials; the arrays have the shape (B, T) and mean what they do in `Summary`."""

    samples: Samples
    cpu_s_per_minute: Floats
    fps: Floats
    mbit_s: Floats
    quality: Mapping[str, Floats]

    @property
    def count(self) -> int:
        """The number of resamples."""
        return len(self.mbit_s)

    def values(self, name: str) -> Floats:
        """Return the resamples of a field of `Summary`."""
        return self.quality[name] if name in self.quality else getattr(self, name)


def draw_samples(
    samples: Samples, *, resamples: int = RESAMPLES, seed: int = SEED, same_clips: bool = False
) -> Resampled:
    """Draw resamples of all trials, of repeats alone with `same_clips`; the same seed gives the same ones."""
    random = np.random.default_rng(seed)
    clips = len(samples.clips)
    drawn = np.ones((resamples, clips))  # how often each draw_samples has each clip
    if not same_clips:
        drawn = random.multinomial(clips, np.full(clips, 1 / clips), size=resamples).astype(float)
    seconds, frames = drawn @ samples.seconds, drawn @ samples.frames

    def times(cells: Floats) -> Floats:
        """Return each draw_samples's sum of the clips' medians, of shape (B,), from cells of shape (C, R)."""
        total = np.zeros(resamples)
        for clip, cell in enumerate(cells):
            known = cell[np.isfinite(cell)]
            medians = np.median(known[random.integers(len(known), size=(resamples, len(known)))], axis=1)
            total += drawn[:, clip] * medians
        return total

    cpu_s = np.stack([times(cells) for cells in samples.cpu_s], axis=1)
    wall_s = np.stack([times(cells) for cells in samples.wall_s], axis=1)
    weights = drawn[:, None, :] * samples.frames  # (B, 1, C)
    return Resampled(
        samples=samples,
        cpu_s_per_minute=cpu_s / seconds[:, None] * 60,
        fps=frames[:, None] / wall_s,
        mbit_s=drawn @ samples.bytes.T * 8 / 1e6 / seconds[:, None],
        quality={
            name: np.stack([pooled(name, row, weights[:, 0, :]) for row in values], axis=1)
            for name, values in samples.quality.items()
        },
    )


def interval(value: float, resampled: Floats, *, known: bool = True) -> Interval:
    """Return a measured value with the bounds of its resamples; without bounds if their spread is not `known`."""
    if not known:
        return Interval(value=value, low=None, high=None)
    outside = (1 - COVERED) / 2
    low, high = np.quantile(resampled, [outside, 1 - outside])
    return Interval(value=value, low=float(low), high=float(high))
