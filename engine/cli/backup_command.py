"""`video-pipeline backup` and `restore`: a node's state in one file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.jobs.node.backup import BackupSummary


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the backup, such as node.tar.gz")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration file (YAML), as the node's"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_backup_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Back up a node's state into one file, while the node runs: jobs, publications, assets that were sent with jobs, "
        "keys, and tokens of accounts. Only its owner can read the file. Finished videos and the cache are not in it."
    )
    parser.epilog = (
        "examples:\n  video-pipeline backup node.tar.gz --config node.yaml\n"
        "  video-pipeline backup /var/backups/video-pipeline --keep 14 --config node.yaml"
    )
    _add_common_options(parser)
    parser.add_argument(
        "--keep",
        metavar="N",
        type=int,
        help="FILE is a folder: write node-TIME.tar.gz into it, then delete all but the N newest there",
    )


def _add_restore_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a node's state folder from a backup. The folder must be empty or missing, and appears when it is whole. "
        "Videos that were finished after the backup are found in the output folder when the node starts; posts that were "
        "due since become `unknown`, for a person to look (`publish resolve`)."
    )
    parser.epilog = "example:\n  video-pipeline restore node.tar.gz --config node.yaml"
    _add_common_options(parser)


def _backup(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.jobs.node.backup import make_backup
        from video_pipeline.engine.jobs.node.backup_folder import make_dated_backup
    config = load_config(arguments.config)
    if arguments.keep is None:
        summary = make_backup(config, arguments.file)
    else:
        summary = make_dated_backup(config, arguments.file, keep=arguments.keep)
    print(json.dumps(summary.as_dict()) if arguments.json else _summary_text(summary, "holds"))
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.jobs.node.backup import restore_backup
    summary = restore_backup(load_config(arguments.config), arguments.file)
    print(json.dumps(summary.as_dict()) if arguments.json else _summary_text(summary, "is restored:"))
    return 0


def _summary_text(summary: BackupSummary, verb: str) -> str:
    def counted(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"

    lines = [
        f"{summary.path} {verb} jobs: {counted(summary.jobs)}; publications: {counted(summary.publications)}; "
        f"{summary.files} files, {summary.size:,} bytes"
    ]
    if summary.unknown:
        lines.append(
            f"{summary.unknown} publications may have been published since; `video-pipeline publish list --state unknown` "
            "shows them, `publish resolve` ends the doubt"
        )
    return "\n".join(lines)


COMMANDS: dict[str, Command] = {
    "backup": (_add_backup_options, _backup),
    "restore": (_add_restore_options, _restore),
}
