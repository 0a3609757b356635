"""Bring a mix to its target loudness: measure it, then apply one constant gain.

A constant gain keeps the balance of the mix; dynamic correction would raise the music that was lowered under
speech. If the gain lifts peaks over the true-peak ceiling, a limiter lowers only those.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from video_pipeline.engine.errors import CancelledError, RenderingError, SubprocessError
from video_pipeline.filters import audio, graph
from video_pipeline.filters.graph import Stream, Value

GLOBAL_OPTIONS: Final = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "info", "-y")

TOLERANCE_LU: Final = 0.2
"""A result this close to the target is accepted (the meter rounds to 0.1)."""

PEAK_TOLERANCE_DB: Final = 0.05
"""How far over the ceiling a true peak can be if the meter, which rounds to 0.1, reads it as the ceiling."""

CORRECTIONS: Final = 3
"""Further passes: a limiter lowers the loudness a little, by an amount known only after the pass."""

MAX_LIMITING_DB: Final = 18.0
"""Most that the limiter may lower peaks; beyond it, the result is quieter than the target rather than distorted."""

POLL_SECONDS: Final = 0.1
END_SECONDS: Final = 1.0
"""Time for ffmpeg to end by itself, so that its exit status is known, if the other side of a pipe has failed."""

Feed = Callable[[], Iterable[memoryview]]
"""Yields a mix from its beginning, as bytes of interleaved stereo float32; called once for each pass over it."""

Sink = Callable[[IO[bytes]], None]
"""Reads the levelled mix, 24-bit stereo without a header, to its end. Called once for each try: the last one counts."""


@dataclass(frozen=True, slots=True)
class Levelled:
    """The measurements before and after levelling, the gain, and whether the limiter was used."""

    before: audio.Loudness
    after: audio.Loudness
    gain_db: float
    limited: bool


def level(
    mix: Path | Feed,
    target: Path | Sink,
    *,
    samples: int,
    sample_rate_hz: int,
    target_lufs: float,
    true_peak_db: float,
    ffmpeg: Path,
    cancelled: Callable[[], bool],
) -> Levelled:
    """Bring a mix of raw float32 samples to `target_lufs`, true peak at most `true_peak_db`.

    It is written to a file as 24-bit WAV, or read by a sink. A mix below -70 LUFS, or under 0.4 s and so not
    measurable, gets no gain, but its peaks are limited. Raises SubprocessError if ffmpeg fails, CancelledError if
    `cancelled` returns true, and what feed and sink raise.
    """
    feed = None if isinstance(mix, Path) else mix

    def open_mix() -> Stream:
        return audio.open_raw(mix if isinstance(mix, Path) else None, sample_rate_hz=sample_rate_hz)

    def run(
        stream: Stream, output: str, what: str, sink: Sink | None = None, /, **options: Value
    ) -> audio.Loudness:
        measured = audio.measure_loudness(stream)
        argv = graph.argv(ffmpeg, [measured], output, global_options=GLOBAL_OPTIONS, **options)
        if feed is None and sink is None:
            log = run_ffmpeg(argv, what=what, cancelled=cancelled)
        else:
            log = stream_ffmpeg(argv, what=what, cancelled=cancelled, feed=feed, sink=sink)
        try:
            return audio.parse_loudness(log)
        except ValueError as error:
            raise RenderingError(f"{what}: {error}", argv=argv) from error

    before = run(open_mix(), "-", "measuring the mix", f="null")
    # The meter rounds to 0.1, so half of that is subtracted.
    gain_db, room_db = 0.0, true_peak_db - before.true_peak_db - PEAK_TOLERANCE_DB
    if before.measurable:
        gain_db = min(target_lufs - before.integrated_lufs, room_db + MAX_LIMITING_DB)
    ceiling_db, last = true_peak_db, (0.0, before.integrated_lufs)
    for attempt in range(1 + CORRECTIONS):
        limited = gain_db > room_db
        stream = audio.gain(open_mix(), gain_db=gain_db)
        if limited:
            stream = audio.limit_true_peak(stream, ceiling_db=ceiling_db, sample_rate_hz=sample_rate_hz)
            stream = audio.exact_length(stream, samples=samples)
        what = "adjusting the loudness of the mix"
        if isinstance(target, Path):
            after = run(stream, str(target), what, **audio.PCM_24)
        else:
            after = run(stream, "pipe:1", what, target, **audio.RAW_24)
        over_db = after.true_peak_db - true_peak_db
        wanted_db = gain_db
        if before.measurable and abs(target_lufs - after.integrated_lufs) > TOLERANCE_LU:
            wanted_db += (target_lufs - after.integrated_lufs) / _slope(
                last, (gain_db, after.integrated_lufs)
            )
            wanted_db = min(wanted_db, room_db + MAX_LIMITING_DB)
        settled = abs(wanted_db - gain_db) < PEAK_TOLERANCE_DB and over_db <= PEAK_TOLERANCE_DB
        if settled or attempt == CORRECTIONS:
            break
        last = (gain_db, after.integrated_lufs)
        gain_db, ceiling_db = wanted_db, ceiling_db - max(0.0, over_db)
    return Levelled(before=before, after=after, gain_db=gain_db, limited=limited)


def _slope(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the change in loudness per dB of gain between two (gain, loudness) points, 0.2 to 1 LU.

    The more the limiter lowers, the smaller the change.
    """
    apart_db = second[0] - first[0]
    return min(1.0, max(0.2, (second[1] - first[1]) / apart_db)) if apart_db else 1.0


def run_ffmpeg(argv: list[str], *, what: str, cancelled: Callable[[], bool]) -> str:
    """Run ffmpeg to its end and return its log; kill it if `cancelled` returns true.

    Raises SubprocessError with the last lines of the log if ffmpeg fails, CancelledError if cancelled, and
    RenderingError if the program cannot be started.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise RenderingError(f"{what}: {argv[0]} cannot be started: {error.strerror}", argv=argv) from error
    with child:
        try:
            while True:
                try:
                    _, log = child.communicate(timeout=POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if cancelled():
                        raise CancelledError(f"{what}: cancelled") from None
        finally:
            if child.poll() is None:
                child.kill()
    if child.returncode != 0:
        raise SubprocessError(what, argv=argv, returncode=child.returncode, stderr=log)
    return log


def stream_ffmpeg(
    argv: list[str], *, what: str, cancelled: Callable[[], bool], feed: Feed | None, sink: Sink | None
) -> str:
    """Run ffmpeg with `feed` as its standard input and `sink` on its output; return its log.

    Raises what `run_ffmpeg` raises, and what feed or sink raise; ffmpeg is killed then.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL if sink is None else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise RenderingError(f"{what}: {argv[0]} cannot be started: {error.strerror}", argv=argv) from error
    assert child.stderr is not None
    with child, ThreadPoolExecutor(3, "sound") as threads:
        log = threads.submit(child.stderr.read)
        tasks: list[Future[Any]] = [log]
        if feed is not None:
            assert child.stdin is not None
            tasks.append(threads.submit(_write_all, feed, child.stdin))
        if sink is not None:
            assert child.stdout is not None
            tasks.append(threads.submit(sink, child.stdout))
        try:
            while wait(tasks, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION).not_done:
                if any(task.done() and task.exception() is not None for task in tasks):
                    break
                if cancelled():
                    child.kill()
                    raise CancelledError(f"{what}: cancelled")
        finally:
            if any(not task.done() for task in tasks):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(END_SECONDS)
                child.kill()
    text = log.result().decode(errors="replace")
    failed = next((task.exception() for task in tasks[1:] if task.exception() is not None), None)
    if failed is not None and child.returncode <= 0:
        raise failed
    if child.returncode != 0:
        raise SubprocessError(what, argv=argv, returncode=child.returncode, stderr=text)
    return text


def _write_all(feed: Feed, target: IO[bytes]) -> None:
    """Write everything that `feed` yields, unless the reader ends before."""
    with contextlib.suppress(BrokenPipeError), target:  # its exit status tells why
        for data in feed():
            target.write(data)
            target.flush()  # a reader that was killed is noticed at once, not when the buffer is full
