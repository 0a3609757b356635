"""Speech from services: decode it, refuse what is not whole, and join pieces without a click."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from video_pipeline.engine.errors import AssetError
from video_pipeline.filters.graph import PROTOCOLS

Speech = npt.NDArray[np.float64]
"""Mono samples, -1 to 1."""

JOINING_VERSION: Final = 1
"""Increase it when the same pieces are joined to another sound, so that cached ones are not used."""

EDGE_LEVEL: Final = 0.01
EDGE_MARGIN_SECONDS: Final = 0.06
"""Speech is kept from where it exceeds this fraction of its peak (-40 dB), with a margin."""

FADE_SECONDS: Final = 0.008
PAUSE_SECONDS: Final = 0.3
"""Between two pieces: each ends and begins with a fade, with silence in between, because a jump would click."""

LEAST_SECONDS_A_LETTER: Final = 0.012
"""Speech at twice the usual pace takes 0.03 s a letter; a sound much shorter lacks words."""

_STREAMED: Final = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What a WAV header has as its length if it is written before the end is known."""

_FORMATS: Final = {b"RIFF": "wav", b"OggS": "ogg", b"ID3": "mp3", b"\xff\xfb": "mp3", b"\xff\xf3": "mp3"}


class NotSpeechError(AssetError):
    """The bytes are no whole sound of speech."""


@dataclass(frozen=True, slots=True)
class JoinedSpeech:
    """One sound from several, and how far each piece's own time zero is from its start in samples."""

    samples: Speech
    starts: tuple[int, ...]


def decode_speech(data: bytes, *, letters: int) -> tuple[Speech, int]:
    """Return the samples of a WAV, Ogg or MP3 file and their rate in Hz.

    Raises NotSpeechError for bytes that are cut off, empty, silent, or too short for so many letters.
    """
    if not data:
        raise NotSpeechError("the sound is empty")
    name = next((name for magic, name in _FORMATS.items() if data.startswith(magic)), None)
    if name is None:
        raise NotSpeechError(f"the answer is not a sound; it begins with {data[:16]!r}")
    if (name == "wav" and _wav_is_cut(data)) or (name == "ogg" and _ogg_is_cut(data)):
        raise NotSpeechError("the sound is cut off")
    try:
        options = {"protocol_whitelist": PROTOCOLS}
        with av.open(io.BytesIO(data), mode="r", format=name, options=options) as container:
            if not container.streams.audio:
                raise NotSpeechError("the answer has no sound")
            stream = container.streams.audio[0]
            rate_hz = stream.codec_context.sample_rate
            resampler = av.AudioResampler(format="dbl", layout="mono", rate=rate_hz)
            frames = [
                made.to_ndarray().reshape(-1)
                for frame in [*container.decode(stream), None]
                for made in resampler.resample(frame)
            ]
    except (av.FFmpegError, ValueError) as error:
        raise NotSpeechError(f"the sound cannot be decoded: {error}") from error
    samples: Speech = np.concatenate(frames).astype(np.float64) if frames else np.zeros(0)
    if not np.isfinite(samples).all() or not samples.any():
        raise NotSpeechError("the sound is silent")
    if len(samples) < letters * LEAST_SECONDS_A_LETTER * rate_hz:
        raise NotSpeechError(f"{len(samples) / rate_hz:.2f} s of sound are too short for {letters} letters")
    return samples, rate_hz


def _wav_is_cut(data: bytes) -> bool:
    """Return whether a WAV file ends before its samples do; a streamed one has no length."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"data":
            return size not in _STREAMED and at + 8 + size > len(data)
        at += 8 + size + size % 2
    return True


def _ogg_is_cut(data: bytes) -> bool:
    """Return whether the last page of an Ogg file is not its end (RFC 3533, 6)."""
    last = data.rfind(b"OggS")
    page = data[last:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def join_speech(pieces: Sequence[Speech], rate_hz: int) -> JoinedSpeech:
    """Join pieces of speech with a pause between them; silence at their ends is left out."""
    pause, fade = round(PAUSE_SECONDS * rate_hz), max(1, round(FADE_SECONDS * rate_hz))
    made: list[Speech] = []
    starts: list[int] = []
    length = 0
    for index, piece in enumerate(pieces):
        kept = heard_range(piece, rate_hz)
        part = piece[kept].copy()
        ramp = np.linspace(0, 1, min(fade, len(part)), endpoint=False)
        if index:
            made.append(np.zeros(pause))
            length += pause
            part[: len(ramp)] *= ramp
        if index + 1 < len(pieces):
            part[len(part) - len(ramp) :] *= ramp[::-1]
        starts.append(length - kept.start)
        made.append(part)
        length += len(part)
    return JoinedSpeech(np.concatenate(made), tuple(starts))


def heard_range(samples: npt.NDArray[Any], rate_hz: int) -> slice:
    """Return where speech is between the silences at its ends, because the composer sets the pauses."""
    heard = np.flatnonzero(np.abs(samples) > EDGE_LEVEL * np.abs(samples).max())
    margin = round(EDGE_MARGIN_SECONDS * rate_hz)
    return slice(max(0, int(heard[0]) - margin), min(len(samples), int(heard[-1]) + 1 + margin))
