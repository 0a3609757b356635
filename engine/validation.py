"""Turning pydantic's findings into sentences that name the place, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
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
    """Return the names that a model takes, as a user writes them."""
    return sorted(str(field.alias or name) for name, field in model.model_fields.items())


def show(value: Any, *, limit: int = 80) -> str:
    """Return a value as it may stand in an error message: one line, cut when long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        name = str(detail["loc"][-1])
        inner = _model_at(model, detail["loc"][:-1])
        known = known_fields(inner) if inner else []
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"unknown key{hint}; known keys: {', '.join(known)}"
    if kind == "missing":
        return "is missing; it is required"
    message = detail["msg"].removeprefix("Value error, ")
    context = detail.get("ctx") or {}
    if kind == "literal_error":
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
    place: Callable[[tuple[int | str, ...]], str] | None = None,
    limit: int = 12,
) -> list[str]:
    """Return one line for each finding: `where: place: what is wrong and what is allowed`.

    `place` turns a location into words; by default its parts are joined with dots.
    """
    lines: list[str] = []
    found = error.errors(include_url=False)
    for detail in found:
        location = detail["loc"]
        inner = any(other["loc"][: len(location)] == location and other is not detail for other in found)
        if detail["type"] == "too_short" and inner:
            continue  # pydantic counts only the valid items: the faults inside say it already
        words = place(location) if place else ".".join(str(part) for part in location)
        lines.append(": ".join(part for part in (where, words, _sentence(detail, model)) if part))
    unique = list(dict.fromkeys(lines))
    if len(unique) > limit:
        unique = [*unique[:limit], f"{where}: and {len(unique) - limit} more"]
    return unique
