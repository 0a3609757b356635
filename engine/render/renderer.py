"""Rendering: segments drawn and encoded side by side, stitched in order, with bounded memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from engine.capabilities import cpu_count
from engine.errors import CancelledError, RenderingError
from engine.render.compositor import Compositor
from engine.render.encoder import Buffer, EncoderSettings, encode_segment
from engine.render.mux import Mp4Writer
from engine.render.raw_frames import Children
from engine.timing import FrameRange

STOP_POLL_SECONDS = 0.1

Progress = Callable[[int, int], None]

OnFrame = Callable[[int, Buffer], None]
"""Sees every frame (its number on the timeline, its planes) on a worker's thread, before it is encoded."""


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a render did. Seconds are summed over the workers, so they can exceed the wall's."""

    frames: int
    segments: tuple[FrameRange, ...]
    workers: int
    frame_wait_seconds: float
    encode_seconds: float
    mux_seconds: float


class _Workshop:
    """Draws and encodes segments on several threads and counts what it did."""

    def __init__(
        self,
        compositor: Compositor,
        settings: EncoderSettings,
        *,
        threads: int,
        progress: Progress | None,
        on_frame: OnFrame | None,
        stop: threading.Event | None,
    ) -> None:
        self._compositor, self._settings, self._threads = compositor, settings, threads
        self._progress, self._on_frame, self._stop = progress, on_frame, stop
        self._lock = threading.Lock()
        self._done = 0
        self.children = Children()
        self.waited_seconds = 0.0
        self.encoding_seconds = 0.0

    def encode(self, frames: FrameRange) -> bytes:
        """Return a segment as MP4 in memory."""
        waited = [0.0]
        started = time.perf_counter()
        data = encode_segment(self._frames(frames, waited), self._settings)
        with self._lock:
            self.waited_seconds += waited[0]
            self.encoding_seconds += time.perf_counter() - started - waited[0]
        return data

    def _count_frame(self) -> None:
        with self._lock:
            self._done += 1
            done = self._done
        if self._progress:
            self._progress(done, self._compositor.timeline.frame_count)

    def _check_cancelled(self) -> None:
        if self._stop is not None and self._stop.is_set():
            self.children.stop()
        if self.children.cancelled.is_set():
            raise CancelledError("the render was stopped")

    def _frames(self, frames: FrameRange, waited: list[float]) -> Iterator[Buffer]:
        """Yield the frames of a segment; the array is overwritten by the next one."""
        drawn = self._compositor.frames(frames, threads=self._threads, children=self.children)
        with contextlib.closing(drawn):
            for number in range(frames.start, frames.stop):
                started = time.perf_counter()
                array = next(drawn, None)
                waited[0] += time.perf_counter() - started
                self._check_cancelled()
                if array is None:
                    raise RenderingError(f"frames [{frames.start}, {frames.stop}): none at {number}")
                if self._on_frame:
                    self._on_frame(number, array)
                yield array
                self._count_frame()
            for _ in drawn:  # lets the compositor end its work and say what went wrong
                raise RenderingError(f"frames [{frames.start}, {frames.stop}): the compositor drew one more")


def _result(future: Future[bytes], stop: threading.Event | None) -> bytes:
    """Wait for a segment; raise CancelledError when `stop` is set, also while ffmpeg gives no frame."""
    while stop is not None and not wait([future], timeout=STOP_POLL_SECONDS).done:
        if stop.is_set():
            raise CancelledError("the render was stopped")
    return future.result()


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
) -> RenderReport:
    """Draw and encode every segment and hand them to `writer` in order.

    At most two segments more than there are workers are in memory. `before_first` is waited for before the
    first segment is written (the sound has to be there by then). `on_frame` sees each frame. Setting `stop` ends the render with
    CancelledError. The bytes do not depend on `workers`.
    """
    segments = compositor.segments()
    cores = cpu_count()
    workers = max(1, min(workers or cores, len(segments)))
    workshop = _Workshop(
        compositor,
        settings,
        threads=max(1, cores // workers),
        progress=progress,
        on_frame=on_frame,
        stop=stop,
    )
    muxing = 0.0
    with ThreadPoolExecutor(workers, "segment") as pool:
        waiting: deque[tuple[FrameRange, Future[bytes]]] = deque()
        rest = iter(segments)
        try:
            for frames in islice(rest, workers + 2):
                waiting.append((frames, pool.submit(workshop.encode, frames)))
            if before_first is not None:
                before_first()
            while waiting:
                frames, future = waiting.popleft()
                data = _result(future, stop)
                for following in islice(rest, 1):
                    waiting.append((following, pool.submit(workshop.encode, following)))
                started = time.perf_counter()
                writer.add_segment(data, frames)
                muxing += time.perf_counter() - started
            started = time.perf_counter()
            writer.finish()
            muxing += time.perf_counter() - started
        except BaseException:
            workshop.children.stop()
            for _, future in waiting:
                future.cancel()
            raise
    return RenderReport(
        compositor.timeline.frame_count,
        segments,
        workers,
        workshop.waited_seconds,
        workshop.encoding_seconds,
        muxing,
    )
