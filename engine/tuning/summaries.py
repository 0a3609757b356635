"""What each trial took and gave over all its clips, how its times spread, and which of them stand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.tuning.records import Trial
from video_pipeline.engine.tuning.samples import Floats, Samples

OUTLIER_MADS: Final = 3.5
"""Modified z-score above which a value is an outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993)."""

OUTLIER_MIN: Final = 0.02
"""Smallest deviation from the median that is called an outlier, as a share of it."""

MAD_TO_SIGMA: Final = 1.4826
"""Standard deviation of a normal distribution as a multiple of its median absolute deviation."""

MIN_REPEATS: Final = 3
"""Of fewer repeats the median does not tell which one stands out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A trial over all clips of its part, as if they were one video.

    Times are medians over repeats, added up over clips. `cpu_s_per_minute` is CPU seconds for a minute of video, `fps`
    frames per wall second of one encode, `core_fps` frames per CPU second. Quality is the mean over all frames
    (`vmaf_harmonic` the harmonic mean; `vmaf_p1` the mean of the clips' first percentiles). `worst_clip` is the clip
    with the lowest VMAF, `worst_vmaf`. `spread` is (longest - shortest) / median of the CPU seconds of a clip's repeats,
    the median over clips; None with one repeat.
    """

    trial: Trial
    clips: int
    repeats: int
    cpu_s_per_minute: float
    fps: float
    core_fps: float
    mbit_s: float
    peak_mb: float
    vmaf: float | None
    vmaf_harmonic: float | None
    vmaf_p1: float | None
    vmaf_phone: float | None
    xpsnr_y: float | None
    ssim: float | None
    psnr_y: float | None
    worst_clip: str | None
    worst_vmaf: float | None
    spread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A repeat whose CPU time stands out; `deviation` is its share above or below the median of the clip's repeats."""

    trial: int
    clip: str
    repeat: int
    cpu_s: float
    median_s: float

    @property
    def deviation(self) -> float:
        """How far the time is from the median, as a share of it."""
        return self.cpu_s / self.median_s - 1


def pooled(metric: str, values: Floats, weights: Floats) -> Floats:
    """Return the mean of a metric over frames, given its means per clip and the clips' weights in their last axis.

    The harmonic mean of VMAF is pooled as libvmaf forms it: the reciprocal of the mean of 1 / (score + 1), less 1.
    """
    total = np.sum(weights, axis=-1)
    if metric == "vmaf_harmonic":
        reciprocals: Floats = total / np.sum(weights / (values + 1), axis=-1) - 1
        return reciprocals
    mean: Floats = np.sum(values * weights, axis=-1) / total
    return mean


def cell_spread(repeats: Floats) -> Floats:
    """Return (longest - shortest) / median over the last axis."""
    spread: Floats = (np.nanmax(repeats, axis=-1) - np.nanmin(repeats, axis=-1)) / np.nanmedian(
        repeats, axis=-1
    )
    return spread


def summarise(samples: Samples) -> tuple[Summary, ...]:
    """Return the summary of every trial, in the order of `samples.trials`."""
    cpu_s = np.sum(np.nanmedian(samples.cpu_s, axis=2), axis=1)
    wall_s = np.sum(np.nanmedian(samples.wall_s, axis=2), axis=1)
    frames, seconds = float(np.sum(samples.frames)), float(np.sum(samples.seconds))
    megabits = np.sum(samples.bytes, axis=1) * 8 / 1e6
    quality = {metric: pooled(metric, values, samples.frames) for metric, values in samples.quality.items()}
    spreads = np.median(cell_spread(samples.cpu_s), axis=1)
    repeats = samples.repeats()

    def metric(name: str, position: int) -> float | None:
        value = float(quality[name][position])
        return value if np.isfinite(value) else None

    found = []
    for position, trial in enumerate(samples.trials):
        vmaf = samples.quality["vmaf"][position]
        worst = int(np.argmin(vmaf)) if np.all(np.isfinite(vmaf)) else None
        found.append(
            Summary(
                trial=trial,
                clips=len(samples.clips),
                repeats=int(repeats[position]),
                cpu_s_per_minute=float(cpu_s[position]) / seconds * 60,
                fps=frames / float(wall_s[position]),
                core_fps=frames / float(cpu_s[position]),
                mbit_s=float(megabits[position]) / seconds,
                peak_mb=float(samples.peak_mb[position]),
                vmaf=metric("vmaf", position),
                vmaf_harmonic=metric("vmaf_harmonic", position),
                vmaf_p1=metric("vmaf_p1", position),
                vmaf_phone=metric("vmaf_phone", position),
                xpsnr_y=metric("xpsnr_y", position),
                ssim=metric("ssim", position),
                psnr_y=metric("psnr_y", position),
                worst_clip=None if worst is None else samples.clips[worst],
                worst_vmaf=None if worst is None else float(vmaf[worst]),
                spread=float(spreads[position]) if repeats[position] > 1 else None,
            )
        )
    return tuple(found)


def stated_spread(samples: Samples) -> float | None:
    """Return the median spread of the CPU seconds over all trials and clips with more than one repeat."""
    several = np.sum(np.isfinite(samples.cpu_s), axis=2) > 1
    return float(np.median(cell_spread(samples.cpu_s)[several])) if np.any(several) else None


def outliers(samples: Samples) -> tuple[Outlier, ...]:
    """Return the repeats whose CPU time stands out by the median absolute deviation.

    Deviations are shares of the median of the trial's clip, and their median absolute deviation is that of the whole run:
    three repeats alone would not tell how much is usual. Medians are robust, so outliers stay in the answers.
    """
    medians = np.nanmedian(samples.cpu_s, axis=2)
    enough = np.sum(np.isfinite(samples.cpu_s), axis=2) >= MIN_REPEATS
    if not np.any(enough):
        return ()
    deviations = np.abs(samples.cpu_s / medians[:, :, None] - 1)
    others = deviations[enough]
    others = others[np.isfinite(others) & (others > 0)]  # the medians' own zeros would make it small
    usual = MAD_TO_SIGMA * float(np.median(others)) if others.size else 0.0
    limit = max(OUTLIER_MADS * usual, OUTLIER_MIN)
    return tuple(
        Outlier(
            trial=samples.trials[i].number,
            clip=samples.clips[j],
            repeat=int(k),
            cpu_s=float(samples.cpu_s[i, j, k]),
            median_s=float(medians[i, j]),
        )
        for i, j, k in np.argwhere((deviations > limit) & enough[:, :, None])
    )
