"""Frames that stay in a GPU's memory for the encoder, and the rings of memory in which they are drawn.

A frame is NV12: Y, and right below it, with the same pitch, U and V side by side. NVENC is told only where Y begins.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from video_pipeline.engine.render.cuda.device import CudaError, Device, GpuFullError, Pinned
from video_pipeline.engine.render.cuda.dlpack import DlpackPlane
from video_pipeline.engine.render.cuda.memory import MB, GpuMemory
from video_pipeline.engine.render.planes import Buffer, planar_of

PITCH_BYTES: Final = 512
"""Rows begin at multiples of this, as in the frames that FFmpeg allocates."""


class Owner(Protocol):
    """What draws the frames, and is kept as long as one of them."""

    device: Device
    width: int
    height: int

    def download(self, address: int) -> Buffer:
        """Return a copy of a frame in host memory, as stacked planes Y, U, V."""


def pitch_of(width_px: int) -> int:
    """Return the bytes from one row to the next."""
    return -(-width_px // PITCH_BYTES) * PITCH_BYTES


class GpuFrame:
    """A frame in a GPU's memory. Once nothing refers to it, neither here nor in an encoder, another is drawn there."""

    def __init__(self, owner: Owner, address: int) -> None:
        self._owner, self.address = owner, address

    @property
    def gpu(self) -> int:
        """The number of the GPU among those that the process sees."""
        return self._owner.device.number

    def make_current(self) -> None:
        """Make the GPU's context that of the calling thread."""
        self._owner.device.make_current()

    def planes(self) -> tuple[DlpackPlane, DlpackPlane]:
        """Return Y, and U and V, for PyAV."""
        width, height, pitch = self._owner.width, self._owner.height, pitch_of(self._owner.width)
        below = self.address + pitch * height
        return (
            DlpackPlane(self.address, width=width, height=height, pitch=pitch, gpu=self.gpu, owner=self),
            DlpackPlane(below, width=width, height=height // 2, pitch=pitch, gpu=self.gpu, owner=self),
        )

    def download(self) -> Buffer:
        """Return a copy in host memory, as stacked planes Y, U, V; raise RenderingError."""
        return self._owner.download(self.address)


class SurfaceRing:
    """Memory for the frames of one range, each place used again when its frame has been encoded.

    `close` gives the places to other ranges, those that an encoder still reads once it has read them.
    """

    def __init__(self, owner: Owner, addresses: Sequence[int], spare: deque[int]) -> None:
        self._owner, self._free, self._spare = owner, deque(addresses), spare
        self._closed = False

    def take(self, most: int) -> list[GpuFrame]:
        """Return as many frames, with undefined pixels, as are free, at most `most`."""
        found: list[GpuFrame] = []
        with contextlib.suppress(IndexError):
            while len(found) < most:
                address = self._free.popleft()
                frame = GpuFrame(self._owner, address)
                weakref.finalize(frame, self._give_back, address).atexit = False
                found.append(frame)
        return found

    def close(self) -> None:
        """Give everything back."""
        self._closed = True
        self._drain()

    def _give_back(self, address: int) -> None:
        # On the thread that drops the frame, inside an encoder's call: it takes no lock.
        self._free.append(address)
        if self._closed:
            self._drain()

    def _drain(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._spare.append(self._free.popleft())


class SurfacePool:
    """Memory of frames of one size that stay on a GPU for encoders, at most `bound` bytes. Its owner calls it under a lock."""

    def __init__(self, device: Device, memory: GpuMemory, *, width: int, height: int, bound: int) -> None:
        self._device, self._memory = device, memory
        self._width, self._height = width, height
        self.frame_bytes = pitch_of(width) * height * 3 // 2
        self._most = bound // self.frame_bytes
        self._count = 0
        self._spare: deque[int] = deque()
        self._copy: tuple[Pinned, int] | None = None

    def ring(self, owner: Owner, *, least: int, most: int, why: str) -> SurfaceRing:
        """Return memory for the frames of one range, `most` of them or at least `least`.

        Raises GpuFullError, with `why` if the bound is reached, and CudaError.
        """
        found: list[int] = []
        try:
            while len(found) < most and (self._spare or self._count < self._most):
                found.append(self._surface())
        except GpuFullError:
            why = "its memory is full"
        except BaseException:
            self._spare.extend(found)
            raise
        if len(found) < least:
            self._spare.extend(found)
            # The same for every segment, so that it is told once.
            size = f"{least} frames of {self.frame_bytes / MB:.1f} MB"
            raise GpuFullError(f"{self._device.name}: there is no room for {size} for the encoder: {why}")
        return SurfaceRing(owner, found, self._spare)

    def _surface(self) -> int:
        if self._spare:
            return self._spare.popleft()
        what = f"a frame of {self._width}x{self._height} for the encoder"
        address = self._memory.allocate(self.frame_bytes, what)
        self._count += 1
        return address

    def give_up(self) -> bool:
        """Free a frame's memory that no range has; return whether there was one."""
        if not self._spare:
            return False
        self._memory.free(self._spare.popleft())
        self._count -= 1
        return True

    def download(self, address: int) -> Buffer:
        """Return a copy of a frame, as stacked planes Y, U, V; raise CudaError."""
        if self._copy is None:
            pinned, stream = self._device.pin(self.frame_bytes), self._device.open_stream()
            weakref.finalize(self, _free_copy, self._device, pinned, stream).atexit = False
            self._copy = pinned, stream
        pinned, stream = self._copy
        self._device.download(pinned.bytes, address, stream)
        self._device.synchronise(stream)
        return planar_of(pinned.bytes.reshape(self._height * 3 // 2, -1), self._width)


def _free_copy(device: Device, pinned: Pinned, stream: int) -> None:
    with contextlib.suppress(CudaError):
        device.unpin(pinned)
        device.close_stream(stream)
