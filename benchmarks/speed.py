"""Compare whole renders and drawing without encoding: this engine, plain ffmpeg, the encoder alone, peers."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contenders import (
    ReadyFrom,
    Settings,
    compiled_command,
    encode_only,
    engine,
    graph_only,
    native_frames,
    plain_command,
    ready_frames,
    segments_encoded_only,
    zoompan_graph,
)
from benchmarks.machine import cores
from benchmarks.peers import movielite, moviepy
from benchmarks.turns import take_turns, warm_up
from benchmarks.workload import Workload
from video_pipeline import native

STAGES = ("check", "assets", "compose", "captions", "render", "outputs")
"""The stages of a render that run one after another."""


def measure_speed(
    work: Workload,
    settings: Settings,
    folder: Path,
    *,
    ffmpeg: str,
    peers: bool,
    repeats: int,
    slow_repeats: int,
    ready: ReadyFrom = "graph",
) -> dict[str, Any]:
    """Return the results by contender; if `slow_repeats` is 0, the slow ones are left out."""
    compiled = compiled_command(work, settings, folder)
    with ready_frames(work, compiled=compiled, drawn_by=ready) as (raw, frames):
        contenders = [
            engine(work, settings, folder),
            engine(work, settings, folder, compositor="ffmpeg"),
            plain_command(work, compiled=compiled),
            encode_only(work, settings, folder, ffmpeg=compiled[0], raw=raw, frames=frames),
            segments_encoded_only(work, settings, folder, raw=raw, frames=frames),
            zoompan_graph(work, folder, ffmpeg=compiled[0]),
            graph_only(work, compiled=compiled),
        ]
        if native.available():
            contenders.append(native_frames(work))
        else:
            del contenders[1]  # ffmpeg draws the first one already
        if peers:
            counts = sorted({1, cores()})
            contenders += [
                movielite(work, settings, folder, ffmpeg=ffmpeg, processes=count) for count in counts
            ]
            contenders.append(moviepy(work, settings, folder, ffmpeg=ffmpeg))
            short = replace(
                work,
                story=work.story.with_stem("warm-up"),
                pictures=work.pictures[:2],
                captions=work.captions[:2],
                scene_seconds=0.5,
                fade_seconds=0.2,
            ).write()
            warm_up(movielite(short, settings, folder, ffmpeg=ffmpeg, processes=1))
        warm_up(contenders[0])
        if not slow_repeats:
            contenders = [contender for contender in contenders if not contender.slow]
        return take_turns(contenders, repeats=repeats, slow_repeats=slow_repeats)


def stage_shares(result: dict[str, Any]) -> dict[str, Any]:
    """Return each stage's median seconds and share of the command's wall time, from the runs' manifests.

    'outside the stages' is the rest of the wall time after the sequential STAGES: start-up, imports and exit. The
    other entries run during those stages, some in several workers at once.
    """
    timings: list[dict[str, float]] = result.pop("timings", [])
    if not timings:
        return {}
    wall = statistics.median(result["wall_s"])
    shares = {}
    for name in sorted(timings[-1], key=lambda name: name not in STAGES):
        seconds = statistics.median(run.get(name, 0.0) for run in timings)
        shown = name if name in STAGES else f"beside: {name}"
        shares[shown] = {"seconds": round(seconds, 4), "share": round(seconds / wall, 5)}
    rest = statistics.median(
        whole - sum(seconds for name, seconds in run.items() if name in STAGES)
        for whole, run in zip(result["wall_s"], timings, strict=True)
    )
    shares["outside the stages"] = {"seconds": round(rest, 4), "share": round(rest / wall, 5)}
    return shares
