"""Render segments in parallel and join them in order, with bounded memory."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, zip_longest
from typing import Protocol, TypeVar

from video_pipeline.engine.errors import CancelledError, EncoderError, RenderingError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.render.bit_budget import BitBudget
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.cuda.device import CudaError, GpuFullError
from video_pipeline.engine.render.cuda.surfaces import GpuFrame
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import Frame, encode_segment
from video_pipeline.engine.render.encoders.sessions import SESSIONS, SessionReport
from video_pipeline.engine.render.gpu_frames import GpuFrames, GpuFramesReport, GpuSegment
from video_pipeline.engine.render.mux import Mp4Writer
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.render.quality.probe import Opening
from video_pipeline.engine.render.quality.rates import Rate, SegmentRates
from video_pipeline.engine.render.segment_cache import CachedSegment, SegmentCache
from video_pipeline.engine.timing import FrameRange

STOP_POLL_SECONDS = 0.1

GPU_MEMORY_BYTES = 2 * 10**9
"""Room for copied frames on each GPU, unless a configuration says otherwise."""

Progress = Callable[[int, int, int], None]
"""Is called with the number of finished frames, of all frames, and of finished frames from the cache."""

AnyFrame = TypeVar("AnyFrame", bound=Frame)

logger = logging.getLogger(__name__)


class OnFrame(Protocol):
    """An observer of some drawn frames, on a worker's thread; the cache stores its notes of them."""

    def watches(self, number: int, /) -> bool:
        """Return whether to observe a frame, given its number on the timeline."""

    def __call__(self, number: int, planes: Buffer, /) -> None:
        """Observe a frame before it is encoded, given its number on the timeline and its planes."""

    def notes(self, frames: FrameRange, /) -> Mapping[int, float]:
        """Return the notes of a drawn range by frame number, counted from the start of the range."""

    def recall(self, frames: FrameRange, notes: Mapping[int, float], /) -> Sequence[int]:
        """Use the cached notes of a range; return the timeline numbers of frames whose note is missing."""


@dataclass(frozen=True, slots=True)
class RenderReport:
    """Statistics of a render. Seconds are sums over the workers and can exceed the wall time."""

    frames: int
    segments: tuple[FrameRange, ...]
    workers: int
    frame_wait_seconds: float
    encode_seconds: float
    mux_seconds: float
    segments_from_cache: int = 0
    segments_from_shared: int = 0
    """Those of them that another machine had drawn."""
    warnings: tuple[str, ...] = ()
    """What was wrong with drawn frames; such frames are not cached, so each render warns of them."""
    sessions: SessionReport = field(default_factory=SessionReport)
    gpu_frames: GpuFramesReport | None = None
    """Where the frames were that GPUs encoded, if the compositor draws on GPUs."""
    rates: tuple[Rate, ...] = ()
    """The crf of each segment if the quality is set."""
    frame_bytes: tuple[tuple[int, ...], ...] = ()
    """The bytes of each encoded frame, in the order of decoding, by segment."""
    probe_seconds: float = 0.0
    segments_ahead: int = 0
    """Segments that were drawn before the rest of the video was known."""
    first_ready: float | None = None
    """When the first segment was ready, on the clock of `time.perf_counter`."""


@dataclass(slots=True)
class SegmentWork:
    """What the segments of a video have taken so far, summed over threads and over the renderers of its timelines."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waited_seconds: float = 0.0
    encoding_seconds: float = 0.0
    probing_seconds: float = 0.0
    drawn: set[FrameRange] = field(default_factory=set)
    cached: set[FrameRange] = field(default_factory=set)
    shared: set[FrameRange] = field(default_factory=set)
    first_ready: float | None = None
    sessions: SessionReport = field(default_factory=SessionReport)


@dataclass(slots=True)
class _Drawing:
    """The drawing of a range: seconds waited for frames, and frames reported as progress."""

    waited_seconds: float = 0.0
    reported: int = 0


class SegmentRenderer:
    """The drawing and encoding of segments, called on several threads, with statistics.

    `before` is a renderer of the same video's first scenes, whose statistics and memory on GPUs it shares.
    """

    def __init__(
        self,
        compositor: Compositor,
        settings: EncoderSettings,
        *,
        rates: SegmentRates,
        threads: int = 1,
        progress: Progress | None = None,
        on_frame: OnFrame | None = None,
        stop: threading.Event | None = None,
        cache: SegmentCache | None = None,
        budget: BitBudget | None = None,
        session_wait: float = 0.0,
        gpu_memory_bytes: int = GPU_MEMORY_BYTES,
        before: SegmentRenderer | None = None,
    ) -> None:
        self._cache, self._budget, self._rates, self._session_wait = cache, budget, rates, session_wait
        self._compositor, self._settings, self._threads = compositor, settings, threads
        self._progress, self._on_frame, self._stop = progress, on_frame, stop
        self._counting = threading.Lock()
        """Held while progress is reported, so that the reported count never decreases."""
        self._done = self._cached = 0
        self.children = Children()
        self.work: SegmentWork = before.work if before else SegmentWork()
        self.gpu_frames: GpuFrames = (
            before.gpu_frames.drawn_by(compositor)
            if before
            else GpuFrames(compositor, settings, bound=gpu_memory_bytes)
        )

    def segment(self, frames: FrameRange, later: FrameRange | None) -> bytes:
        """Return a segment as MP4 in memory, cached or drawn; `later` is a range to be drawn soon after it."""
        self._check_cancelled()
        if self._budget is not None:
            self._budget.settings(frames, self._check_cancelled)  # waits until they are known
        started, warned = time.perf_counter(), len(self.children.warnings)
        _, opening = self._rates.open(frames, self.children, threads=self._threads)
        with self.work.lock:
            self.work.probing_seconds += time.perf_counter() - started
        with contextlib.closing(opening) if opening else contextlib.nullcontext():
            data = self._cached_or_encoded(frames, later, opening, warned=warned)
        if self._budget is not None:
            self._budget.spend(frames, data)
        if frames.start == 0 and self.work.first_ready is None:
            self.work.first_ready = time.perf_counter()
        return data

    def _settings_of(self, frames: FrameRange) -> EncoderSettings:
        rates = self._budget or self._rates
        return rates.settings(frames)

    def _cached_or_encoded(
        self, frames: FrameRange, later: FrameRange | None, opening: Opening | None, *, warned: int
    ) -> bytes:
        """Return a segment; `warned` is the number of warnings before any of its frames was drawn."""
        if self._cache is None:
            self._prepare(later)
            return self.encode(frames, opening)
        cached = self._cache.get(frames)
        if cached is None:
            self._prepare(later)
            data = self.encode(frames, opening)
            if len(self.children.warnings) == warned:  # another segment's warning is a needless caution
                notes = self._on_frame.notes(frames) if self._on_frame else {}
                self._cache.put(frames, CachedSegment(data, notes))
            return data
        unseen = self._on_frame.recall(frames, cached.notes) if self._on_frame else ()
        for number in unseen:
            for _ in self._frames(FrameRange(number, number + 1), _Drawing()):
                pass
        if self._on_frame and unseen:
            self._cache.put(frames, CachedSegment(cached.data, self._on_frame.notes(frames)))
        with self.work.lock:
            self.work.cached.add(frames)
            if cached.is_shared:
                self.work.shared.add(frames)
        kept = len(frames) - len(unseen)
        self._count_frames(kept, cached=kept)
        return cached.data

    def _prepare(self, later: FrameRange | None) -> None:
        if later is None:
            return
        known = (self._budget or self._rates).known(later)
        if not (self._cache and known and self._cache.has(later)):
            self._compositor.prepare(later)

    def encode(self, frames: FrameRange, opening: Opening | None = None) -> bytes:
        """Draw and encode a segment, again on another GPU if the one that encodes it is lost.

        `opening` has its first frames if they have been drawn.
        """
        drawing = _Drawing()
        started = time.perf_counter()
        while True:
            with contextlib.ExitStack() as stack:
                attempt = self.gpu_frames.attempt(frames, self.children, stack)
                try:
                    drawn = stack.enter_context(contextlib.closing(self._frames(frames, drawing, opening)))
                    begun: list[Generator[Buffer, None, None]] = []
                    if attempt and not self.gpu_frames.draws:
                        begun = [_begun(drawn)]  # the first frame is drawn before a session is taken
                    data = encode_segment(
                        drawn,
                        self._settings_of(frames),
                        session_wait=self._session_wait,
                        sessions=self.work.sessions,
                        check=self._check_cancelled,
                        frames_for=partial(self._frames_for, frames, drawing, attempt, stack, begun)
                        if attempt
                        else None,
                    )
                    if attempt:
                        attempt.succeed()
                    break
                except (EncoderError, CudaError, GpuFullError) as error:
                    if not self._another_way(error, frames, attempt):
                        raise
        with self.work.lock:
            self.work.drawn.add(frames)
            self.work.waited_seconds += drawing.waited_seconds
            self.work.encoding_seconds += time.perf_counter() - started - drawing.waited_seconds
        return data

    def _another_way(
        self, error: EncoderError | CudaError | GpuFullError, frames: FrameRange, attempt: GpuSegment | None
    ) -> bool:
        """Note what failed, and return whether the segment can be encoded by another GPU, or from host memory."""
        what, model = error.what if isinstance(error, EncoderError) else str(error), self._settings.gpu
        if isinstance(error, EncoderError) and error.refused:
            return False
        if isinstance(error, EncoderError) and error.machine:
            again = "encoded again on another GPU" if SESSIONS.usable(model) else ""
        else:
            again = self.gpu_frames.fail(error, attempt, self.work.sessions)
        if again:
            logger.warning("frames [%d, %d): %s; %s", frames.start, frames.stop, what, again)
        return bool(again)

    def _count_frames(self, count: int, *, cached: int = 0) -> None:
        with self._counting:
            self._done += count
            self._cached += cached
            if self._progress:
                self._progress(self._done, self._compositor.timeline.frame_count, self._cached)

    def _check_cancelled(self) -> None:
        if self._stop is not None and self._stop.is_set():
            self.children.stop()
        if self.children.cancelled.is_set():
            raise CancelledError("the render was stopped")

    def _frames(
        self, frames: FrameRange, drawing: _Drawing, opening: Opening | None = None
    ) -> Generator[Buffer, None, None]:
        """Yield the frames of a segment; each frame overwrites the array of the one before."""
        if opening:
            return self._observed(opening.frames(), frames, drawing)
        drawn = self._compositor.frames(frames, threads=self._threads, children=self.children)
        return self._observed(drawn, frames, drawing)

    def _frames_for(
        self,
        frames: FrameRange,
        drawing: _Drawing,
        attempt: GpuSegment,
        stack: contextlib.ExitStack,
        begun: list[Generator[Buffer, None, None]],
        gpu: int,
    ) -> Iterator[Frame]:
        """Return the frames of a segment in the memory of the GPU that encodes it if it can have them.

        `begun` has those whose first one is drawn, to be taken once.
        """
        on_gpu = attempt.draw(gpu)
        found: Generator[Frame, None, None] = (
            self._observed(on_gpu, frames, drawing)
            if on_gpu
            else attempt.copy(begun.pop() if begun else self._frames(frames, drawing), gpu)
        )
        return stack.enter_context(contextlib.closing(found))

    def _observed(
        self, drawn: Generator[AnyFrame, None, None], frames: FrameRange, drawing: _Drawing
    ) -> Generator[AnyFrame, None, None]:
        """Yield drawn frames, and tell of them."""
        with contextlib.closing(drawn):
            for number in range(frames.start, frames.stop):
                started = time.perf_counter()
                frame = next(drawn, None)
                drawing.waited_seconds += time.perf_counter() - started
                self._check_cancelled()
                if frame is None:
                    raise RenderingError(
                        f"frames [{frames.start}, {frames.stop}): the compositor drew no frame {number}"
                    )
                if self._on_frame and self._on_frame.watches(number):
                    self._on_frame(number, frame.download() if isinstance(frame, GpuFrame) else frame)
                yield frame
                del frame  # its memory is drawn on again once it has no other users
                if number - frames.start >= drawing.reported:
                    drawing.reported += 1
                    self._count_frames(1)
            for _ in drawn:  # a last step lets the compositor finish and raise its errors
                raise RenderingError(
                    f"frames [{frames.start}, {frames.stop}): the compositor drew too many frames"
                )


def _begun(drawn: Generator[Buffer, None, None]) -> Generator[Buffer, None, None]:
    """Draw the first of some frames, and return all of them."""
    first = next(drawn)

    def whole() -> Generator[Buffer, None, None]:
        with contextlib.closing(drawn):
            yield first
            yield from drawn

    return whole()


def _result(future: Future[bytes], stop: threading.Event | None) -> bytes:
    """Wait for a segment; raise CancelledError when `stop` is set, also while ffmpeg produces no frame."""
    while stop is not None and not wait([future], timeout=STOP_POLL_SECONDS).done:
        if stop.is_set():
            raise CancelledError("the render was stopped")
    return future.result()


def _engines(settings: EncoderSettings) -> int:
    """Return the GPU encoders for this process, which shares them with others as it shares the processors."""
    return -(-SESSIONS.engines(settings.gpu) * cpu_count() // cpu_count(limited=False))


def _workers(settings: EncoderSettings) -> int:
    """Return the number of segments that are drawn and encoded at once: one a core, on GPUs at most one a session."""
    if not settings.gpu:
        return cpu_count()
    workers = max(cpu_count(), _engines(settings))
    return workers if SESSIONS.granted is None else min(workers, SESSIONS.granted)


def render_segments(
    compositor: Compositor,
    settings: EncoderSettings,
    writer: Mp4Writer,
    *,
    before_first: Callable[[], object] | None = None,
    progress: Progress | None = None,
    on_frame: OnFrame | None = None,
    workers: int | None = None,
    stop: threading.Event | None = None,
    cache: SegmentCache | None = None,
    budget: BitBudget | None = None,
    rates: SegmentRates | None = None,
    session_wait: float = 0.0,
    gpu_memory_bytes: int = GPU_MEMORY_BYTES,
    before: SegmentRenderer | None = None,
) -> RenderReport:
    """Draw and encode every segment and pass them to `writer` in order.

    At most `workers` + 2 segments are in memory. `before_first` is called before the first
    segment is written; callers use it to wait for the sound. `on_frame` observes drawn frames.
    Setting `stop` ends the render with CancelledError. Segments in `cache` are not drawn; the others are
    stored there as soon as they are encoded. The bytes depend neither on `workers` nor on `cache`. `budget` has the
    settings of each segment if they have an average bit rate, `rates` if they have a quality; `cache` takes them from
    there too. A GPU's session that is refused is tried again for `session_wait` seconds. Frames that are copied to a GPU
    take at most `gpu_memory_bytes` of its memory. `before` has drawn the first scenes into `cache`; it is at rest, and
    the report counts what it did.
    """
    rates = rates or SegmentRates(compositor, settings)
    segments = compositor.segments()
    budget = budget or BitBudget.of(segments, settings)
    cores = cpu_count()
    workers = max(1, min(workers or _workers(settings), len(segments)))
    renderer = SegmentRenderer(
        compositor,
        settings,
        threads=max(1, cores // workers),
        progress=progress,
        on_frame=on_frame,
        stop=stop,
        cache=cache,
        budget=budget,
        rates=rates,
        session_wait=session_wait,
        gpu_memory_bytes=gpu_memory_bytes,
        before=before,
    )
    work = renderer.work
    ahead = set(work.drawn)
    muxing = 0.0
    frame_bytes: list[tuple[int, ...]] = []
    with ThreadPoolExecutor(workers, "segment") as pool:
        waiting: deque[tuple[FrameRange, Future[bytes]]] = deque()
        rest = zip_longest(segments, segments[workers:])
        try:
            for frames, later in islice(rest, workers + 2):
                waiting.append((frames, pool.submit(renderer.segment, frames, later)))
            if before_first is not None:
                before_first()
            while waiting:
                frames, future = waiting.popleft()
                data = _result(future, stop)
                for following, later in islice(rest, 1):
                    waiting.append((following, pool.submit(renderer.segment, following, later)))
                started = time.perf_counter()
                frame_bytes.append(writer.add_segment(data, frames))
                muxing += time.perf_counter() - started
            started = time.perf_counter()
            writer.finish()
            muxing += time.perf_counter() - started
        except BaseException:
            renderer.children.stop()
            for _, future in waiting:
                future.cancel()
            raise
    return RenderReport(
        frames=compositor.timeline.frame_count,
        segments=segments,
        workers=workers,
        frame_wait_seconds=work.waited_seconds,
        encode_seconds=work.encoding_seconds,
        mux_seconds=muxing,
        segments_from_cache=len(work.cached - work.drawn),
        segments_from_shared=len(work.shared - work.drawn),
        warnings=tuple(renderer.children.warnings),
        sessions=work.sessions,
        gpu_frames=renderer.gpu_frames.report,
        rates=tuple(rate for frames in segments if (rate := rates.rate(frames))),
        frame_bytes=tuple(frame_bytes),
        probe_seconds=work.probing_seconds,
        segments_ahead=len(work.cached & ahead),
        first_ready=work.first_ready,
    )
