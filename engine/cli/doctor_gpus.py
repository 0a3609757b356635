"""The GPUs in `doctor`'s report: what NVML and CUDA say of each, and which encoders work on it."""

from __future__ import annotations

import os
from typing import Any

from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.machine.cuda_devices import CudaDevice, CudaDevices, driver_is_here, list_devices
from video_pipeline.engine.machine.gpu_load import GpuLoad, gpu_loads
from video_pipeline.engine.machine.gpus import gpus, nvenc_engines
from video_pipeline.engine.render.encoders.base import load_encoder
from video_pipeline.engine.render.encoders.choice import probe_gpus


def examine_gpus(video: Video) -> tuple[list[dict[str, Any]], str]:
    """Return each GPU as plain values, and if there are none, the reason.

    A GPU is listed if NVML or CUDA knows it. `nvenc` has the outcome of a probe encode with each encoder.
    """
    cards, why_none = gpus()
    shown = list_devices() if driver_is_here() else CudaDevices((), "")
    by_cuda = {device.uuid: device for device in shown.devices}
    loads = {load.uuid: load for load in gpu_loads()} if cards else {}
    encoders = _outcomes(video) if by_cuda else {}
    found = []
    for card in cards:
        entry = _entry(card.name, card.driver, by_cuda.pop(card.uuid, None), loads.get(card.uuid), encoders)
        found.append({**entry, "memory_mib": card.memory_mib})
    for device in by_cuda.values():  # NVML is missing
        found.append(_entry(device.name, device.driver, device, None, encoders))
    if cards and not shown.devices:
        for entry in found:
            entry["cuda_reason"] = _why_hidden(shown)
    return found, "" if found else why_none


def _entry(
    name: str,
    driver: str,
    device: CudaDevice | None,
    load: GpuLoad | None,
    encoders: dict[str, dict[str, dict[str, Any]]],
) -> dict[str, Any]:
    free = None
    if load and load.memory_bytes is not None and load.memory_used_bytes is not None:
        free = (load.memory_bytes - load.memory_used_bytes) // 2**20
    return {
        "name": name,
        "driver": driver,
        "memory_mib": None,
        "memory_free_mib": free,
        "cuda_index": device.index if device else None,
        "cuda_reason": "" if device else "CUDA does not show it (CUDA_VISIBLE_DEVICES)",
        "nvenc_engines": nvenc_engines(name),
        "sessions": load.sessions if load else None,
        "nvenc": encoders.get(device.uuid, {}) if device else {},
    }


def _why_hidden(shown: CudaDevices) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not shown.silent:
        return f"CUDA does not show it: CUDA_VISIBLE_DEVICES is {visible!r}"
    return shown.reason or "CUDA's driver is missing (libcuda.so.1)"


def _outcomes(video: Video) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, for each GPU's UUID and each encoder, whether it works and why not."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for member in ENCODERS.members:
        if not load_encoder(member.name).on_gpu:
            continue
        try:
            tried = probe_gpus(member.name, video)
        except ConfigError:
            continue  # the encoder's own line says what it does not take
        for device, trial in tried:
            found.setdefault(device.uuid, {})[member.name] = {"works": trial.works, "reason": trial.reason}
    return found


def gpu_lines(card: dict[str, Any]) -> list[str]:
    """Return a GPU's lines of the report."""
    words = [card["name"], f"driver {card['driver']}"]
    if card["memory_mib"] is not None:
        free = "" if card["memory_free_mib"] is None else f", {card['memory_free_mib']} free"
        words.append(f"{card['memory_mib']} MiB{free}")
    if card["sessions"] is not None:
        words.append(f"{card['sessions']} encoder {'session' if card['sessions'] == 1 else 'sessions'} open")
    number = "GPU" if card["cuda_index"] is None else f"GPU {card['cuda_index']}"
    lines = [f"{number:<13} {', '.join(words)}"]
    if card["cuda_index"] is None:
        lines.append(f"              not usable: {card['cuda_reason']}")
    for name, outcome in card["nvenc"].items():
        lines.append(f"              {name}: {'yes' if outcome['works'] else 'no, ' + outcome['reason']}")
    return lines
