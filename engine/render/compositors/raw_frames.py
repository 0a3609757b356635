"""Read raw frames from ffmpeg child processes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from video_pipeline.engine.common.input_files import DESCRIPTORS, OpenFile, of_scene, reopen
from video_pipeline.engine.errors import CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.machine.hwaccel import stop_hwaccel
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timeline import Clip, Footage, Still
from video_pipeline.engine.timing import FrameRange

logger = logging.getLogger(__name__)

PIPE_BYTES = 1 << 20
GPU_SECONDS = 20.0
"""Time for a frame of a clip that a GPU decodes; its driver may not return from a call."""

ENDING_SECONDS = 5
"""Seconds that an ffmpeg may take to exit after closing its output."""


class Children:
    """The running ffmpeg child processes of a render, which can be stopped together, and their warnings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.cancelled = threading.Event()
        self.warnings: list[str] = []

    def unheard(self) -> Children:
        """Return children of the same render whose warnings are dropped, for frames that are drawn again later."""
        other = _Unheard()
        other._lock, other._running, other.cancelled = self._lock, self._running, self.cancelled
        return other

    def warn(self, warning: str) -> None:
        """Log a warning about drawn frames and keep it for the report of the render."""
        logger.warning("%s", warning)
        self.warnings.append(warning)

    @contextlib.contextmanager
    def run(
        self, argv: Sequence[str], stderr: IO[bytes], *, descriptors: Sequence[int] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program in a process group of its own; kill it when the block ends.

        It inherits `descriptors` under their numbers.
        """
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
                pass_fds=descriptors,
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


class _Unheard(Children):
    """Children whose warnings are dropped."""

    def warn(self, warning: str) -> None:
        """Drop a warning."""


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
    clips: Sequence[Clip] = (),
    on_gpu: bool = False,
) -> Generator[Buffer, None, None]:
    """Run an ffmpeg command that writes raw yuv420p and yield its frames, each in the same array.

    `frames` sets the number of frames and names them in messages; `clips` are those that the command reads. If there
    are video clips and ffmpeg exits with 0 after too few frames, the last one is held, with a warning. Raises
    SubprocessError if there are no frames, too many or too few, or if ffmpeg fails, and FileChangedError if a clip's
    file is not, or does not stay, the one that the timeline names. A command that decodes `on_gpu` must give every
    frame, and may take GPU_SECONDS for each.
    """
    with contextlib.ExitStack() as stack:
        opened = {clip.scene_id: _open_source(clip, stack) for clip in clips if _is_users_file(clip)}
        command = _Command.of(argv, opened.values())
        try:
            yield from _frames_of(
                command, frames, size_px=size_px, children=children, clips=clips, on_gpu=on_gpu
            )
        finally:
            if not children.cancelled.is_set():
                for scene_id, file in opened.items():
                    with of_scene(scene_id):
                        file.check()


def read_frames_of_gpu(
    argv: Sequence[str],
    frames: FrameRange,
    *,
    size_px: tuple[int, int],
    children: Children,
    clips: Sequence[Clip],
    otherwise: Generator[Buffer, None, None],
) -> Generator[Buffer, None, None]:
    """Yield frames of a command that decodes clips on a GPU; when it fails, those of `otherwise`, which are equal.

    Then no clip of this process is decoded on the GPU any more.
    """
    drawn = read_frames(argv, frames, size_px=size_px, children=children, clips=clips, on_gpu=True)
    read = 0
    with contextlib.closing(otherwise):
        try:
            with contextlib.closing(drawn):
                for array in drawn:
                    yield array
                    read += 1
            return
        except SubprocessError as error:
            stop_hwaccel(f"decoding on the GPU failed: {str(error).splitlines()[-1].strip()}")
            logger.warning("%s; its clips are decoded on the CPU", error)
        yield from itertools.islice(otherwise, read, None)


def _is_users_file(clip: Clip) -> bool:
    """Return whether a clip shows a file that is not the cache's, and whose hash is known."""
    return bool(clip.source.sha256) and not (isinstance(clip.source, Still) and clip.source.is_copy)


def _open_source(clip: Clip, stack: contextlib.ExitStack) -> OpenFile:
    path = clip.source.path
    try:
        with of_scene(clip.scene_id):
            return stack.enter_context(reopen(path, sha256=clip.source.sha256, in_memory=False))
    except OSError as error:
        raise RenderingError(f"scene {clip.scene_id!r}: {path}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Command:
    """A command whose program inherits its inputs, and the path of each by the name that the program sees."""

    argv: tuple[str, ...]
    descriptors: tuple[int, ...]
    paths: Mapping[str, str]

    @classmethod
    def of(cls, argv: Sequence[str], files: Iterable[OpenFile]) -> _Command:
        """Return a command that reads files through their descriptors, so that no path is opened again."""
        numbers = {
            str(file.path.absolute()): file.descriptor for file in files if file.descriptor is not None
        }
        names = {path: str(DESCRIPTORS / str(number)) for path, number in numbers.items()}
        before = ("", *argv[:-1])
        return cls(
            tuple(
                names.get(part, part) if option == "-i" else part
                for option, part in zip(before, argv, strict=True)
            ),
            tuple(numbers.values()),
            {name: path for path, name in names.items()},
        )

    def failure(
        self, child: subprocess.Popen[bytes], stderr: IO[bytes], clips: Sequence[Clip], what: str
    ) -> RenderingError:
        """Return the error of a program that ended or is to end; its message names files by their paths."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=ENDING_SECONDS)
        child.kill()
        child.wait()
        stderr.seek(0)
        log = stderr.read().decode("utf-8", "replace")
        for name, path in self.paths.items():
            log = re.sub(rf"{re.escape(name)}(?!\d)", path.replace("\\", r"\\"), log)
        footage = _footage_names(clips)
        return SubprocessError(
            f"{footage}{': ' if footage else ''}{what}",
            argv=[self.paths.get(part, part) for part in self.argv],
            returncode=child.returncode,
            stderr=log,
        )


def _footage_names(clips: Sequence[Clip]) -> str:
    """Return the scenes and files of the video clips among some clips, for messages."""
    return ", ".join(
        f"scene {clip.scene_id!r} ({clip.source.path})" for clip in clips if isinstance(clip.source, Footage)
    )


def _frames_of(
    command: _Command,
    frames: FrameRange,
    *,
    size_px: tuple[int, int],
    children: Children,
    clips: Sequence[Clip],
    on_gpu: bool,
) -> Generator[Buffer, None, None]:
    width, height = size_px
    array = np.empty((height * 3 // 2, width), np.uint8)
    what = f"frames [{frames.start}, {frames.stop}): ffmpeg"
    with (
        tempfile.TemporaryFile() as stderr,
        children.run(command.argv, stderr, descriptors=command.descriptors) as child,
    ):
        assert child.stdout is not None
        _widen_pipe(child.stdout)
        for number in range(len(frames)):
            if not _read_into(child.stdout, array, seconds=GPU_SECONDS if on_gpu else None):
                if children.cancelled.is_set():
                    raise CancelledError("the render was stopped")
                if number and not on_gpu and _footage_names(clips) and _ended_well(child):
                    children.warn(
                        f"{_footage_names(clips)}: only {number} of frames [{frames.start}, {frames.stop}) could be "
                        "read; the last one is held"
                    )
                    yield from itertools.repeat(array, len(frames) - number)
                    return
                ended = f"{what} ended after {number} of {len(frames)} frames"
                raise command.failure(child, stderr, clips, ended)
            yield array
        surplus = child.stdout.read(1)
        if surplus:
            child.kill()  # the child may be blocked on its output
        if child.wait() != 0 or surplus:
            raise command.failure(child, stderr, clips, f"{what} failed or wrote more after the last frame")


def _ended_well(child: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(timeout=ENDING_SECONDS) == 0
    return False


def _read_into(pipe: IO[bytes], array: Buffer, *, seconds: float | None = None) -> bool:
    """Fill an array from a pipe; return False if the pipe ends first, or if nothing comes for some seconds."""
    view = memoryview(array.data).cast("B")
    at = 0
    while at < len(view):
        if seconds is not None and not select.select([pipe], [], [], seconds)[0]:
            return False
        count = pipe.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            return False
        at += count
    return True
