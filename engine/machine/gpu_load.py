"""How busy the GPUs are, asked of NVML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """A GPU now. Ratios are 0 to 1; None stands for what this GPU does not tell."""

    index: int
    name: str
    utilization: float | None
    encoder: float | None
    sessions: int | None
    memory_used_bytes: int | None
    memory_bytes: int | None


def gpu_loads() -> tuple[GpuLoad, ...]:
    """Return the load of every NVIDIA GPU; nothing where NVML, its driver or a GPU is missing."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_load(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _load(pynvml: Any, index: int) -> GpuLoad:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)

    def told(ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except pynvml.NVMLError:  # this GPU does not know
            return None

    memory = told(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    return GpuLoad(
        index=index,
        name=str(told(lambda: pynvml.nvmlDeviceGetName(handle)) or "unknown"),
        utilization=told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        encoder=told(lambda: pynvml.nvmlDeviceGetEncoderUtilization(handle)[0] / 100),
        sessions=told(lambda: int(pynvml.nvmlDeviceGetEncoderStats(handle)[0])),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_bytes=None if memory is None else int(memory.total),
    )
