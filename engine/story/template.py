"""Stories from a template: `{{name}}` in any text of a story stands for a column of a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from video_pipeline.engine.errors import InputError, StoryError
from video_pipeline.engine.story.model import Story, parse_story
from video_pipeline.engine.story.table import TableRow

ROW: Final = "row"
"""A variable that every row has: its number, from 1. A column of this name wins."""

_VARIABLE: Final = re.compile(r"\{\{([^{}|]+)(?:\|([^{}]*))?\}\}")
Place = tuple[str | int, ...]


def check_variables(texts: Iterable[str], columns: Iterable[str], *, where: str) -> None:
    """Raise InputError if a template's text names a variable that no row has and that has no default."""
    known = {*columns, ROW}
    for text in texts:
        for match in _VARIABLE.finditer(text):
            name = match[1].strip()
            if name not in known and match[2] is None:
                raise InputError(
                    f"{where}: {match[0]}: no row of the table has a value for it; allowed: {', '.join(sorted(known))}"
                )


def template_texts(data: Any) -> Iterator[str]:
    """Yield every text of a template's data, names of fields left out."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from template_texts(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from template_texts(value)


def fill_text(text: str, row: TableRow) -> str:
    """Return a text with its variables replaced; raise InputError naming the variable that has no value."""
    return _VARIABLE.sub(lambda match: _written_out(_value(match, row), match[0]), text)


def fill_story(template: Mapping[str, Any], row: TableRow, *, where: str) -> Story:
    """Return the story of a row.

    A text that is one variable and nothing else takes the value itself: a number is written out where the field takes
    text only, and a cell of CSV becomes a number or true or false where the field takes no text. If the value is empty,
    the field or item is left out. Within a text, values are written out. Raises StoryError, or InputError naming the variable without a value; both begin with `where`.
    """
    cells: dict[Place, Any] = {}
    try:
        data = _filled(template, row, (), cells)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    for _ in range(len(cells) + 1):
        try:
            return parse_story(data, where=where)
        except StoryError as error:
            others = {
                place: _other_type(cells[place], row) for place in _faults(error, data) if place in cells
            }
            if all(other is None for other in others.values()):
                raise
            for place, other in others.items():
                if other is not None:
                    _set(data, place, other)
                    del cells[place]
    raise AssertionError("each round converts a cell")


def _filled(data: Any, row: TableRow, place: Place, cells: dict[Place, Any]) -> Any:
    if isinstance(data, str):
        whole = _VARIABLE.fullmatch(data.strip())
        if whole is None:
            return fill_text(data, row)
        cells[place] = _value(whole, row)
        return cells[place]
    if isinstance(data, Mapping):
        kept = {name: value for name, value in data.items() if not _is_left_out(value, row)}
        return {name: _filled(value, row, (*place, name), cells) for name, value in kept.items()}
    if isinstance(data, list | tuple):
        items = [value for value in data if not _is_left_out(value, row)]
        return [_filled(value, row, (*place, index), cells) for index, value in enumerate(items)]
    return data


def _is_left_out(value: Any, row: TableRow) -> bool:
    whole = _VARIABLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return whole is not None and _value(whole, row) == ""


def _value(match: re.Match[str], row: TableRow) -> Any:
    name = match[1].strip()
    if name in row.values:
        return row.values[name]
    if name == ROW:
        return row.number
    if match[2] is not None:
        return match[2].strip()
    raise InputError(f"{match[0]} has no value; fill the cell, or write a default: {{{{{name}|…}}}}")


def _written_out(value: Any, written: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise InputError(
        f"{written} is {type(value).__name__}; allowed within a text: text, a number, true or false"
    )


def _other_type(value: Any, row: TableRow) -> str | float | bool | None:
    """Return a number as text, and a cell's text as the number or truth that it is; None if there is no such."""
    if isinstance(value, bool | int | float):
        return _written_out(value, "")
    if not (row.is_text and isinstance(value, str)):
        return None
    try:
        read = json.loads(value)
    except ValueError:
        return None
    return read if isinstance(read, bool | int | float) else None


def _faults(error: StoryError, data: Any) -> list[Place]:
    """Return where the faults of an error are; parts of pydantic's places that are not in the data are left out."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return []
    found = []
    for detail in cause.errors():
        here, place = data, []
        for part in detail["loc"]:
            inside = (isinstance(here, dict) and part in here) or (
                isinstance(here, list) and isinstance(part, int) and part < len(here)
            )
            if inside:
                here = here[part]
                place.append(part)
        found.append(tuple(place))
    return found


def _set(data: Any, place: Place, value: Any) -> None:
    for part in place[:-1]:
        data = data[part]
    data[place[-1]] = value
