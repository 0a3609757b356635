"""Whole renders of the workload on a machine with a GPU, and the processor's share of composing in them."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders import Contender, Settings, compiled_command, engine, native_frames, plain_command
from benchmarks.measure import CommandFailedError, measure
from benchmarks.workload import BUILD, Workload, make_workload

ROUNDS: Final = 3
PLAIN_SECONDS: Final = 150.0
"""Time after which the plain ffmpeg command, which is the slowest, is not begun."""


def time_renders(load: Workload | None = None, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Render by cuda and by native in turns, then by the plain ffmpeg command and with NVENC; each may fail alone."""
    load = load or make_workload()
    started = time.monotonic()
    found: dict[str, Any] = {"frames": load.frames, "runs": {}, "errors": {}}
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        settings = Settings()
        compositors = {each: engine(load, settings, folder, compositor=each) for each in ("cuda", "native")}
        for _ in range(rounds):
            for each, contender in compositors.items():
                _run(found, f"libx264, {each}", contender)
        _composing(found, load)
        nvenc = ("--encoder", "h264_nvenc")
        for each in compositors:
            _run(found, f"h264_nvenc, {each}", engine(load, settings, folder, compositor=each, options=nvenc))
        if time.monotonic() - started < PLAIN_SECONDS:
            try:
                plain = plain_command(load, compiled=compiled_command(load, settings, folder))
                _run(found, "libx264, plain ffmpeg command", plain)
            except (CommandFailedError, RuntimeError) as error:
                found["errors"]["libx264, plain ffmpeg command"] = str(error)
        else:
            found["errors"]["libx264, plain ffmpeg command"] = "no time was left"
    return found | _ratios(found)


def _run(found: dict[str, Any], name: str, contender: Contender) -> None:
    try:
        one = measure(contender.argv, environment=contender.environment)
    except CommandFailedError as error:
        found["errors"].setdefault(name, str(error).splitlines()[-1])
        return
    run = {"wall_s": round(one.wall_s, 3), "cpu_s": round(one.cpu_s, 3)}
    found["runs"].setdefault(name, []).append(run)


def _composing(found: dict[str, Any], load: Workload) -> None:
    """Draw without encoding, the second time with pictures that are there, and note the processor's time of that."""
    for compositor in ("cuda", "native"):
        argv = (*native_frames(load, compositor=compositor).argv, "--rounds", "2")
        try:
            printed = json.loads(measure(argv).stdout.splitlines()[-1])
        except CommandFailedError as error:
            found["errors"].setdefault(f"drawing, {compositor}", str(error).splitlines()[-1])
            continue
        found.setdefault("drawing", {})[compositor] = {
            "wall_s": printed["working_s"],
            "cpu_s": printed["working_cpu_s"],
        }


def _ratios(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the targets are about: the share of composing, and how much faster than others."""

    def median(name: str, key: str) -> float | None:
        runs = found["runs"].get(f"libx264, {name}")
        return statistics.median(run[key] for run in runs) if runs else None

    ratios: dict[str, Any] = {}
    whole, cuda = median("cuda", "cpu_s"), median("cuda", "wall_s")
    drawing = found.get("drawing", {}).get("cuda")
    if whole and drawing:
        ratios["composing_share_of_cpu"] = round(drawing["cpu_s"] / whole, 4)
    for name in ("native", "plain ffmpeg command"):
        other = median(name, "wall_s")
        if cuda and other:
            ratios[f"times_as_fast_as_{name.replace(' ', '_')}"] = round(other / cuda, 3)
    return ratios
