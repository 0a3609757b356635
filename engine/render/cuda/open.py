"""Find the GPU that draws: by the first library that can call it, with kernels that draw the right frames."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.extras import install_extra
from video_pipeline.engine.errors import RenderingError, UnavailableError
from video_pipeline.engine.machine.cuda_devices import driver_is_here, list_devices
from video_pipeline.engine.render.cuda.by_cupy import CupyDevice
from video_pipeline.engine.render.cuda.compile import Compiler, cached_cubin
from video_pipeline.engine.render.cuda.device import MISSING, NO_GPU, CudaStalledError, Device
from video_pipeline.engine.render.cuda.driver import DriverDevice
from video_pipeline.engine.render.encoders.watched import StalledError, Watch, call_watched

T = TypeVar("T")

LIBRARIES: Final[tuple[Callable[[int], Device], ...]] = (DriverDevice, CupyDevice)
"""What calls the driver, preferred first."""

DRIVER: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
EXTRA: Final = install_extra("cuda")

OPEN_SECONDS: Final = 20.0
"""Time for opening a GPU, which takes seconds if no program uses it, and for the first frames."""

FIRST_GPU: Final = 0
"""The first that the process sees; CUDA_VISIBLE_DEVICES chooses another."""

_lock: Final = threading.Lock()
_opened: Final[dict[int, Device]] = {}
_drawing: Final[set[int]] = set()
"""The numbers of the opened GPUs that have the kernels."""
_stalled: Final[dict[int, str]] = {}
"""Why a GPU whose driver has not returned from a call is not asked again: it would take as long."""


def visible_gpus() -> tuple[int, ...]:
    """Return the numbers of the GPUs that the process sees and that answer."""
    return tuple(device.index for device in list_devices(seconds=OPEN_SECONDS).devices)


def first_ready(cache: Callable[[], ContentCache]) -> Device:
    """Return the first GPU that `ready` returns; raise UnavailableError with the reason of each other."""
    reasons: dict[str, UnavailableError] = {}
    try:
        return ready(cache)
    except UnavailableError as error:
        reasons[str(error)] = error
    for number in visible_gpus() if driver_is_here() else ():
        if number == FIRST_GPU:
            continue
        try:
            return ready(cache, number)
        except UnavailableError as error:
            reasons.setdefault(str(error), error)
    raise UnavailableError(
        "; ".join(reasons), machine=any(error.details.get("machine") for error in reasons.values())
    )


def ready(cache: Callable[[], ContentCache], number: int = FIRST_GPU) -> Device:
    """Return a GPU that has the kernels and draws the right frames, opened once in this process.

    `cache` is asked for the place of the compiled kernels. Raises UnavailableError with one line that says why there
    is no such GPU, with `machine` if it may be there later.
    """
    with _lock:
        if number not in _drawing:
            device = _watched(number, lambda watch: _open_in(watch, number))
            try:
                _watched(number, lambda watch: _load_kernels(watch, device, cache))
            except UnavailableError:
                del _opened[number]  # it is opened again if it is asked for again
                raise
            _drawing.add(number)
        return _opened[number]


def opened(number: int) -> Device:
    """Return a GPU without kernels, for copies, opened once in this process; raise UnavailableError as `ready`."""
    with _lock:
        return _watched(number, lambda watch: _open_in(watch, number))


def _watched(number: int, work: Callable[[Watch], T]) -> T:
    """Return what `work` does with a GPU; raise UnavailableError, at once if it has stalled before."""
    try:
        if number not in _stalled:
            return call_watched(work, seconds=OPEN_SECONDS)
    except (StalledError, CudaStalledError) as error:
        _stalled[number] = str(error)
    except RenderingError as error:
        raise UnavailableError(str(error), machine=True) from error
    raise UnavailableError(_stalled[number], machine=True)


def _open_in(watch: Watch, number: int) -> Device:
    if number not in _opened:
        _find_driver()
        with watch():
            _opened[number] = find_device(number)
    return _opened[number]


def _load_kernels(watch: Watch, device: Device, cache: Callable[[], ContentCache]) -> None:
    try:
        compiler = Compiler()
    except UnavailableError as error:
        raise UnavailableError(f"{error} ({EXTRA})") from error
    try:
        compiler.check(device.capability)
    except UnavailableError as error:
        raise UnavailableError(f"{device.name}: {error}") from error
    cubin = cached_cubin(compiler, device.capability, cache())
    # It needs the extension of the native kernels; a GPU's encoder takes frames of the ffmpeg compositor without it.
    from video_pipeline.engine.render.cuda.self_check import check_frames

    with watch():
        device.load(cubin)
        check_frames(device)


def _find_driver() -> None:
    try:
        ctypes.CDLL(DRIVER)
    except OSError as error:
        raise UnavailableError(f"no NVIDIA driver on this machine ({DRIVER} was not found)") from error


def find_device(number: int) -> Device:
    """Return a GPU by the first library that can call it; raise UnavailableError."""
    reasons: list[str] = []
    for library in LIBRARIES:
        try:
            return library(number)
        except UnavailableError as error:
            reasons.append(str(error))
            if not str(error).endswith(MISSING):
                break  # the next library would meet the same driver
    visible = os.environ.get(VISIBLE)
    if visible is not None and reasons[-1] == NO_GPU:
        raise UnavailableError(f"{VISIBLE}={visible} names no GPU of this machine")
    if all(reason.endswith(MISSING) for reason in reasons):
        raise UnavailableError(f"{' and '.join(reasons)} ({EXTRA})")
    raise UnavailableError(reasons[-1])
