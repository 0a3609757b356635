"""The NVIDIA GPUs of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from video_pipeline.engine.machine.nvml import NvmlError, ask_nvml


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU as NVML reports it."""

    name: str
    driver: str
    memory_mib: int
    uuid: str = ""


def gpus() -> tuple[tuple[Gpu, ...], str]:
    """Return the NVIDIA GPUs, and if there are none, the reason."""
    try:
        found = ask_nvml(_list_gpus)
    except NvmlError as error:
        return (), str(error)
    return found, "" if found else "the NVIDIA driver reports no GPU"


def _list_gpus(pynvml: Any) -> tuple[Gpu, ...]:
    """Return the GPUs that answer: one that is lost is left out, unless none is left."""
    driver = str(pynvml.nvmlSystemGetDriverVersion())
    found: list[Gpu] = []
    silent: list[Exception] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // 2**20
            name, uuid = str(pynvml.nvmlDeviceGetName(handle)), str(pynvml.nvmlDeviceGetUUID(handle))
            found.append(Gpu(name, driver, memory, uuid))
        except pynvml.NVMLError as error:
            silent.append(error)
    if silent and not found:
        raise silent[0]
    return tuple(found)
