"""The command line: `video-pipeline render | preview | compile | doctor | schema`, and the commands of render nodes.

Exit status: 0 done, 1 failed, 2 the input is wrong, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from video_pipeline.engine import __version__
from video_pipeline.engine.cli import node_commands as jobs
from video_pipeline.engine.cli.help_format import HelpFormatter
from video_pipeline.engine.cli.options import add_story_options, configuration
from video_pipeline.engine.cli.tune_command import add_tune_command, run_tune
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.process import (
    importing,
    load_nothing_idle,
    open_missing_streams,
    print_any_name,
    return_freed_memory,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from video_pipeline.engine.config import Config
    from video_pipeline.engine.pipeline import RenderResult

EPILOG = """examples:
  video-pipeline render story.json -o out/story.mp4
  video-pipeline render story.yaml -o out/square.mp4 --aspect 1:1 --preset veryfast --crf 21
  video-pipeline render story.json -o out/draft.mp4 --proxy
  video-pipeline preview story.json --at 3.2 -o frame.png
  video-pipeline compile story.json --as command
  video-pipeline doctor
  video-pipeline schema story > story.schema.json

exit status: 0 done; 1 failed; 2 wrong usage, story or configuration; 130 interrupted; 143 terminated
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="video-pipeline",
        description="Turn stories into finished short videos.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"video-pipeline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    render = commands.add_parser(
        "render",
        help="render a story into a video",
        description="Render a story into OUT.mp4, with thumbnail, subtitles, metadata and manifest beside it.",
        epilog="example:\n  video-pipeline render examples/lighthouse.json -o lighthouse.mp4 --preset veryfast",
        formatter_class=HelpFormatter,
    )
    add_story_options(render)
    render.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4",
        type=Path,
        help="default: the story file's name in storage.output_path",
    )
    render.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")
    render.add_argument(
        "--workers", metavar="N", type=int, help="segments rendered at once; default: one per core"
    )
    render.add_argument("--json", action="store_true", help="print one JSON event a line")
    preview = commands.add_parser(
        "preview",
        help="draw one frame of a story as a picture",
        description="Draw one finished frame of a story, with captions, as PNG or JPEG. Narration decides how "
        "long scenes last: the first call makes it, later ones use the cache.",
        epilog="example:\n  video-pipeline preview examples/lighthouse.json --at 3.2 -o frame.png\n"
        "  video-pipeline preview examples/lighthouse.json --frame 0 --proxy -o first.jpg",
        formatter_class=HelpFormatter,
    )
    add_story_options(preview, encodes=False)
    which = preview.add_mutually_exclusive_group(required=True)
    which.add_argument("--at", metavar="SECONDS", help="the frame shown at this time, such as 3.2")
    which.add_argument("--frame", metavar="N", type=int, help="the frame with this number, from 0")
    preview.add_argument(
        "-o",
        "--output",
        metavar="FRAME.png",
        type=Path,
        help="default: the story file's name in storage.output_path",
    )
    preview.add_argument("--json", action="store_true", help="print one JSON event a line")
    compiling = commands.add_parser(
        "compile",
        help="print the plan, the filter graphs or an ffmpeg command",
        description="Print what a render would do: its plan, its filter graphs, or one runnable ffmpeg command.",
        epilog="example:\n  video-pipeline compile examples/lighthouse.json --as command | sh",
        formatter_class=HelpFormatter,
    )
    add_story_options(compiling)
    compiling.add_argument(
        "--as",
        dest="form",
        choices=("plan", "graph", "command"),
        default="plan",
        help="the plan as JSON (default), the filter graph of each segment, or one ffmpeg command",
    )
    compiling.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4",
        type=Path,
        help="output file of the ffmpeg command; default: the story file's name, .command.mp4",
    )
    doctor = commands.add_parser(
        "doctor",
        help="show what this machine can do, and what does not work",
        description="Show what this machine can do: ffmpeg, encoders, compositors, GPUs, voices, fonts, the cache "
        "and how many jobs a node would render at once. Exit status: 0 this machine can render, 1 it cannot.",
        formatter_class=HelpFormatter,
    )
    doctor.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    doctor.add_argument(
        "--probe",
        action="store_true",
        help="render one second with everything that works, and print its speed",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    schema = commands.add_parser(
        "schema",
        help="print a JSON Schema",
        description="Print the JSON Schema (draft 2020-12) of story files, of configuration files, or of the "
        "messages between clients and a render node.",
        epilog="example:\n  video-pipeline schema story > story.schema.json",
        formatter_class=HelpFormatter,
    )
    schema.add_argument(
        "what",
        metavar="{story,config,messages}",
        choices=("story", "config", "messages"),
        help="story files, configuration files, or the messages between clients and a node",
    )
    jobs.add_commands(commands)
    add_tune_command(commands)
    return parser


def _log_to_stderr(config: Config, arguments: argparse.Namespace) -> None:
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

    config = configuration(arguments)
    _log_to_stderr(config, arguments)
    story = load_story(arguments.story)
    output = arguments.output or config.storage.output_path / f"{arguments.story.stem}.mp4"
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
    reporter.finish(_printed_result(result), _summary(result))
    return 0


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
    read = {"the story": arguments.story}
    return read if arguments.config is None else read | {"the configuration": arguments.config}


def _printed_result(result: RenderResult) -> dict[str, Any]:
    fields = result.as_dict()
    files = fields.pop("files")
    return {
        "status": "completed",
        "output": files["video"],
        "thumbnail": files["thumbnail"],
        "subtitles": [files["srt"], files["vtt"]],
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
    return (
        f"{outputs.video}: {info.duration:.2f} s, {width}x{height} at {float(info.fps):g} fps, "
        f"{info.file_size / 1e6:.1f} MB, {made}\n"
        f"beside it: {outputs.thumbnail.name}, {outputs.srt.name}, {outputs.vtt.name}, "
        f"{outputs.metadata.name}, {outputs.manifest.name}"
    )


def _preview(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.progress import choose_reporter
        from video_pipeline.engine.preview import FrameAt, preview_story
        from video_pipeline.engine.story import load_story

    config = configuration(arguments)
    _log_to_stderr(config, arguments)
    at = FrameAt(arguments.frame, None if arguments.at is None else _seconds(arguments.at))
    story = load_story(arguments.story)
    output = arguments.output or config.storage.output_path / f"{arguments.story.stem}.png"
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

    config = configuration(arguments)
    if arguments.form != "plan":
        config = config.override("video", compositor="ffmpeg")  # the only compositor that uses filter graphs
    _log_to_stderr(config, arguments)
    story = load_story(arguments.story)
    base = arguments.story.parent
    # Not the name of a render's video: the command overwrites its output, and makes no files beside it.
    output = arguments.output or Path(f"{arguments.story.stem}.command.mp4")
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


def _doctor(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.doctor import as_text, examine
        from video_pipeline.engine.cli.doctor_probe import path_line, probe_paths

    config = configuration(arguments)
    found = examine(config)
    if not arguments.json:
        print(as_text(found), flush=True)
    if arguments.probe:
        found["probes"] = []
        for path in probe_paths(found, config):
            found["probes"].append(path)
            if not arguments.json:
                print(path_line(path), flush=True)
    if arguments.json:
        print(json.dumps(found, indent=2))
    failed = any(not path["works"] for path in found.get("probes", ()))
    return 1 if found["problems"] or failed else 0


def _schema(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.schema import SCHEMAS

    schema = SCHEMAS[arguments.what]()
    print(json_text(schema, indent=2))
    return 0


COMMANDS = {
    "render": _render,
    "preview": _preview,
    "compile": _compile,
    "doctor": _doctor,
    "schema": _schema,
    **jobs.COMMANDS,
    "tune": run_tune,
}


INTERRUPTED = {
    "render": "; every output file is complete or unchanged",
    "preview": "; the picture is complete or unchanged",
    "vacuum": "; some old jobs may have been deleted",
    "keys": "; the change may have been made: see `video-pipeline keys list`",
    "tune": "; what was measured is stored: `video-pipeline tune resume`",
}
"""What an interruption leaves, for commands that write something."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived; it ends a render like Ctrl-C."""


def _on_sigterm(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    open_missing_streams()
    print_any_name()
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.error(f"a COMMAND is missing; allowed: {', '.join(COMMANDS)}")
    signal.signal(signal.SIGTERM, _on_sigterm)
    from video_pipeline.engine.errors import InputError, PipelineError

    return_freed_memory()
    load_nothing_idle()
    try:
        return COMMANDS[arguments.command](arguments)
    except PipelineError as error:
        status = 2 if isinstance(error, InputError) else 1
        _show_error(error, status, arguments)
        return status
    except KeyboardInterrupt as error:
        from video_pipeline.engine.cli.progress import discarding

        with discarding(sys.stderr):
            print(f"interrupted{INTERRUPTED.get(arguments.command, '')}", file=sys.stderr)
        return 143 if isinstance(error, _Terminated) else 130
    except BrokenPipeError:
        from video_pipeline.engine.cli.progress import discard_output

        discard_output()
        return 1
    except OSError as error:
        _show_error(error, 1, arguments)
        return 1


def _show_error(error: Exception, status: int, arguments: argparse.Namespace) -> None:
    from video_pipeline.engine.cli.option_names import name_options
    from video_pipeline.engine.cli.progress import JsonLines, discarding

    message = name_options(str(error), arguments)
    if getattr(arguments, "json", False):
        with discarding(sys.stdout):
            JsonLines().write(
                "error", status="failed", type=type(error).__name__, message=message, exit_status=status
            )
    with discarding(sys.stderr):
        for line in message.splitlines():
            print(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
