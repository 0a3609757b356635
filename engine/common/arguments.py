"""Check the arguments of public functions: convert natural forms, refuse others with a TypeError that says what is allowed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from video_pipeline.engine.common.validation import show
from video_pipeline.engine.errors import InputError

T = TypeVar("T")


def wrong_type(value: Any, name: str, allowed: str) -> TypeError:
    """Return the error for an argument of a wrong type."""
    return TypeError(f"{name}: got {show(value)} ({type(value).__name__}); allowed: {allowed}")


def as_instance(value: Any, kind: type[T], name: str) -> T:
    """Return an argument that must be an instance of a class."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        raise wrong_type(value, name, f"{article} {kind.__name__}")
    return value


def as_path(value: Any, name: str) -> Path:
    """Return a path; raise InputError for one that no system accepts."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise wrong_type(value, name, "a path, as text or os.PathLike")
    if "\0" in str(value):
        raise InputError(f"{name}: got {show(str(value))}; allowed: a path without NUL")
    return Path(value)


def as_str(value: Any, name: str) -> str:
    """Return an argument that must be text."""
    if not isinstance(value, str):
        raise wrong_type(value, name, "text")
    return value


def as_mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return an argument that must be a dictionary with keys that are text."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise wrong_type(value, name, "a dictionary with keys that are text")
    return value


def as_mappings(values: Any, name: str) -> list[Mapping[str, Any]]:
    """Return an argument that must be a list of dictionaries."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise wrong_type(values, name, "a list of dictionaries")
    return [as_mapping(value, f"{name}[{index}]") for index, value in enumerate(values)]


def as_seconds(value: Any, name: str) -> float | None:
    """Return a number of seconds, or None."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not number:
        raise wrong_type(value, name, "seconds, or None")
    if number and math.isnan(value):
        raise InputError(f"{name}: got nan; allowed: seconds, or None")
    return None if value is None else float(value)


def as_callable(value: Any, name: str) -> Any:
    """Return an argument that must be a function or None."""
    if value is not None and not callable(value):
        raise wrong_type(value, name, "a function, or None")
    return value
