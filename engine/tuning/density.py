"""How much video a machine encodes, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.render.encoders.base import load_encoder
from video_pipeline.engine.tuning.records import Run
from video_pipeline.engine.tuning.summaries import Summary

STREAM_FPS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """What a trial's settings mean for a machine on which every core only encodes, one segment a core.

    `streams` is how many videos of 30 frames a second it encodes as fast as they play, `minutes_per_core_hour` the
    minutes of video that a core encodes in an hour, `cost_per_hour` the price of encoding an hour of video in the
    currency of the machine's price. None where it cannot be told.
    """

    cores: int | None
    streams: float | None
    minutes_per_core_hour: float
    cost_per_hour: float | None


def check_price(price: float) -> None:
    """Raise InputError if a machine's price is not a number of 0 or more."""
    if not math.isfinite(price) or price < 0:
        raise InputError(f"price: got {price:g}; allowed: the price of an hour of the machine, 0 or more")


def cores_of(run: Run) -> int | None:
    """Return the number of cores of the machine that a run names."""
    cores = run.machine.get("cores")
    return cores if isinstance(cores, int) and cores > 0 else None


def density(summary: Summary, run: Run, *, price: float | None = None) -> Density | None:
    """Return the density of a trial; `price` is that of an hour of the run's machine.

    None for an encoder of a GPU, whose work is not CPU time. Raises InputError.
    """
    if price is not None:
        check_price(price)
    if load_encoder(summary.trial.encoder).on_gpu:
        return None
    cores = cores_of(run)
    core_hours = summary.cpu_s_per_minute / 60  # of an hour of video
    return Density(
        cores=cores,
        streams=None if cores is None else cores * summary.core_fps / STREAM_FPS,
        minutes_per_core_hour=3600 / summary.cpu_s_per_minute,
        cost_per_hour=None if price is None or cores is None else core_hours * price / cores,
    )
