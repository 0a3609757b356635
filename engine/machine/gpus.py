"""The NVIDIA GPUs of this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.machine.nvml import NvmlError, ask_nvml

NVENC_ENGINES: Final = (
    (r"RTX PRO 6000", 4),
    (r"RTX 5090|L40|RTX 6000 Ada", 3),
    (r"RTX 5080|RTX 5070 Ti|RTX 4090|RTX 4080|RTX 4070 Ti|L4\b|RTX 5000 Ada|RTX 4500 Ada|RTX 4000 Ada", 2),
    (r"GTX|RTX [2-5]0\d\d|RTX A\d|Quadro|Tesla|\b(T4|A2|A10G?|A16|A40|T400|T1000)\b", 1),
)
"""Encoders of a GPU by its name, from NVIDIA's encode support matrix; the first pattern that matches decides."""

UNKNOWN_ENGINES: Final = 3
"""Encoders of a GPU of another name. Too many sessions do no harm; too few leave an encoder idle."""


def nvenc_engines(name: str) -> int:
    """Return the number of NVENC encoders of a GPU; one session keeps one of them busy."""
    return next((count for pattern, count in NVENC_ENGINES if re.search(pattern, name)), UNKNOWN_ENGINES)


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
    return found, "" if found else "the driver reports no GPU"


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
