"""Draw the first segments of a video into the segment cache while what comes after them is not known yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import zip_longest
from types import TracebackType
from typing import Final, NamedTuple, Self

from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.render.renderer import STOP_POLL_SECONDS, SegmentRenderer
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange

SEGMENTS_A_STRETCH: Final = 8
"""The captions of so many segments are drawn before the first of these segments."""

logger = logging.getLogger(__name__)


class Stretch(NamedTuple):
    """Segments that follow each other, and what draws them."""

    segments: Sequence[FrameRange]
    renderer: SegmentRenderer


def settled_segments(
    timeline: Timeline, segments: Sequence[FrameRange], *, start: int
) -> Iterator[Sequence[FrameRange]]:
    """Yield the segments from frame `start` on that stay the same when scenes follow, a few at a time.

    The timeline has two scenes or more. The segments of its last one may change: where they are cut depends on the
    transition to the next scene.
    """
    last = timeline.clips[-1].scene_id
    settled = max(clip.frames.stop for clip in timeline.clips if clip.scene_id != last)
    ready = [each for each in segments if start <= each.start and each.stop <= settled]
    for first in range(0, len(ready), SEGMENTS_A_STRETCH):
        yield ready[first : first + SEGMENTS_A_STRETCH]


class DrawnAhead:
    """A thread that draws segments ahead, at most as many at once as cores are left by what the render waits for.

    An error ends it without a word: the render meets the same one and reports it. A context manager, at whose end
    nothing is drawn any more.
    """

    def __init__(self, *, workers: int | None = None, stop: threading.Event | None = None) -> None:
        self._workers = max(1, (workers or cpu_count()) - 1)
        self._stop = stop
        self._halted = threading.Event()
        self._thread: threading.Thread | None = None
        self._used: list[SegmentRenderer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._halted.set()
        self._abort()
        if self._thread is not None:
            self._thread.join()

    def begin(self, stretches: Iterator[Stretch]) -> None:
        """Draw stretches, which are taken on the thread, until there is none or `finish` is called."""
        self._thread = threading.Thread(target=self._draw, args=(stretches,), name="ahead")
        self._thread.start()

    def finish(self) -> SegmentRenderer | None:
        """Begin no further segment, wait for those under way, and return the last renderer, if there is one."""
        self._halted.set()
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(STOP_POLL_SECONDS)
            if self._stop is not None and self._stop.is_set():
                self._abort()
        return self._used[-1] if self._used else None

    def _abort(self) -> None:
        for renderer in self._used:
            renderer.children.stop()

    def _draw(self, stretches: Iterator[Stretch]) -> None:
        try:
            with ThreadPoolExecutor(self._workers, "ahead") as pool:
                running: set[Future[bytes]] = set()
                for segments, renderer in stretches:
                    self._used.append(renderer)
                    for frames, later in zip_longest(segments, segments[self._workers :]):
                        while len(running) >= self._workers:
                            done, running = wait(running, return_when=FIRST_COMPLETED)
                            for future in done:
                                future.result()
                        if self._halted.is_set():
                            return
                        running.add(pool.submit(renderer.segment, frames, later))
                for future in running:
                    future.result()
        except Exception as error:
            logger.debug("drawing ahead ended: %s", error, exc_info=True)
