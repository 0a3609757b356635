"""What caption styles cost: `python -m benchmarks.caption_styles [STORY] [--rounds 5] [--styles phrases …]`.

In turns, the captions of each style are set without a cache and every frame is drawn; speech, pictures and the encoder
are the same in each style. The story is rendered in `block` by the command line between the rounds, also without the
cache. Prints each style's processor seconds, and what it takes more than `block` in percent of that render (medians:
whole renders differ by more on a shared machine than the styles do).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from benchmarks.machine import cores
from benchmarks.measure import measure
from benchmarks.turns import say
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import CaptionStyle
from video_pipeline.engine.config import load_config
from video_pipeline.engine.plan import FramePlan, plan_captions, plan_timeline
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.story import load_story
from video_pipeline.engine.timing import FrameRange

STORY = Path("examples/lighthouse.json")


def drawing_seconds(plan: FramePlan) -> tuple[float, float]:
    """Return the processor seconds of setting a plan's captions without a cache, and of drawing every frame."""
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
        began = time.process_time()
        captioned = plan_captions(replace(plan, cache=ContentCache(Path(folder))))
        was_set = time.process_time()
        every = FrameRange(0, plan.timeline.frame_count)
        for _ in captioned.compositor.frames(every, threads=1, children=Children()):
            pass
        return was_set - began, time.process_time() - was_set


def render_seconds(story: Path, folder: Path) -> float:
    """Return the processor seconds of a whole render in blocks without a cache."""
    options = ["--no-cache", "-q", "--compositor", "native", "--captions", "block"]
    command = [sys.executable, "-m", "video_pipeline", "render", str(story), *options]
    return measure([*command, "-o", str(folder / "out.mp4")]).cpu_s


def measure_styles(story: Path, *, styles: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the processor seconds of each style's captions and frames, and of `render`, one a round."""
    seconds: dict[str, list[float]] = {name: [] for name in (*styles, "render")}
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
        cache = ContentCache(Path(folder, "cache"))
        plans = {}
        for style in styles:
            config = load_config(
                {"captions": {"style": style}, "video": {"compositor": "native"}}, environ=False
            )
            plans[style] = plan_timeline(load_story(story), config=config, base=story.parent, cache=cache)
            drawing_seconds(plans[style])  # loads fonts and pictures
        for number in range(1, rounds + 1):
            for style in styles if number % 2 else reversed(styles):
                was_set, drawn = drawing_seconds(plans[style])
                seconds[style].append(was_set + drawn)
                say(f"round {number}: {style:8} captions {was_set:6.3f} s, frames {drawn:6.3f} s")
            seconds["render"].append(render_seconds(story, Path(folder)))
            say(f"round {number}: render   {seconds['render'][-1]:6.2f} s")
    return seconds


def main() -> None:
    """Print a table of the styles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("story", nargs="?", type=Path, default=STORY, metavar="STORY")
    parser.add_argument("--rounds", type=int, default=5)
    styles = [style for style in get_args(CaptionStyle) if style != "block"]
    parser.add_argument("--styles", nargs="+", default=styles, choices=styles)
    arguments = parser.parse_args()
    seconds = measure_styles(arguments.story, styles=("block", *arguments.styles), rounds=arguments.rounds)
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    print(
        f"{arguments.story.name}, {arguments.rounds} rounds, {cores()} core(s); render: {middle['render']:.2f} s CPU"
    )
    for style in ("block", *arguments.styles):
        more = 100 * (middle[style] - middle["block"]) / middle["render"]
        print(f"{style:8} {middle[style]:6.3f} s CPU  {more:+5.1f} % of the render")


if __name__ == "__main__":
    main()
