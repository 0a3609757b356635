"""The fuzzer's own run, short: `make sanitize` is the long one."""

from __future__ import annotations

import warnings

import pytest

from tests.support.kernels import MISSING, seed_of
from video_pipeline.native import available

if not available():
    pytest.skip(MISSING, allow_module_level=True)

from tests.native import fuzz


def test_random_calls_draw_alike_or_are_refused() -> None:
    with warnings.catch_warnings():
        done = fuzz.run(seconds=3, seed=seed_of("fuzz"))
    assert sum(done.values()) > 10
