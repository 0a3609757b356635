"""The machines of a fleet, and what each renders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from video_pipeline.engine.fleet.connect import ask_fleet
from video_pipeline.engine.fleet.join_check import CLOCK_NAMESPACE
from video_pipeline.engine.fleet.offer import CORES_LABEL, IDENTITY_LABEL, NVENC, VERSION_LABEL
from video_pipeline.engine.fleet.settings import FleetSettings

DRAINING: Final = "draining"
"""Status of a machine that leaves: nothing new starts there."""

TOLD_KEY: Final = b"told"
"""Key of what the server tells: JSON with `renders`, lists of texts by the machine's id, and `cache`, counts of segments."""


@dataclass(frozen=True, slots=True)
class FleetMachine:
    """One machine: what it has, and how much of that is in use. `status` is as Ray has it, in small letters."""

    id: str
    name: str
    address: str
    status: str
    server: bool
    slots: float
    slots_used: float
    memory_bytes: int
    gpus: float
    nvenc: float
    nvenc_used: float
    cores: int
    version: str
    identity: str
    renders: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the machine as plain data."""
        return asdict(self)


def fleet_machines(settings: FleetSettings) -> tuple[FleetMachine, ...]:
    """Return the machines that are in a fleet, the server first; raise ConfigError or UnreachableError."""
    client = ask_fleet(settings)
    from ray.autoscaler.v2.sdk import get_cluster_resource_state
    from ray.core.generated import autoscaler_pb2

    renders: Mapping[str, Sequence[str]] = _server_words(client).get("renders", {})
    machines = []
    names = {info.node_id.hex(): info for info in client.get_all_node_info().values()}
    for each in get_cluster_resource_state(client).node_states:
        status = autoscaler_pb2.NodeStatus.Name(each.status).lower()
        if status == "dead":
            continue
        key = each.node_id.hex()
        total, free = each.total_resources, each.available_resources
        info, labels = names.get(key), each.labels
        machines.append(
            FleetMachine(
                id=key,
                name=info.node_name if info else key[:8],
                address=each.node_ip_address,
                status=status,
                server="node:__internal_head__" in total,
                slots=total.get("CPU", 0.0),
                slots_used=total.get("CPU", 0.0) - free.get("CPU", 0.0),
                memory_bytes=int(total.get("memory", 0.0)),
                gpus=total.get("GPU", 0.0),
                nvenc=total.get(NVENC, 0.0),
                nvenc_used=total.get(NVENC, 0.0) - free.get(NVENC, 0.0),
                cores=int(labels.get(CORES_LABEL, "0")),
                version=labels.get(VERSION_LABEL, ""),
                identity=labels.get(IDENTITY_LABEL, ""),
                renders=tuple(renders.get(key, ())),
            )
        )
    return tuple(sorted(machines, key=lambda machine: (not machine.server, machine.name, machine.id)))


def fleet_resources(client: Any) -> tuple[dict[str, str], dict[str, float]]:
    """Return the status of each machine by its id, and what is free on those that stay, by Ray's names."""
    from ray.autoscaler.v2.sdk import get_cluster_resource_state
    from ray.core.generated import autoscaler_pb2

    statuses: dict[str, str] = {}
    free: dict[str, float] = {}
    for each in get_cluster_resource_state(client).node_states:
        status = autoscaler_pb2.NodeStatus.Name(each.status).lower()
        if status == "dead":
            continue
        statuses[each.node_id.hex()] = status
        if status != DRAINING:
            for name, amount in each.available_resources.items():
                free[name] = free.get(name, 0.0) + amount
    return statuses, free


def fleet_cache(settings: FleetSettings) -> dict[str, int]:
    """Return how many segments the finished jobs had, and how many came from caches; errors as in fleet_machines."""
    return {name: int(count) for name, count in _server_words(ask_fleet(settings)).get("cache", {}).items()}


def cache_line(counts: Mapping[str, int]) -> str:
    """Return the hit rates of the machines' own caches and of the shared one, as a line."""
    total, shared = counts.get("segments", 0), counts.get("segments_from_shared", 0)
    if not total:
        return "no job has finished since the server was started"
    own = counts.get("segments_from_cache", 0) - shared
    return f"{total} segments: {100 * shared / total:.0f} % from the shared cache, {100 * own / total:.0f} % from machines' own"


def tell_fleet(client: Any, told: Mapping[str, Any]) -> None:
    """Store what `cluster status` shows besides Ray's own words; `client` is a client of the fleet's server."""
    client.internal_kv_put(TOLD_KEY, json.dumps(told).encode(), True, namespace=CLOCK_NAMESPACE)


def _server_words(client: Any) -> dict[str, Any]:
    found = client.internal_kv_get(TOLD_KEY, namespace=CLOCK_NAMESPACE)
    told: dict[str, Any] = json.loads(found) if found else {}
    return told


def machine_lines(machines: Sequence[FleetMachine]) -> list[str]:
    """Return a table of the machines, and what they have together."""
    rows = [("machine", "id", "address", "state", "slots", "GPUs", "NVENC", "memory", "version", "renders")]
    rows += [
        (
            machine.name,
            machine.id[:6],
            machine.address,
            "server" if machine.server else machine.status,
            f"{machine.slots_used:g}/{machine.slots:g}",
            f"{machine.gpus:g}",
            f"{machine.nvenc_used:g}/{machine.nvenc:g}",
            "" if machine.server else f"{machine.memory_bytes / 1e9:.1f} GB",
            machine.version,
            ", ".join(machine.renders),
        )
        for machine in machines
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    slots, used = sum(each.slots for each in machines), sum(each.slots_used for each in machines)
    workers = [machine for machine in machines if not machine.server]
    lines.append(f"{len(workers)} machines, {used:g} of {slots:g} slots in use")
    if len({machine.identity for machine in workers}) > 1:
        lines.append(
            "machines differ in what makes their bytes (identity): one job's segments stay among equal ones"
        )
    return lines
