"""The GPUs in `doctor`'s report: what NVML and CUDA say of each, and which encoders work on it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.machine.cuda_devices import CudaDevice, CudaDevices, driver_is_here, list_devices
from video_pipeline.engine.machine.gpu_load import GpuLoad, gpu_loads
from video_pipeline.engine.machine.gpus import gpus
from video_pipeline.engine.render.compositors.choice import probe_drawing
from video_pipeline.engine.render.encoders.base import load_encoder
from video_pipeline.engine.render.encoders.choice import probe_gpus


@dataclass(slots=True)
class _Outcomes:
    """What came of trials on a GPU, by the names of compositors and encoders, and how many encoders NVENC says it has."""

    compositors: dict[str, dict[str, Any]] = field(default_factory=dict)
    encoders: dict[str, dict[str, Any]] = field(default_factory=dict)
    engines: int | None = None


def examine_gpus(config: Config) -> tuple[list[dict[str, Any]], str]:
    """Return each GPU as plain values, and if there are none, the reason.

    A GPU is listed if NVML or CUDA knows it. `compositors` has the outcome of a trial with each compositor that draws on
    GPUs, `nvenc` that of a probe encode with each encoder.
    """
    cards, why_none = gpus()
    shown = list_devices() if driver_is_here() else CudaDevices((), "")
    by_cuda = {device.uuid: device for device in shown.devices}
    loads = {load.uuid: load for load in gpu_loads()} if cards else {}
    tried = _try_gpus(config, shown.devices)
    found = []
    for card in cards:
        entry = _entry(card.name, card.driver, by_cuda.pop(card.uuid, None), loads.get(card.uuid), tried)
        found.append({**entry, "memory_mib": card.memory_mib})
    for device in by_cuda.values():  # NVML is missing
        found.append(_entry(device.name, device.driver, device, None, tried))
    if cards and not shown.devices:
        for entry in found:
            entry["cuda_reason"] = _why_hidden(shown)
    return found, "" if found else why_none


def _entry(
    name: str,
    driver: str,
    device: CudaDevice | None,
    load: GpuLoad | None,
    tried: Mapping[str, _Outcomes],
) -> dict[str, Any]:
    free = None
    if load and load.memory_bytes is not None and load.memory_used_bytes is not None:
        free = (load.memory_bytes - load.memory_used_bytes) // 2**20
    outcomes = tried.get(device.uuid, _Outcomes()) if device else _Outcomes()
    return {
        "name": name,
        "driver": driver,
        "memory_mib": None,
        "memory_free_mib": free,
        "cuda_index": device.index if device else None,
        "cuda_reason": "" if device else "CUDA does not show it (CUDA_VISIBLE_DEVICES)",
        "nvenc_engines": outcomes.engines,
        "sessions": load.sessions if load else None,
        "compositors": outcomes.compositors,
        "nvenc": outcomes.encoders,
    }


def _why_hidden(shown: CudaDevices) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not shown.silent:
        return f"CUDA does not show it: CUDA_VISIBLE_DEVICES is {visible!r}"
    return shown.reason or "CUDA's driver is missing (libcuda.so.1)"


def _try_gpus(config: Config, devices: Sequence[CudaDevice]) -> dict[str, _Outcomes]:
    """Return what came of the trials on each GPU, by its UUID."""
    found = {device.uuid: _Outcomes() for device in devices}
    for name, probes in probe_drawing(config, [device.index for device in devices]).items():
        for device, probe in zip(devices, probes, strict=True):
            found[device.uuid].compositors[name] = {"works": probe.works, "reason": probe.reason}
    for member in ENCODERS.members if devices else ():
        if not load_encoder(member.name).on_gpu:
            continue
        try:
            tried = probe_gpus(member.name, config.video)
        except ConfigError:
            continue  # the encoder's own line says what it does not take
        for device, trial in tried:
            outcomes = found.setdefault(device.uuid, _Outcomes())
            outcomes.encoders[member.name] = {"works": trial.works, "reason": trial.reason}
            outcomes.engines = outcomes.engines or device.nvenc_engines
    return found


def gpu_lines(card: dict[str, Any]) -> list[str]:
    """Return a GPU's lines of the report."""
    words = [card["name"], f"driver {card['driver']}"]
    engines = card["nvenc_engines"]
    if card["memory_mib"] is not None:
        free = "" if card["memory_free_mib"] is None else f", {card['memory_free_mib']} free"
        words.append(f"{card['memory_mib']} MiB{free}")
    if engines is not None:
        words.append(f"{engines} {'encoder' if engines == 1 else 'encoders'}")
    if card["sessions"] is not None:
        words.append(f"{card['sessions']} encoder {'session' if card['sessions'] == 1 else 'sessions'} open")
    number = "GPU" if card["cuda_index"] is None else f"GPU {card['cuda_index']}"
    lines = [f"{number:<13} {', '.join(words)}"]
    if card["cuda_index"] is None:
        lines.append(f"              not usable: {card['cuda_reason']}")
    for kind, outcomes in (("draws with", card["compositors"]), ("encodes with", card["nvenc"])):
        for name, outcome in outcomes.items():
            word = "yes" if outcome["works"] else f"no, {outcome['reason']}"
            lines.append(f"              {kind} {name}: {word}")
    return lines
