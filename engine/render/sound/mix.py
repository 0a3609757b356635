"""Mix every track of a timeline into the sound of the video and bring it to its target loudness."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

from video_pipeline.engine.assets.sound import SAMPLE_RATE_HZ
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import CancelledError, RenderingError
from video_pipeline.engine.render.sound.loudness import level
from video_pipeline.engine.render.sound.mixdown import Interval, mixed_samples, sample_at, speech_intervals
from video_pipeline.engine.timeline import Timeline
from video_pipeline.filters.audio import UNMEASURED_LUFS

SILENT_SAMPLE_BYTES = 3
"""Bytes of a sample: 24 bits, as in every mix."""

__all__ = ["SAMPLE_RATE_HZ", "AudioReport", "mix_audio"]


@dataclass(frozen=True, slots=True)
class AudioReport:
    """The finished sound, a 24-bit stereo WAV at 48 kHz of `samples` samples, and how its loudness was adjusted.

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
    """Mix all sound of a timeline into `target`, exactly round(timeline.duration * 48000) samples long.

    Memory use does not depend on the length or the number of scenes; next to `target`, temporary files take
    384 kB per second of sound. `target` is never half-written. Raises AssetError if a sound cannot be read,
    SubprocessError if ffmpeg fails, RenderingError if the disk does, CancelledError if `cancelled` returns true.
    """
    samples = sample_at(timeline.duration)
    speech = speech_intervals(timeline)
    target = target.absolute()
    if not timeline.audio:
        return _write_silence(target, samples)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise RenderingError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        raw, finished = folder / "mix.f32", folder / "mix.wav"
        with raw.open("wb") as file:
            for block in mixed_samples(timeline, settings=settings, speech=speech):
                if cancelled():
                    raise CancelledError("mixing the sound: cancelled")
                file.write(block.data)
        levelled = level(
            raw,
            finished,
            samples=samples,
            sample_rate_hz=SAMPLE_RATE_HZ,
            target_lufs=settings.target_lufs,
            true_peak_db=settings.true_peak,
            ffmpeg=ffmpeg,
            cancelled=cancelled,
        )
        _check_length(finished, samples)
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        finished.replace(target)
    except OSError as error:
        raise RenderingError(f"{target}: the sound cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return AudioReport(
        path=target,
        samples=samples,
        silent=not levelled.before.measurable,
        input_lufs=levelled.before.integrated_lufs,
        input_true_peak_db=levelled.before.true_peak_db,
        gain_db=levelled.gain_db,
        limited=levelled.limited,
        output_lufs=levelled.after.integrated_lufs,
        output_true_peak_db=levelled.after.true_peak_db,
        speech=speech,
    )


def _write_silence(target: Path, samples: int) -> AudioReport:
    """Write silence and return the report that the meter would give."""
    try:
        with whole_file(target) as partial, partial.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(SILENT_SAMPLE_BYTES)
            file.setframerate(SAMPLE_RATE_HZ)
            second = bytes(2 * SILENT_SAMPLE_BYTES * SAMPLE_RATE_HZ)
            for _ in range(samples // SAMPLE_RATE_HZ):
                file.writeframesraw(second)
            file.writeframes(second[: 2 * SILENT_SAMPLE_BYTES * (samples % SAMPLE_RATE_HZ)])
    except OSError as error:
        raise RenderingError(f"{target}: the sound cannot be written: {error.strerror}") from error
    return AudioReport(
        path=target,
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


def _check_length(path: Path, samples: int) -> None:
    with av.open(str(path), format="wav") as container:
        written = container.streams.audio[0].duration
    if written != samples:
        raise RenderingError(f"the sound has {written} samples, not {samples}")
