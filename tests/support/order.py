"""The order of test files that run several at a time: those that load a machine are kept apart from each other."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

import pytest

SPAN = 0.8
"""The share of a run over which slow files begin, so that none is left alone at its end."""


def spread(files: Sequence[str], slow: Collection[str]) -> list[str]:
    """Return files mixed by their names, the same way each time, with slow ones in even steps from the first on."""
    mixed = sorted(files, key=lambda name: zlib.crc32(name.encode()))
    apart = [name for name in mixed if name in slow]
    others = [name for name in mixed if name not in slow]
    step = SPAN * len(others) / max(len(apart), 1)
    placed = [(index * step, name) for index, name in enumerate(apart)]
    return [name for _, name in sorted([*placed, *enumerate(others)], key=lambda pair: pair[0])]


def order(items: list[pytest.Item]) -> None:
    """Put tests into the order of `spread`; a file is slow if one of its tests has the mark `slow`."""
    files = dict.fromkeys(str(item.path) for item in items)
    slow = {str(item.path) for item in items if item.get_closest_marker("slow")}
    position = {name: index for index, name in enumerate(spread(list(files), slow))}
    items.sort(key=lambda item: position[str(item.path)])
