"""One trial: encode a clip with the engine's own encoder in a process of its own, and measure that.

    python -m video_pipeline.engine.tuning.trial     a task in, what it took out, both a line of JSON

The process ends when its standard input is closed, so that none outlives the search.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

import video_pipeline
from video_pipeline.engine.errors import CancelledError, EncoderError, PipelineError, RenderingError
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.mux import Mp4Writer
from video_pipeline.engine.render.planes import Buffer, new_frame
from video_pipeline.engine.timing import FrameRange

TRIAL_SECONDS: Final = 1800.0
"""Time for one trial; an encoder that takes longer for a clip of some seconds hangs, or is of no use."""

POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTask:
    """A clip's raw frames, the segments to cut them into, and how to encode each.

    `threads` is the number of an encoder's threads, `workers` how many segments are encoded at once. The video is written
    to `output`. With `core`, the process stays on that processor.
    """

    frames: Path
    segments: tuple[FrameRange, ...]
    settings: EncoderSettings
    output: Path
    threads: int = 1
    workers: int = 1
    core: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedClip:
    """What the encoding of a clip took: without the start of the process, reading its frames, and joining its segments."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    bytes: int


def run_trial(
    task: TrialTask, *, seconds: float = TRIAL_SECONDS, stop: threading.Event | None = None
) -> EncodedClip:
    """Encode a clip in a process of its own.

    Raises EncoderError if the encoder refuses its settings, fails, crashes its process or does not end in time,
    CancelledError when `stop` is set, and RenderingError if frames cannot be read or the video not be written.
    """
    place = str(Path(video_pipeline.__file__).parents[1])
    paths = [place, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "video_pipeline.engine.tuning.trial"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
    )
    with process:
        try:
            out, err = _wait(process, _task_text(task), seconds, stop or threading.Event())
        except subprocess.TimeoutExpired:
            raise _failed(task, f"took more than {seconds:g} s") from None
        finally:
            process.kill()
    if process.returncode == 0:
        return _read_answer(out)
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise _failed(task, f"its process crashed ({name})")
    raise _failed(task, f"its process ended with status {process.returncode}", err.splitlines()[-3:])


def _failed(task: TrialTask, what: str, log: Sequence[str] = ()) -> EncoderError:
    return EncoderError(f"{task.settings.encoder}: {what}", log=log, options=task.settings.describe())


def _wait(
    process: subprocess.Popen[str], text: str, seconds: float, stop: threading.Event
) -> tuple[str, str]:
    """Write a line to a process and return what it writes until it ends; raise TimeoutExpired or CancelledError.

    Its standard input stays open until then.
    """
    stdin, process.stdin = process.stdin, None  # communicate() would close it
    assert stdin is not None
    deadline = time.monotonic() + seconds
    try:
        with contextlib.suppress(BrokenPipeError):
            stdin.write(text + "\n")
            stdin.flush()
        while True:
            try:
                return process.communicate(timeout=min(POLL_SECONDS, seconds))
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    raise CancelledError("the search was stopped") from None
                if time.monotonic() > deadline:
                    raise
    finally:
        with contextlib.suppress(BrokenPipeError):
            stdin.close()


def _read_answer(text: str) -> EncodedClip:
    answer = json.loads(text.splitlines()[-1])
    if "error" not in answer:
        return EncodedClip(**answer)
    if answer["of_encoder"]:
        raise EncoderError(answer["error"], log=answer["log"], machine=answer["machine"])
    raise RenderingError(answer["error"])


def _task_text(task: TrialTask) -> str:
    plain = asdict(task) | {
        "frames": str(task.frames),
        "output": str(task.output),
        "segments": [[segment.start, segment.stop] for segment in task.segments],
    }
    plain["settings"]["fps"] = str(task.settings.fps)
    return json.dumps(plain)


def _parse_task(text: str) -> TrialTask:
    found: dict[str, Any] = json.loads(text)
    settings = found["settings"] | {"fps": Fraction(found["settings"]["fps"])}
    return TrialTask(
        **found
        | {
            "frames": Path(found["frames"]),
            "output": Path(found["output"]),
            "segments": tuple(FrameRange(*segment) for segment in found["segments"]),
            "settings": EncoderSettings(**settings),
        }
    )


class _Reading:
    """The frames of a file, and the processor seconds that reading them takes, which are not the encoder's."""

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        self._path, self._settings = path, settings
        self._lock = threading.Lock()
        self.cpu_s = 0.0
        self.wall_s = 0.0

    def frames(self, wanted: FrameRange) -> Generator[Buffer, None, None]:
        """Yield each frame of a range; all are read into the same array. Raises RenderingError if the file is short."""
        frame = new_frame(self._settings.width_px, self._settings.height_px)
        with self._path.open("rb", buffering=0) as file:
            file.seek(wanted.start * frame.nbytes)
            for number in range(wanted.start, wanted.stop):
                cpu, wall = time.thread_time(), time.perf_counter()
                read = file.readinto(np.asarray(frame).data)
                cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
                with self._lock:
                    self.cpu_s += cpu
                    self.wall_s += wall
                if read != frame.nbytes:
                    raise RenderingError(f"{self._path}: frame {number} is missing")
                yield frame


def encode_clip(task: TrialTask) -> EncodedClip:
    """Encode a clip in this process, as a render does: each segment alone, then joined; raise EncoderError.

    `peak_mb` is the process's own.
    """
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    reading = _Reading(task.frames, task.settings)

    def encode(segment: FrameRange) -> bytes:
        with contextlib.closing(reading.frames(segment)) as frames:
            return encode_segment(frames, task.settings, threads=task.threads)

    cpu, wall = time.process_time(), time.perf_counter()
    if task.workers > 1:
        with ThreadPoolExecutor(task.workers) as pool:
            segments = list(pool.map(encode, task.segments))
    else:
        segments = [encode(segment) for segment in task.segments]
    cpu = time.process_time() - cpu - reading.cpu_s
    wall = time.perf_counter() - wall - reading.wall_s / task.workers
    peak = _peak_mb()
    return EncodedClip(cpu_s=cpu, wall_s=wall, peak_mb=peak, bytes=_join(task, segments))


def _join(task: TrialTask, segments: Sequence[bytes]) -> int:
    """Write the video and return the bytes of its packets."""
    writer = Mp4Writer(task.output, fps=task.settings.fps, title="", chapters=(), audio=None)
    with writer:
        for data, frames in zip(segments, task.segments, strict=True):
            writer.add_segment(data, frames)
        writer.finish()
    with av.open(str(task.output)) as container:
        return sum(packet.size for packet in container.demux(video=0))


def _peak_mb() -> float:
    """Return this process's largest resident memory in MB; the system counts its parent's in getrusage."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    except (OSError, ValueError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _end_with_input() -> None:
    """End this process when its standard input is closed, on a thread that costs nothing until then."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="input", daemon=True).start()


def main(read: Callable[[], str] = sys.stdin.readline) -> None:
    """Run the task on standard input; print what it took, or its error, as the last line."""
    task = _parse_task(read())
    _end_with_input()
    answer: dict[str, Any]
    try:
        answer = asdict(encode_clip(task))
    except EncoderError as error:
        answer = {"error": error.what, "of_encoder": True, "log": list(error.log), "machine": error.machine}
    except PipelineError as error:
        answer = {"error": str(error), "of_encoder": False}
    except OSError as error:
        answer = {"error": f"{error.filename or task.output}: {error.strerror}", "of_encoder": False}
    except av.FFmpegError as error:
        answer = {"error": f"{task.output}: {error.strerror}", "of_encoder": False}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # a driver may hang when its library is closed


if __name__ == "__main__":
    main()
