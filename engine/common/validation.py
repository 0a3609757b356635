"""Turn pydantic's errors into sentences that name the place, the value and what is allowed."""

from __future__ import annotations

import datetime
import difflib
import math
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def _model_at(model: type[BaseModel], path: Iterable[str | int]) -> type[BaseModel] | None:
    """Follow a location through nested models and return the model at its end, if there is one."""
    current: type[BaseModel] | None = model
    for step in path:
        if isinstance(step, int) or current is None:
            continue
        field = current.model_fields.get(step)
        current = _find_model(field.annotation) if field else current
    return current


def _find_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _find_model(argument)
        if found:
            return found
    return None


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
    "string_unicode": "valid Unicode (it holds half of a surrogate pair)",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "invalid_key": "keys that are text",
    "recursion_loop": "an object that does not hold itself",
}
"""What is allowed, in plain words, by pydantic's error type."""


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        name = str(detail["loc"][-1])[:64]
        inner = _model_at(model, detail["loc"][:-1])
        known = known_fields(inner) if inner else []
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"unknown key{hint}; known keys: {', '.join(known)}"
    if kind == "missing":
        return "is missing; it is required"
    message = detail["msg"].removeprefix("Value error, ")
    context = detail.get("ctx") or {}
    if kind == "value_error" and isinstance(detail["input"], Mapping):
        return message  # about several fields at once; the message contains their values
    if kind in _KINDS:
        message = f"allowed: {_KINDS[kind]}"
    elif kind == "literal_error":
        message = f"allowed: {context.get('expected', '')}"
    elif kind.startswith(("greater_than", "less_than")):
        message = f"allowed: {message.removeprefix('Input should be ')}"
    elif kind == "too_short":
        message = f"allowed: at least {context.get('min_length')}"
    elif kind in ("string_too_long", "too_long"):
        message = f"allowed: at most {context.get('max_length')}"
    elif kind == "string_pattern_mismatch":
        message = f"allowed: text that matches {context.get('pattern')}"
    elif message.startswith("Input should be"):
        message = "allowed:" + message.removeprefix("Input should be")
    return f"got {show(detail['input'])}; {message}"


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    where: str,
    place: Callable[[ErrorDetails], str] | None = None,
    limit: int = 12,
) -> list[str]:
    """Return one line for each error: `where: place: what is wrong and what is allowed`.

    `place` describes an error's location; by default its parts are joined with dots.
    """
    found = error.errors(include_url=False)
    below = Counter(detail["loc"][:depth] for detail in found for depth in range(len(detail["loc"])))
    found = [detail for detail in found if not _is_redundant(detail, below)]
    lines: dict[str, None] = {}
    for number, detail in enumerate(found):
        if len(lines) == limit:
            lines[f"{where}: and {len(found) - number} more"] = None
            break
        words = place(detail) if place else ".".join(str(part) for part in detail["loc"])
        lines[": ".join(part for part in (where, words, _sentence(detail, model)) if part)] = None
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
