"""The rows of a batch: a template filled from a table, each row with a checked story and a name."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.story.model import Story
from video_pipeline.engine.story.reading import read_story, story_name
from video_pipeline.engine.story.table import TableRow, read_table
from video_pipeline.engine.story.template import check_variables, fill_story, fill_text, template_texts

NAME_COLUMN: Final = "output"
"""The column that names the videos, if the table has it."""

FAULTS_SHOWN: Final = 10
_NOT_IN_NAMES: Final = re.compile(r"[/\\\0-\x1f]")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A row of a batch: its story, and the name of its video without ending."""

    row: TableRow
    name: str
    story: Story

    def digest(self, **more: Any) -> str:
        """Return 16 hexadecimal digits of a hash of the story, and of anything else that the caller adds."""
        data = {"story": self.story.model_dump(mode="json"), **more}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def read_batch(table: Path, template: Path, *, name: str | None = None) -> tuple[BatchRow, ...]:
    """Return the rows of a batch, each with a checked story.

    `name` is a pattern for the videos' names with variables; by default the column `output`, or the template's name with
    the number of the row. Raises InputError with a line for each fault, so that a table is right before any work begins.
    """
    rows, data = read_table(table), read_story(template)
    columns = dict.fromkeys(column for row in rows for column in row.values)
    if name is None:
        digits = len(str(len(rows)))
        name = f"{{{{{NAME_COLUMN}}}}}" if NAME_COLUMN in columns else None
    named = dict.fromkeys(column for row in rows for column in row.columns)
    check_variables(template_texts(data), named, where=str(template))
    check_variables([name or ""], named, where="name")
    found, faults = [], []
    for row in rows:
        where = f"{table}, {row}"
        try:
            made = f"{story_name(template)}-{row.number:0{digits}d}" if name is None else fill_text(name, row)
            found.append(BatchRow(row, _checked_name(made, where), fill_story(data, row, where=where)))
        except InputError as error:
            message = str(error)
            faults.append(message if message.startswith(where) else f"{where}: {message}")
    taken: dict[str, TableRow] = {}
    for each in found:
        other = taken.setdefault(each.name.casefold(), each.row)
        if other is not each.row:
            faults.append(
                f"{table}, {each.row}: name {each.name!r} is that of {other} too; each video needs its own"
            )
    if faults:
        more = [f"and {len(faults) - FAULTS_SHOWN} more"] if len(faults) > FAULTS_SHOWN else []
        raise InputError("\n".join([*faults[:FAULTS_SHOWN], *more]))
    return tuple(found)


def _checked_name(name: str, where: str) -> str:
    name = name.strip().removesuffix(".mp4")
    if not name or name.startswith(".") or _NOT_IN_NAMES.search(name) or len(os.fsencode(name)) > 200:
        raise InputError(
            f"{where}: name: got {name!r}; allowed: a file name of at most 200 bytes without / and \\, not beginning with a dot"
        )
    return name
