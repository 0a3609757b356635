"""A mix brought to its loudness: measured, then changed by one constant gain.

Dynamic loudness correction would raise what the mix lowered under speech; a constant gain leaves the mix
as it was made. Only where the gain lifts peaks over the true-peak ceiling does a limiter take those.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import CancelledError, RenderingError, SubprocessError
from video_pipeline.filters import audio, graph
from video_pipeline.filters.graph import Stream, Value

GLOBAL_OPTIONS: Final = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "info", "-y")

TOLERANCE_LU: Final = 0.2
"""A measured result this near to the target is left (the meter reads to 0.1)."""

PEAK_TOLERANCE_DB: Final = 0.05
"""A true peak that the meter reads as the ceiling is at most this much over it."""

CORRECTIONS: Final = 3
"""Further tries: a limiter takes a little loudness, and how much is known only once it is done."""

MAX_LIMITING_DB: Final = 18.0
"""Peaks are lowered by no more: beyond it the target is missed rather than the sound crushed."""

POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Levelled:
    """What was measured before and after, and what was done between."""

    before: audio.Loudness
    after: audio.Loudness
    gain_db: float
    limited: bool


def level(
    mix: Path,
    target: Path,
    *,
    samples: int,
    sample_rate_hz: int,
    target_lufs: float,
    true_peak_db: float,
    ffmpeg: Path,
    cancelled: Callable[[], bool],
) -> Levelled:
    """Write raw float32 `mix` to `target` as 24-bit WAV at `target_lufs`, true peak at most `true_peak_db`.

    A mix below -70 LUFS (or under 0.4 s, which nothing can measure) gets no gain; only its peak is held.
    Raises SubprocessError when ffmpeg fails, CancelledError when it is cancelled.
    """

    def open_mix() -> Stream:
        return audio.open_raw(mix, sample_rate_hz=sample_rate_hz)

    def run(stream: Stream, output: str, what: str, **options: Value) -> audio.Loudness:
        measured = audio.measure_loudness(stream)
        argv = graph.argv(ffmpeg, [measured], output, global_options=GLOBAL_OPTIONS, **options)
        log = run_ffmpeg(argv, what=what, cancelled=cancelled)
        try:
            return audio.parse_loudness(log)
        except ValueError as error:
            raise RenderingError(f"{what}: {error}", argv=argv) from error

    before = run(open_mix(), "-", "measuring the mix", f="null")
    # The meter rounds to 0.1: half of that is kept free.
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
        after = run(stream, str(target), "bringing the mix to its loudness", **audio.PCM_24)
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
    """Return the loudness that a dB of gain brought between two (gain, loudness) points, 0.2 to 1 LU.

    The deeper the limiter works, the less a dB brings.
    """
    apart_db = second[0] - first[0]
    return min(1.0, max(0.2, (second[1] - first[1]) / apart_db)) if apart_db else 1.0


def run_ffmpeg(argv: list[str], *, what: str, cancelled: Callable[[], bool]) -> str:
    """Run ffmpeg to its end and return its log; a cancelled run is killed.

    Raises SubprocessError with the last lines of the log, CancelledError when it is cancelled, and
    RenderingError when the program cannot be started.
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
