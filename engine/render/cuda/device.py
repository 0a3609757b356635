"""The few calls to a GPU that drawing needs; `driver` and `by_cupy` make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.cuda.compile import Capability
from video_pipeline.engine.render.planes import Buffer

NEEDED_CUDA: Final = (12, 0)
"""The oldest CUDA that a driver must support: older ones refuse the compiled kernels."""

OUT_OF_MEMORY: Final = 2
NO_DEVICE: Final = 100
STALLED: Final = -1
"""Statuses of the driver, and the one of a call that does not return."""

MISSING: Final = "is missing"
NO_GPU: Final = "the driver finds no GPU"
"""Words of the reasons for which a device cannot be opened; a reason of the first kind ends with them."""

BLOCKING: Final = 4
"""The flag of a context whose waits sleep; it is also the one that FFmpeg wants of a context that it shares."""


class CudaError(RenderingError):
    """A call to the GPU's driver failed; `status` is the driver's number of the fault."""

    def __init__(self, device: str, call: str, status: int, word: str) -> None:
        super().__init__(f"{device}: {call}: {word}", machine=True)
        self.status = status


class CudaStalledError(CudaError):
    """A call to the GPU's driver did not return in time; that GPU is lost."""

    def __init__(self, device: str, what: str) -> None:
        RenderingError.__init__(self, f"{device}: {what}", machine=True)
        self.status = STALLED


class GpuFullError(RenderingError):
    """The GPU's memory, or the part of it that the configuration allows, is too small."""

    def __init__(self, message: str) -> None:
        super().__init__(message, machine=True)


@dataclass(frozen=True, slots=True, eq=False)
class Pinned:
    """Host memory that the GPU reads and writes by itself: `bytes` is an array over it."""

    bytes: Buffer
    handle: Any

    @property
    def address(self) -> int:
        """Where it begins."""
        return self.bytes.ctypes.data


class Device(Protocol):
    """One GPU. Addresses and streams are whole numbers; every call may be made on any thread."""

    @property
    def name(self) -> str:
        """The GPU's name and number, and the library that calls it."""

    @property
    def number(self) -> int:
        """The GPU's number among those that the process sees."""

    @property
    def capability(self) -> Capability:
        """The GPU's compute capability."""

    def make_current(self) -> None:
        """Make its context that of the calling thread, for libraries that take the thread's."""

    def allocate(self, size: int) -> int:
        """Return the address of new memory; raise CudaError, with OUT_OF_MEMORY if the GPU is full."""

    def free(self, address: int) -> None:
        """Give memory back."""

    def pin(self, size: int) -> Pinned:
        """Return new pinned host memory."""

    def unpin(self, memory: Pinned) -> None:
        """Give pinned memory back."""

    def open_stream(self) -> int:
        """Return a new stream; what is put into it is done in order, beside other streams."""

    def close_stream(self, stream: int) -> None:
        """Give a stream back."""

    def upload(self, target: int, source: Buffer, stream: int) -> None:
        """Put a copy of pinned memory to the GPU into a stream."""

    def download(self, target: Buffer, source: int, stream: int) -> None:
        """Put a copy of the GPU's memory to pinned memory into a stream."""

    def load(self, cubin: bytes) -> None:
        """Load the compiled kernels."""

    def launch(
        self, kernel: str, grid: tuple[int, int, int], *, threads: int, argument: int, stream: int
    ) -> None:
        """Put a kernel with one argument, an address, into a stream."""

    def synchronise(self, stream: int) -> None:
        """Wait until all that was put into a stream is done."""
