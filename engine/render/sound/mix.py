"""Mix every track of a timeline into the sound of the video and bring it to its target loudness."""

from __future__ import annotations

import io
import math
import os
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av

from video_pipeline.engine.assets.sound import SAMPLE_RATE_HZ
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import CancelledError, RenderingError
from video_pipeline.engine.render.sound.loudness import Feed, Levelled, Sink, level
from video_pipeline.engine.render.sound.mixdown import Interval, mixed_samples, sample_at, speech_intervals
from video_pipeline.engine.timeline import Timeline
from video_pipeline.filters.audio import UNMEASURED_LUFS

SAMPLE_BYTES: Final = 3
"""Bytes of a sample: 24 bits, as in every mix."""

STORED_SECONDS: Final = 300
"""A longer mix is not stored but mixed again for each pass, so that it takes 115 MB of disk at most."""

__all__ = ["SAMPLE_RATE_HZ", "AudioReport", "mix_audio", "mix_into"]


@dataclass(frozen=True, slots=True)
class AudioReport:
    """The finished sound, stereo at 48 kHz of `samples` samples in the file `path`, and how its loudness was adjusted.

    Loudness is in LUFS, true peak in dBTP (-inf for digital silence). `silent` means that the mix was below
    -70 LUFS, or under 0.4 s, and got no gain. `speech` holds the half-open intervals of speech, in seconds.
    """

    path: Path
    samples: int
    silent: bool
    input_lufs: float
    input_true_peak_db: float
    gain_db: float
    limited: bool
    output_lufs: float
    output_true_peak_db: float
    speech: tuple[Interval, ...]


def mix_audio(
    timeline: Timeline,
    *,
    settings: Audio,
    target: Path,
    ffmpeg: Path,
    cancelled: Callable[[], bool] = lambda: False,
) -> AudioReport:
    """Mix all sound of a timeline into a WAV, exactly round(timeline.duration * 48000) samples long.

    Memory use does not depend on the length or the number of scenes. `target` is never half-written. Raises
    AssetError if a sound cannot be read, SubprocessError if ffmpeg fails, RenderingError if the disk does,
    CancelledError if `cancelled` returns true.
    """
    samples = sample_at(timeline.duration)
    target = target.absolute()
    if not timeline.audio:
        _write_silence(target, samples)
        return _silent_file(target, samples)
    with _working_folder(target) as folder:
        finished = folder / "mix.wav"
        levelled = _level_mix(timeline, settings, folder, finished, ffmpeg, cancelled)
        _check_length(finished, samples)
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        finished.replace(target)
    return _report(target, levelled, timeline)


def mix_into(
    sink: Sink,
    timeline: Timeline,
    *,
    settings: Audio,
    target: Path,
    ffmpeg: Path,
    cancelled: Callable[[], bool] = lambda: False,
) -> AudioReport:
    """Mix all sound of a timeline and have `sink` read it and write it to `target`.

    If the sink is called again, what it has read before does not count. Lengths and errors as in `mix_audio`.
    """
    if not timeline.audio:
        samples = sample_at(timeline.duration)
        sink(io.BufferedReader(_Zeros(samples * 2 * SAMPLE_BYTES)))
        return _silent_file(target, samples)
    with _working_folder(target) as folder:
        levelled = _level_mix(timeline, settings, folder, sink, ffmpeg, cancelled)
    return _report(target, levelled, timeline)


def _level_mix(
    timeline: Timeline,
    settings: Audio,
    folder: Path,
    target: Path | Sink,
    ffmpeg: Path,
    cancelled: Callable[[], bool],
) -> Levelled:
    samples, speech = sample_at(timeline.duration), speech_intervals(timeline)

    def blocks() -> Iterator[memoryview]:
        for block in mixed_samples(timeline, settings=settings, speech=speech):
            if cancelled():
                raise CancelledError("mixing the sound: cancelled")
            yield block.data

    mix: Path | Feed = blocks
    if samples <= STORED_SECONDS * SAMPLE_RATE_HZ:
        mix = folder / "mix.f32"
        with mix.open("wb") as file:
            for block in blocks():
                file.write(block)
    return level(
        mix,
        target,
        samples=samples,
        sample_rate_hz=SAMPLE_RATE_HZ,
        target_lufs=settings.target_lufs,
        true_peak_db=settings.true_peak,
        ffmpeg=ffmpeg,
        cancelled=cancelled,
    )


@contextmanager
def _working_folder(target: Path) -> Iterator[Path]:
    """Yield a folder beside `target`, deleted when the block ends; errors of the disk become RenderingError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise RenderingError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        yield folder
    except OSError as error:
        raise RenderingError(f"{target}: the sound cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report(path: Path, levelled: Levelled, timeline: Timeline) -> AudioReport:
    return AudioReport(
        path=path,
        samples=sample_at(timeline.duration),
        silent=not levelled.before.measurable,
        input_lufs=levelled.before.integrated_lufs,
        input_true_peak_db=levelled.before.true_peak_db,
        gain_db=levelled.gain_db,
        limited=levelled.limited,
        output_lufs=levelled.after.integrated_lufs,
        output_true_peak_db=levelled.after.true_peak_db,
        speech=speech_intervals(timeline),
    )


def _silent_file(path: Path, samples: int) -> AudioReport:
    """Return the report that the meter would give of silence."""
    return AudioReport(
        path=path,
        samples=samples,
        silent=True,
        input_lufs=UNMEASURED_LUFS,
        input_true_peak_db=-math.inf,
        gain_db=0.0,
        limited=False,
        output_lufs=UNMEASURED_LUFS,
        output_true_peak_db=-math.inf,
        speech=(),
    )


class _Zeros(io.RawIOBase):
    """A stream of zero bytes."""

    def __init__(self, count: int) -> None:
        self._left = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        count = min(len(view), self._left)
        view[:count] = bytes(count)
        self._left -= count
        return count


def _write_silence(target: Path, samples: int) -> None:
    try:
        with whole_file(target) as partial, partial.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(SAMPLE_BYTES)
            file.setframerate(SAMPLE_RATE_HZ)
            second = bytes(2 * SAMPLE_BYTES * SAMPLE_RATE_HZ)
            for _ in range(samples // SAMPLE_RATE_HZ):
                file.writeframesraw(second)
            file.writeframes(second[: 2 * SAMPLE_BYTES * (samples % SAMPLE_RATE_HZ)])
    except OSError as error:
        raise RenderingError(f"{target}: the sound cannot be written: {error.strerror}") from error


def _check_length(path: Path, samples: int) -> None:
    with av.open(str(path), format="wav") as container:
        written = container.streams.audio[0].duration
    if written != samples:
        raise RenderingError(f"the sound has {written} samples, not {samples}")
