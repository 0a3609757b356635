"""Turn pydantic's errors into sentences that name the place, the value and what is allowed."""

from __future__ import annotations

import datetime
import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from video_pipeline.engine.common.similar import closest


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation names, directly or as a member of a union or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _models_at(models: list[type[BaseModel]], path: Iterable[str | int]) -> list[type[BaseModel]]:
    """Follow a location through nested models; return the models that may be at its end."""
    for step in path:
        if isinstance(step, int):
            continue
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
            continue
        # The step is a tag: the value of the field that tells the members of a union apart.
        models = [model for model in models if _has_tag(model, step)] or models
    return models


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _constraints(annotation: Any) -> list[Any]:
    """Return the constraints of an annotation and of the members of its unions and lists, not of its models."""
    own = list(getattr(annotation, "__metadata__", ()))
    inner = [part for argument in get_args(annotation) for part in _constraints(argument)]
    return [part for item in own for part in getattr(item, "metadata", None) or [item]] + inner


def _bounds_at(detail: ErrorDetails, model: type[BaseModel], low: str, high: str) -> tuple[Any, Any]:
    """Return the bounds of the field at an error's location, as the attributes `low` and `high` of its constraints.

    A bound is None if the field has none, or if parts of the field have different ones.
    """
    path = list(detail["loc"])
    while path and not any(path[-1] in inner.model_fields for inner in _models_at([model], path[:-1])):
        path.pop()  # an index, or the tag of a union's member
    found: list[set[Any]] = [set(), set()]
    for inner in _models_at([model], path[:-1]) if path else ():
        field = inner.model_fields.get(str(path[-1]))
        for constraint in [*field.metadata, *_constraints(field.annotation)] if field else ():
            for bounds, name in zip(found, (low, high), strict=True):
                value = getattr(constraint, name, None)
                bounds.update(() if value is None else (value,))
    lowest, highest = (bounds.pop() if len(bounds) == 1 else None for bounds in found)
    return lowest, highest


def between(low: Any, high: Any, *, above: Any = None, below: Any = None, unit: str = "") -> str:
    """Return a range in words: `0 to 51`, `at least 1`, `more than 0, at most 30`, each with its unit."""
    unit = f" {unit}" if unit else ""
    if low is not None and high is not None:
        return f"{low} to {high}{unit}" if low != high else f"exactly {low}{unit}"
    parts = (("at least", low), ("more than", above), ("at most", high), ("less than", below))
    return ", ".join(f"{words} {number}" for words, number in parts if number is not None) + unit


def _number_range(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return the range of numbers that the field at an error's location allows; empty if it has none."""
    low, high = _bounds_at(detail, model, "ge", "le")
    above, below = _bounds_at(detail, model, "gt", "lt")
    return between(low, high, above=above, below=below)


def known_fields(model: type[BaseModel]) -> list[str]:
    """Return the names that a model accepts, as a user writes them."""
    return sorted(str(field.alias or name) for name, field in model.model_fields.items())


class _Short(reprlib.Repr):
    """A repr whose cost is bounded, however large, deep or self-referring the value is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200
        self.maxlevel = 4

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() < 600 else f"an integer of {x.bit_length()} bits"

    def repr_datetime(self, x: datetime.datetime, level: int) -> str:
        return repr(x.isoformat())

    def repr_Fraction(self, x: Fraction, level: int) -> str:  # noqa: N802 - reprlib looks for the class's name
        return str(x)

    def repr_PosixPath(self, x: Path, level: int) -> str:  # noqa: N802
        return self.repr_str(str(x), level)


_SHORT = _Short()


def show(value: Any, *, limit: int = 80) -> str:
    """Return a value for an error message: one line of at most `limit` characters."""
    text = _SHORT.repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


PLAIN_MAX_DEPTH = 32
PLAIN_MAX_VALUES = 10_000


def plain(value: Any) -> Any:
    """Return a copy of free-form data that JSON can represent; dates become ISO 8601 text.

    Raises ValueError for values that JSON cannot represent, and for data too deep or too large.
    """
    left = PLAIN_MAX_VALUES

    def copy(item: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"allowed: at most {PLAIN_MAX_VALUES} values")
        if depth > PLAIN_MAX_DEPTH:
            raise ValueError(f"allowed: at most {PLAIN_MAX_DEPTH} levels")
        if item is None or isinstance(item, bool):
            return item
        if isinstance(item, str):
            if any("\ud800" <= character <= "\udfff" for character in item):
                raise ValueError("allowed: valid Unicode (it holds half of a surrogate pair)")
            return item
        if isinstance(item, int) and item.bit_length() <= 1024:
            return item
        if isinstance(item, float) and math.isfinite(item):
            return item
        if isinstance(item, datetime.date):
            return item.isoformat()
        if isinstance(item, list | tuple):
            return [copy(each, depth + 1) for each in item]
        if isinstance(item, Mapping) and all(isinstance(key, str) for key in item):
            return {copy(key, depth + 1): copy(each, depth + 1) for key, each in item.items()}
        raise ValueError(
            f"holds {show(item)}; allowed: text, finite numbers, true, false, null, lists, objects"
        )

    return copy(value, 1)


_KINDS = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text in quotes",
    "path_type": "text in quotes, a path",
    "string_unicode": "valid Unicode (it holds half of a surrogate pair)",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "invalid_key": "keys that are text",
    "recursion_loop": "an object that does not hold itself",
}
"""What is allowed, in plain words, by pydantic's error type."""

_LENGTHS = frozenset({"too_short", "too_long", "string_too_short", "string_too_long"})
"""pydantic's errors about a length."""


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        inner = _models_at([model], detail["loc"][:-1])
        known = known_fields(inner[0]) if inner else []
        return f"unknown key{closest(str(detail['loc'][-1]), known)}; known keys: {', '.join(known)}"
    if kind == "missing":
        return "is missing; it is required"
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "value_error" and isinstance(detail["input"], Mapping):
        return message  # about several fields at once; the message contains their values
    return f"got {show(detail['input'])}{_allowed(detail, model, message)}"


def _allowed(detail: ErrorDetails, model: type[BaseModel], message: str) -> str:
    """Return the end of an error's sentence: what is allowed, after a hint if the value is similar to a choice."""
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        hint = closest(detail["input"], re.findall(r"'([^']*)'", expected))
        return f"{hint}; allowed: {expected}"
    if kind.startswith(("greater_than", "less_than")):
        return f"; allowed: {_number_range(detail, model) or message.removeprefix('Input should be ')}"
    if kind in _LENGTHS:
        low, high = _bounds_at(detail, model, "min_length", "max_length")
        low, high = context.get("min_length", low), context.get("max_length", high)
        unit = "characters" if isinstance(detail["input"], str) else "items"
        return f"; allowed: {between(low, high, unit=unit)}"
    if kind in _KINDS:
        numbers = _number_range(detail, model) if "number" in _KINDS[kind] else ""
        return f"; allowed: {', '.join(filter(None, (_KINDS[kind], numbers)))}"
    if kind == "string_pattern_mismatch":
        return f"; allowed: text that matches {context.get('pattern', '')}"
    if kind == "string_unicode":
        return "; allowed: text that UTF-8 can encode"
    if message.startswith("Input should be"):
        return f"; allowed:{message.removeprefix('Input should be')}"
    return f"; {message}"


def path_text(path: Iterable[str | int]) -> str:
    """Return a location in words: `scenes[0].effects[1].focus`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".")


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    where: str,
    place: Callable[[ErrorDetails], str] | None = None,
    origins: Mapping[str, str] = MappingProxyType({}),
    limit: int = 12,
) -> list[str]:
    """Return one line for each error: `where: place: what is wrong and what is allowed`.

    `place` describes an error's location, by default as `a.b[0]`. `origins` names the values that come from elsewhere
    than `where`, such as `{"node.bind": "environment variable BIND"}`; the name replaces both.
    """
    found = error.errors(include_url=False)
    below = Counter(detail["loc"][:depth] for detail in found for depth in range(len(detail["loc"])))
    found = [detail for detail in found if not _is_redundant(detail, below)]
    lines: dict[str, None] = {}
    for number, detail in enumerate(found):
        if len(lines) == limit:
            lines[f"{where}: and {len(found) - number} more"] = None
            break
        words = place(detail) if place else path_text(detail["loc"])
        origin = origins.get(path_text(detail["loc"][:2]))
        named = (origin,) if origin else (where, words)
        lines[": ".join(part for part in (*named, _sentence(detail, model)) if part)] = None
    return list(lines)


def _is_redundant(detail: ErrorDetails, below: Counter[tuple[int | str, ...]]) -> bool:
    """Return whether other errors explain the same fault better; `below` counts the errors inside each location."""
    location = detail["loc"]
    if detail["type"] == "too_short":
        return below[location] > 0  # pydantic counts only valid items: the errors inside are the cause
    if location and str(location[-1]).startswith("literal["):
        return below[location[:-1]] > 1  # the user did not mean the union's other member, `false`
    return False


def written_path(detail: ErrorDetails, data: Any, *, other_names: Mapping[str, str]) -> list[int | str]:
    """Return an error's location in the names that the user wrote.

    Steps that are not in the user's data, such as union members and keys implied by a shorthand, are omitted.
    `other_names` (alternative spelling → the field's own name) restores the spelling that was used.
    """
    path: list[int | str] = []
    last = len(detail["loc"]) - 1
    for depth, part in enumerate(detail["loc"]):
        if isinstance(part, int):
            path.append(part)
            data = data[part] if isinstance(data, list | tuple) and part < len(data) else None
            continue
        names = [part, *(word for word, own in other_names.items() if own == part)]
        here = data if isinstance(data, Mapping) else {}
        name = next((name for name in names if name in here), None)
        if name is not None:
            path.append(name[:80])
            data = here[name]
        elif depth == last and detail["type"] in ("missing", "extra_forbidden"):
            path.append(part[:80])
    return path
