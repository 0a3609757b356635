"""How many jobs a machine renders at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from video_pipeline.engine.cli.doctor import as_text, examine
from video_pipeline.engine.config import load_config
from video_pipeline.engine.jobs.dispatch import capacity
from video_pipeline.engine.jobs.dispatch.capacity import (
    SESSION_MEMORY_MIB,
    Capacity,
    Machine,
    default_slots,
    memory_bytes,
    nvenc_sessions,
    this_machine,
)
from video_pipeline.engine.machine.cores import cpu_count

GB = 10**9
DEFAULTS = load_config({}, environ=False)


@pytest.mark.parametrize(
    ("machine", "slots", "cores"),
    [
        (Machine(1, 4 * GB), 1, 1),
        (Machine(2, 16 * GB), 2, 1),
        (Machine(16, 64 * GB), 16, 1),
        (Machine(2, 1 * GB), 1, 2),
        (Machine(2, 512 * 10**6), 1, 2),
        (Machine(16, 10 * GB), 4, 4),
        (Machine(16, 64 * GB, (("NVIDIA GeForce RTX 4090", 24564),)), 8, 2),
        (Machine(16, 64 * GB, (("NVIDIA L4", 23034),)), 16, 1),
        (Machine(16, 10 * GB, (("NVIDIA GeForce RTX 4090", 24564),)), 4, 4),
        (Machine(64, 256 * GB, (("NVIDIA T400", 2048),)), 5, 12),
        (Machine(64, 256 * GB, (("NVIDIA T400", 2048), ("NVIDIA T400", 2048))), 10, 6),
    ],
)
def test_slots_follow_from_cores_memory_and_nvenc(machine: Machine, slots: int, cores: int) -> None:
    found = default_slots(DEFAULTS, machine=machine)
    assert (found.slots, found.cores) == (slots, cores)
    assert found.slots * found.cores <= machine.cores
    assert f"{machine.cores} core" in found.reason
    assert "node.worker_memory_mb 2048" in found.reason
    assert ("NVENC" in found.reason) == bool(machine.nvenc)


def test_less_memory_a_job_makes_room_for_more() -> None:
    config = load_config({"node": {"worker_memory_mb": 1000}}, environ=False)
    assert default_slots(config, machine=Machine(8, 6 * GB)).slots == 5


def test_configured_slots_are_used() -> None:
    config = load_config({"processing": {"max_concurrent_jobs": 4}}, environ=False)
    found = default_slots(config, machine=Machine(16, GB))
    assert found == Capacity(4, 4, "as processing.max_concurrent_jobs says")
    assert default_slots(config).slots == 4


@pytest.mark.parametrize(("slots", "sessions"), [(1, 3), (2, 1), (3, 1), (8, 1)])
def test_slots_share_cores_and_sessions_evenly(slots: int, sessions: int) -> None:
    config = load_config({"processing": {"max_concurrent_jobs": slots}}, environ=False)
    card = ("NVIDIA Tiny", 3 * SESSION_MEMORY_MIB)
    found = default_slots(config, machine=Machine(16, GB, (card,)))
    assert (found.cores, found.sessions) == (16 // slots, sessions)
    assert default_slots(DEFAULTS, machine=Machine(16, 64 * GB)).sessions is None


def test_slots_share_the_sessions_of_cards_that_only_a_jobs_own_configuration_uses() -> None:
    card = ("NVIDIA Tiny", 12 * SESSION_MEMORY_MIB)
    found = default_slots(DEFAULTS, machine=Machine(4, 64 * GB, cards=(card,)))
    assert (found.slots, found.cores, found.sessions) == (4, 1, 3)
    assert "NVENC" not in found.reason


def test_only_drivers_of_geforce_cards_count_sessions() -> None:
    assert nvenc_sessions([("NVIDIA GeForce RTX 3060", 12288)] * 2) == 8
    assert nvenc_sessions([("NVIDIA RTX A6000", 49140)]) > 100
    assert nvenc_sessions([("NVIDIA Tiny", 100)]) == 1


def test_this_machine_has_slots() -> None:
    machine = this_machine(DEFAULTS)
    assert machine.cores == cpu_count()
    assert 100e6 < machine.memory_bytes < 1 << 60
    assert default_slots(DEFAULTS).slots >= 1


def test_limits_of_control_groups_are_found(tmp_path: Path) -> None:
    own = tmp_path / "own"
    inner = tmp_path / "cgroup" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("3000000000\n")
    own.write_text("0::/a/b\n")
    assert list(capacity._group_limits(tmp_path / "cgroup", own)) == [3_000_000_000]
    old = tmp_path / "cgroup" / "memory" / "docker"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("2000000000\n")
    (old.parent / "memory.limit_in_bytes").write_text(f"{(1 << 63) - 4096}\n")
    own.write_text("5:cpu:/x\n4:memory,blkio:/docker\n")
    assert list(capacity._group_limits(tmp_path / "cgroup", own)) == [2_000_000_000]
    # Inside a container the path is that of the host, which is not there: the top is the container's own.
    (tmp_path / "cgroup" / "memory.max").write_text("1000000000\n")
    own.write_text("0::/kubepods/pod1/x\n")
    assert list(capacity._group_limits(tmp_path / "cgroup", own)) == [1_000_000_000]
    assert list(capacity._group_limits(tmp_path, tmp_path / "none")) == []
    assert memory_bytes() > 0


def test_the_doctor_says_how_many_and_why(tmp_path: Path) -> None:
    config = load_config({"storage": {"cache_path": str(tmp_path)}}, environ=False)
    found = examine(config)
    assert found["slots"]["slots"] == default_slots(config).slots
    assert f"job slots     {found['slots']['slots']}, " in as_text(found)
