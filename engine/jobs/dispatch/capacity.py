"""The number of jobs that a machine renders at once.

A job draws and encodes its segments on all its cores, so two jobs on half the cores each make frames as fast as one
after the other. But other parts of a job use one core only: start, reading and checking assets, narration, the last
pass over the sound, thumbnail, hashing and publishing. With S serial and P parallel seconds (both on one core),
k jobs at once on n cores finish k / (S + P k / n) jobs a second, which grows until every job has one core:
n / (S + P). So there is one slot per core. A single job then takes longer than it could; if latency matters more,
lower `processing.max_concurrent_jobs`.

Each slot may take `node.worker_memory_mb`, so memory limits the number of slots; with NVENC, so does the number of
sessions that the GPU's driver allows. The slots share the sessions evenly, and a job opens at most its slot's. That
holds for a job that names NVENC on a node whose own configuration does not use it, too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.gpus import gpus
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.render.encoders.sessions import SESSIONS

NODE_MEMORY_MB = 768
"""Memory of node, server process and guard, and a useful amount of file cache."""

GEFORCE_SESSIONS = 8
"""NVENC sessions per machine with consumer GPUs (NVIDIA's encode support matrix, since 2024)."""

SESSION_MEMORY_MIB = 400
"""Most GPU memory of an NVENC session at 1080x1920."""

UNLIMITED_BYTES = 1 << 60
"""cgroup v1 shows "no limit" as a number near 2^63."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The resources that limit the slots. GPUs are (name, memory in MiB): `nvenc` those that encode with the node's
    configuration, `cards` all of them, on which a job may encode with its own."""

    cores: int
    memory_bytes: int
    nvenc: tuple[tuple[str, int], ...] = ()
    cards: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """Number of slots, cores of each, NVENC sessions of each (None without GPUs), and the reason for them."""

    slots: int
    cores: int
    reason: str
    sessions: int | None = None


def default_slots(config: Config, *, machine: Machine | None = None) -> Capacity:
    """Return the number of slots: processing.max_concurrent_jobs, or what this machine allows."""
    machine = machine or this_machine(config)
    wanted = config.processing.max_concurrent_jobs
    if wanted is not None:
        reason = "as processing.max_concurrent_jobs says"
        return Capacity(wanted, max(1, machine.cores // wanted), reason, _sessions_of_slot(machine, wanted))
    memory_mb = machine.memory_bytes / 1e6
    of_memory = max(1, int((memory_mb - NODE_MEMORY_MB) / config.node.worker_memory_mb))
    words = [
        f"{machine.cores} {'core allows' if machine.cores == 1 else 'cores allow'} {machine.cores}",
        f"{memory_mb / 1000:.1f} GB of memory allow {of_memory} "
        f"at node.worker_memory_mb {config.node.worker_memory_mb:g}",
    ]
    slots = min(machine.cores, of_memory)
    if machine.nvenc:
        sessions = nvenc_sessions(machine.nvenc)
        count = f"{len(machine.nvenc)} x " if len(machine.nvenc) > 1 else ""
        words.append(f"the NVENC sessions of {count}{machine.nvenc[0][0]} allow {sessions}")
        slots = min(slots, sessions)
    return Capacity(
        slots, max(1, machine.cores // slots), "; ".join(words), _sessions_of_slot(machine, slots)
    )


def _sessions_of_slot(machine: Machine, slots: int) -> int | None:
    """Return how many NVENC sessions a slot may have open at once; None if the machine has no GPU."""
    cards = machine.nvenc or machine.cards
    return max(1, nvenc_sessions(cards) // slots) if cards else None


def nvenc_sessions(cards: Sequence[tuple[str, int]]) -> int:
    """Return the number of NVENC sessions that GPUs can have open at once, given their names and memory in MiB."""
    of_memory = sum(max(1, memory_mib // SESSION_MEMORY_MIB) for _, memory_mib in cards)
    return min(of_memory, GEFORCE_SESSIONS) if any("GeForce" in name for name, _ in cards) else of_memory


def this_machine(config: Config) -> Machine:
    """Return the resources of this machine. The encoder is tried only if there is a GPU."""
    cards, _ = gpus()
    nvenc: tuple[tuple[str, int], ...] = ()
    if cards:
        with contextlib.suppress(InputError):  # every job will report it
            model = choose_encoding(config.video, session_wait=0).settings.gpu
            used = {device.uuid for device in SESSIONS.usable(model)}
            nvenc = tuple((card.name, card.memory_mib) for card in cards if card.uuid in used)
    every = tuple((card.name, card.memory_mib) for card in cards)
    return Machine(cpu_count(), memory_bytes(), nvenc, every)


def memory_bytes() -> int:
    """Return the memory in bytes that this process may use: the machine's, or the lowest limit of its cgroups."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30
    return min([machine, *_group_limits()])


def _group_limits(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Yield the memory limits of this process's control group and its parents (cgroup v2, then v1)."""
    try:
        lines = own.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        inner = folder / path.lstrip("/")
        for group in (inner, *inner.parents):
            try:
                limit = int((group / name).read_text(encoding="ascii"))
            except (OSError, ValueError):  # "max", or a path of the host, seen inside a container
                limit = UNLIMITED_BYTES
            if limit < UNLIMITED_BYTES:
                yield limit
            if group == folder:
                break
