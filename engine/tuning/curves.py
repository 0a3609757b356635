"""Curves of rate and time over quality, and the Bjøntegaard deltas between them.

A curve is a set of trials that differ in the rate alone. BD-rate is the mean difference of bit rates at equal quality,
BD-time that of CPU time, by the package `bjontegaard` (extra `tune`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.config.encoder_keys import RATE_KEYS
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.tuning.records import Trial, Value
from video_pipeline.engine.tuning.resampling import RESAMPLES, SEED, Interval, interval
from video_pipeline.engine.tuning.samples import Floats, Samples

MIN_POINTS: Final = 4
"""Points that each curve of a delta needs, as is the custom since Bjøntegaard (VCEG-M33, 2001)."""

MIN_OVERLAP: Final = 0.25
"""Share of both curves' range of quality that they need in common."""

GOOD_OVERLAP: Final = 0.75

DISAGREEMENT: Final = 5.0
"""Percentage points between Akima's interpolation and PCHIP above which there are too few points to trust either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Trials with the same settings but for the rate, by rising bit rate. `settings` are those that they share."""

    encoder: str
    settings: Mapping[str, Value]
    rate_key: str
    positions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A Bjøntegaard delta in percent (negative: less), or the reason why there is none.

    It is the mean of the deltas of the clips that have one; `without` gives the reason of the others. `notes` say what
    makes it uncertain.
    """

    percent: Interval | None
    clips: int = 0
    without: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why there is no delta."""
        return "; ".join(sorted(set(self.without.values()))) if self.percent is None else ""


def rate_key(trial: Trial) -> str | None:
    """Return the key that sets a trial's rate: crf before bitrate, as in the configuration."""
    return next((key for key in RATE_KEYS if trial.settings.get(key) is not None), None)


def curves(samples: Samples, *, min_points: int = 2) -> tuple[Curve, ...]:
    """Return the curves with at least so many points, longest first."""
    found: dict[tuple[str, str, tuple[tuple[str, Value], ...]], list[int]] = {}
    for position, trial in enumerate(samples.trials):
        key = rate_key(trial)
        if key is not None:
            shared = tuple(sorted((name, value) for name, value in trial.settings.items() if name != key))
            found.setdefault((trial.encoder, key, shared), []).append(position)
    size = np.sum(samples.bytes, axis=1)
    return tuple(
        Curve(
            encoder=encoder,
            settings=dict(shared),
            rate_key=key,
            positions=tuple(sorted(positions, key=lambda each: float(size[each]))),
        )
        for (encoder, key, shared), positions in sorted(found.items(), key=lambda item: -len(item[1]))
        if len(positions) >= min_points
    )


class NoDeltaError(Exception):
    """There is no delta, for the reason that is the message."""


def _check_curve(rates: Floats, quality: Floats, name: str) -> None:
    if len(rates) < MIN_POINTS:
        raise NoDeltaError(f"the {name} curve has {count_text(len(rates), 'point')}; {MIN_POINTS} are needed")
    if not (np.all(np.isfinite(quality)) and np.all(np.isfinite(rates)) and np.all(rates > 0)):
        raise NoDeltaError(f"the {name} curve has points without a rate or quality")
    if not np.all(np.diff(rates) > 0):
        raise NoDeltaError(f"two points of the {name} curve have the same bit rate")
    if not np.all(np.diff(quality) > 0):
        raise NoDeltaError(f"quality does not rise with the bit rate along the whole {name} curve")


def overlap(anchor: Floats, test: Floats) -> float:
    """Return the share of two curves' joint range of quality that both have."""
    common = min(np.max(anchor), np.max(test)) - max(np.min(anchor), np.min(test))
    return max(0.0, float(common / (max(np.max(anchor), np.max(test)) - min(np.min(anchor), np.min(test)))))


def bd_percent(
    anchor: tuple[Floats, Floats], test: tuple[Floats, Floats], *, costs: tuple[Floats, Floats] | None = None
) -> tuple[float, str | None]:
    """Return the Bjøntegaard delta in percent of a test curve from an anchor, and a note on its certainty.

    A curve is rates and qualities by rising rate. With `costs`, those of the anchor and the test, the delta is of them and
    not of the rates. Raises NoDeltaError, and UnavailableError without the package.
    """
    try:
        from bjontegaard import bd_rate
    except ImportError as error:
        raise UnavailableError(f"BD-rate needs {the_extra('tune')}") from error
    _check_curve(*anchor, "anchor's")
    _check_curve(*test, "test's")
    shared = overlap(anchor[1], test[1])
    if shared < MIN_OVERLAP:
        raise NoDeltaError(f"the curves have {100 * shared:.0f} % of their range of quality in common")
    of_anchor, of_test = costs or (anchor[0], test[0])
    akima, pchip = (
        float(
            bd_rate(
                of_anchor,
                anchor[1],
                of_test,
                test[1],
                method=method,
                require_matching_points=False,
                min_overlap=0,
            )
        )
        for method in ("akima", "pchip")
    )
    if not math.isfinite(akima):
        raise NoDeltaError("the interpolation has no finite value")
    if abs(akima - pchip) > DISAGREEMENT:
        return akima, f"interpolations disagree ({akima:+.1f} % and {pchip:+.1f} %): more points are needed"
    if shared < GOOD_OVERLAP:
        return akima, f"the curves share only {100 * shared:.0f} % of their range of quality"
    return akima, None


def deltas(
    samples: Samples, anchor: Curve, test: Curve, *, metric: str = "vmaf", seed: int = SEED
) -> tuple[Delta, Delta]:
    """Return BD-rate and BD-time of a curve from an anchor: means over clips, with intervals from resampled clips.

    With one clip, and for times that were measured once, the interval has no bounds.
    """
    cpu_s = np.nanmedian(samples.cpu_s, axis=2)
    values: tuple[list[float], list[float]] = ([], [])
    without: dict[str, str] = {}
    notes: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for column, clip in enumerate(samples.clips):
        a, t = (_along(samples, curve, column, metric) for curve in (anchor, test))
        times = cpu_s[list(a[0]), column], cpu_s[list(t[0]), column]
        try:
            both = bd_percent(a[1:], t[1:]), bd_percent(a[1:], t[1:], costs=times)
        except NoDeltaError as error:
            without[clip] = str(error)
            continue
        for (value, note), into, said in zip(both, values, notes, strict=True):
            into.append(value)
            if note:
                said[note] = None
    random = np.random.default_rng(seed)
    timed = bool(np.min(samples.repeats()[[*anchor.positions, *test.positions]]) > 1)
    return (
        _mean_delta(values[0], without, tuple(notes[0]), random),
        _mean_delta(values[1], without, tuple(notes[1]), random, known=timed),
    )


def _along(samples: Samples, curve: Curve, column: int, metric: str) -> tuple[Sequence[int], Floats, Floats]:
    """Return positions, rates and qualities of a curve on one clip, by rising rate; of equal points the first."""
    rates, quality = samples.bytes[:, column], samples.quality[metric][:, column]
    unique = {(float(rates[each]), float(quality[each])): each for each in reversed(curve.positions)}
    positions = [unique[point] for point in sorted(unique)]
    return positions, samples.bytes[positions, column], samples.quality[metric][positions, column]


def _mean_delta(
    values: Sequence[float],
    without: Mapping[str, str],
    notes: tuple[str, ...],
    random: np.random.Generator,
    *,
    known: bool = True,
) -> Delta:
    if not values:
        return Delta(percent=None, without=without)
    of_clips = np.array(values)
    drawn = of_clips[random.integers(len(of_clips), size=(RESAMPLES, len(of_clips)))].mean(axis=1)
    mean = interval(float(of_clips.mean()), drawn, known=known and len(of_clips) > 1)
    return Delta(percent=mean, clips=len(of_clips), without=without, notes=notes)
