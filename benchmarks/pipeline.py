"""Time whole renders side by side, in one run: this engine, plain ffmpeg, the encoder alone, and the peers.

python -m benchmarks.pipeline                          all of it, into benchmarks/results/pipeline.{json,md}
python -m benchmarks.pipeline --quick                  a few minutes, into build/bench/results/
python -m benchmarks.pipeline --sections jitter        one part only
python -m benchmarks.pipeline --preset medium --bitrate 8000k --name medium-8000k
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.jitter import RENDERERS, blob_workload, measure_video, table_row
from benchmarks.machine import cores, describe_machine
from benchmarks.measure import CommandFailedError, measure
from benchmarks.peers import (
    PEER_PACKAGES,
    Contender,
    Settings,
    compiled_command,
    encode_only,
    engine,
    graph_only,
    make_peers_venv,
    movielite,
    moviepy,
    plain_command,
    ready_frames,
)
from benchmarks.report import markdown
from benchmarks.workload import BUILD, LARGE_PICTURE_PX, PICTURE_PX, Workload, make_workload

RESULTS = Path(__file__).resolve().parent / "results"
SECTIONS = ("speed", "memory", "jitter")
MEMORY_SCENE_SECONDS, MEMORY_FADE_SECONDS = 1.0, 0.2
STAGES = ("check", "assets", "compose", "captions", "render", "outputs")
"""The stages of a render that follow one another."""
JITTER_PEER_SETTINGS = Settings(preset="slow", crf=17)
"""The finest that MovieLite has."""


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def count_frames(video: Path) -> int:
    """Return how many video frames a file holds."""
    import av

    with av.open(str(video)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def keep_what_it_left(contender: Contender, output: Path, result: dict[str, Any]) -> None:
    """Note a finished file's size and its manifest's timings; raise RuntimeError for a wrong number of frames."""
    frames = count_frames(output)
    if frames != contender.frames:
        raise RuntimeError(f"{contender.name}: {frames} frames; expected {contender.frames}")
    result["file_bytes"] = output.stat().st_size
    manifest = output.with_suffix(".manifest.json")
    if manifest.exists():
        result.setdefault("timings", []).append(json.loads(manifest.read_text())["timings"])


def take_turns(contenders: Iterable[Contender], *, repeats: int, slow_repeats: int) -> dict[str, Any]:
    """Run the contenders in turn, `repeats` rounds of all; slow ones drop out after `slow_repeats`.

    Raise RuntimeError where one did not make the frames that it should.
    """
    contenders = list(contenders)
    results: dict[str, Any] = {
        contender.name: {
            "frames": contender.frames,
            "differs": contender.differs,
            "wall_s": [],
            "cpu_s": [],
            "peak_rss_mib": [],
        }
        for contender in contenders
    }
    for number in range(1, repeats + 1):
        for contender in contenders:
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
                keep_what_it_left(contender, contender.output, result)
            fps = contender.frames / taken.wall_s
            say(f"round {number}: {contender.name:28} {fps:6.1f} fps  {taken.wall_s:7.2f} s")
    return results


def warm_up(contender: Contender) -> None:
    """Run a contender once uncounted, so that compiled code (Python's, numba's) and files lie ready."""
    measure(contender.argv, environment=contender.environment)


def measure_speed(
    work: Workload,
    settings: Settings,
    folder: Path,
    *,
    ffmpeg: str,
    peers: bool,
    repeats: int,
    slow_repeats: int,
) -> dict[str, Any]:
    """Return the results of whole renders by contender."""
    compiled = compiled_command(work, settings, folder)
    with ready_frames(work, compiled=compiled) as (raw, frames):
        contenders = [
            engine(work, settings, folder),
            plain_command(work, compiled=compiled),
            graph_only(work, compiled=compiled),
            encode_only(work, settings, folder, ffmpeg=compiled[0], raw=raw, frames=frames),
        ]
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
        return take_turns(contenders, repeats=repeats, slow_repeats=slow_repeats)


def stage_shares(result: dict[str, Any]) -> dict[str, Any]:
    """Return each stage's median seconds and share of the command's wall time, from the runs' manifests.

    'outside the stages' is start-up, imports and the end of the process: what the STAGES that follow one
    another leave of the whole. The other entries run beside them, some in several workers at once.
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


def measure_memory(
    settings: Settings, folder: Path, *, counts: tuple[int, ...], source: Path | None
) -> list[dict[str, Any]]:
    """Return the engine's peak memory at each number of scenes."""
    rows = []
    for scenes in counts:
        work = make_workload(
            scenes=scenes,
            scene_seconds=MEMORY_SCENE_SECONDS,
            fade_seconds=MEMORY_FADE_SECONDS,
            picture_px=LARGE_PICTURE_PX,
            source=source,
            report=say,
        )
        contender = engine(work, settings, folder)
        result = take_turns([contender], repeats=1, slow_repeats=1)[contender.name]
        row = {
            "scenes": scenes,
            "frames": work.frames,
            "peak_rss_mib": result["peak_rss_mib"][0],
            "wall_s": result["wall_s"][0],
        }
        say(f"memory: {scenes} scenes, peak {row['peak_rss_mib']:.0f} MiB")
        rows.append(row)
    return rows


def measure_jitter(
    folder: Path, *, ffmpeg: str, peers: bool, seconds: float
) -> tuple[Workload, dict[str, Any]]:
    """Return the workload and the jitter of the zoom by renderer."""
    work = blob_workload(seconds=seconds)
    rows: dict[str, Any] = {}
    for name, render in RENDERERS.items():
        result = render(ffmpeg, work)
        rows["video-pipeline" if name == "engine" else f"ffmpeg {name}"] = asdict(result)
        say(table_row(name, result))
    if peers:
        for contender in (
            movielite(work, JITTER_PEER_SETTINGS, folder, ffmpeg=ffmpeg, processes=1),
            moviepy(work, JITTER_PEER_SETTINGS, folder, ffmpeg=ffmpeg),
        ):
            video = contender.output
            assert video is not None
            measure(contender.argv, environment=contender.environment)
            result = measure_video(ffmpeg, video, work)
            name = contender.name.partition(",")[0]
            rows[name] = asdict(result)
            say(table_row(name, result))
    return work, rows


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="short scenes, one round: a check that all of it runs"
    )
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--no-peers", action="store_true", help="leave MoviePy and MovieLite out")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of all (default 5)")
    parser.add_argument(
        "--slow-repeats", type=int, default=2, help="rounds of MoviePy, minutes each (default 2)"
    )
    parser.add_argument("--memory-scenes", type=int, nargs="+", default=[10, 200], metavar="N")
    parser.add_argument("--preset", default="veryfast", help="x264 preset (default veryfast)")
    parser.add_argument("--crf", type=float, default=21.0, help="x264 crf (default 21)")
    parser.add_argument("--bitrate", help="average bit rate in place of crf, such as 8000k")
    parser.add_argument(
        "--photographs", type=Path, metavar="DIR", help="folder of an unpacked mate-backgrounds"
    )
    parser.add_argument("--name", default="pipeline", help="name of the result files (default pipeline)")
    options = parser.parse_args()
    if options.repeats < 1 or options.slow_repeats < 1 or min(options.memory_scenes) < 1:
        parser.error("--repeats, --slow-repeats and --memory-scenes: allowed: 1 or more")
    return options


def shown_command(arguments: list[str]) -> str:
    """Return the command line as it may be printed: without the folders of this machine."""
    shown = [Path(argument).name if argument.startswith("/") else argument for argument in arguments]
    return shlex.join(["python", "-m", "benchmarks.pipeline", *shown])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what the options name and return it all."""
    import imageio_ffmpeg

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    peers = not options.no_peers
    settings = Settings(preset=options.preset, crf=options.crf, bitrate=options.bitrate)
    folder = BUILD / "out"
    folder.mkdir(parents=True, exist_ok=True)
    work = make_workload(scene_seconds=1.0 if options.quick else 4.0, source=options.photographs, report=say)
    if peers:
        make_peers_venv(say)
    results: dict[str, Any] = {
        "name": options.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": shown_command(sys.argv[1:]),
        "machine": describe_machine(ffmpeg, peers=PEER_PACKAGES if peers else ()),
        "settings": str(settings),
        "workload": {
            "scenes": len(work.pictures),
            "scene_seconds": work.scene_seconds,
            "fade_seconds": work.fade_seconds,
            "zoom_percent": 100 * work.zoom_per_second,
            "picture_px": PICTURE_PX,
            "source": work.source,
            "size_px": work.size_px,
            "fps": work.fps,
            "frames": work.frames,
        },
    }
    if "speed" in options.sections:
        speed = measure_speed(
            work,
            settings,
            folder,
            ffmpeg=ffmpeg,
            peers=peers,
            repeats=1 if options.quick else options.repeats,
            slow_repeats=1 if options.quick else options.slow_repeats,
        )
        results["speed"], results["stages"] = speed, stage_shares(speed["video-pipeline"])
    if "memory" in options.sections:
        counts = (3, 9) if options.quick else tuple(options.memory_scenes)
        results["memory_picture_px"] = LARGE_PICTURE_PX
        results["memory_scene_seconds"] = MEMORY_SCENE_SECONDS
        results["memory"] = measure_memory(settings, folder, counts=counts, source=options.photographs)
    if "jitter" in options.sections:
        seconds = 1.0 if options.quick else 4.0
        blobs, results["jitter"] = measure_jitter(folder, ffmpeg=ffmpeg, peers=peers, seconds=seconds)
        results["jitter_percent"], results["jitter_frames"] = 100 * blobs.zoom_per_second, blobs.frames
    return results


def main() -> int:
    """Measure, print the tables and write them; return 1 with the last lines of a command that failed."""
    options = parse_options()
    try:
        results = run(options)
    except (CommandFailedError, RuntimeError, FileNotFoundError) as error:
        say(f"benchmark stopped: {error}")
        return 1
    target = BUILD / "results" if options.quick else RESULTS
    target.mkdir(parents=True, exist_ok=True)
    text = markdown(results)
    (target / f"{options.name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (target / f"{options.name}.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
