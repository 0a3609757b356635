"""Rendering: segments drawn and encoded side by side, stitched in order, with bounded memory."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

import numpy as np

from engine.capabilities import cpu_count
from engine.errors import CancelledError, RenderingError, SubprocessError
from engine.render.encoder import Buffer, EncoderSettings, encode_segment
from engine.render.ffmpeg import FfmpegCompositor
from engine.render.mux import Mp4Writer
from engine.timing import FrameRange

PIPE_BYTES = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a render did. Seconds are summed over the workers, so they can exceed the wall's."""

    frames: int
    segments: tuple[FrameRange, ...]
    workers: int
    frame_wait_seconds: float
    encode_seconds: float
    mux_seconds: float


class _Children:
    """The ffmpeg programs that are running, so that all can be stopped at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.cancelled = threading.Event()

    @contextlib.contextmanager
    def run(self, argv: Sequence[str], stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program in a process group of its own; it is gone when the block ends."""
        with self._lock:
            if self.cancelled.is_set():
                raise CancelledError("the render was stopped")
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                process_group=0,
            )
            self._running.add(child)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            if child.stdout:
                child.stdout.close()
            child.wait()
            with self._lock:
                self._running.discard(child)

    def stop(self) -> None:
        """Stop every running program; none can be started after."""
        self.cancelled.set()
        with self._lock:
            for child in self._running:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(signal.SIGKILL)


def _widen_pipe(pipe: IO[bytes]) -> None:
    """Let a pipe hold a megabyte, where the system allows it: fewer switches between the two programs."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class _SegmentJob:
    """One segment on its way: the frames of its compositor and the time spent waiting for them."""

    def __init__(
        self, compositor: FfmpegCompositor, frames: FrameRange, children: _Children, threads: int
    ) -> None:
        self.compositor, self.frames, self.children, self.threads = compositor, frames, children, threads
        self.waited = 0.0

    def raw_frames(self, progress: Callable[[int], None]) -> Iterator[Buffer]:
        """Yield the segment's frames. The array is overwritten by the next one."""
        timeline = self.compositor.timeline
        array = np.empty((timeline.height_px * 3 // 2, timeline.width_px), np.uint8)
        argv = self.compositor.frames_command(self.frames, threads=self.threads)
        with tempfile.TemporaryFile() as stderr, self.children.run(argv, stderr) as child:
            assert child.stdout is not None
            _widen_pipe(child.stdout)
            for number in range(len(self.frames)):
                started = time.perf_counter()
                whole = _read_into(child.stdout, array)
                self.waited += time.perf_counter() - started
                if self.children.cancelled.is_set():
                    raise CancelledError("the render was stopped")
                if not whole:
                    raise self._failure(child, stderr, f"ended after {number} of {len(self.frames)} frames")
                yield array
                progress(1)
            surplus = child.stdout.read(1)
            if child.wait() != 0 or surplus:
                raise self._failure(child, stderr, "did not end after the last frame")

    def _failure(self, child: subprocess.Popen[bytes], stderr: IO[bytes], what: str) -> RenderingError:
        child.wait(timeout=30)
        stderr.seek(0)
        log = stderr.read().decode("utf-8", "replace")
        return SubprocessError(
            f"frames [{self.frames.start}, {self.frames.stop}): ffmpeg {what}",
            argv=[str(part) for part in child.args] if isinstance(child.args, list) else [],
            returncode=child.returncode,
            stderr=log,
        )


def _read_into(pipe: IO[bytes], array: Buffer) -> bool:
    view = memoryview(array.data).cast("B")
    at = 0
    while at < len(view):
        count = pipe.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            return False
        at += count
    return True


def render_segments(
    compositor: FfmpegCompositor,
    settings: EncoderSettings,
    writer: Mp4Writer,
    *,
    before_first: Callable[[], object] | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    stop: threading.Event | None = None,
) -> RenderReport:
    """Draw and encode every segment and hand them to `writer` in order.

    At most two segments more than there are workers are in memory. `before_first` is waited for before the
    first segment is written (the sound has to be there by then). Setting `stop` ends the render with
    CancelledError. The bytes do not depend on `workers`.
    """
    segments = compositor.timeline.segments()
    cores = cpu_count()
    workers = max(1, min(workers or cores, len(segments)))
    threads = max(1, cores // workers)
    children = _Children()
    total, counted = compositor.timeline.frame_count, 0
    lock = threading.Lock()
    waited = encoded = muxed = 0.0

    def tick(count: int) -> None:
        nonlocal counted
        if stop is not None and stop.is_set():
            children.stop()
        with lock:
            counted += count
            done = counted
        if progress:
            progress(done, total)

    def work(frames: FrameRange) -> bytes:
        nonlocal waited, encoded
        job = _SegmentJob(compositor, frames, children, threads)
        started = time.perf_counter()
        data = encode_segment(job.raw_frames(tick), settings)
        with lock:
            waited += job.waited
            encoded += time.perf_counter() - started - job.waited
        return data

    with ThreadPoolExecutor(workers, "segment") as pool:
        waiting: deque[tuple[FrameRange, Future[bytes]]] = deque()
        rest = iter(segments)
        try:
            for frames in rest:
                waiting.append((frames, pool.submit(work, frames)))
                if len(waiting) > workers + 1:
                    break
            if before_first is not None:
                before_first()
            while waiting:
                frames, future = waiting.popleft()
                data = future.result()
                following = next(rest, None)
                if following is not None:
                    waiting.append((following, pool.submit(work, following)))
                started = time.perf_counter()
                writer.add_segment(data, frames)
                muxed += time.perf_counter() - started
            started = time.perf_counter()
            writer.finish()
            muxed += time.perf_counter() - started
        except BaseException:
            children.stop()
            for _, future in waiting:
                future.cancel()
            raise
    return RenderReport(total, segments, workers, waited, encoded, muxed)
