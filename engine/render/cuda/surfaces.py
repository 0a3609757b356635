"""Frames that stay in a GPU's memory for the encoder, and the rings of memory in which they are drawn.

A frame is NV12: Y, and right below it, with the same pitch, U and V side by side. NVENC is told only where Y begins.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from video_pipeline.engine.render.cuda.device import Device
from video_pipeline.engine.render.cuda.dlpack import DlpackPlane
from video_pipeline.engine.render.planes import Buffer

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
