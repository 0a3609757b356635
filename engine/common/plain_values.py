"""Frozen dataclasses as plain JSON values and back, by their annotations. Files are named by the SHA-256 of their bytes.

What is read may come from a stranger: every value is checked against its annotation, and no class is looked up by
a name in the data except among those that the annotation allows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

LARGEST_WHOLE: Final = 2**63 - 1
SCALARS: Final = frozenset([str, int, float, Fraction, Path])
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,10})?")
_FRACTION = re.compile(r"-?[0-9]{1,40}(/[0-9]{1,40})?")

StoreFile = Callable[[Path], str]
"""Stores a file and returns its SHA-256 in hex."""

FindFile = Callable[[str, str], Path]
"""Returns where the file with a SHA-256 and a suffix is, or will be."""


class PlainValueError(ValueError):
    """A value that is not what its annotation says; the message begins with its place."""


def to_plain(kind: Any, value: Any, *, store: StoreFile, where: str = "") -> Any:
    """Return a value of an annotated type as JSON data; raise PlainValueError for one of another type."""
    return _Encoder(store).plain(kind, value, where)


def from_plain(kind: Any, data: Any, *, find: FindFile, where: str = "") -> Any:
    """Return the value of an annotated type that JSON data stands for; raise PlainValueError that names the place."""
    return _Decoder(find).value(kind, data, where)


def files_of(value: Any) -> Iterator[Path]:
    """Yield the files that are named anywhere in a value."""
    if isinstance(value, Path):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from files_of(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from files_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from files_of(item)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass or NamedTuple by field."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else kind._fields
    return {name: hints[name] for name in names}


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union without None, or nothing."""
    if get_origin(kind) in (Union, UnionType):
        return tuple(member for member in get_args(kind) if member is not NoneType)
    return ()


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (
        is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _name_of(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


class _Encoder:
    def __init__(self, store: StoreFile) -> None:
        self._store = store

    def plain(self, kind: Any, value: Any, where: str) -> Any:
        if choices := _choices(kind):
            return self._chosen(kind, choices, value, where)
        origin = get_origin(kind)
        if origin is Literal:
            if any(type(value) is type(choice) and value == choice for choice in get_args(kind)):
                return value
        elif origin is tuple and isinstance(value, tuple):
            members = get_args(kind)
            kinds = [members[0]] * len(value) if members[1:] == (...,) else list(members)
            if len(kinds) == len(value):
                pairs = zip(kinds, value, strict=True)
                return [self.plain(each, item, f"{where}[{at}]") for at, (each, item) in enumerate(pairs)]
        elif origin is dict and isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self.plain(get_args(kind)[1], item, f"{where}.{key}") for key, item in value.items()}
        elif _is_record(kind) and type(value) is kind:
            return self._record(kind, value, where)
        elif kind is Path and isinstance(value, Path):
            return {
                "sha256": self._store(value),
                "suffix": value.suffix if _SUFFIX.fullmatch(value.suffix) else "",
            }
        elif kind is Fraction and isinstance(value, Fraction):
            return str(value)
        elif _is_scalar(kind, value):
            return value
        raise PlainValueError(f"{where}: {value!r:.100} is no {_name_of(kind)}")

    def _record(self, kind: Any, value: Any, where: str) -> dict[str, Any]:
        return {
            name: self.plain(own, getattr(value, name), f"{where}.{name}")
            for name, own in _hints(kind).items()
        }

    def _chosen(self, kind: Any, choices: tuple[Any, ...], value: Any, where: str) -> Any:
        if value is None and NoneType in get_args(kind):
            return None
        if len(choices) == 1:
            return self.plain(choices[0], value, where)
        for choice in choices:
            if _is_record(choice) and type(value) is choice:
                return {"is": choice.__name__, **self.plain(choice, value, where)}
        if set(choices) <= SCALARS:
            if isinstance(value, Path):
                return {"file": self.plain(Path, value, where)}
            if isinstance(value, Fraction):
                return {"fraction": self.plain(Fraction, value, where)}
            if any(_is_scalar(choice, value) for choice in choices):
                return value
        raise PlainValueError(f"{where}: {value!r:.100} is none of {_name_of(kind)}")


class _Decoder:
    def __init__(self, find: FindFile) -> None:
        self._find = find

    def value(self, kind: Any, data: Any, where: str) -> Any:
        if choices := _choices(kind):
            return self._chosen(kind, choices, data, where)
        origin = get_origin(kind)
        if origin is Literal:
            if any(type(data) is type(choice) and data == choice for choice in get_args(kind)):
                return data
        elif origin is tuple and isinstance(data, list):
            members = get_args(kind)
            kinds = [members[0]] * len(data) if members[1:] == (...,) else list(members)
            if len(kinds) == len(data):
                pairs = zip(kinds, data, strict=True)
                return tuple(
                    self.value(each, item, f"{where}[{at}]") for at, (each, item) in enumerate(pairs)
                )
        elif origin is dict and isinstance(data, dict):
            return {key: self.value(get_args(kind)[1], item, f"{where}.{key}") for key, item in data.items()}
        elif _is_record(kind) and isinstance(data, dict):
            return self._record(kind, data, where)
        elif kind is Path and isinstance(data, dict):
            return self._path(data, where)
        elif kind is Fraction and isinstance(data, str) and _FRACTION.fullmatch(data):
            if not re.search(r"/0+$", data):
                return Fraction(data)
        elif _is_scalar(kind, data):
            return data
        raise PlainValueError(f"{where}: got {data!r:.100}, which is no {_name_of(kind)}")

    def _record(self, kind: Any, data: dict[str, Any], where: str) -> Any:
        hints = _hints(kind)
        if set(data) != set(hints):
            odd = sorted(set(data) ^ set(hints))
            raise PlainValueError(f"{where}: {_name_of(kind)} has other fields: {', '.join(odd)[:200]}")
        values = {name: self.value(own, data[name], f"{where}.{name}") for name, own in hints.items()}
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            raise PlainValueError(f"{where}: {error}") from error

    def _path(self, data: dict[str, Any], where: str) -> Path:
        sha256, suffix = data.get("sha256"), data.get("suffix")
        if (
            set(data) != {"sha256", "suffix"}
            or not isinstance(sha256, str)
            or not _SHA256.fullmatch(sha256)
            or not isinstance(suffix, str)
            or not _SUFFIX.fullmatch(suffix)
        ):
            raise PlainValueError(f"{where}: got {data!r:.100}, which is no SHA-256 and suffix of a file")
        return self._find(sha256, suffix)

    def _chosen(self, kind: Any, choices: tuple[Any, ...], data: Any, where: str) -> Any:
        if data is None and NoneType in get_args(kind):
            return None
        if len(choices) == 1:
            return self.value(choices[0], data, where)
        if set(choices) <= SCALARS:
            if isinstance(data, dict) and set(data) == {"file"} and Path in choices:
                return self.value(Path, data["file"], where)
            if isinstance(data, dict) and set(data) == {"fraction"} and Fraction in choices:
                return self.value(Fraction, data["fraction"], where)
            if any(_is_scalar(choice, data) for choice in choices):
                return data
        elif isinstance(data, dict):
            for choice in choices:
                if data.get("is") == choice.__name__:
                    rest = {key: item for key, item in data.items() if key != "is"}
                    return self._record(choice, rest, where)
        raise PlainValueError(f"{where}: got {data!r:.100}, which is none of {_name_of(kind)}")


def _is_scalar(kind: Any, value: Any) -> bool:
    """Return whether a value is text, a truth value or a finite number of a kind; a float may be a whole number."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int):
        return kind in (int, float) and abs(value) <= LARGEST_WHOLE
    if isinstance(value, float):
        return kind is float and math.isfinite(value)
    return kind is str and isinstance(value, str)
