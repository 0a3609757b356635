"""The records of a tuning run: what was searched, the trials and their measurements.

A run is read from its file with `store.read_run`; whoever analyses it needs these records alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Part = Literal["training", "held_out"]
"""Clips that the search sees, and clips that only check what it found."""

Status = Literal["done", "failed", "pruned"]

Value = str | float | int | bool | None
"""The value of a key of `video`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run searched, on what and where. The mappings are plain values (JSON).

    `created` is UTC in ISO 8601. `material` has `clips`, each with its name, part, source, size in pixels, frame rate
    ("30/1"), number of frames and SHA-256. `space` is the declared search space, `objective` what was searched for and how:
    strategy, metrics, repeats, seed, limits. `command` is the command line that started the run.
    """

    id: str
    created: str
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]
    material: Mapping[str, Any]
    space: Mapping[str, Any]
    objective: Mapping[str, Any]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Settings that were tried on the clips of one part. `settings` are keys of `video`; others have their defaults.

    The same settings on the held-out part are another trial. `error` says why a trial failed or was pruned.
    """

    number: int
    settings: Mapping[str, Value]
    encoder: str
    status: Status
    error: str | None = None
    part: Part = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one encoding of a clip took and gave.

    `cpu_s` and `wall_s` are of the encoding alone, `peak_mb` is the resident memory of its process, `fps` is frames per
    wall second. The quality fields are equal over repeats, and None if the metric was not asked for or this ffmpeg does
    not have it. `worst_frame` is the frame with the lowest VMAF.
    """

    trial: int
    clip: str
    repeat: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    frames: int
    fps: float
    bytes: int
    mbit_s: float
    vmaf: float | None = None
    vmaf_harmonic: float | None = None
    vmaf_p1: float | None = None
    vmaf_phone: float | None = None
    xpsnr_y: float | None = None
    ssim: float | None = None
    psnr_y: float | None = None
    worst_frame: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """Everything that a run's file has, trials by number, measurements by trial, clip and repeat."""

    run: Run
    trials: tuple[Trial, ...] = ()
    measurements: tuple[Measurement, ...] = ()
