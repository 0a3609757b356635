"""The command line: `video-pipeline render | preview | compile | doctor | schema`, and the commands of render nodes.

Exit status: 0 done, 1 failed, 2 the input is wrong, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Container, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from video_pipeline.engine import __version__
from video_pipeline.engine.cli.help_format import HelpFormatter
from video_pipeline.engine.common.process import (
    load_nothing_idle,
    open_missing_streams,
    print_any_name,
    return_freed_memory,
)

if TYPE_CHECKING:
    from video_pipeline.engine.cli.command import Command

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


PUBLISH_VERBS: Final = ("video", "list", "show", "change", "cancel", "resume", "resolve", "run")
"""What `publish` can do; the first is meant if none is named."""

COMMANDS: Final = {
    "render": ("story_commands", "render a story into a video"),
    "render-many": ("batch_command", "render a video for each row of a table"),
    "preview": ("story_commands", "draw one frame of a story as a picture"),
    "compile": ("story_commands", "print the plan, the filter graphs or an ffmpeg command"),
    "doctor": ("machine_commands", "show what this machine can do, and what does not work"),
    "schema": ("machine_commands", "print a JSON Schema"),
    "voices": ("voices_command", "list the offline voices by language, and hear one"),
    "pictures": ("pictures_command", "list what drawn pictures can show, and draw a sheet of all"),
    "looks": ("looks_command", "list the looks of videos, and draw a sheet of all"),
    "validate": ("validate_command", "say whether a video fits a platform, and why not"),
    "publish": ("publish_command", "publish a finished video, and see to publications that wait"),
    "accounts": ("accounts_command", "connect the accounts that videos are published on"),
    "serve": ("node_commands", "run a render node that accepts jobs over ZeroMQ"),
    "worker": ("fleet_commands", "let this machine render for a fleet"),
    "cluster": ("fleet_commands", "show the machines of a fleet"),
    "backup": ("backup_command", "back up a node's state into one file, while it runs"),
    "restore": ("backup_command", "make a node's state folder from a backup"),
    "submit": ("client_parsers", "submit stories to a render node"),
    "submit-many": ("client_parsers", "submit a job to a render node for each row of a table"),
    "fetch": ("client_parsers", "fetch the files of a completed job from its render node"),
    "status": ("client_parsers", "show a job of a render node"),
    "watch": ("client_parsers", "watch a job of a render node until it ends"),
    "list": ("client_parsers", "list the jobs of a render node"),
    "cancel": ("client_parsers", "cancel jobs of a render node"),
    "retry": ("client_parsers", "queue failed jobs of a render node again"),
    "stats": ("client_parsers", "show a node's slots and queue"),
    "priority": ("operator_commands", "give queued jobs of a render node another priority"),
    "log": ("operator_commands", "show the log of a job, also while it runs"),
    "machines": ("operator_commands", "show the machines that render for a node"),
    "drain": ("operator_commands", "let a machine start no further jobs"),
    "publications": ("operator_commands", "list a node's publications, and resolve unknown ones"),
    "letters": (
        "operator_commands",
        "list notifications that could not be delivered, and deliver them again",
    ),
    "vacuum": ("node_commands", "delete a node's old jobs and free their space"),
    "storage": ("node_commands", "show what takes space on a node, and delete what may be deleted"),
    "webhooks": ("notification_commands", "see what a node has told others, send it again, try it out"),
    "alerts": ("notification_commands", "see a node's alerts, and send one to try it out"),
    "keys": ("keys_command", "make, list and revoke the keys of a node's clients"),
    "tune": ("tune_command", "search the encoder settings that suit your material and machine"),
}
"""Every command: the module of `engine.cli` whose `COMMANDS` has it, and its line in `--help`. Only the module of the
command that runs is imported."""


def build_parser(wanted: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the options of the commands that are `wanted`."""
    parser = argparse.ArgumentParser(
        prog="video-pipeline",
        description="Turn stories into finished short videos.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"video-pipeline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=HelpFormatter)
        if name in wanted:
            _command(name)[0](command)
    return parser


def _with_verb(argv: Sequence[str]) -> Sequence[str]:
    """Let `publish VIDEO` stand for `publish video VIDEO`."""
    if len(argv) < 2 or argv[0] != "publish" or argv[1].startswith("-") or argv[1] in PUBLISH_VERBS:
        return argv
    return [argv[0], PUBLISH_VERBS[0], *argv[1:]]


def _command(name: str) -> Command:
    commands: dict[str, Command] = import_module(f"video_pipeline.engine.cli.{COMMANDS[name][0]}").COMMANDS
    return commands[name]


INTERRUPTED = {
    "render": "; every output file is complete or unchanged",
    "render-many": "; finished videos are complete, and the same command continues with the others",
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
    argv = _with_verb(sys.argv[1:] if argv is None else argv)
    parser = build_parser(argv)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.error(f"a COMMAND is missing; allowed: {', '.join(COMMANDS)}")
    signal.signal(signal.SIGTERM, _on_sigterm)
    from video_pipeline.engine.errors import PipelineError

    return_freed_memory()
    load_nothing_idle()
    try:
        return _command(arguments.command)[1](arguments)
    except PipelineError as error:
        _show_error(error, error.exit_status, arguments)
        return error.exit_status
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
