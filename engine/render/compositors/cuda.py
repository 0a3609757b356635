"""The cuda compositor: the native compositor's frames, drawn on an NVIDIA GPU.

It has the native compositor's stills, captions and video clips; only what is done with each pixel of a frame is done
by kernels on the GPU. Their frames have the same bytes, so the cache of segments serves both.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator
from typing import Final, NamedTuple, Self

from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.common.registry import Probe
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import RenderingError, UnavailableError
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.compositors.base import CompositorBackend
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor, open_graphs
from video_pipeline.engine.render.compositors.native import NativeCompositor, Shown, ShownRange
from video_pipeline.engine.render.compositors.picture import look_of
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.cuda.device import CudaError, Device, GpuFullError, Pinned
from video_pipeline.engine.render.cuda.open import first_ready, ready, visible_gpus
from video_pipeline.engine.render.cuda.painter import (
    Batch,
    ClipSide,
    FrameSpec,
    GpuPainter,
    StillSide,
)
from video_pipeline.engine.render.cuda.painters import GpuPainters
from video_pipeline.engine.render.cuda.surfaces import GpuFrame, SurfaceRing
from video_pipeline.engine.render.planes import Buffer, planes_of
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.transitions import progress

AHEAD_FRAMES: Final = 4
"""Frames of a batch that stays on the GPU, at most; two such batches are beside those that the encoder holds."""


logger = logging.getLogger(__name__)


class CudaCompositor(NativeCompositor):
    """A compositor that draws any frame range of a timeline on a GPU, with the native compositor's bytes.

    `by_name` means that the configuration names it: then nothing else draws.
    """

    name = "cuda"

    def __init__(
        self,
        *,
        timeline: Timeline,
        captions: tuple[CaptionArt, ...],
        graphs: FfmpegCompositor,
        painters: GpuPainters,
        by_name: bool = True,
    ) -> None:
        super().__init__(timeline=timeline, captions=captions, graphs=graphs)
        self.painters, self._by_name = painters, by_name

    def _another(self, timeline: Timeline, captions: tuple[CaptionArt, ...]) -> Self:
        return type(self)(
            timeline=timeline,
            captions=captions,
            graphs=self._graphs,
            painters=self.painters,
            by_name=self._by_name,
        )

    def frames(
        self, wanted: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range, valid until the next; later ones are drawn meanwhile. Raises RenderingError.

        If a GPU is lost, another one goes on at the frame that was to come next; if none is left, or its memory is
        full, the processor goes on, unless the configuration names this compositor.
        """
        start = wanted.start
        painter = self.painters.any()
        while painter:
            try:
                for frame in self._painted(painter, FrameRange(start, wanted.stop), children):
                    start += 1
                    yield frame
                return
            except (CudaError, GpuFullError) as error:
                if start == wanted.stop:
                    return
                another = None
                if isinstance(error, CudaError):
                    self.painters.lose(painter.device.number, str(error))
                    another = self.painters.any()
                if another is None and self._by_name:
                    raise
                who = another.device.name if another else "the processor"
                logger.warning("%s; frames [%d, %d) are drawn by %s", error, start, wanted.stop, who)
                painter = another
        if self._by_name:
            raise RenderingError(f"no GPU is left that draws: {'; '.join(self.lost_gpus())}", machine=True)
        yield from super().frames(FrameRange(start, wanted.stop), threads=threads, children=children)

    def _painted(
        self, painter: GpuPainter, wanted: FrameRange, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range, drawn by one GPU."""
        count = painter.batch_frames
        parts = [
            FrameRange(start, min(start + count, wanted.stop))
            for start in range(wanted.start, wanted.stop, count)
        ]
        with contextlib.ExitStack() as stack:
            stage = _CudaRange(self, painter, wanted, children, stack)
            rooms = itertools.cycle([stage.room() for _ in parts[:2]])
            drawn: deque[tuple[Batch, Buffer]] = deque()
            try:
                for part in parts:
                    drawn.append(stage.draw(part, next(rooms)))
                    if len(drawn) > 1:
                        yield from _finished(*drawn.popleft())
                while drawn:
                    yield from _finished(*drawn.popleft())
            finally:
                # From here on their memory is lent to other ranges.
                for batch, _ in drawn:
                    with contextlib.suppress(RenderingError):
                        batch.finish()

    def gpu_frames(
        self, wanted: FrameRange, *, gpu: int, held: int, children: Children, stack: contextlib.ExitStack
    ) -> Generator[GpuFrame, None, None]:
        """Return the frames of a range in the memory of the GPU that encodes them; see GpuCompositor."""
        painter = self.painters.on(gpu)
        ahead = min(AHEAD_FRAMES, painter.batch_frames)
        ring = painter.ring(least=held + 2, most=held + 2 * ahead)
        stack.callback(ring.close)
        return self._gpu_frames(wanted, painter, ring, children)

    def _gpu_frames(
        self, wanted: FrameRange, painter: GpuPainter, ring: SurfaceRing, children: Children
    ) -> Generator[GpuFrame, None, None]:
        ahead = min(AHEAD_FRAMES, painter.batch_frames)
        with contextlib.ExitStack() as stack:
            stage = _CudaRange(self, painter, wanted, children, stack)
            rooms = itertools.cycle([stage.clip_room() for _ in range(2)])
            drawn: deque[tuple[Batch, list[GpuFrame]]] = deque()
            start = wanted.start
            try:
                while start < wanted.stop or drawn:
                    free = ring.take(min(ahead, wanted.stop - start)) if len(drawn) < 2 else []
                    if free:
                        part = FrameRange(start, start + len(free))
                        drawn.append((stage.draw_surfaces(part, next(rooms), free), free))
                        start = part.stop
                        continue
                    if not drawn:
                        raise GpuFullError(
                            f"{painter.device.name}: the encoder holds more frames than were foreseen"
                        )
                    batch, frames = drawn.popleft()
                    batch.finish()
                    while frames:
                        yield frames.pop(0)
            finally:
                for batch, _ in drawn:
                    with contextlib.suppress(RenderingError):
                        batch.finish()

    def lose_gpu(self, gpu: int, reason: str) -> None:
        """Stop drawing on a GPU."""
        self.painters.lose(gpu, reason)

    def lost_gpus(self) -> tuple[str, ...]:
        """Return why each GPU that has failed to draw is no longer used."""
        return self.painters.lost()


def _finished(batch: Batch, frames: Buffer) -> Generator[Buffer, None, None]:
    batch.finish()
    yield from frames


class _Room(NamedTuple):
    """Pinned memory for a batch: its frames, and those of the video clips that it shows."""

    frames: Pinned
    clips: tuple[Pinned, ...]


class _CudaRange(ShownRange):
    """A stage that draws its frames on the GPU."""

    def __init__(
        self,
        owner: CudaCompositor,
        painter: GpuPainter,
        wanted: FrameRange,
        children: Children,
        stack: contextlib.ExitStack,
    ) -> None:
        super().__init__(owner, wanted, children, stack)
        self._painter, self._stack = painter, stack

    def room(self) -> _Room:
        """Return pinned memory for a batch, lent until the range ends."""
        return _Room(self._stack.enter_context(self._painter.pinned_frames()), self.clip_room())

    def clip_room(self) -> tuple[Pinned, ...]:
        """Return pinned memory for the video clips of a batch, lent until the range ends."""
        count = 0 if not self.has_footage else 2 if self.has_transitions else 1
        return tuple(self._stack.enter_context(self._painter.pinned_frames()) for _ in range(count))

    def draw(self, frames: FrameRange, room: _Room) -> tuple[Batch, Buffer]:
        """Begin to draw a batch; return it and its frames, shape (count, height * 3 / 2, width)."""
        clips: list[Buffer] = []
        specs = [self._spec(frame, room.clips, clips) for frame in range(frames.start, frames.stop)]
        batch = self._painter.draw(specs, room.frames, clips=clips)
        size = len(specs) * self._painter.frame_bytes
        height, width = self._painter.height, self._painter.width
        return batch, room.frames.bytes[:size].reshape(len(specs), height * 3 // 2, width)

    def draw_surfaces(self, frames: FrameRange, room: tuple[Pinned, ...], targets: list[GpuFrame]) -> Batch:
        """Begin to draw a batch that stays on the GPU."""
        clips: list[Buffer] = []
        specs = [self._spec(frame, room, clips) for frame in range(frames.start, frames.stop)]
        return self._painter.draw_surfaces(specs, targets, clips=clips)

    def _spec(self, frame: int, room: tuple[Pinned, ...], clips: list[Buffer]) -> FrameSpec:
        index, transition = self.clips_at(frame)
        layers = tuple(self.layers(frame))
        if transition is None:
            return FrameSpec((self._side(index, frame, room, clips),), None, layers)
        sides = tuple(self._side(each, frame, room, clips) for each in (index, index + 1))
        at = progress(frame - transition.frames.start, len(transition.frames))
        return FrameSpec(sides, (transition.name, at), layers)

    def _side(
        self, index: int, frame: int, room: tuple[Pinned, ...], clips: list[Buffer]
    ) -> StillSide | ClipSide:
        shown = self.clip_at(index, frame)
        if not isinstance(shown, Shown):
            place, each = len(clips), self._painter.frame_bytes
            memory, at = divmod(place, self._painter.batch_frames)
            pinned = room[memory].bytes[at * each : (at + 1) * each]
            shown.draw(planes_of(pinned.reshape(shown.frame.shape)))
            clips.append(pinned)
            return ClipSide(place)
        placed = shown.picture.place(shown.view, (self._painter.width, self._painter.height))
        clip = self._timeline.clips[index]
        look = look_of(clip, (self._painter.width, self._painter.height))
        return StillSide(
            key=(look.key, placed.level),
            planes=shown.picture.levels[placed.level],
            left=placed.left,
            top=placed.top,
            step_x=placed.step_x,
            step_y=placed.step_y,
            copied=placed.copied,
            fade=shown.fade,
        )


def open_cuda(
    timeline: Timeline,
    captions: tuple[CaptionArt, ...] = (),
    *,
    ffmpeg: FfmpegProgram,
    config: Config,
) -> CudaCompositor:
    """Return the cuda compositor of a timeline; raise UnavailableError if the GPU cannot be used."""
    painter = GpuPainter(
        first_device(config),
        width=timeline.width_px,
        height=timeline.height_px,
        bound=int(config.video.gpu_memory_mb * 1e6),
    )
    painters = GpuPainters(painter, open_device=lambda gpu: ready_device(config, gpu), list_gpus=visible_gpus)
    return CudaCompositor(
        timeline=timeline,
        captions=captions,
        graphs=open_graphs(timeline, ffmpeg=ffmpeg, config=config),
        painters=painters,
        by_name=config.video.compositor == CudaCompositor.name,
    )


def ready_device(config: Config, number: int) -> Device:
    """Return a GPU that has the kernels and draws the native compositor's frames; raise UnavailableError."""
    return ready(lambda: open_asset_cache(config, required=False), number)


def first_device(config: Config) -> Device:
    """Return the first GPU that draws; raise UnavailableError."""
    return first_ready(lambda: open_asset_cache(config, required=False))


def probe_cuda(config: Config) -> Probe:
    """Report whether a GPU draws the native compositor's frames."""
    return _probe_device(lambda: first_device(config))


def probe_gpu(config: Config, gpu: int) -> Probe:
    """Report whether a GPU, by CUDA's count, draws the native compositor's frames."""
    return _probe_device(lambda: ready_device(config, gpu))


def _probe_device(open_device: Callable[[], Device]) -> Probe:
    try:
        device = open_device()
    except UnavailableError as error:
        return Probe(CudaCompositor.name, False, str(error), machine=bool(error.details.get("machine")))
    major, minor = device.capability
    return Probe(CudaCompositor.name, True, f"{device.name}, compute capability {major}.{minor}")


BACKEND: Final = CompositorBackend(
    name=CudaCompositor.name, probe=probe_cuda, open=open_cuda, probe_gpu=probe_gpu
)
