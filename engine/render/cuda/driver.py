"""A GPU by NVIDIA's own binding of the driver, `cuda.bindings.driver`."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.compile import KERNELS, Capability
from video_pipeline.engine.render.cuda.device import (
    BLOCKING,
    MISSING,
    NEEDED_CUDA,
    NO_DEVICE,
    NO_GPU,
    CudaError,
    Pinned,
)
from video_pipeline.engine.render.planes import Buffer

MAJOR_ATTRIBUTE, MINOR_ATTRIBUTE = 75, 76
PORTABLE = 1
NON_BLOCKING = 1


def _binding() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise UnavailableError(f"the package cuda-bindings {MISSING}") from error
    return driver


class DriverDevice:
    """One GPU of this process, with its primary context. Opening it raises UnavailableError."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"GPU {number}"
        self._driver = _binding()
        try:
            self._call("cuInit", 0)
            self._check_version()
            count = self._call("cuDeviceGetCount")
        except CudaError as error:
            if error.status == NO_DEVICE:
                raise UnavailableError(NO_GPU) from error
            raise UnavailableError(f"the driver cannot be used: {error}") from error
        if count <= number:
            raise UnavailableError(f"the driver finds {count} GPUs" if count else NO_GPU)
        try:
            self._device = self._call("cuDeviceGet", number)
            given = self._call("cuDeviceGetName", 200, self._device)
            self.name = f"{given.split(bytes(1))[0].decode('utf-8', 'replace')} (GPU {number})"
            self._context = self._open_context()
        except CudaError as error:
            raise UnavailableError(str(error)) from error
        self._functions: dict[str, Any] = {}
        self._module: Any = None

    def _call(self, name: str, *arguments: Any) -> Any:
        status, *values = getattr(self._driver, name)(*arguments)
        if int(status) != 0:
            raise CudaError(self.name, name, int(status), getattr(status, "name", str(status)))
        return values[0] if len(values) == 1 else tuple(values)

    def _check_version(self) -> None:
        version = int(self._call("cuDriverGetVersion"))
        found = (version // 1000, version % 1000 // 10)
        if found < NEEDED_CUDA:
            raise UnavailableError(
                f"the driver is too old: it supports CUDA {found[0]}.{found[1]}, "
                f"and {NEEDED_CUDA[0]}.{NEEDED_CUDA[1]} is needed (driver 525 or newer)"
            )

    def _open_context(self) -> Any:
        # If the context is in use already, its user's flags stay.
        self._driver.cuDevicePrimaryCtxSetFlags(self._device, BLOCKING)
        return self._call("cuDevicePrimaryCtxRetain", self._device)

    def make_current(self) -> None:
        """Make the context that of the calling thread."""
        self._call("cuCtxSetCurrent", self._context)

    @property
    def capability(self) -> Capability:
        """The GPU's compute capability."""
        attribute = self._driver.CUdevice_attribute
        numbers = [
            int(self._call("cuDeviceGetAttribute", attribute(which), self._device))
            for which in (MAJOR_ATTRIBUTE, MINOR_ATTRIBUTE)
        ]
        return numbers[0], numbers[1]

    def allocate(self, size: int) -> int:
        """Return the address of new memory; raise CudaError, with OUT_OF_MEMORY if the GPU is full."""
        self.make_current()
        return int(self._call("cuMemAlloc", size))

    def free(self, address: int) -> None:
        """Give memory back."""
        self.make_current()
        self._call("cuMemFree", address)

    def pin(self, size: int) -> Pinned:
        """Return new pinned host memory."""
        self.make_current()
        pointer = int(self._call("cuMemHostAlloc", size, PORTABLE))
        memory = (ctypes.c_uint8 * size).from_address(pointer)
        return Pinned(np.ctypeslib.as_array(memory), pointer)

    def unpin(self, memory: Pinned) -> None:
        """Give pinned memory back."""
        self.make_current()
        self._call("cuMemFreeHost", memory.handle)

    def open_stream(self) -> int:
        """Return a new stream."""
        self.make_current()
        return int(self._call("cuStreamCreate", NON_BLOCKING))

    def close_stream(self, stream: int) -> None:
        """Give a stream back."""
        self.make_current()
        self._call("cuStreamDestroy", stream)

    def upload(self, target: int, source: Buffer, stream: int) -> None:
        """Put a copy of pinned memory to the GPU into a stream."""
        self.make_current()
        self._call("cuMemcpyHtoDAsync", target, source.ctypes.data, source.nbytes, stream)

    def download(self, target: Buffer, source: int, stream: int) -> None:
        """Put a copy of the GPU's memory to pinned memory into a stream."""
        self.make_current()
        self._call("cuMemcpyDtoHAsync", target.ctypes.data, source, target.nbytes, stream)

    def load(self, cubin: bytes) -> None:
        """Load the compiled kernels."""
        self.make_current()
        module = self._call("cuModuleLoadData", cubin)
        self._functions = {name: self._call("cuModuleGetFunction", module, name.encode()) for name in KERNELS}
        self._module = module

    def launch(
        self, kernel: str, grid: tuple[int, int, int], *, threads: int, argument: int, stream: int
    ) -> None:
        """Put a kernel with one argument, an address, into a stream."""
        self.make_current()
        arguments = ((argument,), (ctypes.c_void_p,))
        self._call("cuLaunchKernel", self._functions[kernel], *grid, threads, 1, 1, 0, stream, arguments, 0)

    def synchronise(self, stream: int) -> None:
        """Wait until all that was put into a stream is done."""
        self.make_current()
        self._call("cuStreamSynchronize", stream)
