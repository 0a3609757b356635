"""Files of tests that load the machine run apart from each other."""

from __future__ import annotations

import itertools

from tests.support.order import SPAN, spread


def test_slow_files_begin_in_even_steps_and_none_of_them_late() -> None:
    files = [f"test_{number:03}.py" for number in range(500)]
    slow = set(files[:20])
    found = spread(files, slow)
    assert sorted(found) == files
    places = [index for index, name in enumerate(found) if name in slow]
    assert places[0] == 0
    assert places[-1] < SPAN * len(files)
    steps = {later - earlier for earlier, later in itertools.pairwise(places)}
    assert max(steps) - min(steps) <= 1


def test_the_order_depends_on_names_alone() -> None:
    files = [f"test_{number:03}.py" for number in range(50)]
    slow = set(files[10:15])
    assert spread(files, slow) == spread(files[::-1], slow)


def test_files_of_one_kind_have_an_order_too() -> None:
    assert sorted(spread(["a", "b", "c"], set())) == ["a", "b", "c"]
    assert sorted(spread(["a", "b", "c"], {"a", "b", "c"})) == ["a", "b", "c"]
    assert spread([], set()) == []
