"""What caption styles cost: `python -m benchmarks.caption_styles [STORY] [--rounds 5] [--styles phrases …]`.

The same story is rendered in each style by the command line, without the cache, so speech, pictures and captions are
made each time. The styles take turns, every second round in reverse order. Prints each style's processor seconds and
their ratio to `block` (median of the rounds' own ratios, and the spread).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.machine import cores
from benchmarks.measure import measure
from benchmarks.turns import say
from video_pipeline.engine.common.captions import CaptionStyle

STORY = Path("examples/lighthouse.json")


def cpu_of_styles(
    story: Path, *, styles: Sequence[str], rounds: int, options: list[str]
) -> dict[str, list[float]]:
    """Return the processor seconds of each style's renders, one a round."""
    seconds: dict[str, list[float]] = {style: [] for style in styles}
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
        command = [sys.executable, "-m", "video_pipeline", "render", str(story), "--no-cache", "-q", *options]
        for number in range(rounds + 1):
            for style in styles if number % 2 else reversed(styles):
                taken = measure([*command, "--captions", style, "-o", str(Path(folder, "out.mp4"))])
                if number:  # the first round reads files and compiled code from the disk
                    seconds[style].append(taken.cpu_s)
                    say(f"round {number}: {style:8} {taken.cpu_s:7.2f} s")
    return seconds


def main() -> None:
    """Print a table of the styles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("story", nargs="?", type=Path, default=STORY, metavar="STORY")
    parser.add_argument("--rounds", type=int, default=5)
    styles = [style for style in get_args(CaptionStyle) if style != "block"]
    parser.add_argument("--styles", nargs="+", default=styles, choices=styles)
    parser.add_argument("--size", default="1080x1920", metavar="WxH")
    arguments = parser.parse_args()
    seconds = cpu_of_styles(
        arguments.story,
        styles=("block", *arguments.styles),
        rounds=arguments.rounds,
        options=["--size", arguments.size, "--compositor", "native"],
    )
    print(f"{arguments.story.name}, {arguments.size}, {arguments.rounds} rounds, {cores()} core(s)")
    for style, taken in seconds.items():
        ratios = [one / block for one, block in zip(taken, seconds["block"], strict=True)]
        print(
            f"{style:8} {statistics.median(taken):7.2f} s CPU  {statistics.median(ratios):6.3f} of block "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
