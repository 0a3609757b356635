"""A clock that was changed is told once, in the log."""

from __future__ import annotations

import logging

import pytest

from video_pipeline.engine.jobs.node.clock_watch import ClockWatch


class TwoClocks:
    """Wall and monotonic time that a test moves apart."""

    def __init__(self) -> None:
        self.wall_now, self.monotonic_now = 1_800_000_000.0, 50.0

    def wall(self) -> float:
        return self.wall_now

    def monotonic(self) -> float:
        return self.monotonic_now

    def pass_time(self, seconds: float) -> None:
        """Let both go on."""
        self.wall_now += seconds
        self.monotonic_now += seconds


def test_a_jump_is_told_once_in_either_direction_and_small_steps_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock=clock)
    jumps = []
    with caplog.at_level(logging.WARNING):
        for step in (0.0, 4.0, -4.0, 7200.0, 0.0, -259_200.0, 0.0):
            clock.pass_time(10.0)
            clock.wall_now += step
            jumps.append(watch.poll())
    assert jumps == [0.0, 0.0, 0.0, 7200.0, 0.0, -259_200.0, 0.0]
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "the machine's clock was set forward by 7200 s",
        "the machine's clock was set back by 259200 s",
    ]


def test_many_small_steps_are_told_when_they_add_up() -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock=clock)
    found = []
    for _ in range(4):
        clock.wall_now += 2.0
        found.append(watch.poll())
    assert found == [0.0, 0.0, 6.0, 0.0]
