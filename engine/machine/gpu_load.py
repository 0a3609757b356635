"""The load of the GPUs, read from NVML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from video_pipeline.engine.machine.nvml import NvmlError, ask_nvml

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """A GPU's current load. Ratios are 0 to 1; None is a value that this GPU does not report."""

    index: int
    name: str
    utilization: float | None
    encoder: float | None
    sessions: int | None
    memory_used_bytes: int | None
    memory_bytes: int | None


def gpu_loads() -> tuple[GpuLoad, ...]:
    """Return the load of every NVIDIA GPU; empty if NVML, its driver or a GPU is missing or silent."""
    try:
        return ask_nvml(
            lambda pynvml: tuple(_load(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        )
    except NvmlError:
        return ()


def _load(pynvml: Any, index: int) -> GpuLoad:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)

    def reported(query: Callable[[], T]) -> T | None:
        try:
            return query()
        except pynvml.NVMLError:  # not supported by this GPU
            return None

    memory = reported(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    return GpuLoad(
        index=index,
        name=str(reported(lambda: pynvml.nvmlDeviceGetName(handle)) or "unknown"),
        utilization=reported(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        encoder=reported(lambda: pynvml.nvmlDeviceGetEncoderUtilization(handle)[0] / 100),
        sessions=reported(lambda: int(pynvml.nvmlDeviceGetEncoderStats(handle)[0])),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_bytes=None if memory is None else int(memory.total),
    )
