"""What slots need of Ray, and which jobs need a slot with NVENC."""

from __future__ import annotations

import pytest

from video_pipeline.engine.config import load_config
from video_pipeline.engine.fleet.offer import MachineOffer
from video_pipeline.engine.jobs.dispatch.identity import difference, shared_versions
from video_pipeline.engine.jobs.dispatch.lease import NodeLease
from video_pipeline.engine.jobs.dispatch.remote_slots import (
    JobWishes,
    RemoteSlot,
    set_machine,
    slot_needs,
    trouble_of,
)
from video_pipeline.engine.jobs.machines import machine_name


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


def test_machines_of_one_host_name_get_names_of_their_own_and_keep_them() -> None:
    slots: list[RemoteSlot] = []

    def placed(host: str, machine_id: str) -> str:
        slot = RemoteSlot(len(slots), "cpu", NodeLease(5.0, now=0.0))
        slots.append(slot)
        told = {"host": host, "id": machine_id, "cores": 2, "memory": 1}
        set_machine(slot, told, slots, alive)
        return slot.machine

    alive = {"a" * 56, "b" * 56, "c" * 56}
    assert placed("render", "a" * 56) == "render"
    assert placed("render", "b" * 56) == "render-bbbbbb"
    assert placed("render", "a" * 56) == "render"
    assert placed("render", "b" * 56) == "render-bbbbbb"
    assert placed(machine_name(), "c" * 56).endswith("-cccccc")  # the node's own name
    assert placed("über_host!", "d" * 56) == "ber_host-"
    alive |= {"e" * 56, "f" * 56}
    long = {placed("x" * 200, name * 56) for name in "ef"}
    assert len(long) == 2
    assert all(len(name) <= 64 for name in long)
    alive.discard("a" * 56)  # it is lost, and its machine comes back under another id
    assert placed("render", "1" * 56) == "render"


def test_a_slot_whose_machine_leaves_or_is_drained_takes_no_next_job() -> None:
    slot = RemoteSlot(1, "cpu", NodeLease(5.0, now=0.0), phase="usable")
    assert slot.can_start
    for name in ("leaves", "drained"):
        setattr(slot, name, True)
        assert (slot.is_open, slot.can_start, slot.is_idle) == (False, False, False)
        setattr(slot, name, False)
    assert slot.can_start


def test_a_fleet_without_machines_is_told_from_one_whose_workers_warm_up() -> None:
    slot = RemoteSlot(1, "cpu", NodeLease(5.0, now=0.0))
    assert "no machine is in the fleet" in str(trouble_of([]))
    assert trouble_of([slot]) == trouble_of([])
    slot.phase = "warming"
    assert trouble_of([slot]) is None
    slot.leaves = True
    assert trouble_of([slot]) == trouble_of([])
    slot.leaves, slot.phase, slot.trouble = False, "refused", "m1 is refused: another version"
    assert trouble_of([slot]) == slot.trouble
