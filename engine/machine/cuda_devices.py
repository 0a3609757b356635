"""The GPUs that CUDA shows to this process, listed by a program of its own.

    python -I cuda_devices.py     a JSON object: driver, devices, reason

A driver can crash, or not return from a call; then only that program does. The program imports the standard library
alone. CUDA counts GPUs by CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, NVML by their place on the bus: `uuid` is the
same in both.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

LIST_SECONDS: Final = 20.0
"""Time to list the GPUs. If no program uses a GPU, its driver takes seconds to wake it."""

UNKNOWN_ENGINES: Final = 3
"""Encoders of a GPU if NVENC does not say. Too many sessions do no harm, and the driver refuses those beyond its limit;
too few leave an encoder idle."""

TEXT_BYTES: Final = 256

NO_DEVICE: Final = "CUDA_ERROR_NO_DEVICE"

CUDA_ERRORS: Final = {
    100: NO_DEVICE,
    101: "CUDA_ERROR_INVALID_DEVICE",
    803: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    999: "CUDA_ERROR_UNKNOWN",
}


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """A GPU by CUDA's count, which FFmpeg uses too. `model` stands for all GPUs that encode the same bytes.

    `nvenc_engines` are its encoders by NVENC's own word; None if it was not asked, or does not say.
    """

    index: int
    name: str
    uuid: str
    driver: str
    nvenc_engines: int | None = field(default=None, compare=False)

    @property
    def model(self) -> str:
        """Return the GPU's name and its driver's version."""
        return f"{self.name}, driver {self.driver}"

    @property
    def engines(self) -> int:
        """Return the encoders that are to be kept busy, with one session each."""
        return UNKNOWN_ENGINES if self.nvenc_engines is None else self.nvenc_engines


@dataclass(frozen=True, slots=True)
class CudaDevices:
    """The GPUs, and the reason if there are none. With `silent` the driver did not answer in time."""

    devices: tuple[CudaDevice, ...]
    reason: str = ""
    silent: bool = False


def driver_is_here() -> bool:
    """Return whether CUDA's library can be loaded; without it no call can hang."""
    try:
        _cuda()
    except OSError:
        return False
    return True


def list_devices(*, seconds: float = LIST_SECONDS) -> CudaDevices:
    """Return the GPUs that CUDA shows to this process."""
    process = subprocess.Popen(
        [sys.executable, "-I", __file__], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        # A process inside the kernel's driver is not ended by that, and is not waited for.
        threading.Thread(target=process.communicate, name="cuda devices", daemon=True).start()
        return CudaDevices((), f"the GPU's driver did not answer in {seconds:g} s", silent=True)
    if process.returncode != 0:
        how = (
            f"crashed ({signal.Signals(-process.returncode).name})"
            if process.returncode < 0
            else (err.strip().splitlines() or [f"ended with status {process.returncode}"])[-1]
        )
        return CudaDevices((), f"the list of CUDA's devices {how}")
    found = json.loads(out)
    devices = tuple(CudaDevice(**device, driver=found["driver"]) for device in found["devices"])
    return CudaDevices(devices, found["reason"])


def _cuda() -> Any:
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def _driver_version(cuda: Any) -> str:
    """Return the driver's version by NVML, or the version of CUDA that it supports."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(TEXT_BYTES)
        if nvml.nvmlInit_v2() == 0 and nvml.nvmlSystemGetDriverVersion(text, TEXT_BYTES) == 0:
            return text.value.decode()
    except (OSError, AttributeError):
        pass
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    return f"of CUDA {number.value // 1000}.{number.value % 1000 // 10}"


def _devices() -> dict[str, Any]:
    """Ask CUDA for its devices; one that does not answer, such as a lost one, is left out."""
    cuda = _cuda()
    status = cuda.cuInit(0)
    if status:
        return {"driver": "", "devices": [], "reason": f"cuInit failed: {CUDA_ERRORS.get(status, status)}"}
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    found = []
    for index in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(TEXT_BYTES)
        raw = (ctypes.c_ubyte * 16)()
        failed = (
            cuda.cuDeviceGet(ctypes.byref(device), index)
            or cuda.cuDeviceGetName(name, TEXT_BYTES, device)
            or getattr(cuda, "cuDeviceGetUuid_v2", cuda.cuDeviceGetUuid)(ctypes.byref(raw), device)
        )
        if not failed:
            found.append(
                {"index": index, "name": name.value.decode(), "uuid": f"GPU-{uuid.UUID(bytes=bytes(raw))}"}
            )
    reason = "" if found else "CUDA sees no GPU that answers"
    return {"driver": _driver_version(cuda), "devices": found, "reason": reason}


def main() -> None:
    """Print the devices."""
    if hasattr(signal, "alarm"):  # the end even if the program that waits for it has ended
        signal.alarm(round(LIST_SECONDS) + 5)
    print(json.dumps(_devices()), flush=True)
    os._exit(0)  # a driver may hang when its library is closed


if __name__ == "__main__":
    main()
