"""How far a whole job is, from the events of its render."""

from __future__ import annotations

from typing import Any

from tests.support.ledgers import FakeClock
from video_pipeline.engine.events import Event
from video_pipeline.engine.jobs.dispatch.progress import ProgressMeter


def meter(clock: FakeClock) -> tuple[ProgressMeter, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    return ProgressMeter(told.append, now=clock.monotonic), told


def test_percent_is_of_the_whole_job_and_never_falls() -> None:
    clock = FakeClock()
    tell, told = meter(clock)
    events = [Event("assets", 0, 4), Event("assets", 4, 4), Event("render", 0, 100), Event("render", 50, 100)]
    for event in [*events, Event("render", 100, 100), Event("outputs", 0, 1), Event("outputs", 1, 1)]:
        clock.run(1)
        tell(event)
    percents = [fields["percent"] for fields in told]
    assert percents == [0, 15, 15, 56, 97, 97, 100]
    assert [fields["stage"] for fields in told] == ["assets"] * 2 + ["render"] * 3 + ["outputs"] * 2


def test_frames_a_second_and_time_left_are_of_the_rendering() -> None:
    clock = FakeClock()
    tell, told = meter(clock)
    tell(Event("render", 10, 100))
    clock.run(2)
    tell(Event("render", 50, 100))
    assert (told[-1]["fps"], told[-1]["eta_seconds"]) == (20, 2.5)


def test_frames_from_the_cache_count_for_the_percent_and_not_for_the_speed() -> None:
    clock = FakeClock()
    tell, told = meter(clock)
    for done, cached in ((0, 0), (40, 40), (60, 40)):
        tell(Event("render", done, 100, cached))
        clock.run(2)
    assert [(fields["fps"], fields["eta_seconds"]) for fields in told] == [(None, None), (None, None), (5, 8)]


def test_progress_is_reported_at_most_twice_a_second_and_at_once_for_a_new_stage() -> None:
    clock = FakeClock()
    tell, told = meter(clock)
    for frame in range(240):
        clock.run(1 / 24)
        tell(Event("render", frame, 240))
    assert 18 <= len(told) <= 21
    tell(Event("outputs", 0, 1))
    assert told[-1]["stage"] == "outputs"
