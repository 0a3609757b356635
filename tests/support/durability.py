"""Record the order in which a writer syncs and renames files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def disk_calls(folder: Path) -> Iterator[list[str]]:
    """Record syncs and renames below a folder during the `with` block.

    Entries are `sync FILE SIZE`, `sync FOLDER/` and `rename OLD -> NEW`; the random part of private names is left
    out: `.partial-*.json`.
    """
    calls: list[str] = []
    real_sync, real_replace, real_rename = os.fsync, os.replace, os.rename

    def shown(path: Path) -> str:
        try:
            parts = path.resolve().relative_to(folder.resolve()).parts
        except ValueError:
            return str(path)
        return "/".join(_public(part) for part in parts) or "."

    def sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        real_sync(descriptor)
        calls.append(f"sync {shown(path)}/" if path.is_dir() else f"sync {shown(path)} {path.stat().st_size}")

    def moved(real: Any) -> Any:
        def move(old: Any, new: Any, **options: Any) -> None:
            real(old, new, **options)
            calls.append(f"rename {shown(Path(old))} -> {shown(Path(new))}")

        return move

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        patch.setattr(os, "replace", moved(real_replace))
        patch.setattr(os, "rename", moved(real_rename))
        yield calls


def _public(name: str) -> str:
    if not name.startswith((".partial-", ".staging-", ".swept-")):
        return name
    return f"{name[: name.index('-') + 1]}*{Path(name).suffix}"


def open_descriptors(folder: Path = Path("/")) -> int:
    """Return how many file descriptors of this process are open on a folder and what is below it.

    Others are left out, which threads that earlier tests have left may close meanwhile.
    """
    places = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one of the listing
            places.append(descriptor.readlink())
    return sum(place.is_relative_to(folder.resolve()) for place in places)
