"""The simulation of a fleet: which station is the limit follows from the service times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.fleet_limits import ServiceTimes, simulate

FREE = ServiceTimes(
    job_seconds=10.0,
    put_bytes=1_000_000,
    result_bytes=1_000_000,
    door_seconds=0.001,
    storage_put_bytes_a_second=1e9,
    storage_get_bytes_a_second=1e9,
    redis_requests_a_second_and_machine=1.0,
    redis_requests_a_second=10.0,
)


def test_without_a_limit_every_slot_renders_all_the_time() -> None:
    found = simulate(FREE, 20, slots=2, hours=0.2, seed=1)
    assert found.jobs_an_hour == pytest.approx(40 * 360, rel=0.1)
    assert found.waiting < 0.01
    assert found.door == pytest.approx(4 * FREE.door_seconds, rel=0.1)


def test_the_station_that_is_busy_all_the_time_is_the_limit() -> None:
    slow_door = simulate(replace(FREE, door_seconds=0.5), 20, slots=2, hours=0.2, seed=1)
    assert slow_door.door > 0.95
    assert slow_door.jobs_an_hour == pytest.approx(2 * 3600, rel=0.1)
    assert slow_door.waiting > 0.3
    slow_storage = simulate(replace(FREE, storage_put_bytes_a_second=1e6), 20, slots=2, hours=0.2, seed=1)
    assert slow_storage.storage > 0.95
    assert slow_storage.jobs_an_hour == pytest.approx(3600, rel=0.1)
