"""The measurements of a run as arrays: trials, clips and repeats.

Only complete trials are in them, so that all are about the same frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.records import Measurement, Part, RunData, Trial

Floats = npt.NDArray[np.float64]

METRICS: Final = ("vmaf", "vmaf_harmonic", "vmaf_p1", "vmaf_phone", "xpsnr_y", "ssim", "psnr_y")
"""The quality fields of a measurement."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A trial that is in no answer, and why."""

    trial: Trial
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """The complete trials of one part of a run: T trials, C clips, at most R repeats.

    `cpu_s` and `wall_s` have the shape (T, C, R), with NaN where a trial has fewer repeats; `bytes` and each of
    `quality` have (T, C), with NaN where a metric was not measured; `frames` and `seconds` have (C,) and are the clips'
    lengths; `peak_mb` has (T,).
    """

    part: Part
    trials: tuple[Trial, ...]
    clips: tuple[str, ...]
    frames: Floats
    seconds: Floats
    cpu_s: Floats
    wall_s: Floats
    bytes: Floats
    peak_mb: Floats
    quality: Mapping[str, Floats]
    left_out: tuple[LeftOut, ...] = ()

    def position(self, number: int) -> int:
        """Return the position of a trial by its number; raise InputError."""
        for position, trial in enumerate(self.trials):
            if trial.number == number:
                return position
        reason = next((each.reason for each in self.left_out if each.trial.number == number), None)
        has = ", ".join(str(trial.number) for trial in self.trials[:12])
        more = ", …" if len(self.trials) > 12 else ""
        raise InputError(
            f"trial: got {number}, which {reason or f'is not in the part {self.part}'}; allowed: {has}{more}"
        )

    def repeats(self) -> npt.NDArray[np.int64]:
        """Return the number of repeats of each trial's clip that has the fewest, as an array of shape (T,)."""
        fewest: npt.NDArray[np.int64] = np.min(np.sum(np.isfinite(self.cpu_s), axis=2), axis=1)
        return fewest


def sample_run(data: RunData, *, part: Part = "training") -> Samples:
    """Return the complete trials of a part as arrays; raise InputError if there is none.

    A trial is complete if it is done and has measurements of every clip that a trial of the part has.
    """
    of_part = [trial for trial in data.trials if trial.part == part]
    numbers = {trial.number for trial in of_part}
    by_trial: dict[int, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for each in data.measurements:
        if each.trial in numbers:
            by_trial[each.trial][each.clip].append(each)
    wanted = {clip: None for clips in by_trial.values() for clip in clips}  # in the order of their first use
    complete: list[Trial] = []
    left_out: list[LeftOut] = []
    for trial in of_part:
        missing = [clip for clip in wanted if clip not in by_trial.get(trial.number, {})]
        if trial.status != "done":
            left_out.append(LeftOut(trial, f"{trial.status}: {trial.error or 'no reason recorded'}"))
        elif missing:
            left_out.append(LeftOut(trial, f"lacks measurements of {', '.join(missing)}"))
        else:
            complete.append(trial)
    if not complete:
        why = f"; the first of {len(left_out)} that are not: {left_out[0].reason}" if left_out else ""
        raise InputError(f"run {data.run.id}: no trial of the part {part} is complete{why}")
    clips = tuple(wanted)
    cells = [[by_trial[trial.number][clip] for clip in clips] for trial in complete]
    first = [row[0] for row in cells[0]]
    _check_equal_frames(cells, clips)
    return Samples(
        part=part,
        trials=tuple(complete),
        clips=clips,
        frames=np.array([float(each.frames) for each in first]),
        seconds=np.array([each.bytes * 8 / 1e6 / each.mbit_s for each in first]),
        cpu_s=_repeats(cells, lambda each: each.cpu_s),
        wall_s=_repeats(cells, lambda each: each.wall_s),
        bytes=np.array([[float(cell[0].bytes) for cell in row] for row in cells]),
        peak_mb=np.array([max(each.peak_mb for cell in row for each in cell) for row in cells]),
        quality={
            metric: np.array([[_or_nan(getattr(cell[0], metric)) for cell in row] for row in cells])
            for metric in METRICS
        },
        left_out=tuple(left_out),
    )


def _check_equal_frames(cells: list[list[list[Measurement]]], clips: tuple[str, ...]) -> None:
    for column, clip in enumerate(clips):
        found = sorted({each.frames for row in cells for each in row[column]})
        if len(found) > 1:
            raise InputError(f"clip {clip!r}: trials encoded {found[0]} and {found[1]} frames of it")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _repeats(cells: list[list[list[Measurement]]], read: Callable[[Measurement], float]) -> Floats:
    most = max(len(cell) for row in cells for cell in row)
    values = np.full((len(cells), len(cells[0]), most), np.nan)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            values[i, j, : len(cell)] = [read(each) for each in cell]
    return values


def differing_bytes(data: RunData) -> tuple[tuple[int, str], ...]:
    """Return the trials and clips whose repeats have different sizes, although encoding is deterministic."""
    sizes: dict[tuple[int, str], set[int]] = defaultdict(set)
    for each in data.measurements:
        sizes[each.trial, each.clip].add(each.bytes)
    return tuple(place for place, found in sizes.items() if len(found) > 1)
