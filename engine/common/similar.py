"""Find the known names that a wrong one may mean. This module imports little, so that a parser can use it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def similar(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the known names that are most similar to a name, whatever their case; at most `most`."""
    import difflib

    names = {word.casefold(): word for word in known}
    return [names[near] for near in difflib.get_close_matches(name[:64].casefold(), names, n=most)]


def closest(name: Any, known: Iterable[str]) -> str:
    """Return ` (did you mean 'NAME'?)` with the most similar name, or nothing if none is similar."""
    near = similar(name, known, most=1) if isinstance(name, str) else []
    return f" (did you mean {near[0]!r}?)" if near else ""
