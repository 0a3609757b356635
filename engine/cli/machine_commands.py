"""The commands on this program and its machine: `doctor` and `schema`. Heavy modules are imported only when one runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.options import configuration
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.process import importing


def _add_doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what this machine can do: ffmpeg, encoders, compositors, GPUs, voices, fonts, the cache "
        "and how many jobs a node would render at once. Exit status: 0 this machine can render, 1 it cannot."
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument(
        "--probe",
        action="store_true",
        help="render one second with everything that works, and print its speed",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_schema_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the JSON Schema (draft 2020-12) of story files, of configuration files, or of the "
        "messages between clients and a render node."
    )
    parser.epilog = "example:\n  video-pipeline schema story > story.schema.json"
    parser.add_argument(
        "what",
        metavar="{story,config,messages}",
        choices=("story", "config", "messages"),
        help="story files, configuration files, or the messages between clients and a node",
    )


def _doctor(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.doctor import as_text, examine
        from video_pipeline.engine.cli.doctor_notifications import probe_notifications
        from video_pipeline.engine.cli.doctor_probe import path_line, probe_paths

    config = configuration(arguments)
    found = examine(config)
    if not arguments.json:
        print(as_text(found), flush=True)
    if arguments.probe:
        found["notification_probes"] = []
        for reached in probe_notifications(config):
            found["notification_probes"].append(reached)
            if not arguments.json:
                print(
                    f"probe         {'yes' if reached['works'] else 'no '} {reached['name']}: {reached['reason']}"
                )
        found["probes"] = []
        for path in probe_paths(found, config):
            found["probes"].append(path)
            if not arguments.json:
                print(path_line(path), flush=True)
    if arguments.json:
        print(json.dumps(found, indent=2))
    probes = (*found.get("probes", ()), *found.get("notification_probes", ()))
    failed = any(not probe["works"] for probe in probes)
    return 1 if found["problems"] or failed else 0


def _schema(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.cli.schema import SCHEMAS

    schema = SCHEMAS[arguments.what]()
    print(json_text(schema, indent=2))
    return 0


COMMANDS: dict[str, Command] = {
    "doctor": (_add_doctor_options, _doctor),
    "schema": (_add_schema_options, _schema),
}
