"""The state of slots on other machines, as the node knows it."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.offer import NVENC, PLAIN
from video_pipeline.engine.jobs.dispatch.base import FailedReport, Report, StoppedReport
from video_pipeline.engine.jobs.dispatch.lease import NodeLease
from video_pipeline.engine.jobs.machines import as_machine_name, machine_name
from video_pipeline.engine.jobs.model import Attempt, Failure, FailureKind

logger = logging.getLogger(__name__)

SLOT_CPUS: Final = 1
"""One CPU of Ray is a slot; how many cores it has, its machine says by a label."""

KNOWN_WISHES: Final = 10_000
"""Configurations of waiting jobs that are remembered."""

NO_MACHINE: Final = "no machine is in the fleet; start `video-pipeline worker --join` on one"

SlotKind = Literal["nvenc", "cpu"]
SlotPhase = Literal["placing", "warming", "usable", "refused", "lost"]


@dataclass(frozen=True, slots=True)
class SlotNeeds:
    """What Ray must find for a slot. `memory` in bytes."""

    cpus: int
    memory: int
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)

    def times_in(self, free: Mapping[str, float]) -> int:
        """Return how many such slots fit into free resources of Ray."""
        return max(0, min(int(free.get(name, 0.0) / amount) for name, amount in self._named().items()))

    def take_from(self, free: dict[str, float]) -> None:
        """Subtract what one slot takes."""
        for name, amount in self._named().items():
            free[name] = free.get(name, 0.0) - amount

    def _named(self) -> dict[str, float]:
        wanted = {"CPU": float(self.cpus), "memory": float(self.memory), "GPU": self.gpus, **self.resources}
        return {name: amount for name, amount in wanted.items() if amount > 0}


def slot_needs(config: Config) -> dict[SlotKind, SlotNeeds]:
    """Return what slots need, those that are placed first before the others."""
    memory = int(config.node.worker_memory_mb * 1e6)
    return {
        "nvenc": SlotNeeds(SLOT_CPUS, memory, resources={NVENC: 1.0}),
        "cpu": SlotNeeds(SLOT_CPUS, memory, resources={PLAIN: 1.0}),
    }


class JobWishes:
    """What waiting jobs need, by their configuration; remembers the answers."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[str, bool] = {}

    def nvenc(self, config: Mapping[str, Any]) -> bool:
        """Return whether a job with this configuration encodes on a GPU and nowhere else."""
        if not config:
            return "nvenc" in self._config.video.codec
        text = json.dumps(config, sort_keys=True)
        if text not in self._known:
            try:
                codec: str = job_config(self._config, config).video.codec
            except ConfigError:
                codec = "auto"  # its attempt reports the error
            if len(self._known) >= KNOWN_WISHES:
                self._known.clear()
            self._known[text] = "nvenc" in codec
        return self._known[text]


@dataclass(slots=True)
class RemoteAttempt:
    """An attempt on another machine. `result` is what it finished with, while its files are fetched."""

    attempt: Attempt
    machine: str
    at: float
    stopping: bool = False
    result: Mapping[str, Any] | None = None


@dataclass(slots=True)
class RemoteSlot:
    """A slot of another machine. Times are monotonic seconds; `poll_at` is None while a poll is under way.

    It may draw segments for an attempt on another slot (`drawing`); an attempt of its own is then `running` and starts, from
    the file `next_path`, when it has stopped that.
    """

    number: int
    kind: SlotKind
    lease: NodeLease
    phase: SlotPhase = "placing"
    machine: str = ""
    machine_id: str = ""
    version: str = ""
    """The engine's version on its machine."""
    trouble: str = ""
    has_ended: bool = False
    lost_at: float = 0.0
    running: RemoteAttempt | None = None
    drawing: Attempt | None = None
    next_path: str | None = None
    idle_at: float = 0.0
    cores: int = 0
    memory_bytes: int = 0
    drained: bool = False
    """Whether an operator lets nothing start on its machine."""
    leaves: bool = False
    """Whether its machine was asked to stop: what runs may finish."""
    poll_at: float | None = None
    polled_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether attempts start here, now or soon."""
        return self.phase in ("usable", "warming") and not self.drained and not self.leaves

    @property
    def is_idle(self) -> bool:
        """Whether an attempt could start here."""
        return self.can_start and self.drawing is None

    @property
    def can_start(self) -> bool:
        """Whether an attempt could start here, perhaps instead of segments of another one."""
        return self.is_open and self.phase == "usable" and self.running is None


NAME_DIGITS: Final = 6
"""Digits of a machine's id that are put to its host name if another machine has the same."""


def set_machine(
    slot: RemoteSlot, told: Mapping[str, Any], slots: Iterable[RemoteSlot], alive: Collection[str]
) -> None:
    """Take over what the machine of a slot has told of itself, and give it a name that no other machine has.

    `alive` are the ids of the machines of the fleet. A machine keeps its name as long as it has slots.
    """
    host, machine_id = as_machine_name(str(told["host"])), str(told["id"])[:100]
    placed = [each for each in slots if each is not slot and each.machine]
    own = next((each.machine for each in placed if each.machine_id == machine_id), None)
    taken = {each.machine for each in placed if each.machine_id in alive} | {machine_name()}
    slot.machine = own or (
        f"{host[: 63 - NAME_DIGITS]}-{machine_id[:NAME_DIGITS]}" if host in taken else host
    )
    slot.machine_id = machine_id
    slot.cores, slot.memory_bytes = int(told["cores"]), int(told["memory"])


def keep_log(path: Path, text: str) -> None:
    """Keep the log that came with an attempt's end where local attempts have theirs."""
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        logger.warning("cannot keep a log: %s", error)


def renders_of(slots: Iterable[RemoteSlot]) -> dict[str, list[str]]:
    """Return what each machine renders, by its id."""
    renders: dict[str, list[str]] = {}
    for slot in slots:
        if slot.running is not None:
            attempt = slot.running.attempt
            renders.setdefault(slot.machine_id, []).append(f"{attempt.job_id} ({attempt.story_id})")
        elif slot.drawing is not None:
            renders.setdefault(slot.machine_id, []).append(f"{slot.drawing.job_id} (segments)")
    return renders


def trouble_of(slots: Collection[RemoteSlot]) -> str | None:
    """Return why slots of which none is usable render nothing, None if one is being prepared."""
    if all(slot.leaves or slot.phase in ("placing", "lost") for slot in slots):
        return NO_MACHINE
    return next((slot.trouble for slot in slots if slot.trouble), None)


def lost_report(slot: RemoteSlot, running: RemoteAttempt, *, is_there: bool) -> Report:
    """Return the end of an attempt that its machine did not tell; `is_there`: whether the machine is in the fleet.

    It is charged if its process ended while its machine stayed, as a job does that takes too much memory.
    """
    key = running.attempt.job_id, running.attempt.fence
    if running.stopping:
        return StoppedReport(*key)
    charged = slot.has_ended and is_there
    message = f"the slot on {running.machine} was lost: {slot.trouble}"[:4000]
    kind: FailureKind = "retryable" if charged else "machine"
    return FailedReport(*key, Failure(kind, "WorkerLost" if charged else "MachineLost", message))
