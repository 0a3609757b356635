"""Find the GPU that draws: by the first library that can call it, with kernels that draw the right frames."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import RenderingError, UnavailableError
from video_pipeline.engine.render.cuda.by_cupy import CupyDevice
from video_pipeline.engine.render.cuda.compile import Compiler, cached_cubin
from video_pipeline.engine.render.cuda.device import MISSING, NO_GPU, Device
from video_pipeline.engine.render.cuda.driver import DriverDevice
from video_pipeline.engine.render.cuda.self_check import check_frames
from video_pipeline.engine.render.encoders.watched import StalledError, call_watched

LIBRARIES: Final[tuple[Callable[[int], Device], ...]] = (DriverDevice, CupyDevice)
"""What calls the driver, preferred first."""

DRIVER: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
EXTRA: Final = "pip install 'video-pipeline[cuda]'"

OPEN_SECONDS: Final = 20.0
"""Time for opening a GPU, which takes seconds if no program uses it, and for the first frames."""

FIRST_GPU: Final = 0
"""The first that the process sees; CUDA_VISIBLE_DEVICES chooses another."""

_lock: Final = threading.Lock()
_ready: Final[dict[int, Device]] = {}
_stalled: Final[list[StalledError]] = []


def ready(cache: Callable[[], ContentCache], number: int = FIRST_GPU) -> Device:
    """Return a GPU that has the kernels and draws the right frames, opened once in this process.

    `cache` is asked for the place of the compiled kernels. Raises UnavailableError with one line that says why there
    is no such GPU, with `machine` if it may be there later.
    """
    with _lock:
        if number in _ready:
            return _ready[number]
        try:
            if not _stalled:
                device = call_watched(lambda watch: _open_in(watch, cache, number), seconds=OPEN_SECONDS)
                _ready[number] = device
                return device
        except StalledError as error:
            _stalled.append(error)  # another attempt would wait as long
        except RenderingError as error:
            raise UnavailableError(str(error), machine=True) from error
        raise UnavailableError(str(_stalled[0]), machine=True)


def _open_in(
    watch: Callable[[], contextlib.AbstractContextManager[None]],
    cache: Callable[[], ContentCache],
    number: int,
) -> Device:
    _find_driver()
    with watch():
        device = find_device(number)
    cubin = cached_cubin(Compiler(), device.capability, cache())
    with watch():
        device.load(cubin)
        check_frames(device)
    return device


def _find_driver() -> None:
    try:
        ctypes.CDLL(DRIVER)
    except OSError as error:
        raise UnavailableError(f"no NVIDIA driver on this machine ({DRIVER} was not found)") from error


def find_device(number: int) -> Device:
    """Return a GPU by the first library that can call it; raise UnavailableError."""
    compiler_fault = ""
    try:
        compiler: Compiler | None = Compiler()
    except UnavailableError as error:
        compiler, compiler_fault = None, str(error)
    reasons: list[str] = []
    for library in LIBRARIES:
        try:
            device = library(number)
        except UnavailableError as error:
            reasons.append(str(error))
            if str(error).endswith(MISSING):
                continue
            break  # the next library would meet the same driver
        if compiler is None:
            raise UnavailableError(f"{compiler_fault} ({EXTRA})")
        try:
            compiler.check(device.capability)
        except UnavailableError as error:
            raise UnavailableError(f"{device.name}: {error}") from error
        return device
    visible = os.environ.get(VISIBLE)
    if visible is not None and reasons[-1] == NO_GPU:
        raise UnavailableError(f"{VISIBLE}={visible} names no GPU of this machine")
    if all(reason.endswith(MISSING) for reason in reasons):
        raise UnavailableError(f"{' and '.join(reasons)} ({EXTRA})")
    raise UnavailableError(reasons[-1])
