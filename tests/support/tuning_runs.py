"""Tuning runs with known properties: rate and quality by a simple model of x264, times with noise from a seed."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from video_pipeline.engine.tuning.records import Measurement, Part, Run, RunData, Trial, Value

CLIPS: Mapping[str, float] = {
    "still": 0.3,
    "slow_zoom": 0.7,
    "fast_pan": 1.6,
    "transitions": 1.3,
    "text": 0.9,
    "grain": 2.6,
}
"""Clips of the training part, with how hard they are to encode."""

HELD_OUT: Mapping[str, float] = {"photographs": 1.1, "dark": 0.6, "footage": 1.8}

COSTS: Mapping[str, tuple[float, float]] = {
    "superfast": (0.55, 1.12),
    "veryfast": (1.0, 1.0),
    "faster": (1.5, 0.93),
    "medium": (3.2, 0.86),
}
"""Each preset's CPU time and bits beside those of veryfast."""

FRAMES, FPS = 120, 30
GUIDE: Mapping[str, Value] = {"preset": "medium", "bitrate": "8000k"}


def grid(
    presets: Sequence[str] = tuple(COSTS), rates: Sequence[float] = (18, 20, 22, 24, 26)
) -> list[dict[str, Value]]:
    """Return the guide's settings and the settings of a grid over presets and crf."""
    return [
        dict(GUIDE),
        *({"preset": preset, "crf": crf} for preset, crf in itertools.product(presets, rates)),
    ]


def make_run(
    settings: Sequence[Mapping[str, Value]] | None = None,
    *,
    name: str = "a",
    clips: Mapping[str, float] = CLIPS,
    held_out: Mapping[str, float] = HELD_OUT,
    repeats: int = 3,
    noise: float = 0.01,
    seed: int = 1,
    slower: Mapping[str, float] | None = None,
    machine: Mapping[str, Any] | None = None,
) -> RunData:
    """Return a run over settings (default: a grid) on both parts.

    `noise` is the standard deviation of the times, as a share; `slower` multiplies the times of presets.
    """
    chance = random.Random(seed)
    tried = grid() if settings is None else list(settings)
    trials: list[Trial] = []
    measurements: list[Measurement] = []
    for part, of_part in (("training", clips), ("held_out", held_out)):
        for each in tried if of_part else ():
            trial = Trial(
                number=len(trials), settings=dict(each), encoder="libx264", status="done", part=_part(part)
            )
            trials.append(trial)
            factor = (slower or {}).get(str(each.get("preset")), 1.0)
            for clip, hard in of_part.items():
                measurements += _measure(trial, clip, hard, repeats, noise, factor, chance)
    return RunData(
        run=Run(
            id=name,
            created="2026-11-28T12:00:00+00:00",
            machine=machine or {"cpu": "Test CPU", "cores": 8, "memory_gib": 32, "system": "Linux"},
            versions={"video-pipeline": "0.1.0", "x264": "core 165", "ffmpeg": "8.0"},
            material={
                "clips": [
                    _clip(clip, part)
                    for part, of in (("training", clips), ("held_out", held_out))
                    for clip in of
                ]
            },
            space={"preset": list(COSTS), "crf": [18, 26]},
            objective={"strategy": "grid", "repeats": repeats},
            command=("video-pipeline", "tune", "run", "space.yaml", "-o", f"{name}.db"),
        ),
        trials=tuple(trials),
        measurements=tuple(measurements),
    )


def _part(name: str) -> Part:
    return "held_out" if name == "held_out" else "training"


def _clip(name: str, part: str) -> dict[str, Any]:
    return {
        "name": name,
        "part": part,
        "source": "corpus",
        "width_px": 1080,
        "height_px": 1920,
        "fps": "30",
        "frames": FRAMES,
        "sha256": f"{hash_of(name):064x}",
    }


def hash_of(name: str) -> int:
    """Return a number that stands for a clip's content."""
    return int.from_bytes(name.encode(), "big")


def _measure(
    trial: Trial, clip: str, hard: float, repeats: int, noise: float, factor: float, chance: random.Random
) -> list[Measurement]:
    cost, bits = COSTS[str(trial.settings.get("preset", "veryfast"))]
    crf = trial.settings.get("crf")
    if crf is None:
        mbit = 8.0 * (0.6 + 0.15 * min(hard, 2.6))
        detail = mbit / (hard * bits)
    else:
        detail = 5.0 * 2 ** ((21 - float(crf)) / 6)
        mbit = detail * hard * bits
    vmaf = 100 - 6.5 * math.exp(-0.18 * detail) * (0.7 + 0.3 * hard)
    seconds = FRAMES / FPS
    cpu_s = FRAMES * 0.025 * cost * factor * (0.8 + 0.2 * hard) * (1 + 0.05 * math.log2(detail))
    size = round(mbit * 1e6 / 8 * seconds)
    first = Measurement(
        trial=trial.number, clip=clip, repeat=0, cpu_s=cpu_s, wall_s=cpu_s, peak_mb=120 + 40 * cost,
        frames=FRAMES, fps=FRAMES / cpu_s, bytes=size, mbit_s=size * 8 / 1e6 / seconds,
        vmaf=vmaf, vmaf_harmonic=vmaf - 0.02, vmaf_p1=vmaf - 1.5 * hard, vmaf_phone=min(100.0, vmaf + 1.5),
        xpsnr_y=36 + 0.6 * detail - hard, ssim=0.97 + 0.0002 * vmaf, psnr_y=37 + 0.6 * detail, worst_frame=FRAMES // 2,
    )  # fmt: skip
    measured = []
    for repeat in range(repeats):
        taken = cpu_s * math.exp(chance.gauss(0, noise))
        measured.append(
            replace(first, repeat=repeat, cpu_s=taken, wall_s=taken * 1.01, fps=FRAMES / taken / 1.01)
        )
    return measured
