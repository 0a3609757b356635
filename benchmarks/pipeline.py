"""Time whole renders in one run: this engine, plain ffmpeg, the encoder alone, MoviePy and MovieLite.

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
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from benchmarks.contenders import ReadyFrom, Settings, engine
from benchmarks.edit import measure_edits
from benchmarks.jitter import RENDERERS, blob_workload, measure_video, table_row
from benchmarks.jitter_moves import measure_moves
from benchmarks.machine import describe_machine
from benchmarks.measure import CommandFailedError, measure
from benchmarks.peers import PEER_PACKAGES, make_peers_venv, movielite, moviepy
from benchmarks.python_share import measure_python
from benchmarks.report import markdown
from benchmarks.speed import measure_speed, stage_shares
from benchmarks.turns import say, take_turns
from benchmarks.workload import BUILD, LARGE_PICTURE_PX, PICTURE_PX, Workload, make_workload
from video_pipeline import native

RESULTS = Path(__file__).resolve().parent / "results"
SECTIONS = ("speed", "python", "edit", "memory", "jitter")
MEMORY_SCENE_SECONDS, MEMORY_FADE_SECONDS = 1.0, 0.2
EDIT_SCENES, EDIT_SCENE_SECONDS = 12, 5.5
"""With fades of half a second the video lasts a minute."""
JITTER_PEER_SETTINGS = Settings(preset="slow", crf=17)
"""The best quality that MovieLite offers."""


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
    """Return the workload and the jitter of its zoom for each renderer."""
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
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="short scenes, one round: only checks that everything runs"
    )
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    parser.add_argument(
        "--scenes", type=int, default=4, help="number of 4 s scenes in the workload (default 4)"
    )
    parser.add_argument("--no-peers", action="store_true", help="leave MoviePy and MovieLite out")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of all contenders (default 5)")
    parser.add_argument(
        "--slow-repeats",
        type=int,
        default=2,
        help="rounds of the slowest contenders, MoviePy and the filter graphs (default 2); 0 leaves them out",
    )
    parser.add_argument("--memory-scenes", type=int, nargs="+", default=[10, 300], metavar="N")
    parser.add_argument("--preset", default="veryfast", help="x264 preset (default veryfast)")
    parser.add_argument("--crf", type=float, default=21.0, help="x264 crf (default 21)")
    parser.add_argument("--bitrate", help="average bit rate instead of crf, such as 8000k")
    parser.add_argument(
        "--photographs", type=Path, metavar="DIR", help="folder of an unpacked mate-backgrounds"
    )
    parser.add_argument(
        "--ready-frames",
        choices=get_args(ReadyFrom),
        default="native" if native.available() else "graph",
        help="frames for the encode-only contenders, drawn by: the native compositor, as in the engine (default if "
        "it is built), or the plain graph",
    )
    parser.add_argument("--name", default="pipeline", help="name of the result files (default pipeline)")
    options = parser.parse_args()
    if min(options.scenes, options.repeats, *options.memory_scenes) < 1 or options.slow_repeats < 0:
        parser.error("--scenes, --repeats and --memory-scenes: allowed: 1 or more; --slow-repeats: 0 or more")
    return options


def shown_command(arguments: list[str]) -> str:
    """Return the command line for the report, without this machine's folders."""
    shown = [Path(argument).name if argument.startswith("/") else argument for argument in arguments]
    return shlex.join(["python", "-m", "benchmarks.pipeline", *shown])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the sections that the options name and return all results."""
    import imageio_ffmpeg

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    peers = not options.no_peers
    settings = Settings(preset=options.preset, crf=options.crf, bitrate=options.bitrate)
    folder = BUILD / "out"
    folder.mkdir(parents=True, exist_ok=True)
    work = make_workload(
        scenes=options.scenes,
        scene_seconds=1.0 if options.quick else 4.0,
        source=options.photographs,
        report=say,
    )
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
            ready=options.ready_frames,
        )
        results["ready_frames"] = options.ready_frames
        results["speed"], results["stages"] = speed, stage_shares(speed["video-pipeline"])
    if "python" in options.sections:
        results["python"] = measure_python(work, settings, repeats=2 if options.quick else options.repeats)
    if "edit" in options.sections:
        results["edit"] = measure_edits(
            settings,
            folder,
            scenes=3 if options.quick else EDIT_SCENES,
            scene_seconds=1.5 if options.quick else EDIT_SCENE_SECONDS,
            repeats=1 if options.quick else options.repeats,
            source=options.photographs,
        )
    if "memory" in options.sections:
        counts = (3, 9) if options.quick else tuple(options.memory_scenes)
        results["memory_picture_px"] = LARGE_PICTURE_PX
        results["memory_scene_seconds"] = MEMORY_SCENE_SECONDS
        results["memory"] = measure_memory(settings, folder, counts=counts, source=options.photographs)
    if "jitter" in options.sections:
        seconds = 1.0 if options.quick else 4.0
        blobs, results["jitter"] = measure_jitter(folder, ffmpeg=ffmpeg, peers=peers, seconds=seconds)
        results["moves"] = measure_moves(ffmpeg, seconds=seconds, report=say)
        results["jitter_percent"], results["jitter_frames"] = 100 * blobs.zoom_per_second, blobs.frames
    return results


def main() -> int:
    """Measure, print the tables and write them; return 1 and print the last lines if a command failed."""
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
