"""The table of docs/node.md about what commands print with --json, against the messages."""

from __future__ import annotations

import re

from tests.support.paths import ROOT
from video_pipeline.engine.cli.client_parsers import COMMANDS as CLIENT_COMMANDS
from video_pipeline.engine.cli.operator_commands import COMMANDS as OPERATOR_COMMANDS
from video_pipeline.engine.cli.schema import SCHEMAS

ADDED = {"state": "JobView", "story": "Submitted", "row": "Submitted", "name": "Submitted"}
"""Fields that a command adds to a message."""


def rows() -> list[list[str]]:
    section = (
        (ROOT / "docs" / "node.md").read_text().split("### What `--json` prints", 1)[1].split("\n## ", 1)[0]
    )
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_of_json_forms_names_fields_that_there_are() -> None:
    bodies = SCHEMAS["messages"]()["$defs"]
    seen, above = set(), ""
    for _, objects, fields in rows():
        found = re.findall(r"`([A-Z]\w+)`", objects)
        model = found[0] if found else above if "the same" in objects else ""
        above = model
        if not model:
            continue
        seen.add(model)
        for name in re.findall(
            r"`(\w+)`", fields.split("`state` as above")[0].split("`publications` empty")[0]
        ):
            assert name in bodies[model]["properties"] or ADDED.get(name) == model, (model, name)
    assert {"JobView", "Submitted", "EventView", "StatsReply", "MachineView", "DeadLetter"} <= seen


def test_each_command_of_a_client_is_in_the_table() -> None:
    told = {name for commands, *_ in rows() for name in re.findall(r"`([a-z-]+)[ `]", commands)}
    assert told == {*CLIENT_COMMANDS, *OPERATOR_COMMANDS}
