"""The NVIDIA GPUs of this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU as NVML reports it."""

    name: str
    driver: str
    memory_mib: int


def gpus() -> tuple[tuple[Gpu, ...], str]:
    """Return the NVIDIA GPUs, and if there are none, the reason."""
    try:
        import pynvml
    except ImportError:
        return (), "not looked for; if there is an NVIDIA GPU: pip install 'video-pipeline[cuda]'"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), f"no NVIDIA driver answers ({error}); without an NVIDIA GPU none is needed"
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // 2**20
            found.append(Gpu(str(pynvml.nvmlDeviceGetName(handle)), driver, memory))
        return tuple(found), "" if found else "the NVIDIA driver reports no GPU"
    finally:
        pynvml.nvmlShutdown()
