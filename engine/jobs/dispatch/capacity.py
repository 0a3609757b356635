"""How many jobs a machine renders at once.

A job draws and encodes its segments on every core that it gets, so while frames are made two jobs on half the cores
each are as fast as one after the other. But a job also has parts that run on one core however many there are: its
start, reading and checking assets, narration, the sound's last pass, thumbnail, hashing and publishing. With serial
seconds S and parallel ones P (both on one core), k jobs at once on n cores finish k / (S + P k / n) a second,
which grows until every job has a core of its own: n / (S + P). So there is a slot for each core. One job alone then
takes longer than it could: `processing.max_concurrent_jobs` buys that back where latency matters more.

Each slot may take `node.worker_memory_mb`, so there are no more than memory holds, and with NVENC on a GPU whose
driver counts sessions no more than there are sessions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.gpus import gpus
from video_pipeline.engine.render.encoders.choice import choose_encoder, load_encoder

NODE_MEMORY_MB = 768
"""What node, front end and guard take, and the file cache needs to be of use."""

GEFORCE_SESSIONS = 8
"""NVENC sessions that drivers of consumer GPUs allow a machine (NVIDIA's encode support matrix, from 2024 on)."""

SESSION_MEMORY_MIB = 400
"""Memory of the GPU that an NVENC session of 1080x1920 takes at most."""

UNLIMITED_BYTES = 1 << 60
"""cgroup v1 writes no limit as a number near 2 to the 63."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What counts for the number of slots. `nvenc` is the GPU that encodes, if one does, as (name, memory in MiB)."""

    cores: int
    memory_bytes: int
    nvenc: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """Jobs at once, the cores of each, and why so many."""

    slots: int
    cores: int
    reason: str


def default_slots(config: Config, *, machine: Machine | None = None) -> Capacity:
    """Return how many jobs are rendered at once: as configured, or what this machine allows."""
    wanted = config.processing.max_concurrent_jobs
    if wanted is not None:
        cores = machine.cores if machine else cpu_count()
        return Capacity(wanted, max(1, cores // wanted), "processing.max_concurrent_jobs")
    machine = machine or this_machine(config)
    memory_mb = machine.memory_bytes / 1e6
    of_memory = max(1, int((memory_mb - NODE_MEMORY_MB) / config.node.worker_memory_mb))
    words = [
        f"{machine.cores} {'core' if machine.cores == 1 else 'cores'}, one a job",
        f"memory of {memory_mb / 1000:.1f} GB for {of_memory} (node.worker_memory_mb {config.node.worker_memory_mb:g})",
    ]
    slots, sessions = min(machine.cores, of_memory), None
    if machine.nvenc is not None:
        sessions = nvenc_sessions(*machine.nvenc)
        words.append(f"{machine.nvenc[0]} for {sessions} NVENC sessions")
        slots = min(slots, sessions)
    cores = max(1, machine.cores // slots)
    if sessions is not None:
        cores = max(1, min(cores, sessions // slots))  # a job has a session for each segment that it encodes
    return Capacity(slots, cores, "; ".join(words))


def nvenc_sessions(name: str, memory_mib: int) -> int:
    """Return how many NVENC sessions can be open on a GPU at once."""
    of_memory = max(1, memory_mib // SESSION_MEMORY_MIB)
    return min(of_memory, GEFORCE_SESSIONS) if "GeForce" in name else of_memory


def this_machine(config: Config) -> Machine:
    """Return what counts of this machine. The encoder is tried only where there is a GPU."""
    cards, _ = gpus()
    nvenc = None
    if cards:
        try:
            if load_encoder(choose_encoder(config.video.codec).name).on_gpu:
                nvenc = cards[0].name, cards[0].memory_mib
        except UnavailableError:
            pass  # every job will say so
    return Machine(cpu_count(), memory_bytes(), nvenc)


def memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or the least that a control group allows."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30
    return min([machine, *_group_limits()])


def _group_limits(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Yield every limit of memory of this process's control group and of those around it (cgroup v2, then v1)."""
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
            except (OSError, ValueError):  # "max", or inside a container, where the path is another's
                limit = UNLIMITED_BYTES
            if limit < UNLIMITED_BYTES:
                yield limit
            if group == folder:
                break
