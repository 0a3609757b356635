"""Commands that run and maintain a render node. Heavy modules are imported only when a command runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a render node: accept stories over ZeroMQ, store them durably, render them, and publish the "
        "videos in storage.output_path/JOB_ID. SIGTERM or Ctrl-C lets running jobs finish; a second one stops now."
    )
    parser.epilog = (
        "example:\n  video-pipeline serve --bind tcp://127.0.0.1:5570 --config node.yaml --slots 2"
    )
    parser.add_argument("--bind", metavar="URL", help="tcp://HOST:PORT or ipc://PATH; default: node.bind")
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument(
        "--slots",
        metavar="N",
        type=int,
        help="jobs rendered at once; default: processing.max_concurrent_jobs",
    )
    parser.add_argument(
        "--web", action="store_true", help="accept jobs over HTTP too, at web.host and web.port (web.enabled)"
    )
    parser.add_argument("--json", action="store_true", help="log one JSON object per line")


def _add_vacuum_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Delete ended jobs that are older than node.keep_days, their logs and the assets that no job "
        "needs, and shrink the ledger's file. It works on the folders of node.state_path and storage.output_path on this "
        "machine, not through --connect: give it the configuration of the node, which may be running."
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def node_config_of(arguments: argparse.Namespace) -> Config:
    """Return a node's configuration: options override environment, file and defaults, in this order."""
    from video_pipeline.engine.config import load_config

    config = load_config(arguments.config)
    config = config.override("node", bind=getattr(arguments, "bind", None))
    config = config.override("web", enabled=getattr(arguments, "web", False) or None)
    return config.override("processing", max_concurrent_jobs=getattr(arguments, "slots", None))


def _serve(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.jobs.node.serve import serve

    return serve(node_config_of(arguments), as_json=arguments.json)


def _vacuum(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.jobs.node.housekeeping import vacuum

    done = vacuum(node_config_of(arguments))
    if arguments.json:
        print(json.dumps(done))
    else:
        print(
            f"{done['state_path']}: {done['jobs']} jobs and {done['files']} files deleted; "
            f"the ledger has {done['ledger_bytes'] / 1e6:.1f} MB"
        )
    return 0


def _add_storage_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what takes space on a node: finished videos and which of them may be deleted, cache, staging, logs. It works on "
        "the folders of this machine: give it the configuration of the node, which may be running."
    )
    parser.epilog = (
        "examples:\n  video-pipeline storage --config node.yaml\n"
        "  video-pipeline storage --prune --config node.yaml"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete now what storage.max_output_gb and keep_output_days ask for, as a node does by itself",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _storage(arguments: argparse.Namespace) -> int:
    import time

    with importing():
        from video_pipeline.engine.errors import ConfigError
        from video_pipeline.engine.jobs.folders import Folders
        from video_pipeline.engine.jobs.node.retention import prune_videos, storage_use

    config = node_config_of(arguments)
    folders = Folders.of(config)
    if not folders.ledger.exists():
        raise ConfigError(f"node.state_path: {folders.state} has no ledger; name the state folder of a node")
    deleted = prune_videos(config, folders, now=time.time()) if arguments.prune else ()
    use = storage_use(config, folders)
    found = use.as_dict()
    if arguments.prune:
        found["deleted"] = [video.job_id for video in deleted]
    if arguments.json:
        print(json.dumps(found))
        return 0
    for name, size in found["bytes"].items():
        print(f"{name:<10} {size / 1e6:>12,.1f} MB")
    print(
        f"{found['videos']} finished videos; {found['deletable_videos']} ({found['deletable_bytes'] / 1e6:,.1f} MB) may be "
        f"deleted (storage.deletable: {config.storage.deletable})"
    )
    for name, size in found["free_bytes"].items():
        print(f"free at {name}: {size / 1e6:,.0f} MB")
    for video in deleted:
        print(f"deleted {video.job_id} ({video.size / 1e6:,.1f} MB)")
    return 0


COMMANDS: dict[str, Command] = {
    "serve": (_add_serve_options, _serve),
    "vacuum": (_add_vacuum_options, _vacuum),
    "storage": (_add_storage_options, _storage),
}
