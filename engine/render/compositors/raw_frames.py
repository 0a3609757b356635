"""Read raw frames from ffmpeg child processes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import IO

import numpy as np

from video_pipeline.engine.errors import CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timing import FrameRange

logger = logging.getLogger(__name__)

PIPE_BYTES = 1 << 20
ENDING_SECONDS = 5
"""Seconds that an ffmpeg may take to exit after closing its output."""


class Children:
    """The running ffmpeg child processes, which can be stopped together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.cancelled = threading.Event()

    @contextlib.contextmanager
    def run(self, argv: Sequence[str], stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program in a process group of its own; kill it when the block ends."""
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
        """Stop every running program and refuse to start new ones."""
        self.cancelled.set()
        with self._lock:
            for child in self._running:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(signal.SIGKILL)


def _widen_pipe(pipe: IO[bytes]) -> None:
    """Enlarge a pipe's buffer to a megabyte if the system allows it, for fewer context switches."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def read_frames(
    argv: Sequence[str],
    frames: FrameRange,
    *,
    size_px: tuple[int, int],
    children: Children,
    footage: str = "",
) -> Generator[Buffer, None, None]:
    """Run an ffmpeg command that writes raw yuv420p and yield its frames, each in the same array.

    `frames` sets the number of frames and names them in messages; `footage` names the scenes and files of video
    clips in the range. If there are clips and ffmpeg exits with 0 after too few frames, the last one is held, with a
    warning. Raises SubprocessError if there are no frames, too many or too few, or if ffmpeg fails.
    """
    width, height = size_px
    array = np.empty((height * 3 // 2, width), np.uint8)
    with tempfile.TemporaryFile() as stderr, children.run(argv, stderr) as child:
        assert child.stdout is not None
        _widen_pipe(child.stdout)
        for number in range(len(frames)):
            if not _read_into(child.stdout, array):
                if children.cancelled.is_set():
                    raise CancelledError("the render was stopped")
                if number and footage and _ended_well(child):
                    logger.warning(
                        "%s: only %d of frames [%d, %d) could be read; the last one is held",
                        *(footage, number, frames.start, frames.stop),
                    )
                    yield from itertools.repeat(array, len(frames) - number)
                    return
                raise _failure(
                    child, stderr, frames, footage, f"ended after {number} of {len(frames)} frames"
                )
            yield array
        surplus = child.stdout.read(1)
        if surplus:
            child.kill()  # the child may be blocked on its output
        if child.wait() != 0 or surplus:
            raise _failure(child, stderr, frames, footage, "failed or wrote more after the last frame")


def _ended_well(child: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(timeout=ENDING_SECONDS) == 0
    return False


def _failure(
    child: subprocess.Popen[bytes], stderr: IO[bytes], frames: FrameRange, footage: str, what: str
) -> RenderingError:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=ENDING_SECONDS)
    child.kill()
    child.wait()
    stderr.seek(0)
    return SubprocessError(
        f"{footage}{': ' if footage else ''}frames [{frames.start}, {frames.stop}): ffmpeg {what}",
        argv=[str(part) for part in child.args] if isinstance(child.args, list) else [],
        returncode=child.returncode,
        stderr=stderr.read().decode("utf-8", "replace"),
    )


def _read_into(pipe: IO[bytes], array: Buffer) -> bool:
    """Fill an array from a pipe; return False if the pipe ends first."""
    view = memoryview(array.data).cast("B")
    at = 0
    while at < len(view):
        count = pipe.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            return False
        at += count
    return True
