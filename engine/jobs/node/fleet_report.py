"""What a node says of the machines of its fleet, and what operators drain there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from video_pipeline.engine.jobs.dispatch.ray import RayDispatcher
from video_pipeline.engine.jobs.dispatch.remote_slots import RemoteSlot
from video_pipeline.engine.jobs.node_messages import MachineView


def drain_machines(dispatcher: RayDispatcher, names: Collection[str]) -> None:
    """Let nothing start on the slots of the machines with these names, and let the others work."""
    for slot in dispatcher.remote_slots.values():
        slot.drained = slot.machine in names


def fleet_views(
    dispatcher: RayDispatcher, *, started_at: datetime, seen_at: datetime
) -> tuple[MachineView, ...]:
    """Return a view of each machine that has slots, by name; a machine that is lost has none."""
    found: dict[str, list[RemoteSlot]] = {}
    for slot in dispatcher.remote_slots.values():
        if slot.machine and slot.phase != "lost":
            found.setdefault(slot.machine_id, []).append(slot)
    views = []
    for slots in found.values():
        leaves = any(slot.leaves or slot.drained for slot in slots)
        usable = [slot for slot in slots if slot.phase == "usable"]
        views.append(
            MachineView(
                name=slots[0].machine,
                state="draining" if leaves else "ready" if usable else "not ready",
                reasons=tuple(dict.fromkeys(slot.trouble for slot in slots if slot.trouble)),
                version=slots[0].version,
                cores=slots[0].cores,
                memory_bytes=slots[0].memory_bytes,
                slots=len(slots),
                warm=len(usable),
                running=sum(slot.running is not None or slot.drawing is not None for slot in slots),
                jobs=tuple(dict.fromkeys(filter(None, map(_job_of, slots)))),
                started_at=started_at,
                seen_at=seen_at,
            )
        )
    return tuple(sorted(views, key=lambda view: view.name))


def _job_of(slot: RemoteSlot) -> str | None:
    """Return the job that a slot renders, or draws segments of."""
    if slot.running is not None:
        return slot.running.attempt.job_id
    return slot.drawing.job_id if slot.drawing is not None else None
