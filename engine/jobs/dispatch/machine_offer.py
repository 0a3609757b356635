"""What this machine offers to a fleet, as its own probes find it."""

from __future__ import annotations

from video_pipeline.engine.config import Config
from video_pipeline.engine.fleet.offer import MachineOffer, bytes_identity
from video_pipeline.engine.jobs.dispatch.capacity import (
    NODE_MEMORY_MB,
    default_slots,
    nvenc_sessions,
    this_machine,
)


def this_machines_offer(config: Config) -> MachineOffer:
    """Return the slots, memory, GPUs and NVENC sessions of this machine; raise InputError if it cannot render."""
    machine = this_machine(config)
    capacity = default_slots(config, machine=machine)
    slots = capacity.slots
    memory_mb = min(machine.memory_bytes / 1e6 - NODE_MEMORY_MB, slots * config.node.worker_memory_mb)
    return MachineOffer(
        slots=slots,
        cores=capacity.cores,
        memory_bytes=int(max(memory_mb, config.node.worker_memory_mb) * 1e6),
        gpus=len(machine.nvenc),
        nvenc=nvenc_sessions(machine.nvenc) if machine.nvenc else 0,
        sessions=capacity.sessions or 0,
        identity=bytes_identity(config),
    )
