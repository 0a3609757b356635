"""Measure the start-up cost of the command.

Measures the wall time of short commands, the time from the start of `render` to its first frame, and the fixed
cost of a nearly empty render; for comparison, the interpreter alone and with the two libraries that every render
needs. The cache is warm and modules are compiled, as after an installation.

    python -m benchmarks.startup
    python -m benchmarks.startup --runs 9
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.measure import COMPILED_KEPT, CommandFailedError, measure
from benchmarks.report import machine_lines, markdown_table
from benchmarks.workload import BUILD

RESULTS = Path(__file__).resolve().parent / "results"
RUNS = 5
SMALL = ("--size", "180x320", "--fps", "24", "--preset", "ultrafast", "--crf", "28", "--encoder", "libx264")
STORY = {
    "id": "startup",
    "title": "One second",
    "scenes": [{"scene_id": "only", "text": "One second", "narration": "", "duration": 1.0}],
}


@dataclass(frozen=True, slots=True)
class StartUp:
    """Start-up times in seconds: median, minimum and maximum of several runs.

    `cpu_s` is the median processor time of the command and its children, which hardly depends on other work on
    the machine; None if not measured.
    """

    name: str
    median_s: float
    least_s: float
    most_s: float
    cpu_s: float | None


Once = Callable[[], tuple[float, float | None]]
"""Runs a command once; returns its wall seconds and its processor seconds, if measured."""


def environment(folder: Path) -> dict[str, str]:
    """Return additions to the environment: a separate cache folder, and compiled modules are kept."""
    return {**COMPILED_KEPT, "CACHE_PATH": str(folder / "cache")}


def whole_run(argv: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return the wall and processor seconds of a command; raise CommandFailedError if it fails."""
    done = measure(argv, environment=environment(folder))
    return done.wall_s, done.cpu_s


def seconds_to_first_frame(argv: Sequence[str], folder: Path) -> float:
    """Return the seconds from the start of a render with --json to its first frame; raise CommandFailedError."""
    started = time.perf_counter()
    first: float | None = None
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment(folder)},
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if first is None and event.get("stage") == "render" and event["done"] > 0:
                first = time.perf_counter() - started
    if process.returncode != 0 or first is None:
        raise CommandFailedError(argv, process.returncode, "no frame was reported")
    return first


def commands(folder: Path) -> dict[str, Once]:
    """Return the measurements by name."""
    story = folder / "startup.json"
    story.parent.mkdir(parents=True, exist_ok=True)
    story.write_text(json.dumps(STORY), encoding="utf-8")
    program = (sys.executable, "-m", "video_pipeline.engine.cli.main")
    render = (*program, "render", str(story), "-o", str(folder / "video.mp4"), *SMALL)
    frame = ("--frame", "12", "-o", str(folder / "startup.png"), "--size", "180x320", "-q")
    argvs: dict[str, Sequence[str]] = {
        "python -c pass": (sys.executable, "-c", "pass"),
        'python -c "import av, numpy"': (sys.executable, "-c", "import av, numpy"),
        "--version": (*program, "--version"),
        "--help": (*program, "--help"),
        "doctor": (*program, "doctor"),
        "compile --as plan": (*program, "compile", str(story), "--as", "plan", *SMALL),
        "preview, 180x320": (*program, "preview", str(story), *frame),
        "render, 1 s of 180x320": (*render, "-q"),
    }
    table: dict[str, Once] = {name: partial(whole_run, argv, folder) for name, argv in argvs.items()}
    table["render, to the first frame"] = lambda: (seconds_to_first_frame((*render, "--json"), folder), None)
    return table


def take(name: str, once: Once, runs: int) -> StartUp:
    """Return the times of several runs after one warm-up run that fills the caches."""
    once()
    taken = [once() for _ in range(runs)]
    walls = [wall for wall, _ in taken]
    cpus = [cpu for _, cpu in taken if cpu is not None]
    return StartUp(name, median(walls), min(walls), max(walls), median(cpus) if cpus else None)


def table_row(taken: StartUp) -> str:
    """Return a result as a line of text."""
    cpu = "" if taken.cpu_s is None else f"   {taken.cpu_s:.2f} s of processor time"
    return f"{taken.name:30} {taken.median_s:6.2f} s  ({taken.least_s:.2f} to {taken.most_s:.2f}){cpu}"


def keep(taken: Sequence[StartUp]) -> None:
    """Write the table and the machine into benchmarks/results/."""
    import imageio_ffmpeg

    machine = describe_machine(imageio_ffmpeg.get_ffmpeg_exe())
    results = {
        "name": "startup",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python -m benchmarks.startup",
        "machine": machine,
        "starts": [asdict(one) for one in taken],
    }
    rows = [
        [
            one.name,
            *(f"{seconds:.2f}" for seconds in (one.median_s, one.least_s, one.most_s)),
            "" if one.cpu_s is None else f"{one.cpu_s:.2f}",
        ]
        for one in taken
    ]
    parts = [
        "# Benchmark: startup",
        f"Measured on {results['date']} by `{results['command']}`; the cache is filled and modules are compiled.",
        machine_lines(machine),
        markdown_table(("", "wall s, median", "least", "most", "cpu s"), rows),
    ]
    (RESULTS / "startup.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "startup.md").write_text("\n\n".join(parts) + "\n")


def main() -> int:
    """Run all measurements, print the table and write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs after the warm-up (default {RUNS})")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs: got {options.runs}; allowed: a whole number >= 1")
    taken = []
    for name, once in commands(BUILD / "startup").items():
        taken.append(take(name, once, options.runs))
        print(table_row(taken[-1]), flush=True)
    keep(taken)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
