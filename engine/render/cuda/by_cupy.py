"""A GPU by CuPy, for machines that have it and lack cuda-bindings. CuPy brings its own CUDA runtime."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.compile import KERNELS, Capability
from video_pipeline.engine.render.cuda.device import MISSING, NO_DEVICE, NO_GPU, CudaError, Pinned
from video_pipeline.engine.render.planes import Buffer

PORTABLE = 1
NON_BLOCKING = 1
TO_DEVICE, TO_HOST = 1, 2

T = TypeVar("T")


def _version_text(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


class CupyDevice:
    """One GPU of this process, through CuPy's runtime. Opening it raises UnavailableError."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"GPU {number}"
        try:
            from cupy_backends.cuda.api import driver, runtime
        except Exception as error:  # CuPy's own words for a missing or other CUDA
            if isinstance(error, ModuleNotFoundError):
                raise UnavailableError(f"the package CuPy {MISSING}") from error
            raise UnavailableError(f"CuPy cannot be imported: {_first_line(error)}") from error
        self._runtime, self._driver = runtime, driver
        self._check_versions()
        try:
            count = self._call("getDeviceCount", runtime.getDeviceCount)
        except CudaError as error:
            if error.status == NO_DEVICE:
                raise UnavailableError(NO_GPU) from error
            raise UnavailableError(f"CuPy cannot use the driver: {error}") from error
        if count <= number:
            raise UnavailableError(f"the driver finds {count} GPUs")
        try:
            self._call("setDevice", runtime.setDevice, number)
            properties = self._call("getDeviceProperties", runtime.getDeviceProperties, number)
        except CudaError as error:
            raise UnavailableError(str(error)) from error
        self.name = f"{properties['name'].decode('utf-8', 'replace')} (GPU {number})"
        self._capability = (int(properties["major"]), int(properties["minor"]))
        self._functions: dict[str, Any] = {}
        self._module: Any = None

    def _check_versions(self) -> None:
        supported = self._call("driverGetVersion", self._runtime.driverGetVersion)
        wanted = self._call("runtimeGetVersion", self._runtime.runtimeGetVersion)
        if supported // 1000 < wanted // 1000:
            raise UnavailableError(
                f"CuPy is built for CUDA {_version_text(wanted)}, and the driver supports {_version_text(supported)}"
            )

    def _call(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return function(*arguments)
        except Exception as error:
            status = getattr(error, "status", None)
            if status is None:
                raise
            raise CudaError(self.name, name, int(status), _first_line(error)) from error

    def make_current(self) -> None:
        """Make the device that of the calling thread."""
        self._call("setDevice", self._runtime.setDevice, self.number)

    @property
    def capability(self) -> Capability:
        """The GPU's compute capability."""
        return self._capability

    def allocate(self, size: int) -> int:
        """Return the address of new memory; raise CudaError, with OUT_OF_MEMORY if the GPU is full."""
        self.make_current()
        return int(self._call("malloc", self._runtime.malloc, size))

    def free(self, address: int) -> None:
        """Give memory back."""
        self.make_current()
        self._call("free", self._runtime.free, address)

    def pin(self, size: int) -> Pinned:
        """Return new pinned host memory."""
        self.make_current()
        pointer = int(self._call("hostAlloc", self._runtime.hostAlloc, size, PORTABLE))
        memory = (ctypes.c_uint8 * size).from_address(pointer)
        return Pinned(np.ctypeslib.as_array(memory), pointer)

    def unpin(self, memory: Pinned) -> None:
        """Give pinned memory back."""
        self.make_current()
        self._call("freeHost", self._runtime.freeHost, memory.handle)

    def open_stream(self) -> int:
        """Return a new stream."""
        self.make_current()
        return int(self._call("streamCreate", self._runtime.streamCreateWithFlags, NON_BLOCKING))

    def close_stream(self, stream: int) -> None:
        """Give a stream back."""
        self.make_current()
        self._call("streamDestroy", self._runtime.streamDestroy, stream)

    def upload(self, target: int, source: Buffer, stream: int) -> None:
        """Put a copy of pinned memory to the GPU into a stream."""
        self.make_current()
        copy = self._runtime.memcpyAsync
        self._call("memcpyAsync", copy, target, source.ctypes.data, source.nbytes, TO_DEVICE, stream)

    def download(self, target: Buffer, source: int, stream: int) -> None:
        """Put a copy of the GPU's memory to pinned memory into a stream."""
        self.make_current()
        copy = self._runtime.memcpyAsync
        self._call("memcpyAsync", copy, target.ctypes.data, source, target.nbytes, TO_HOST, stream)

    def load(self, cubin: bytes) -> None:
        """Load the compiled kernels."""
        self.make_current()
        module = self._call("moduleLoadData", self._driver.moduleLoadData, cubin)
        get = self._driver.moduleGetFunction
        self._functions = {name: self._call("moduleGetFunction", get, module, name) for name in KERNELS}
        self._module = module

    def launch(
        self, kernel: str, grid: tuple[int, int, int], *, threads: int, argument: int, stream: int
    ) -> None:
        """Put a kernel with one argument, an address, into a stream."""
        self.make_current()
        value = ctypes.c_void_p(argument)
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(value))
        function, launch = self._functions[kernel], self._driver.launchKernel
        shape = (*grid, threads, 1, 1)
        self._call("launchKernel", launch, function, *shape, 0, stream, ctypes.addressof(pointers), 0)

    def synchronise(self, stream: int) -> None:
        """Wait until all that was put into a stream is done."""
        self.make_current()
        self._call("streamSynchronize", self._runtime.streamSynchronize, stream)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
