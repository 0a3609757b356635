"""Calls that may never return."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.waiting import PROMPT_SECONDS
from video_pipeline.engine.render.encoders.watched import Openings, StalledError, Watch, call_watched


def test_what_the_work_returns_or_raises_is_passed_on() -> None:
    def raising(watch: Watch) -> None:
        with watch():
            raise TimeoutError("of the work itself")

    assert call_watched(lambda watch: 3, seconds=9) == 3
    with pytest.raises(TimeoutError, match="of the work itself"):
        call_watched(raising, seconds=9)


def test_a_call_that_does_not_return_is_given_up_and_time_between_calls_is_not_counted() -> None:
    end = threading.Event()

    def slow_between(watch: Watch) -> int:
        for _ in range(8):
            time.sleep(0.02)
            with watch():
                time.sleep(0.2)
        return 5

    def stuck(watch: Watch) -> None:
        with watch():
            end.wait()

    assert call_watched(slow_between, seconds=1.5) == 5
    started = time.monotonic()
    with pytest.raises(StalledError, match=r"did not return from a call for 0\.5 s"):
        call_watched(stuck, seconds=0.5)
    assert time.monotonic() - started < PROMPT_SECONDS
    end.set()


def test_the_first_opening_call_and_the_end_of_the_last_one_are_told() -> None:
    told: list[bool] = []
    openings = Openings()
    openings.listen(told.append)
    with openings.call():
        with openings.call():
            assert told == [True]
        assert told == [True]
    assert told == [True, False]
