"""Time whole renders at equal quality: this engine's profiles, the plain ffmpeg command, MovieLite and MoviePy.

    python -m benchmarks.equal_quality                     into benchmarks/results/equal-quality.{json,md}
    python -m benchmarks.equal_quality --quick             a few minutes, into build/bench/results/

Each program draws its own pictures, so each is compared with its own: what it writes at crf 0, which x264 encodes without
loss. The default profile sets the VMAF. For every other program the crf that reaches it is found by encoding the program's own
pictures with its x264 settings at three crfs; then all of them run in turns, each at its crf, and the files that they wrote
are measured.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.contenders import Contender, Settings, compiled_command, engine, plain_command
from benchmarks.machine import cores, describe_machine
from benchmarks.measure import CommandFailedError, measure
from benchmarks.peers import PEER_PACKAGES, make_peers_venv, movielite, moviepy
from benchmarks.pipeline import RESULTS
from benchmarks.report import machine_lines, markdown_table, ratio, spread
from benchmarks.turns import say, take_turns, warm_up
from benchmarks.vmaf import measure_vmaf
from benchmarks.workload import BUILD, Workload, make_workload

PLAIN: Final = "plain ffmpeg command"
TRIED_CRFS: Final = (16.0, 20.0, 24.0)
LOSSLESS: Final = Settings(preset="ultrafast", crf=0)


@dataclass(frozen=True, slots=True)
class Program:
    """A program to compare, as a function of x264's settings; `preset` is None for a profile that is taken as it is."""

    make: Callable[[Settings], Contender]
    preset: str | None = None
    settings: Settings | None = None


def programs(work: Workload, folder: Path, *, ffmpeg: str, peers: bool) -> dict[str, Program]:
    """Return the programs by their names in the report; the first one sets the quality."""

    def ours(settings: Settings) -> Contender:
        return engine(work, settings, folder)

    def plain(settings: Settings) -> Contender:
        contender = plain_command(work, compiled=compiled_command(work, settings, folder))
        return replace(contender, name=f"{PLAIN}, {settings.preset}")

    found = {
        f"video-pipeline, profile {name}": Program(ours, settings=Settings(profile=name))
        for name in ("social", "guide")
    }
    found |= {f"{PLAIN}, {preset}": Program(plain, preset) for preset in ("veryfast", "medium")}
    if peers:
        count = cores()

        def lite(settings: Settings) -> Contender:
            return movielite(work, settings, folder, ffmpeg=ffmpeg, processes=count, exact=True)

        def moved(settings: Settings) -> Contender:
            return moviepy(work, settings, folder, ffmpeg=ffmpeg)

        found |= {
            lite(LOSSLESS).name: Program(lite, "veryfast"),
            moved(LOSSLESS).name: Program(moved, "veryfast"),
        }
    return found


class Quality:
    """Measures videos of a workload against the pictures of the program that wrote them."""

    def __init__(self, work: Workload, *, ffmpeg: str, every: int) -> None:
        self._work, self._ffmpeg, self._every = work, ffmpeg, every

    def drawn(self, contender: Contender, kept: Path) -> Path:
        """Run a program that encodes without loss, and keep its pictures as a file."""
        say(f"pictures of {contender.name}")
        measure(contender.argv, environment=contender.environment)
        assert contender.output is not None
        return contender.output.replace(kept)

    def vmaf(self, video: Path, pictures: Path) -> tuple[float, float]:
        """Return the mean VMAF of a video, and its 1st percentile."""
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            raw = Path(folder, "pictures.yuv")
            self._run("-i", pictures, "-map", "0:v:0", "-pix_fmt", "yuv420p", "-f", "rawvideo", raw)
            size, fps = self._work.size_px, Fraction(self._work.fps)
            log = measure_vmaf(video, raw, size_px=size, fps=fps, every=self._every)
        scores = [each["vmaf"] for each in log]
        return float(np.mean(scores)), float(np.percentile(scores, 1))

    def crf_for(self, target: float, pictures: Path, preset: str) -> float:
        """Return the crf, to a tenth, at which x264's preset gives a program's pictures a mean VMAF."""
        found = []
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            video = Path(folder, "tried.mp4")
            for crf in TRIED_CRFS:
                options = Settings(preset, crf).ffmpeg_options(self._work.fps)
                self._run("-i", pictures, "-map", "0:v:0", "-pix_fmt", "yuv420p", *options, video)
                found.append(self.vmaf(video, pictures)[0])
                say(f"  {preset} crf {crf:g}: VMAF {found[-1]:.2f}")
        curve = np.polyfit(found, TRIED_CRFS, 2)
        return round(float(np.polyval(curve, target)), 1)

    def _run(self, *arguments: str | Path) -> None:
        command: Sequence[str | Path] = (self._ffmpeg, "-v", "error", "-nostdin", "-y", *arguments)
        subprocess.run(command, check=True)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything and return the results."""
    import imageio_ffmpeg

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    folder = BUILD / "equal"
    folder.mkdir(parents=True, exist_ok=True)
    work = make_workload(
        scenes=3 if options.quick else options.scenes,
        scene_seconds=1.0 if options.quick else 4.0,
        source=options.photographs,
        report=say,
    )
    if not options.no_peers:
        make_peers_venv(say)
    quality = Quality(work, ffmpeg=ffmpeg, every=options.every)
    compared = programs(work, folder, ffmpeg=ffmpeg, peers=not options.no_peers)
    contenders: dict[str, Contender] = {}
    pictures: dict[str, Path] = {}
    crfs: dict[str, float | None] = {}
    target = 0.0
    for number, (name, program) in enumerate(compared.items()):
        same = next((pictures[each] for each in pictures if each.split(",")[0] == name.split(",")[0]), None)
        pictures[name] = same or quality.drawn(program.make(LOSSLESS), folder / f"pictures-{number}.mp4")
        crfs[name] = quality.crf_for(target, pictures[name], program.preset) if program.preset else None
        settings = program.settings or Settings(program.preset or "", crfs[name] or 0.0)
        output = folder / f"{number}.mp4"
        contenders[name] = _into(program.make(settings), output, name)
        if not target:
            measure(contenders[name].argv, environment=contenders[name].environment)
            target = quality.vmaf(output, pictures[name])[0]
            say(f"{name}: VMAF {target:.2f}")
    warm_up(next(iter(contenders.values())))
    repeats = 1 if options.quick else options.repeats
    results = take_turns(contenders.values(), repeats=repeats, slow_repeats=options.slow_repeats)
    for name, contender in contenders.items():
        assert contender.output is not None
        results[name].pop("timings", None)
        mean, worst = quality.vmaf(contender.output, pictures[name])
        results[name] |= {"crf": crfs[name], "vmaf": round(mean, 2), "vmaf_p1": round(worst, 2)}
        say(f"{name}: VMAF {mean:.2f}")
    return {
        "name": "equal-quality",
        "settings": f"x264, each at the crf of VMAF {target:.1f} but guide",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.equal_quality", *options.shown]),
        "machine": describe_machine(ffmpeg, peers=() if options.no_peers else PEER_PACKAGES),
        "workload": {
            "scenes": len(work.pictures),
            "scene_seconds": work.scene_seconds,
            "source": work.source,
            "size_px": work.size_px,
            "fps": work.fps,
            "frames": work.frames,
        },
        "speed": results,
    }


def _into(contender: Contender, output: Path, name: str) -> Contender:
    """Return a contender that writes to a file of its own."""
    assert contender.output is not None
    old = str(contender.output)
    argv = []
    for part in contender.argv:
        if part.endswith(".json") and Path(part).parent == contender.output.parent:
            job = json.loads(Path(part).read_text()) | {"output": str(output)}
            copy = output.with_suffix(".job.json")
            copy.write_text(json.dumps(job, indent=1) + "\n")
            argv.append(str(copy))
        else:
            argv.append(str(output) if part == old else part)
    return replace(contender, argv=tuple(argv), output=output, name=name)


def markdown(found: dict[str, Any]) -> str:
    """Return the report."""
    work, results = found["workload"], found["speed"]
    plain = f"{PLAIN}, veryfast"
    rows = []
    for name, result in results.items():
        seconds = work["frames"] / work["fps"]
        rows.append(
            [
                name,
                "" if result["crf"] is None else f"{result['crf']:g}",
                f"{result['vmaf']:.2f}",
                f"{result['vmaf_p1']:.2f}",
                f"{result['file_bytes'] * 8 / seconds / 1e6:.2f}",
                f"{work['frames'] / statistics.median(result['wall_s']):.1f}",
                f"{ratio(results, name, plain):.2f}",
                f"{statistics.median(result['wall_s']):.2f}",
                f"{100 * spread(result['wall_s']):.1f} %" if len(result["wall_s"]) > 1 else "",
                str(len(result["wall_s"])),
                f"{statistics.median(result['cpu_s']):.1f}",
            ]
        )
    header = (
        "",
        "crf",
        "VMAF",
        "1st percentile",
        "Mbit/s",
        "fps",
        "x plain veryfast",
        "wall s",
        "spread",
        "runs",
        "cpu s",
    )
    differs = "\n".join(f"- {name}: {result['differs']}" for name, result in results.items())
    return (
        "\n\n".join(
            [
                "# Benchmark: whole renders at equal quality",
                f"Measured on {found['date']} by `{found['command']}`.",
                machine_lines(found["machine"]),
                f"{work['scenes']} scenes of {work['scene_seconds']:g} s ({work['source']}), {work['frames']} frames of "
                f"{work['size_px'][0]}x{work['size_px'][1]} at {work['fps']} fps, as in [pipeline.md](pipeline.md). The profile "
                "`social`, the default, sets the VMAF; the crf of the others but `guide` is the one at which they reach it, "
                "each against its own pictures. Contenders take turns; times are of whole commands, ratios are medians of "
                "the rounds' own.",
                markdown_table(header, rows),
                f"What differs:\n\n{differs}",
            ]
        )
        + "\n"
    )


def main() -> int:
    """Measure, print the table and write it; return 1 if a command failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equal_quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="3 s, one round: only checks that everything runs"
    )
    parser.add_argument("--scenes", type=int, default=12, help="number of scenes of 4 s (default 12: 42.5 s)")
    parser.add_argument("--no-peers", action="store_true", help="leave MoviePy and MovieLite out")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--slow-repeats", type=int, default=1, help="rounds of the slow ones (default 1)")
    parser.add_argument("--every", type=int, default=4, help="measure the VMAF of every n-th frame (4)")
    parser.add_argument(
        "--photographs", type=Path, metavar="DIR", help="folder of an unpacked mate-backgrounds"
    )
    options = parser.parse_args()
    options.shown = [Path(each).name if each.startswith("/") else each for each in sys.argv[1:]]
    try:
        found = run(options)
    except (CommandFailedError, RuntimeError, FileNotFoundError, subprocess.CalledProcessError) as error:
        say(f"benchmark stopped: {error}")
        return 1
    target = BUILD / "results" if options.quick else RESULTS
    target.mkdir(parents=True, exist_ok=True)
    text = markdown(found)
    (target / "equal-quality.json").write_text(json.dumps(found, indent=1) + "\n")
    (target / "equal-quality.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
