"""Draw frames on a GPU, a batch at a time: plan, upload, launch, download; the next batch while one is encoded."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from video_pipeline.engine.render.cuda.calls import DeviceCalls
from video_pipeline.engine.render.cuda.device import CudaError, Device, Pinned
from video_pipeline.engine.render.cuda.memory import MB, GpuMemory
from video_pipeline.engine.render.cuda.surfaces import GpuFrame, SurfacePool, SurfaceRing, pitch_of
from video_pipeline.engine.render.planes import Buffer, Layer, Planes
from video_pipeline.native import kernels

Launch = tuple[str, tuple[int, int, int], int]
"""A kernel, its grid of blocks, and the address of its frames."""

BLOCK_THREADS: Final = 256
MOST_FRAMES: Final = 8
"""Frames of a batch at most: enough blocks for the largest GPU, and a segment's start does not wait long."""

BATCHES_IN_BOUND: Final = 8
"""How many batches fit the memory's bound at least, with their transitions and video clips."""

SURFACES_SHARE: Final = 2
"""Frames that stay for encoders take at most one part in this many of the memory's bound: the rest is for drawing."""

PLANES_A_FRAME: Final = 5
"""Frames of memory for a frame at most: itself, and two pictures each from a video clip and for a second pass."""


class StillSide(NamedTuple):
    """A still on a frame: one level of a picture, where the frame lies in it, and its share of black."""

    key: Hashable
    planes: Planes
    left: float
    top: float
    step_x: float
    step_y: float
    copied: bool
    fade: float


class ClipSide(NamedTuple):
    """A frame of a video clip, as the number of its place in the batch's pinned memory."""

    place: int


class FrameSpec(NamedTuple):
    """All that a frame shows; with two sides, `transition` is its name and progress."""

    sides: tuple[StillSide | ClipSide, ...]
    transition: tuple[str, float] | None
    layers: tuple[Layer, ...]


@dataclass(slots=True)
class _BatchMemory:
    """What one batch is drawn in: regions of the GPU's memory, the plan's pinned copy, a stream."""

    stream: int
    regions: dict[str, tuple[int, int]] = field(default_factory=dict)
    plan: Pinned | None = None


class Batch:
    """Frames that are being drawn; `finish` waits for them. It may be called on any thread, more than once."""

    def __init__(self, painter: GpuPainter, slot: _BatchMemory, used: list[Hashable]) -> None:
        self._painter, self._slot, self._used = painter, slot, used
        self._done = False
        self._error: CudaError | None = None

    def finish(self) -> None:
        """Wait until the frames are drawn; raise CudaError."""
        self._painter.call(self.finish_here)

    def finish_here(self) -> None:
        """Do the same on the calling thread, however long it takes."""
        if not self._done:
            try:
                self._painter.device.synchronise(self._slot.stream)
            except CudaError as error:
                self._error = self._error or error
            self._painter.take_back(self)
        if self._error:
            raise self._error

    def close(self) -> list[Hashable] | None:
        """Mark the batch as done and return the pictures that it has used; None if it was done.

        The painter calls it, under its lock.
        """
        if self._done:
            return None
        self._done = True
        return self._used

    @property
    def slot(self) -> _BatchMemory:
        """What it is drawn in."""
        return self._slot


class GpuPainter:
    """A GPU's frames of one size, from any number of threads. Its memory is given back when it is no longer used.

    A call that does not return in time raises CudaStalledError, and every later call at once.
    """

    def __init__(self, device: Device, *, width: int, height: int, bound: int) -> None:
        self.device = device
        self.width, self.height = width, height
        self.frame_bytes = width * height * 3 // 2
        fitting = bound // (BATCHES_IN_BOUND * PLANES_A_FRAME * self.frame_bytes)
        self.batch_frames = max(1, min(MOST_FRAMES, fitting))
        self._lock = threading.RLock()
        self._under_way: list[Batch] = []
        self._idle: list[_BatchMemory] = []
        self._spare: list[Pinned] = []
        self._pinned: list[Pinned] = []
        self._streams: list[int] = []
        self.bound = bound
        # The memory must not keep the painter, which would then never be given back.
        itself = weakref.ref(self)

        def relieve() -> bool:
            painter = itself()
            return painter is not None and painter._relieve()

        self.call = DeviceCalls(device.name)
        self._memory = self.call(lambda: GpuMemory(device, bound, relieve=relieve))
        self._surfaces = SurfacePool(
            device, self._memory, width=width, height=height, bound=bound // SURFACES_SHARE
        )
        weakref.finalize(self, _free_pinned, device, self._pinned, self._streams).atexit = False

    @contextlib.contextmanager
    def pinned_frames(self) -> Iterator[Pinned]:
        """Lend pinned memory for a batch of frames. It takes no lock, which a call that hangs may hold."""
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = self.call(lambda: self.device.pin(self.batch_frames * self.frame_bytes))
            self._pinned.append(memory)
        try:
            yield memory
        finally:
            self._spare.append(memory)

    def draw(self, frames: Sequence[FrameSpec], target: Pinned, *, clips: Sequence[Buffer] = ()) -> Batch:
        """Begin to draw frames into pinned memory, one after another; `clips` is the pinned memory of ClipSide.

        Raises CudaError, and GpuFullError if the memory does not suffice.
        """
        return self.call(lambda: self._draw(frames, target, clips))

    def draw_surfaces(
        self, frames: Sequence[FrameSpec], targets: Sequence[GpuFrame], *, clips: Sequence[Buffer] = ()
    ) -> Batch:
        """Begin to draw frames that stay in the GPU's memory; otherwise as `draw`."""
        return self.call(lambda: self._draw(frames, targets, clips))

    def ring(self, *, least: int, most: int) -> SurfaceRing:
        """Return memory for frames of one range that stay on the GPU, `most` of them or at least `least`.

        Raises GpuFullError, without waiting for other ranges, and what `draw` raises.
        """
        return self.call(lambda: self._ring(least, most))

    def _ring(self, least: int, most: int) -> SurfaceRing:
        why = f"half of video.gpu_memory_mb ({self.bound / MB:g}) is for those of all segments under way"
        with self._lock:
            return self._surfaces.ring(self, least=least, most=most, why=why)

    def download(self, address: int) -> Buffer:
        """Return a copy of a frame that stays on the GPU, as stacked planes Y, U, V; raise what `draw` raises."""
        return self.call(lambda: self._download(address))

    def _download(self, address: int) -> Buffer:
        with self._lock:
            return self._surfaces.download(address)

    def _draw(
        self, frames: Sequence[FrameSpec], target: Pinned | Sequence[GpuFrame], clips: Sequence[Buffer]
    ) -> Batch:
        with self._lock:
            slot = self._borrow()
            used: list[Hashable] = []
            batch = Batch(self, slot, used)
            try:
                self._issue(slot, used, frames, target, clips)
            except BaseException:
                # What was put into the stream may still use the memory.
                with contextlib.suppress(CudaError):
                    batch.finish_here()
                raise
            self._under_way.append(batch)
            return batch

    @contextlib.contextmanager
    def repeated(
        self, frames: Sequence[FrameSpec], *, kernel: str | None = None
    ) -> Iterator[Callable[[int], None]]:
        """Plan and upload frames once; lend a function that draws them a number of times, for measuring.

        With `kernel` only that one is launched.
        """
        with self._lock:
            slot = self._borrow()
            used: list[Hashable] = []
            launches = [launch for launch in self._put(slot, used, frames, ()) if kernel in (None, launch[0])]

            def launch(times: int) -> None:
                for _ in range(times):
                    self._launch(launches, slot.stream)
                self.device.synchronise(slot.stream)

            try:
                yield launch
            finally:
                self.take_back(Batch(self, slot, used))

    def take_back(self, batch: Batch) -> None:
        """Take back what a batch was drawn in."""
        with self._lock:
            used = batch.close()
            if used is None:
                return
            for key in used:
                self._memory.release(key)
            if batch in self._under_way:
                self._under_way.remove(batch)
            self._idle.append(batch.slot)

    def _borrow(self) -> _BatchMemory:
        if self._idle:
            return self._idle.pop()
        stream = self.device.open_stream()
        self._streams.append(stream)
        return _BatchMemory(stream)

    def _relieve(self) -> bool:
        """Give up memory: of spare frames, slots without a batch, or the batch begun first, once it is drawn."""
        if self._surfaces.give_up():
            return True
        for slot in self._idle:
            if slot.regions:
                for address, _ in slot.regions.values():
                    self._memory.free(address)
                slot.regions.clear()
                return True
        for batch in self._under_way:
            with contextlib.suppress(CudaError):  # its own thread hears of it
                batch.finish_here()
            return True
        return False

    def _region(self, slot: _BatchMemory, name: str, size: int) -> int:
        address, has = slot.regions.get(name, (0, 0))
        if has >= size:
            return address
        if has:
            del slot.regions[name]
            self._memory.free(address)
        address = self._memory.allocate(size, f"the {name} of {self.width}x{self.height}")
        slot.regions[name] = (address, size)
        return address

    def _plan_memory(self, slot: _BatchMemory, size: int) -> Pinned:
        if slot.plan is None or slot.plan.bytes.nbytes < size:
            if slot.plan is not None:
                self._pinned.remove(slot.plan)
                self.device.unpin(slot.plan)
            slot.plan = self.device.pin(size)
            self._pinned.append(slot.plan)
        return slot.plan

    def _issue(
        self,
        slot: _BatchMemory,
        used: list[Hashable],
        frames: Sequence[FrameSpec],
        target: Pinned | Sequence[GpuFrame],
        clips: Sequence[Buffer],
    ) -> None:
        if not isinstance(target, Pinned):
            addresses = [frame.address for frame in target]
            self._launch(self._put(slot, used, frames, clips, addresses), slot.stream)
            return
        launches = self._put(slot, used, frames, clips)
        self._launch(launches, slot.stream)
        size = len(frames) * self.frame_bytes
        self.device.download(target.bytes[:size], slot.regions["frames"][0], slot.stream)

    def _launch(self, launches: Sequence[Launch], stream: int) -> None:
        for kernel, grid, address in launches:
            self.device.launch(kernel, grid, threads=BLOCK_THREADS, argument=address, stream=stream)

    def _put(
        self,
        slot: _BatchMemory,
        used: list[Hashable],
        frames: Sequence[FrameSpec],
        clips: Sequence[Buffer],
        surfaces: Sequence[int] = (),
    ) -> list[Launch]:
        """Upload all that frames need, and return the launches that draw them.

        They are drawn as NV12 to `surfaces`, one address for each, or as planes into the slot's region `frames`.
        """
        device, stream, each = self.device, slot.stream, self.frame_bytes
        size = sum(
            kernels.CudaPlan.frame_bytes(width=self.width, height=self.height, layers=len(frame.layers))
            for frame in frames
        )
        pinned = self._plan_memory(slot, size)
        on_gpu = self._region(slot, "plans", size)
        drawn = 0 if surfaces else self._region(slot, "frames", len(frames) * each)
        clip_frames = self._region(slot, "clips", len(clips) * each) if clips else 0
        joined = [number for number, frame in enumerate(frames) if frame.transition]
        scratch = self._region(slot, "transitions", 2 * len(joined) * each) if joined else 0
        plan = kernels.CudaPlan(pinned.bytes, address=on_gpu, width=self.width, height=self.height)
        for number, frame in enumerate(frames):
            if surfaces:
                plan.begin(target=surfaces[number], stride=pitch_of(self.width), interleaved=True)
            else:
                plan.begin(target=drawn + number * each, stride=self.width, interleaved=False)
            for side in frame.sides:
                if isinstance(side, ClipSide):
                    plan.copy(clip_frames + side.place * each)
                else:
                    self._add_still(plan, side, used)
            if frame.transition:
                plan.transition(*frame.transition, scratch=scratch)
                scratch += 2 * each
            for layer in frame.layers:
                self._add_layer(plan, layer, used)
            plan.end()
        launches = plan.launches()
        for place, clip in enumerate(clips):
            device.upload(clip_frames + place * each, clip, stream)
        device.upload(on_gpu, pinned.bytes[: plan.used_bytes], stream)
        return launches

    def _add_still(self, plan: kernels.CudaPlan, side: StillSide, used: list[Hashable]) -> None:
        address = self._memory.use(side.key, lambda: side.planes, "a picture")
        used.append(side.key)
        if side.copied:
            plan.copy(address, fade=side.fade)
            return
        rows, columns = side.planes[0].shape
        plan.still(
            address,
            width=columns,
            height=rows,
            left=side.left,
            top=side.top,
            step_x=side.step_x,
            step_y=side.step_y,
            fade=side.fade,
        )

    def _add_layer(self, plan: kernels.CudaPlan, layer: Layer, used: list[Hashable]) -> None:
        key, overlay, x, y, opacity, part = layer
        parity = {"x_odd": bool(x & 1), "y_odd": bool(y & 1)}
        key = (key, x & 1, y & 1)
        address = self._memory.use(key, lambda: [kernels.pack_overlay(overlay, **parity)], "a caption")
        used.append(key)
        plan.layer(address, overlay, x=x, y=y, opacity=opacity, part=part)


def _free_pinned(device: Device, pinned: list[Pinned], streams: list[int]) -> None:
    with contextlib.suppress(CudaError):
        for memory in pinned:
            device.unpin(memory)
        for stream in streams:
            device.close_stream(stream)
