"""Parsers of the client commands for a render node. A command's code is imported only when it runs."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.options import (
    LEXICON_HELP,
    LOOK_HELP,
    PROFILE_HELP,
    add_batch_options,
    add_policy_options,
)
from video_pipeline.engine.cli.times import FROM_NOW
from video_pipeline.engine.common.process import importing

JOB_HELP = "the id of a job, as `submit` and `list` print it"
STATUSES = ("queued", "scheduled", "processing", "completed", "failed", "cancelled")
PRIORITIES = ("high", "normal", "low")
EXIT_STATUS = """exit status:
  0  done
  1  the node cannot be reached or refused the request, or there is no such job
  2  wrong usage, story or configuration
  130, 143  interrupted, terminated"""
EXIT_STATUS_OF_JOBS = """exit status:
  0  {done}
  1  a job failed, the node cannot be reached or refused the request, or there is no such job
  2  wrong usage, story or configuration
  130  a job was cancelled, or the command interrupted (the jobs continue)
  143  terminated (the jobs continue)"""


def _add_submit_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Submit stories to a render node. A job is on the node's disk when its id is printed.",
        "  video-pipeline submit examples/lighthouse.json --wait\n"
        "  video-pipeline submit examples/voyage.yaml --send-assets --priority high\n"
        "  video-pipeline submit story.json --wait -o videos\n"
        "  video-pipeline submit story.json --schedule +2h --key episode-12 --json",
        exit_status=EXIT_STATUS_OF_JOBS.format(done="the jobs are stored; with --wait: all are completed"),
    )
    parser.add_argument(
        "stories",
        metavar="STORY",
        nargs="+",
        type=Path,
        help="story file: JSON, YAML, Markdown or plain text; - is standard input",
    )
    parser.add_argument(
        "--key",
        metavar="NAME",
        help="a name of your choice for the job of one story: submitting the same story under the same name again "
        "returns the same job instead of a second one",
    )
    _add_job_options(parser, places="of several jobs each into a folder of its id")


def _add_submit_many_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Submit a job to a render node for each row of a table. All rows are checked first. A row's key is its name and "
        "its story's content: submitting the table again makes jobs for new and changed rows only.",
        "  video-pipeline submit-many cities.csv --template city.yaml --wait\n"
        "  video-pipeline submit-many posts.jsonl --template post.md --name '{{id}}' --send-assets --json",
        exit_status=EXIT_STATUS_OF_JOBS.format(done="the jobs are stored; with --wait: all are completed"),
    )
    add_batch_options(parser)
    _add_job_options(parser, places="each job's into a folder of its row's name")


def _add_job_options(parser: argparse.ArgumentParser, *, places: str) -> None:
    parser.add_argument(
        "--priority",
        choices=PRIORITIES,
        default="normal",
        help="jobs of higher priority start first (default normal)",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration of these jobs (YAML)")
    parser.add_argument(
        "--profile",
        metavar="NAME|FILE",
        help=f"{PROFILE_HELP}; a name is one of the node's, a file is sent",
    )
    parser.add_argument("--lexicon", metavar="FILE", type=Path, help=LEXICON_HELP)
    parser.add_argument(
        "--look", metavar="NAME|FILE", help=f"{LOOK_HELP}; a name is one of the node's, a file is sent"
    )
    parser.add_argument(
        "--schedule",
        metavar="TIME",
        help=f"start no earlier than this time: ISO 8601 (local time without a zone), or {FROM_NOW}",
    )
    parser.add_argument(
        "--max-attempts",
        metavar="N",
        type=int,
        help="attempts of each job in all, 1 to 100; default: processing.retry_attempts of the node",
    )
    parser.add_argument(
        "--send-assets", action="store_true", help="also send the local files that the stories name"
    )
    parser.add_argument(
        "--wait", action="store_true", help="watch the jobs until they end and exit with their status"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help=f"with --wait: fetch the files of completed jobs into this folder, {places}",
    )
    add_policy_options(parser)


def _add_fetch_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Fetch the files of a completed job from its node. They appear in the folder together, checked by their SHA-256, "
        "and replace files of the same names. A fetch that was interrupted or killed goes on where it ended.",
        "  video-pipeline fetch job-0123456789abcdef01234567 -o videos\n"
        "  video-pipeline fetch job-0123456789abcdef01234567 -o videos --files video thumbnail",
    )
    parser.add_argument("job_id", metavar="JOB", help=JOB_HELP)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="folder for the files, made if needed",
    )
    parser.add_argument(
        "--files",
        metavar="FILE",
        nargs="+",
        help="only these: video, thumbnail, srt, vtt, ass, words, metadata, manifest, or names; default: all",
    )


def _add_status_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(parser, "Show the details of a job.")
    parser.add_argument("job_id", metavar="JOB", help=JOB_HELP)


def _add_watch_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Show a job's progress until it ends: a bar on a terminal, lines elsewhere.",
        "  video-pipeline watch job-0123456789abcdef01234567\n  video-pipeline watch --all --json",
        exit_status=EXIT_STATUS_OF_JOBS.format(done="the job is completed"),
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("job_id", metavar="JOB", nargs="?", help=JOB_HELP)
    which.add_argument("--all", action="store_true", help="every job from now on, until interrupted")


def _add_list_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(parser, "List jobs, the latest first.")
    parser.add_argument(
        "--status",
        choices=STATUSES,
        help="only jobs in this state; scheduled: queued ones whose time has not come",
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, default=50, help="list at most N jobs (default 50); 0 lists all"
    )


def _add_jobs(parser: argparse.ArgumentParser, *, description: str) -> None:
    describe_client_command(parser, description)
    parser.add_argument("job_ids", metavar="JOB", nargs="+", help=JOB_HELP)


def _add_retry_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Queue failed or cancelled jobs again, with their full number of attempts. A job that was "
        "scheduled for a later time does not wait for that time: it may start at once.",
    )
    parser.add_argument("job_ids", metavar="JOB", nargs="*", help=JOB_HELP)
    parser.add_argument("--failed", action="store_true", help="all failed jobs")


def _add_stats_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(parser, "Show a node's queue, jobs and slots.")


def describe_client_command(
    parser: argparse.ArgumentParser, description: str, examples: str = "", *, exit_status: str = EXIT_STATUS
) -> None:
    """Set a command's texts, and add the options that all client commands have."""
    parser.description = description
    parser.epilog = "\n\n".join((f"examples:\n{examples}", exit_status)) if examples else exit_status
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
        help="file of this client's secret CURVE key, if the node requires keys; default: VIDEO_PIPELINE_KEY_FILE",
    )
    node.add_argument(
        "--node-key",
        metavar="FILE|TEXT",
        help="the node's public CURVE key, as a file or the text itself; default: VIDEO_PIPELINE_NODE_KEY",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def _run_command(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.client_commands import run

    return run(arguments)


COMMANDS: dict[str, Command] = {
    "fetch": (_add_fetch_options, _run_command),
    "submit": (_add_submit_options, _run_command),
    "submit-many": (_add_submit_many_options, _run_command),
    "status": (_add_status_options, _run_command),
    "watch": (_add_watch_options, _run_command),
    "list": (_add_list_options, _run_command),
    "cancel": (partial(_add_jobs, description="Cancel jobs that have not ended."), _run_command),
    "retry": (_add_retry_options, _run_command),
    "stats": (_add_stats_options, _run_command),
}
