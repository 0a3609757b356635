"""The load of the GPUs, read from NVML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from video_pipeline.engine.machine.nvml import NVML_SECONDS, NvmlError, ask_nvml

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """A GPU's current load. Ratios are 0 to 1; None is a value that this GPU does not report."""

    index: int
    uuid: str | None
    name: str
    utilization: float | None
    encoder: float | None
    sessions: int | None
    memory_used_bytes: int | None
    memory_bytes: int | None


def gpu_loads(*, seconds: float = NVML_SECONDS) -> tuple[GpuLoad, ...]:
    """Return the load of every NVIDIA GPU; empty if NVML, its driver or a GPU is missing or silent."""
    try:
        return ask_nvml(
            lambda pynvml: tuple(_load(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())),
            seconds=seconds,
        )
    except NvmlError:
        return ()


def _load(pynvml: Any, index: int) -> GpuLoad:
    def reported(query: Callable[[Any], T]) -> T | None:
        try:
            return query(pynvml.nvmlDeviceGetHandleByIndex(index))
        except pynvml.NVMLError:  # not supported by this GPU, or the GPU is lost
            return None

    memory = reported(pynvml.nvmlDeviceGetMemoryInfo)
    return GpuLoad(
        index=index,
        uuid=reported(lambda handle: str(pynvml.nvmlDeviceGetUUID(handle))),
        name=str(reported(pynvml.nvmlDeviceGetName) or "unknown"),
        utilization=reported(lambda handle: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        encoder=reported(lambda handle: pynvml.nvmlDeviceGetEncoderUtilization(handle)[0] / 100),
        sessions=reported(lambda handle: int(pynvml.nvmlDeviceGetEncoderStats(handle)[0])),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_bytes=None if memory is None else int(memory.total),
    )
