"""The grades of the package: their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from video_pipeline.engine.assets.grades import GRADE_SIZE, GRADES, grade_table
from video_pipeline.engine.common.grades import GRADE_NAMES


def test_every_name_has_a_formula() -> None:
    assert tuple(GRADES) == GRADE_NAMES


@pytest.mark.parametrize("name", GRADE_NAMES)
def test_a_grade_keeps_the_order_of_greys_and_changes_colours(name: str) -> None:
    table = grade_table(GRADES[name].name)  # type: ignore[index]
    assert table.shape == (GRADE_SIZE, GRADE_SIZE, GRADE_SIZE, 3)
    assert table.min() >= 0
    assert table.max() <= 1
    greys = table[range(GRADE_SIZE), range(GRADE_SIZE), range(GRADE_SIZE)].mean(axis=-1)
    assert np.all(np.diff(greys) > 0), "a darker grey stays darker"
    assert greys[0] < 0.06
    assert greys[-1] > 0.94
    steps = np.linspace(0, 1, GRADE_SIZE)
    red = table[4, 4, 12]
    assert np.abs(red - [steps[12], steps[4], steps[4]]).max() > 0.02


def test_mono_has_no_colour() -> None:
    table = grade_table("mono")
    assert np.ptp(table, axis=-1).max() < 1e-12
