"""A short soak; `make soak` runs the long one."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.soak import Soak

pytestmark = pytest.mark.slow

KILLS = 12


def test_a_node_whose_parts_are_killed_loses_no_job_and_publishes_none_twice(
    tmp_path: Path, session_cache: Path
) -> None:
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    figures = Soak(tmp_path, seed=seed, cache=session_cache, say=print).run(KILLS)
    assert sum(figures["kills"].values()) >= KILLS
    assert figures["acknowledged_jobs"] >= 1
    assert set(figures["states"]) <= {"completed", "failed", "cancelled"}
    assert figures["states"]["completed"] >= 1
