"""Run contenders in turn, to spread other load on the machine evenly over them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measure import measure


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def count_frames(video: Path) -> int:
    """Return the number of video frames in a file."""
    import av

    with av.open(str(video)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def record_output(contender: Contender, output: Path, result: dict[str, Any]) -> None:
    """Record a video's size and its manifest's timings; raise RuntimeError if its frame count is wrong."""
    frames = count_frames(output)
    if frames != contender.frames:
        raise RuntimeError(f"{contender.name}: {frames} frames; expected {contender.frames}")
    result["file_bytes"] = output.stat().st_size
    manifest = output.with_suffix(".manifest.json")
    if manifest.exists():
        result.setdefault("timings", []).append(json.loads(manifest.read_text())["timings"])


def take_turns(contenders: Iterable[Contender], *, repeats: int, slow_repeats: int) -> dict[str, Any]:
    """Run the contenders in turn for `repeats` rounds; slow ones drop out after `slow_repeats`.

    Every second round runs in reverse order, so that no contender always follows the same one. Raise RuntimeError
    if a frame count is wrong.
    """
    contenders = list(contenders)
    results: dict[str, Any] = {
        contender.name: {
            "frames": contender.frames,
            "differs": contender.differs,
            "encodes": contender.output is not None,
            "wall_s": [],
            "cpu_s": [],
            "peak_rss_mib": [],
        }
        for contender in contenders
    }
    for number in range(1, repeats + 1):
        for contender in contenders if number % 2 else reversed(contenders):
            if contender.slow and number > slow_repeats:
                continue
            if contender.output:
                contender.output.unlink(missing_ok=True)
            taken = measure(contender.argv, environment=contender.environment)
            result = results[contender.name]
            result["wall_s"].append(round(taken.wall_s, 4))
            result["cpu_s"].append(round(taken.cpu_s, 3))
            result["peak_rss_mib"].append(round(taken.peak_rss_bytes / 2**20, 1))
            if contender.output:
                record_output(contender, contender.output, result)
            if contender.prints_seconds:
                result.setdefault("working_s", []).append(json.loads(taken.stdout)["working_s"])
            fps = contender.frames / taken.wall_s
            say(f"round {number}: {contender.name:36} {fps:6.1f} fps  {taken.wall_s:7.2f} s")
    return results


def warm_up(contender: Contender) -> None:
    """Run a contender once without counting it, to fill the caches of compiled code (Python, numba) and files."""
    measure(contender.argv, environment=contender.environment)
