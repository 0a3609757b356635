"""The command `render-many`: a video for each row of a table. Heavy modules are imported only when it runs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.options import add_story_options, configuration
from video_pipeline.engine.cli.story_commands import log_to_stderr
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.batch import RowResult


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Render a video for each row of a table into a folder. All rows are checked before the first is rendered; a row that "
        "fails does not stop the others. The same command again renders what is missing, failed or changed."
    )
    parser.epilog = (
        "examples:\n"
        "  video-pipeline render-many cities.csv --template city.yaml -o out\n"
        "  video-pipeline render-many posts.jsonl --template post.md -o out --name '{{id}}' --json\n\n"
        "exit status: 0 all videos are there; 1 a row failed; 2 wrong usage, table, template or configuration;\n"
        "130, 143 interrupted, terminated"
    )
    add_story_options(parser, template=True)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="folder of the videos, made if needed",
    )
    parser.add_argument(
        "--again", action="store_true", help="also render rows whose video is there and unchanged"
    )
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")
    parser.add_argument(
        "--workers", metavar="N", type=int, help="segments rendered at once; default: one per core"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")


def _render_many(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.batch import render_many

    config = configuration(arguments)
    log_to_stderr(config, arguments)
    counts = {"rendered": 0, "unchanged": 0, "failed": 0}

    def show(result: RowResult) -> None:
        counts[result.status] += 1
        if arguments.json:
            print(json_text({"event": "row", **asdict(result)}), flush=True)
        elif result.error is not None or not arguments.quiet:
            print(_row_line(result), flush=True, file=sys.stderr if arguments.quiet else sys.stdout)

    render_many(
        arguments.table,
        arguments.story,
        arguments.output,
        config=config,
        name=arguments.name,
        again=arguments.again,
        use_cache=not arguments.no_cache,
        workers=arguments.workers,
        on_row=show,
    )
    if arguments.json:
        print(json_text({"event": "done", **counts}), flush=True)
    elif not arguments.quiet:
        print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 1 if counts["failed"] else 0


def _row_line(result: RowResult) -> str:
    begin = f"row {result.row}  {result.status}  {result.video}"
    if result.error is not None:
        return f"{begin}: {result.error}"
    return f"{begin}  {result.seconds:.1f} s" if result.status == "rendered" else begin


COMMANDS: dict[str, Command] = {"render-many": (_add_batch, _render_many)}
