"""Names of the colour grades that are part of the package, by their formulas in `assets.grades`."""

from __future__ import annotations

from typing import Final, Literal, get_args

GradeName = Literal["teal_orange", "warm", "cool", "vivid", "faded", "mono"]
GradeWord = Literal[GradeName, "none"]

GRADE_NAMES: Final[tuple[GradeName, ...]] = get_args(GradeName)
GRADE_WORDS: Final = (*GRADE_NAMES, "none")
