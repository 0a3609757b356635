"""Measure what drawn pictures cost: CPU seconds of each place in each weather, with what stands there, as PNG.

Pictures have the size that a render draws, which is larger than the frame. The median of several seeds is taken.

    python -m benchmarks.drawn_pictures
    python -m benchmarks.drawn_pictures --seeds 1 --size 1920x1080
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import get_args

from benchmarks.machine import describe_machine
from benchmarks.report import machine_lines, markdown_table
from video_pipeline.engine.assets.backgrounds.composition import OUTDOORS
from video_pipeline.engine.assets.images.drawn import DrawnPainter
from video_pipeline.engine.assets.images.service import PictureRequest
from video_pipeline.engine.common.pictures import PictureStyle
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.story.motifs import MOTIFS, Depiction

BUDGET_S = 0.6
GENRES = ("mystery", "adventure")
"""One of the night and one of the day."""


def fullest_depictions() -> Iterator[Depiction]:
    """Yield each place in each weather, with the most that the words of a scene can put there."""
    weathers = [motif.name for motif in MOTIFS if motif.kind == "weather"]
    for place in (motif.name for motif in MOTIFS if motif.kind == "place"):
        subject = next((motif.name for motif in MOTIFS if place in motif.at), None)
        for weather in [None, *(weathers if place in OUTDOORS else ())]:
            yield Depiction(place=place, subject=subject, people="crowd", weather=weather)


def cpu_of(request: PictureRequest, target: Path) -> float:
    """Return the CPU seconds that a picture takes, its file included."""
    began = time.process_time()
    DrawnPainter().paint(request, target)
    return time.process_time() - began


def measure_pictures(*, frame_px: tuple[int, int], seeds: int) -> list[tuple[str, float, float]]:
    """Return name, median and largest CPU seconds of each picture, the dearest first."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "picture.png"

        def measured(name: str, shown: Depiction | None, style: str | None) -> None:
            times = [
                cpu_of(
                    PictureRequest("", genre, seed, frame_px, composition=shown, style=style, palette=seed),
                    target,
                )
                for genre in GENRES
                for seed in range(seeds)
            ]
            found.append((name, median(times), max(times)))

        for shown in fullest_depictions():
            measured(" ".join(shown.names), shown, None)
        for style in get_args(PictureStyle):
            measured(style, None, style)
    return sorted(found, key=lambda row: -row[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the dearest pictures, and how many are within the budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1080x1920", help="size of the frame; default: 1080x1920")
    parser.add_argument("--seeds", type=int, default=2, help="seeds for each genre; default: 2")
    parser.add_argument("--rows", type=int, default=12, help="pictures that are listed; default: 12")
    options = parser.parse_args(arguments)
    width, _, height = options.size.partition("x")
    rows = measure_pictures(frame_px=(int(width), int(height)), seeds=options.seeds)
    within = sum(row[1] <= BUDGET_S for row in rows)
    print(machine_lines(describe_machine(str(find_ffmpeg().path))))
    print(
        f"{within} of {len(rows)} pictures take at most {BUDGET_S} s of CPU; median {median(row[1] for row in rows):.2f} s"
    )
    listed = [[name, f"{middle:.2f}", f"{most:.2f}"] for name, middle, most in rows[: options.rows]]
    print(markdown_table(("picture", "median CPU s", "most"), listed))


if __name__ == "__main__":
    main()
