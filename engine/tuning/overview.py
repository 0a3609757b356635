"""A run at a glance: what it was made on, and each trial's medians over its clips."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.tuning.objective import reach
from video_pipeline.engine.tuning.records import Measurement, RunData, Trial


def overview(data: RunData) -> dict[str, Any]:
    """Return a run as plain values: its record, and each trial with its totals over its part's clips."""
    run = data.run
    return {
        "id": run.id,
        "created": run.created,
        "machine": dict(run.machine),
        "versions": dict(run.versions),
        "material": dict(run.material),
        "objective": dict(run.objective),
        "command": list(run.command),
        "trials": [_trial(trial, _of(data, trial)) for trial in data.trials],
    }


def _of(data: RunData, trial: Trial) -> list[Measurement]:
    return [each for each in data.measurements if each.trial == trial.number]


def _trial(trial: Trial, measured: Sequence[Measurement]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "number": trial.number,
        "part": trial.part,
        "encoder": trial.encoder,
        "settings": dict(trial.settings),
        "status": trial.status,
    }
    if trial.error is not None:
        fields["error"] = trial.error
    if not measured or trial.status == "failed":
        return fields
    cpu, size = (math.exp(value) for value in reach(("cpu", "size"), measured))
    return fields | {
        "cpu_s_a_second": round(cpu, 4),
        "mbit_s": round(size, 3),
        "fps": round(statistics.median(each.fps for each in measured), 2),
        "peak_mb": round(max(each.peak_mb for each in measured), 1),
        **{
            name: _mean(name, measured)
            for name in ("vmaf", "vmaf_p1", "vmaf_phone", "xpsnr_y", "ssim", "psnr_y")
        },
    }


def _mean(name: str, measured: Sequence[Measurement]) -> float | None:
    values = [value for each in measured if (value := getattr(each, name)) is not None]
    return round(statistics.fmean(values), 4) if values else None


def overview_text(data: RunData) -> str:
    """Return a run as lines for a terminal, the fastest trials of each part first."""
    run, trials = data.run, overview(data)["trials"]
    clips, seconds = run.material.get("clips", ()), run.material.get("seconds")
    length = f", {seconds:g} s" if isinstance(seconds, int | float) else ""
    cpu, cores = run.machine.get("cpu", "unknown processor"), run.machine.get("cores")
    known = count_text(cores, "core") if isinstance(cores, int) else "unknown cores"
    lines = [
        f"run {run.id}, {run.created}: {count_text(len(clips), 'clip')}{length}",
        f"{cpu}, {known}; {run.versions.get('ffmpeg', 'unknown ffmpeg')}",
    ]
    for part, title in (("training", "training"), ("held_out", "held out")):
        rows = [each for each in trials if each["part"] == part and "mbit_s" in each]
        if rows:
            lines += ["", f"{title}: CPU s for a second of video, Mbit/s, VMAF (1st percentile), XPSNR y"]
            lines += [_overview_row(each) for each in sorted(rows, key=lambda each: each["cpu_s_a_second"])]
    failed = [each for each in trials if each["status"] == "failed"]
    if failed:
        lines += ["", "failed:"]
        lines += [f"{_settings_words(each)}: {str(each['error']).splitlines()[0]}" for each in failed]
    return "\n".join(lines)


def _overview_row(trial: dict[str, Any]) -> str:
    def number(name: str, digits: int) -> str:
        return "-" if trial[name] is None else f"{trial[name]:.{digits}f}"

    return (
        f"{trial['number']:5}  {trial['cpu_s_a_second']:7.3f}  {trial['mbit_s']:7.2f}  "
        f"{number('vmaf', 2):>6} ({number('vmaf_p1', 1):>5})  {number('xpsnr_y', 1):>5}  {_settings_words(trial)}"
    )


def _settings_words(trial: dict[str, Any]) -> str:
    return " ".join([trial["encoder"], *(f"{key}={value}" for key, value in trial["settings"].items())])
