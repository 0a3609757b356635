"""The colour grades of the package, as formulas on RGB values from 0 to 1. They are in the public domain (CC0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from video_pipeline.engine.assets.cube import Table, identity
from video_pipeline.engine.common.grades import GradeName

GRADE_SIZE: Final = 17
"""Between its values the formulas are straight to within half a level of 255."""

_WEIGHTS: Final = np.array((0.2126, 0.7152, 0.0722))
"""Luma of BT.709."""


@dataclass(frozen=True, slots=True)
class GradeFormula:
    """A grade of the package; `change` returns new values for an array of shape (…, 3)."""

    name: GradeName
    description: str
    change: Callable[[Table], Table]


def _luma_of(rgb: Table) -> Table:
    return np.asarray((rgb @ _WEIGHTS)[..., None])


def _contrast(rgb: Table, amount: float) -> Table:
    """Mix values with the curve 3x² - 2x³, which keeps black, middle grey and white."""
    return rgb + amount * (rgb * rgb * (3 - 2 * rgb) - rgb)


def _saturation(rgb: Table, factor: float) -> Table:
    luma = _luma_of(rgb)
    return luma + factor * (rgb - luma)


def _split_tone(rgb: Table, *, shadows: tuple[float, ...], highlights: tuple[float, ...]) -> Table:
    """Add one colour to dark values and another to bright ones; black and white stay."""
    luma = _luma_of(rgb)
    middle = 4 * luma * (1 - luma)
    return np.asarray(rgb + middle * ((1 - luma) * np.array(shadows) + luma * np.array(highlights)))


def _teal_orange(rgb: Table) -> Table:
    toned = _split_tone(rgb, shadows=(-0.09, 0.015, 0.07), highlights=(0.08, 0.02, -0.09))
    return _contrast(_saturation(toned, 0.95), 0.45)


def _warm(rgb: Table) -> Table:
    toned = _split_tone(rgb, shadows=(0.05, 0.015, -0.02), highlights=(0.06, 0.03, -0.07))
    return 0.03 + 0.97 * _contrast(toned, 0.15)


def _cool(rgb: Table) -> Table:
    toned = _split_tone(rgb, shadows=(-0.05, 0.0, 0.05), highlights=(-0.03, 0.01, 0.04))
    return _contrast(_saturation(toned, 0.9), 0.3)


def _vivid(rgb: Table) -> Table:
    return _contrast(_saturation(rgb, 1.3), 0.5)


def _faded(rgb: Table) -> Table:
    return 0.05 + 0.9 * _saturation(rgb, 0.75)


def _mono(rgb: Table) -> Table:
    grey = _contrast(rgb @ np.array((0.35, 0.5, 0.15)), 0.7)[..., None]
    return np.repeat(grey, 3, axis=-1)


GRADES: Final[Mapping[GradeName, GradeFormula]] = MappingProxyType(
    {
        grade.name: grade
        for grade in (
            GradeFormula("teal_orange", "blue-green shadows, orange lights, contrast", _teal_orange),
            GradeFormula("warm", "golden, with soft blacks", _warm),
            GradeFormula("cool", "blue and restrained, with contrast", _cool),
            GradeFormula("vivid", "strong colours and contrast", _vivid),
            GradeFormula("faded", "pale colours, no deep black", _faded),
            GradeFormula("mono", "black and white with contrast", _mono),
        )
    }
)


def grade_table(name: GradeName) -> Table:
    """Return the 3D LUT of a grade of the package."""
    return np.clip(GRADES[name].change(identity(GRADE_SIZE)), 0, 1)
