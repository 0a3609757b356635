"""Read the table of a batch: CSV, TSV or JSON Lines, one row for each video."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.documents import DocumentError, document_text, parse_document
from video_pipeline.engine.errors import InputError

JSON_LINES_ENDINGS: Final = (".jsonl", ".ndjson")
TABLE_ENDINGS: Final = (".csv", ".tsv", *JSON_LINES_ENDINGS)
SEPARATORS: Final = (",", ";", "|", "\t")
"""Those that a line `sep=` may name."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    `number` counts rows from 1, `line` is where the row begins in the file. `is_text`: the values are cells of a CSV
    file, which has nothing but text. `columns` are those that the line names, with and without a value.
    """

    number: int
    line: int
    values: dict[str, Any]
    is_text: bool
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"row {self.number} (line {self.line})"


def read_table(path: Path) -> tuple[TableRow, ...]:
    """Return the rows of a table; an empty cell and a null are left out of a row's values.

    The first line of CSV names the columns, which a comma separates, or a semicolon if there is no comma; of TSV a
    tabulator. A line `sep=;` before it names another separator, as spreadsheets expect it. Of JSON Lines each line is an object. Empty lines are skipped. Raises InputError naming file and row.
    """
    ending = path.suffix.lower()
    if ending not in TABLE_ENDINGS:
        raise InputError(
            f"{path}: got {path.suffix!r}; allowed: a table ending in {', '.join(TABLE_ENDINGS)}"
        )
    try:
        text = document_text(path)
        if ending in JSON_LINES_ENDINGS:
            rows = tuple(_json_rows(text, path))
        else:
            rows = tuple(_csv_rows(text, path, "\t" if ending == ".tsv" else None))
    except DocumentError as error:
        raise InputError(str(error)) from error
    except csv.Error as error:
        raise InputError(f"{path}: not CSV: {error}") from error
    if not rows:
        raise InputError(f"{path}: has no rows; a batch needs one for each video")
    return rows


def _json_rows(text: str, path: Path) -> Iterator[TableRow]:
    number = 0
    for line, written in enumerate(text.split("\n"), start=1):  # not splitlines: JSON text may hold U+2028
        if not written.strip():
            continue
        number += 1
        values = parse_document(written, "json", name=f"{path}, row {number} (line {line})")
        if not isinstance(values, dict):
            raise InputError(
                f"{path}, row {number} (line {line}): got {type(values).__name__}; allowed: an object"
            )
        present = {name.strip(): value for name, value in values.items() if value is not None}
        columns = tuple(name.strip() for name in values)
        yield TableRow(number, line, present, is_text=False, columns=columns)


def _csv_rows(text: str, path: Path, delimiter: str | None) -> Iterator[TableRow]:
    lines = io.StringIO(text, newline="")  # not splitlines: a cell may hold U+2028
    named = _named_separator(text, path)
    if named is not None:
        lines.readline()
    first = text.split("\n", 2)[0 if named is None else 1]
    delimiter = named or delimiter or (";" if ";" in first and "," not in first else ",")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: Sequence[str] = ()
    before = 0 if named is None else 1
    number, line = 0, 1 + before
    for cells in reader:
        began, line = line, before + reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = [cell.strip() for cell in cells]
            _check_columns(columns, path)
            continue
        number += 1
        if len(cells) > len(columns):
            raise InputError(
                f"{path}, row {number} (line {began}): has {len(cells)} cells; allowed: at most {len(columns)}, one "
                "for each column; a cell with a separator in it needs quotes"
            )
        values = {name: cell for name, cell in zip(columns, cells, strict=False) if cell.strip()}
        yield TableRow(number, began, values, is_text=True, columns=tuple(columns))


def _named_separator(text: str, path: Path) -> str | None:
    """Return the separator of a first line `sep=;`, also in quotes or with separators after it; None without that line."""
    line = re.match(r'"?sep=([^\r\n]*)(\r?\n|\Z)', text, re.IGNORECASE)
    if line is None:
        return None
    found = line[1].replace('"', "")
    if found[:1] not in SEPARATORS or found.strip(found[:1]):
        raise InputError(
            f"{path}, line 1: got {line[0].strip()!r}; allowed: sep= and a comma, semicolon, bar or tabulator"
        )
    return found[0]


def _check_columns(columns: Sequence[str], path: Path) -> None:
    for index, name in enumerate(columns):
        if not name:
            raise InputError(f"{path}: column {index + 1} has no name; the first line names all columns")
        if name in columns[:index]:
            raise InputError(f"{path}: column {name!r} is there twice; each needs a name of its own")
