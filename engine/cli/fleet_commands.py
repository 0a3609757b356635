"""Commands of a fleet: a machine that joins, and a look at all of them. Heavy modules are imported when one runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.node_commands import node_config_of
from video_pipeline.engine.common.process import importing


def _add_worker_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Let this machine render for a fleet: join the server that runs `serve --fleet`, offer it this machine's slots, "
        "memory and GPUs, and start again what dies. SIGTERM or Ctrl-C lets running work end for node.drain_timeout "
        "seconds and hands back the rest; a second one stops now."
    )
    parser.epilog = "example:\n  video-pipeline worker --join 10.0.0.1:6379 --config node.yaml"
    parser.add_argument(
        "--join", metavar="HOST:PORT", help="the fleet's server; default: fleet.address of the configuration"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument(
        "--slots", metavar="N", type=int, help="slots to offer; default: processing.max_concurrent_jobs"
    )
    parser.add_argument("--json", action="store_true", help="log one JSON object per line")


def _work(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.jobs.node.fleet_machine import work

    config = node_config_of(arguments).override("fleet", address=arguments.join)
    return work(config, as_json=arguments.json)


def _add_cluster_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show the machines of a fleet: slots, memory, GPUs, NVENC sessions, versions, and what each renders. It needs the "
        "configuration of a machine of the fleet, with its token."
    )
    parser.epilog = "example:\n  video-pipeline cluster status --join 10.0.0.1:6379 --config node.yaml"
    parser.add_argument(
        "what", metavar="{status}", choices=("status",), help="status: the machines of the fleet"
    )
    parser.add_argument(
        "--join", metavar="HOST:PORT", help="the fleet's server; default: fleet.address of the configuration"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _cluster(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.fleet.machines import (
            cache_line,
            fleet_cache,
            fleet_machines,
            machine_lines,
        )
        from video_pipeline.engine.fleet.settings import client_settings

    config = node_config_of(arguments).override("fleet", address=arguments.join)
    settings = client_settings(config, config.state_dir().resolve())
    machines, cache = fleet_machines(settings), fleet_cache(settings)
    if arguments.json:
        print(json.dumps({"machines": [machine.as_dict() for machine in machines], "cache": cache}))
    else:
        print("\n".join([*machine_lines(machines), cache_line(cache)]))
    return 0


COMMANDS: dict[str, Command] = {
    "worker": (_add_worker_options, _work),
    "cluster": (_add_cluster_options, _cluster),
}
