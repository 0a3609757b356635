"""The commands on a story: `render`, `preview`, `compile`. Heavy modules are imported only when a command runs."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.options import add_story_options, configuration
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from fractions import Fraction

    from video_pipeline.engine.config import Config
    from video_pipeline.engine.pipeline import RenderResult


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Render a story into OUT.mp4, with thumbnail, subtitles, metadata and manifest beside it."
    )
    parser.epilog = (
        "example:\n  video-pipeline render examples/lighthouse.json -o lighthouse.mp4 --preset veryfast"
    )
    add_story_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4",
        type=Path,
        help="default: the story file's name in storage.output_path",
    )
    parser.add_argument(
        "--for",
        dest="target",
        metavar="PLATFORM",
        help="render so that it fits reels, stories, shorts, youtube or tiktok, and say what does not (exit status 1)",
    )
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")
    parser.add_argument(
        "--workers", metavar="N", type=int, help="segments rendered at once; default: one per core"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON event a line")


def _add_preview_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Draw one finished frame of a story, with captions, as PNG or JPEG. Narration decides how "
        "long scenes last: the first call makes it, later ones use the cache."
    )
    parser.epilog = (
        "example:\n  video-pipeline preview examples/lighthouse.json --at 3.2 -o frame.png\n"
        "  video-pipeline preview examples/lighthouse.json --frame 0 --proxy -o first.jpg"
    )
    add_story_options(parser, encodes=False)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--at", metavar="SECONDS", help="the frame shown at this time, such as 3.2")
    which.add_argument("--frame", metavar="N", type=int, help="the frame with this number, from 0")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FRAME.png",
        type=Path,
        help="default: the story file's name in storage.output_path",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON event a line")


def _add_compile_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print what a render would do: its plan, its filter graphs, or one runnable ffmpeg command."
    )
    parser.epilog = "example:\n  video-pipeline compile examples/lighthouse.json --as command | sh"
    add_story_options(parser)
    parser.add_argument(
        "--as",
        dest="form",
        choices=("plan", "graph", "command"),
        default="plan",
        help="the plan as JSON (default), the filter graph of each segment, or one ffmpeg command",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4",
        type=Path,
        help="output file of the ffmpeg command; default: the story file's name, .command.mp4",
    )


def log_to_stderr(config: Config, arguments: argparse.Namespace) -> None:
    """Log at the level of the configuration and the options `--quiet`, `--verbose` and `--json`."""
    level: str | int = config.error_handling.log_level
    if arguments.quiet or getattr(arguments, "json", False):
        level = logging.ERROR
    if arguments.verbose:
        level = logging.DEBUG
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("PIL").setLevel(logging.INFO)  # it logs each chunk of each picture


def _render(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.progress import choose_reporter
        from video_pipeline.engine.pipeline import render_story
        from video_pipeline.engine.story import load_story
        from video_pipeline.engine.story.reading import story_name

    config = configuration(arguments)
    log_to_stderr(config, arguments)
    story = load_story(arguments.story)
    output = arguments.output or config.storage.output_path / f"{story_name(arguments.story)}.mp4"
    reporter = choose_reporter(as_json=arguments.json, quiet=arguments.quiet)
    with reporter, _naming(arguments.story):
        result = render_story(
            story,
            output,
            config=config,
            base=arguments.story.parent,
            sources=_sources(arguments),
            use_cache=not arguments.no_cache,
            workers=arguments.workers,
            on_event=reporter,
        )
    printed, summary = _printed_result(result), _summary(result)
    reasons = []
    if arguments.target is not None:
        from video_pipeline.engine.publish.validate import check_video, verdict

        reasons = check_video(result.outputs.video, platform=arguments.target)
        printed["reasons"] = [reason.as_dict() for reason in reasons]
        summary = "\n".join([summary, verdict(arguments.target, reasons), *(f"  {each}" for each in reasons)])
    reporter.finish(printed, summary)
    return 1 if any(reason.severity == "error" for reason in reasons) else 0


@contextmanager
def _naming(story: Path) -> Iterator[None]:
    """Prefix story errors, which name scene and field, with the story's file."""
    from video_pipeline.engine.errors import StoryError

    try:
        yield
    except StoryError as error:
        raise StoryError(f"{story}: {error}", **error.details) from error


def _sources(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the files that a command reads besides those that the story names."""
    read = {} if arguments.story == Path("-") else {"the story": arguments.story}
    return read if arguments.config is None else read | {"the configuration": arguments.config}


def _printed_result(result: RenderResult) -> dict[str, Any]:
    fields = result.as_dict()
    files = fields.pop("files")
    return {
        "status": "completed",
        "output": files["video"],
        "thumbnail": files["thumbnail"],
        "subtitles": [files["srt"], files["vtt"], files["ass"]],
        "words": files["words"],
        "metadata": files["metadata"],
        "manifest": files["manifest"],
        **fields,
    }


def _summary(result: RenderResult) -> str:
    info, outputs = result.info, result.outputs
    width, height = info.resolution
    seconds, cached = result.timings["render"], result.segments_from_cache
    made = f"rendered at {info.frame_count / seconds:.1f} fps"
    if cached:  # frames from the cache have no speed
        made = f"rendered in {seconds:.1f} s ({cached} of {result.segments} segments from the cache)"
    elif result.segments_ahead:
        made = (
            f"rendered in {seconds:.1f} s ({result.segments_ahead} of {result.segments} segments before that)"
        )
    return (
        f"{outputs.video}: {info.duration:.2f} s, {width}x{height} at {float(info.fps):g} fps, "
        f"{info.file_size / 1e6:.1f} MB, {made}\n"
        f"beside it: {outputs.thumbnail.name}, {outputs.srt.name}, {outputs.vtt.name}, "
        f"{outputs.ass.name}, {outputs.words.name}, {outputs.metadata.name}, {outputs.manifest.name}"
    )


def _preview(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.progress import choose_reporter
        from video_pipeline.engine.preview import FrameAt, preview_story
        from video_pipeline.engine.story import load_story
        from video_pipeline.engine.story.reading import story_name

    config = configuration(arguments)
    log_to_stderr(config, arguments)
    at = FrameAt(arguments.frame, None if arguments.at is None else _seconds(arguments.at))
    story = load_story(arguments.story)
    output = arguments.output or config.storage.output_path / f"{story_name(arguments.story)}.png"
    reporter = choose_reporter(as_json=arguments.json, quiet=arguments.quiet, steps=False)
    with _naming(arguments.story):
        result = preview_story(
            story,
            output,
            at=at,
            config=config,
            base=arguments.story.parent,
            sources=_sources(arguments),
            on_event=reporter,
        )
    for warning in result.warnings:
        logging.getLogger("video_pipeline").warning(warning)
    width, height = result.size_px
    reporter.finish(
        {
            "status": "completed",
            "output": str(result.output),
            "frame": result.frame,
            "frame_count": result.frame_count,
            "seconds": round(float(result.time), 6),
            "size": [width, height],
            "warnings": list(result.warnings),
        },
        f"{result.output}: frame {result.frame} of {result.frame_count} "
        f"at {float(result.time):.3f} s, {width}x{height}",
    )
    return 0


def _seconds(text: str) -> Fraction:
    from fractions import Fraction

    from video_pipeline.engine.errors import InputError

    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--at: got {text!r}; allowed: seconds, such as 3.2") from error


def _compile(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.compile import (
            as_shell,
            plan_as_command,
            plan_as_data,
            plan_as_graphs,
        )
        from video_pipeline.engine.outputs.overwrite import check_inputs_kept, files_read
        from video_pipeline.engine.plan import VideoPlan, plan_captions, plan_timeline
        from video_pipeline.engine.render.encoders.choice import choose_encoding
        from video_pipeline.engine.story import load_story
        from video_pipeline.engine.story.reading import story_name

    config = configuration(arguments)
    if arguments.form != "plan":
        config = config.override("video", compositor="ffmpeg")  # the only compositor that uses filter graphs
    log_to_stderr(config, arguments)
    story = load_story(arguments.story)
    base = arguments.story.parent
    # Not the name of a render's video: the command overwrites its output, and makes no files beside it.
    output = arguments.output or Path(f"{story_name(arguments.story)}.command.mp4")
    if arguments.form == "command":
        read = [*_sources(arguments).items(), *files_read(story, config, base=base)]
        check_inputs_kept([output], read)
    with _naming(arguments.story):
        encoding = choose_encoding(config.video)
        frames = plan_captions(plan_timeline(story, config=config, base=base))
    for warning in frames.warnings:
        logging.getLogger("video_pipeline").warning(warning)
    if arguments.form == "plan":
        print(json_text(plan_as_data(VideoPlan(frames, encoding)), indent=2))
    elif arguments.form == "graph":
        print(plan_as_graphs(frames))
    else:
        print(as_shell(plan_as_command(VideoPlan(frames, encoding), output)))
    return 0


COMMANDS: dict[str, Command] = {
    "render": (_add_render_options, _render),
    "preview": (_add_preview_options, _preview),
    "compile": (_add_compile_options, _compile),
}
