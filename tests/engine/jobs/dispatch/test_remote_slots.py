"""What slots need of Ray, and which jobs need a slot with NVENC."""

from __future__ import annotations

import pytest

from video_pipeline.engine.config import load_config
from video_pipeline.engine.fleet.offer import MachineOffer
from video_pipeline.engine.jobs.dispatch.identity import difference, shared_versions
from video_pipeline.engine.jobs.dispatch.remote_slots import JobWishes, slot_needs


def test_slots_with_sessions_are_placed_first_and_never_more_than_there_are_sessions() -> None:
    needs = slot_needs(load_config({"node": {"worker_memory_mb": 1000}}, environ=False))
    free = {"CPU": 4.0, "memory": 10e9, "nvenc": 3.0, "plain": 1.0}
    placed = []
    for kind, each in needs.items():
        for _ in range(each.times_in(free)):
            each.take_from(free)
            placed.append(kind)
    assert placed == ["nvenc", "nvenc", "nvenc", "cpu"]
    assert (free["CPU"], free["nvenc"]) == (0, 0)


@pytest.mark.parametrize(
    ("slots", "sessions", "plain"), [(4, 3, 1), (1, 1, 0), (2, 61, 0), (2, 0, 2), (0, 0, 0)]
)
def test_a_slot_without_a_session_takes_no_place_of_one_with(slots: int, sessions: int, plain: int) -> None:
    offer = MachineOffer(slots=slots, cores=1, memory_bytes=1 << 30, nvenc=sessions)
    needs = slot_needs(load_config({"node": {"worker_memory_mb": 1000}}, environ=False))
    free = {"CPU": float(slots), "memory": 1e12, **offer.resources()}
    assert needs["cpu"].times_in(free) == plain
    assert needs["nvenc"].times_in(free) == min(slots, sessions)


@pytest.mark.parametrize(
    "free", [{}, {"CPU": 8.0}, {"CPU": 0.5, "memory": 1e12}, {"CPU": 8.0, "memory": 9e8}]
)
def test_a_machine_with_too_little_gets_no_slot(free: dict[str, float]) -> None:
    needs = slot_needs(load_config({"node": {"worker_memory_mb": 1000}}, environ=False))
    assert [each.times_in(free) for each in needs.values()] == [0, 0]


def test_only_a_job_that_names_nvenc_waits_for_a_session() -> None:
    wishes = JobWishes(load_config({}, environ=False))
    for _ in range(2):
        assert wishes.nvenc({"video": {"codec": "h264_nvenc"}})
        assert not wishes.nvenc({"video": {"codec": "libx264"}})
        assert not wishes.nvenc({"video": {"codec": "no such encoder"}})
        assert not wishes.nvenc({})
    assert JobWishes(load_config({"video": {"codec": "h264_nvenc"}}, environ=False)).nvenc({})


def test_a_machine_of_another_version_is_refused_with_both_versions() -> None:
    own = shared_versions()
    assert difference(own, dict(own)) == ""
    other = {**own, "video-pipeline": "0.0.1"}
    assert difference(own, other) == f"video-pipeline 0.0.1, the node has {own['video-pipeline']}"
    del other["PyAV"]
    assert difference(own, other).startswith(f"PyAV missing, the node has {own['PyAV']}; ")
