"""Frames that were drawn in host memory, copied as NV12 through pinned memory to the GPU that encodes them.

A copy is under way while the next frame is drawn and while the encoder works on the one before.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from video_pipeline.engine.render.cuda.calls import DeviceCalls
from video_pipeline.engine.render.cuda.device import CudaError, Device, GpuFullError, Pinned
from video_pipeline.engine.render.cuda.memory import MB, GpuMemory
from video_pipeline.engine.render.cuda.surfaces import GpuFrame, SurfacePool, SurfaceRing
from video_pipeline.engine.render.planes import Buffer, write_nv12

AHEAD_FRAMES: Final = 3
"""Frames beside those that the encoder holds: one under way, one complete, one that the encoder is being given."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """What the frames of one range are copied through: a stream, and pinned memory for two frames."""

    stream: int
    rooms: tuple[Pinned, Pinned]


class GpuUploads:
    """A GPU that frames of one size are copied to, at most `bound` bytes of its memory. Thread-safe."""

    def __init__(self, device: Device, *, width: int, height: int, bound: int) -> None:
        self.device, self.width, self.height = device, width, height
        self._bound = bound
        self.call = DeviceCalls(device.name)
        self._lock = threading.Lock()
        self._lanes: list[_Lane] = []
        self._spare: list[_Lane] = []
        memory = self.call(lambda: GpuMemory(device, bound, relieve=lambda: False))
        self._surfaces = SurfacePool(device, memory, width=width, height=height, bound=bound)
        weakref.finalize(self, _free_lanes, device, self._lanes).atexit = False

    def frames(
        self, drawn: Generator[Buffer, None, None], *, held: int, stack: ExitStack
    ) -> Generator[GpuFrame, None, None]:
        """Return drawn frames in the GPU's memory, of which an encoder holds at most `held` at once.

        Their memory is given back by `stack`, to be closed when the encoder is. Raises CudaError, and GpuFullError if the
        memory does not suffice now.
        """
        ring = self.call(lambda: self._ring(held + AHEAD_FRAMES))
        stack.callback(ring.close)
        return self._copied(drawn, ring, stack.enter_context(self._lane()))

    def _copied(
        self, drawn: Generator[Buffer, None, None], ring: SurfaceRing, lane: _Lane
    ) -> Generator[GpuFrame, None, None]:
        complete: list[GpuFrame] = []  # at most one, which is dropped here as soon as it is taken
        with contextlib.closing(drawn):
            try:
                for number, frame in enumerate(drawn):
                    room = lane.rooms[number % 2].bytes
                    write_nv12(frame, room.reshape(self.height * 3 // 2, -1))
                    found = ring.take(1)
                    if not found:
                        raise GpuFullError(
                            f"{self.device.name}: the encoder holds more frames than were foreseen"
                        )
                    self.call(partial(self._begin, found[0].address, room, lane.stream))
                    while complete:
                        yield complete.pop()
                    complete = found
                    del found
                self.call(lambda: self.device.synchronise(lane.stream))
                while complete:
                    yield complete.pop()
            finally:
                # From here on the pinned memory is lent to other ranges.
                with contextlib.suppress(CudaError):
                    self.call(lambda: self.device.synchronise(lane.stream))

    def _begin(self, address: int, room: Buffer, stream: int) -> None:
        """Wait for the copy of the frame before, and begin the next one."""
        self.device.synchronise(stream)
        self.device.upload(address, room, stream)

    def _ring(self, count: int) -> SurfaceRing:
        with self._lock:
            return self._surfaces.ring(
                self,
                least=count,
                most=count,
                why=f"video.gpu_memory_mb ({self._bound / MB:g}) is for those of all segments under way",
            )

    @contextlib.contextmanager
    def _lane(self) -> Iterator[_Lane]:
        """Lend a lane. It takes no lock, which a call that hangs may hold."""
        try:
            lane = self._spare.pop()
        except IndexError:
            lane = self.call(self._new_lane)
        try:
            yield lane
        finally:
            self._spare.append(lane)

    def _new_lane(self) -> _Lane:
        device, size = self.device, self._surfaces.frame_bytes
        lane = _Lane(device.open_stream(), (device.pin(size), device.pin(size)))
        self._lanes.append(lane)
        return lane

    def download(self, address: int) -> Buffer:
        """Return a copy of a frame, as stacked planes Y, U, V; raise CudaError."""
        return self.call(lambda: self._download(address))

    def _download(self, address: int) -> Buffer:
        with self._lock:
            return self._surfaces.download(address)


def _free_lanes(device: Device, lanes: list[_Lane]) -> None:
    with contextlib.suppress(CudaError):
        for lane in lanes:
            device.close_stream(lane.stream)
            for room in lane.rooms:
                device.unpin(room)
