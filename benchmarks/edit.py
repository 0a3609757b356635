"""Time a second render of a story: unchanged, and with one caption changed.

Each round starts with an empty cache folder and runs `render` three times, like a user who edits a story.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contenders import Settings
from benchmarks.measure import measure
from benchmarks.turns import count_frames, say
from benchmarks.workload import Workload, make_workload

COLD, UNCHANGED, EDITED = "empty cache", "unchanged", "one caption changed"


def edited(work: Workload) -> Workload:
    """Return the workload with a different caption in its middle scene; the story file keeps its name."""
    middle = len(work.captions) // 2
    captions = tuple(
        f"{caption} Again." if number == middle else caption for number, caption in enumerate(work.captions)
    )
    return replace(work, captions=captions)


def measure_edits(
    settings: Settings,
    folder: Path,
    *,
    scenes: int,
    scene_seconds: float,
    repeats: int,
    source: Path | None = None,
) -> dict[str, Any]:
    """Return the wall seconds of each command in each round; raise RuntimeError if a frame count is wrong."""
    work = make_workload(scenes=scenes, scene_seconds=scene_seconds, source=source, report=say)
    output = folder / "edit.mp4"
    argv = (
        *(
            sys.executable,
            "-m",
            "video_pipeline.engine.cli.main",
            "render",
            str(work.story),
            "-o",
            str(output),
            "--json",
        ),
        *("--size", f"{work.size_px[0]}x{work.size_px[1]}", "--fps", str(work.fps)),
        *settings.engine_options(),
    )
    walls: dict[str, list[float]] = {COLD: [], UNCHANGED: [], EDITED: []}
    for number in range(1, repeats + 1):
        with tempfile.TemporaryDirectory(prefix="cache-", dir=folder) as cache:
            for name, story in ((COLD, work), (UNCHANGED, work), (EDITED, edited(work))):
                story.write()
                output.unlink(missing_ok=True)
                taken = measure(argv, environment={"CACHE_PATH": cache, "XDG_CACHE_HOME": cache})
                if (frames := count_frames(output)) != work.frames:
                    raise RuntimeError(f"{name}: {frames} frames; expected {work.frames}")
                walls[name].append(round(taken.wall_s, 4))
                say(f"round {number}: {name:36} {taken.wall_s:7.2f} s")
    work.write()
    return {
        "scenes": scenes,
        "seconds": work.frames / work.fps,
        "frames": work.frames,
        "rows": {
            name: {"wall_s": found, "share": share(found, walls[COLD])} for name, found in walls.items()
        },
    }


def share(walls: Sequence[float], cold: Sequence[float]) -> float:
    """Return a command's time as a share of the cold render's time: the median over the rounds."""
    return statistics.median(wall / first for wall, first in zip(walls, cold, strict=True))
