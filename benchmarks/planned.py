"""Plan a story as `render --no-cache` does, for programs that measure one part of a render."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from video_pipeline.engine.plan import VideoPlan


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all programs on a planned story share: story, size, frame rate, compositor."""
    parser.add_argument("story", type=Path, metavar="STORY", help="story file")
    parser.add_argument("--size", default="1080x1920", metavar="WxH", help="frame (default 1080x1920)")
    parser.add_argument("--fps", type=int, default=30, help="frames per second (default 30)")
    parser.add_argument(
        "--compositor", default="auto", metavar="NAME", help="auto (default), native or ffmpeg"
    )


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for x264."""
    parser.add_argument("--preset", default="veryfast", help="x264 preset (default veryfast)")
    parser.add_argument("--crf", type=float, help="x264 crf (default 21 without a bit rate)")
    parser.add_argument("--bitrate", help="average bit rate instead of crf, such as 8000k")


@contextmanager
def planned(options: argparse.Namespace) -> Iterator[VideoPlan]:
    """Yield the plan of a story, made with a temporary cache folder."""
    from video_pipeline.engine.common.cache import ContentCache
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.plan import plan_video
    from video_pipeline.engine.story import load_story

    size_px = tuple(int(side) for side in options.size.split("x"))
    preset, bitrate = getattr(options, "preset", "veryfast"), getattr(options, "bitrate", None)
    crf = None if bitrate else getattr(options, "crf", None) or 21.0
    config = load_config(environ=False).override(
        "video",
        size=size_px,
        fps=options.fps,
        compositor=options.compositor,
        codec="libx264",
        preset=preset,
        crf=crf,
        bitrate=bitrate,
    )
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
        cache = ContentCache(Path(folder, "cache"))
        yield plan_video(load_story(options.story), config=config, base=options.story.parent, cache=cache)
