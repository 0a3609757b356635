"""The GPU's memory of one render, within a bound: what frames are drawn in, and the pictures that stay there."""

from __future__ import annotations

import contextlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.render.cuda.device import OUT_OF_MEMORY, CudaError, Device, GpuFullError, Pinned
from video_pipeline.engine.render.planes import Buffer

STAGING_BYTES: Final = 4 * 2**20
"""Pinned memory through which pictures are uploaded, piece by piece."""

MB: Final = 10**6


@dataclass(slots=True)
class _Kept:
    """A picture in the GPU's memory, and how many batches read it now."""

    address: int
    users: int


class GpuMemory:
    """Memory of a GPU, at most `bound` bytes of it. Not thread-safe: `GpuPainter` calls it under its lock.

    Pictures stay until their room is needed, the least recently used going first. `relieve` is asked for room that is
    otherwise in use; it returns False if it has none. All memory is given back when this object is no longer used.
    """

    def __init__(self, device: Device, bound: int, *, relieve: Callable[[], bool]) -> None:
        self._device, self._bound, self._relieve = device, bound, relieve
        self._sizes: dict[int, int] = {}
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._stream = device.open_stream()
        self._staging = device.pin(STAGING_BYTES)
        # Not at exit: the process gives everything back, and a driver may hang.
        weakref.finalize(self, _free_memory, device, self._sizes, self._staging, self._stream).atexit = False

    @property
    def used_bytes(self) -> int:
        """The memory in use."""
        return sum(self._sizes.values())

    def allocate(self, size: int, what: str) -> int:
        """Return the address of new memory for `what`; raise GpuFullError."""
        while True:
            if self.used_bytes + size <= self._bound:
                try:
                    address = self._device.allocate(size)
                except CudaError as error:
                    if error.status != OUT_OF_MEMORY:
                        raise
                    if not self._make_room():
                        raise self._full(size, what, "the GPU has none left") from error
                else:
                    self._sizes[address] = size
                    return address
            elif not self._make_room():
                raise self._full(size, what, f"video.gpu_memory_mb allows {self._bound / MB:g}")

    def _full(self, size: int, what: str, why: str) -> GpuFullError:
        return GpuFullError(
            f"{self._device.name}: its memory is full: {size / MB:.1f} MB are needed for {what}, "
            f"{self.used_bytes / MB:.1f} MB are in use, and {why}"
        )

    def _make_room(self) -> bool:
        """Give up the picture that was unused for longest, or what is in use for a while; return whether any was."""
        for key, kept in self._kept.items():
            if kept.users == 0:
                self.free(kept.address)
                del self._kept[key]
                return True
        return self._relieve()

    def free(self, address: int) -> None:
        """Give memory back."""
        self._device.free(address)
        del self._sizes[address]

    def use(self, key: Hashable, parts: Callable[[], Sequence[Buffer]], what: str) -> int:
        """Return the address of a picture, uploaded if it is not there; it stays at least until `release`.

        `parts` returns the arrays that it consists of, which lie one after another.
        """
        kept = self._kept.get(key)
        if kept is None:
            arrays = [np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in parts()]
            address = self.allocate(sum(array.nbytes for array in arrays), what)
            try:
                self._upload(address, arrays)
            except BaseException:
                with contextlib.suppress(CudaError):
                    self.free(address)
                raise
            kept = self._kept[key] = _Kept(address, 0)
        kept.users += 1
        self._kept.move_to_end(key)
        return kept.address

    def release(self, key: Hashable) -> None:
        """End one use of a picture."""
        self._kept[key].users -= 1

    def _upload(self, address: int, arrays: Sequence[Buffer]) -> None:
        for array in arrays:
            for start in range(0, array.nbytes, STAGING_BYTES):
                piece = array[start : start + STAGING_BYTES]
                pinned = self._staging.bytes[: piece.nbytes]
                np.copyto(pinned, piece)
                self._device.upload(address + start, pinned, self._stream)
                self._device.synchronise(self._stream)
            address += array.nbytes


def _free_memory(device: Device, sizes: dict[int, int], staging: Pinned, stream: int) -> None:
    with contextlib.suppress(CudaError):  # a lost card has nothing left to give
        for address in sizes:
            device.free(address)
        device.unpin(staging)
        device.close_stream(stream)
    sizes.clear()
