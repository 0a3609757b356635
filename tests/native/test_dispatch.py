"""One table of rows is in use: the best that this processor runs, or the one that was forced."""

from __future__ import annotations

import pytest

from tests.support.kernels import MISSING
from video_pipeline.native import available

if not available():
    pytest.skip(MISSING, allow_module_level=True)

from video_pipeline.native import _core

KNOWN = ["baseline", "avx2", "avx512"]


@pytest.fixture(autouse=True)
def _best_again() -> object:
    yield
    _core.force_target("auto")


def test_targets_are_listed_from_the_plainest_on() -> None:
    names = list(_core.usable_targets())
    assert names[0] == "baseline"
    assert names == [name for name in KNOWN if name in names]


def test_the_best_is_in_use_unless_another_is_forced() -> None:
    assert _core.active_target() == list(_core.usable_targets())[-1]


@pytest.mark.parametrize("name", KNOWN)
def test_forcing_a_target_makes_it_the_one_in_use(name: str) -> None:
    if name not in _core.usable_targets():
        pytest.skip(f"this processor or this build has no {name}")
    _core.force_target(name)
    assert _core.active_target() == name
    _core.force_target("auto")
    assert _core.active_target() == list(_core.usable_targets())[-1]


def test_forcing_an_unknown_target_is_an_error_that_names_it() -> None:
    before = _core.active_target()
    with pytest.raises(ValueError, match="'mmx'"):
        _core.force_target("mmx")
    assert _core.active_target() == before
