"""Parsers of the client commands for a render node. A command's code is imported only when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from video_pipeline.engine.cli.options import add_policy_options
from video_pipeline.engine.common.process import importing

STATUSES = ("queued", "scheduled", "processing", "completed", "failed", "cancelled")
PRIORITIES = ("high", "normal", "low")
VERBS = ("submit", "status", "watch", "list", "cancel", "retry", "stats")


def add_client_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add submit, status, watch, list, cancel, retry and stats to a parser's subparsers."""
    submit = _add(
        commands,
        "submit",
        "submit stories to a render node",
        "Submit stories to a render node. A job is on the node's disk when its id is printed.",
        "  video-pipeline submit examples/lighthouse.json --wait\n"
        "  video-pipeline submit examples/voyage.yaml --send-assets --priority high\n"
        "  video-pipeline submit story.json --schedule +2h --key episode-12 --json",
    )
    submit.add_argument("stories", metavar="STORY", nargs="+", type=Path, help="story file, JSON or YAML")
    submit.add_argument("--priority", choices=PRIORITIES, default="normal")
    submit.add_argument(
        "--key",
        help="names the job of one story: the same story with the same key again returns the same job",
    )
    submit.add_argument("--config", metavar="FILE", type=Path, help="configuration of these jobs (YAML)")
    submit.add_argument(
        "--schedule",
        metavar="TIME",
        help="start no earlier than this time: ISO 8601 (local time without a zone), or +90s, +30m, +2h, +1d",
    )
    submit.add_argument("--max-attempts", metavar="N", type=int, help="default: processing.retry_attempts")
    submit.add_argument(
        "--send-assets", action="store_true", help="also send the local files that the stories name"
    )
    submit.add_argument(
        "--wait", action="store_true", help="watch the jobs until they end and exit with their status"
    )
    add_policy_options(submit)
    status = _add(commands, "status", "show a job of a render node", "Show the details of a job.")
    status.add_argument("job_id", metavar="JOB")
    watch = _add(
        commands,
        "watch",
        "watch a job of a render node until it ends",
        "Show a job's progress until it ends: a bar on a terminal, lines elsewhere. Exit status: 0 completed, "
        "1 failed, 130 cancelled or interrupted (the job continues).",
        "  video-pipeline watch job-0123456789abcdef01234567\n  video-pipeline watch --all --json",
    )
    which = watch.add_mutually_exclusive_group(required=True)
    which.add_argument("job_id", metavar="JOB", nargs="?")
    which.add_argument("--all", action="store_true", help="every job from now on, until interrupted")
    listing = _add(commands, "list", "list the jobs of a render node", "List jobs, the latest first.")
    listing.add_argument(
        "--status",
        choices=STATUSES,
        help="only jobs in this state; scheduled: queued ones whose time has not come",
    )
    listing.add_argument(
        "--limit", metavar="N", type=int, default=50, help="list at most N jobs (default 50); 0 lists all"
    )
    for verb, words, description in (
        ("cancel", "cancel jobs of a render node", "Cancel jobs that have not ended."),
        (
            "retry",
            "queue failed jobs of a render node again",
            "Queue failed or cancelled jobs again, with their full number of attempts.",
        ),
    ):
        parser = _add(commands, verb, words, description)
        parser.add_argument("job_ids", metavar="JOB", nargs="+")
    _add(commands, "stats", "show a node's slots and queue", "Show a node's queue, jobs and slots.")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    words: str,
    description: str,
    examples: str = "",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=words,
        description=description,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter if examples else argparse.HelpFormatter,
    )
    node = parser.add_argument_group("node")
    node.add_argument(
        "--connect",
        metavar="URL",
        help="the node's URL; default: VIDEO_PIPELINE_CONNECT, or tcp://127.0.0.1:5570",
    )
    node.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=15.0,
        help="seconds to wait for a reply (default 15)",
    )
    node.add_argument(
        "--key-file",
        metavar="FILE",
        help="this client's secret key, if the node requires keys; default: VIDEO_PIPELINE_KEY_FILE",
    )
    node.add_argument(
        "--node-key",
        metavar="KEY",
        help="the node's public key, a file or the text itself; default: VIDEO_PIPELINE_NODE_KEY",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser


def _run_command(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.client_commands import run

    return run(arguments)


CLIENT_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = dict.fromkeys(VERBS, _run_command)
