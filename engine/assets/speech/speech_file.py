"""Write speech as a WAV file, without the silence at its ends, at a pace and pitch."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.speech.joining import heard_range
from video_pipeline.engine.assets.speech.voiced_words import Timed
from video_pipeline.engine.assets.speech.word_times import Heard


def pitch_ratio(semitones: float) -> float:
    """Return by how much faster speech is played for a pitch. It is spoken slower by as much, which keeps its pace."""
    return float(2.0 ** (semitones / 12))


def write_speech(
    samples: npt.NDArray[np.floating[Any]],
    heard: Iterable[Timed],
    target: Path,
    *,
    sample_rate_hz: int,
    pitch_semitones: float,
) -> tuple[Heard, ...]:
    """Write samples (-1 to 1) as a mono 16-bit WAV file, and return when its words are heard."""
    kept = heard_range(samples, sample_rate_hz)
    samples = samples[kept]
    rate_hz = round(sample_rate_hz * pitch_ratio(pitch_semitones))
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())

    def seconds(sample: int) -> Fraction:
        return Fraction(min(max(sample - kept.start, 0), len(samples)), rate_hz)

    return tuple(Heard(word.at, word.end, seconds(word.begins), seconds(word.ends)) for word in heard)
