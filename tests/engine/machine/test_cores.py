"""The processors that this process may use."""

from __future__ import annotations

import os

import pytest

from video_pipeline.engine.machine import cores
from video_pipeline.engine.machine.cores import cpu_count


def test_the_processors_counted_are_those_that_may_be_used() -> None:
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)


def test_a_process_uses_at_most_its_limit_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_most_cores", None)
    everything = cores.cpu_count()
    cores.limit_cores(1)
    assert cores.cpu_count() == 1
    cores.limit_cores(everything + 100)
    assert cores.cpu_count() == everything
    with pytest.raises(ValueError, match="cores: got 0; allowed"):
        cores.limit_cores(0)
