"""3D LUTs in `.cube` files (Adobe's Cube LUT Specification 1.0): read, checked and written.

A table has the shape (blue, green, red, 3): red changes fastest, as in the file. Its values are RGB from 0 to 1.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]

SIZE_MIN, SIZE_MAX = 2, 65
"""The range of a table's size: Pillow takes no larger one, and grading programs write 17, 33 or 65."""

MAX_BYTES: Final = 32_000_000
"""The largest file that is read; one of 65 x 65 x 65 rows has about 8 MB."""

_RANGES: Final = {
    "DOMAIN_MIN": (0.0, 0.0, 0.0),
    "DOMAIN_MAX": (1.0, 1.0, 1.0),
    "LUT_3D_INPUT_RANGE": (0.0, 1.0),
}
"""The only input ranges that make sense for pictures, whose values are 0 to 1."""


def parse_cube(text: str) -> Table:
    """Return the table of a .cube file, its values clipped to 0 to 1; raise ValueError that names the line."""
    size = 0
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] == "TITLE":
            continue
        if words[0] == "LUT_1D_SIZE":
            raise ValueError(f"line {number}: is a 1D LUT; a grade needs a 3D one (LUT_3D_SIZE)")
        if words[0] == "LUT_3D_SIZE":
            if size or rows:
                raise ValueError(f"line {number}: LUT_3D_SIZE must be given once, before the rows")
            size = _size_of(words[1:], number)
        elif words[0] in _RANGES:
            wanted = _RANGES[words[0]]
            if _numbers(words[1:], number, count=len(wanted)) != wanted:
                shown = " ".join(f"{value:g}" for value in wanted)
                raise ValueError(f"line {number}: {words[0]}: got {_short(words[1:])}; must be {shown}")
        elif not size:
            raise ValueError(f"line {number}: got {_short(words)}; LUT_3D_SIZE must come before the rows")
        elif len(rows) == size**3:
            raise ValueError(f"line {number}: is row {len(rows) + 1}; a size of {size} has {size**3} rows")
        else:
            rows.append(_numbers(words, number, count=3))
    if not size:
        raise ValueError("has no line LUT_3D_SIZE")
    if len(rows) != size**3:
        raise ValueError(f"ends after {len(rows)} rows; a size of {size} has {size**3}")
    return np.clip(np.asarray(rows, np.float64).reshape(size, size, size, 3), 0, 1)


def _size_of(words: list[str], number: int) -> int:
    text = words[0] if len(words) == 1 else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and SIZE_MIN <= int(text) <= SIZE_MAX):
        raise ValueError(
            f"line {number}: LUT_3D_SIZE: got {_short(words)}; must be a whole number, {SIZE_MIN} to {SIZE_MAX}"
        )
    return int(text)


def _numbers(words: list[str], number: int, *, count: int) -> tuple[float, ...]:
    try:
        values = tuple(map(float, words))
    except ValueError:
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"line {number}: got {_short(words)}; must be {count} finite numbers")
    return values


def _short(words: list[str]) -> str:
    text = " ".join(words)
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def load_lut(path: Path) -> Table:
    """Return the table of a file that `cube_text` wrote, quickly; raise ValueError if it is damaged."""
    words = path.read_text(encoding="ascii", errors="replace").split()
    size = _size_of(words[1:2], 1)
    return np.array(words[2:], np.float64).reshape(size, size, size, 3)


def identity(size: int) -> Table:
    """Return the table of `size` values a side that changes nothing."""
    steps = np.linspace(0, 1, size)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return np.stack((red, green, blue), axis=-1)


def mixed(table: Table, strength: float) -> Table:
    """Return a table between the identity (strength 0) and `table` (strength 1)."""
    plain = identity(len(table))
    return plain + strength * (table - plain)


def cube_text(table: Table) -> str:
    """Return the text of a .cube file."""
    rows = "\n".join(
        f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.reshape(-1, 3).tolist()
    )
    return f"LUT_3D_SIZE {len(table)}\n{rows}\n"
