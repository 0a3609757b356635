"""Sounds and timelines that tests mix, and the levels of what comes out."""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.render.sound.mixdown import mixed_samples, speech_intervals
from video_pipeline.engine.timeline import AudioTrack, Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange

Sound = npt.NDArray[np.float64]


def write_wav(path: Path, samples: Sound, rate_hz: int = 48000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def tone(frequency_hz: float, seconds: float, amplitude: float = 0.25, rate_hz: int = 48000) -> Sound:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def noise(seconds: float, amplitude: float, seed: int, rate_hz: int = 48000) -> Sound:
    return amplitude * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def track(
    kind: str,
    path: Path,
    at: Fraction | int,
    duration: Fraction | int,
    start: Fraction | int = 0,
    gain_db: float = 0,
) -> AudioTrack:
    return AudioTrack(
        kind=kind,  # type: ignore[arg-type]
        path=path,
        sha256="",
        at=Fraction(at),
        duration=Fraction(duration),
        start=Fraction(start),
        gain_db=gain_db,
    )


def timeline(tracks: Sequence[AudioTrack], frames: int, fps: Fraction | int = 30) -> Timeline:
    still = Still(path=Path("picture.png"), width_px=16, height_px=16, sha256="")
    clip = Clip(scene_id="1", frames=FrameRange(0, frames), source=still)
    return Timeline(
        width_px=16, height_px=16, fps=Fraction(fps), title="", clips=(clip,), audio=tuple(tracks)
    )


def mixed(line: Timeline, **options: object) -> npt.NDArray[np.float32]:
    """The mix before it is brought to its loudness: levels are those of the plan."""
    chosen = Audio.model_validate(options)
    return np.concatenate(list(mixed_samples(line, settings=chosen, speech=speech_intervals(line))))


def level_db(samples: npt.NDArray[np.float32], frequency_hz: float, begin: float, end: float) -> float:
    """The level of one tone on the left between two times, by its Fourier coefficient."""
    part = samples[round(begin * 48000) : round(end * 48000), 0].astype(np.float64)
    window = np.hanning(len(part))
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(len(part)) / 48000)
    return 20 * math.log10(2 * abs(np.sum(part * window * turns)) / window.sum() + 1e-12)
