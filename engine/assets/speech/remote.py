"""A narrator that asks a service on the network: pieces of text, each kept in the cache as soon as it is paid for."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.speech.cutting import cut_text
from video_pipeline.engine.assets.speech.joining import (
    JOINING_VERSION,
    PAUSE_SECONDS,
    Speech,
    decode_speech,
    join_speech,
)
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.service import SpeechContext, check_wav, notes_of, seal_wav
from video_pipeline.engine.assets.speech.voice_names import unknown_voice
from video_pipeline.engine.assets.speech.word_times import Heard, marked_times
from video_pipeline.engine.common.cache import ContentCache, key_of
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import AssetError, ConfigError, ServiceError, TTSError
from video_pipeline.engine.net.client import ServiceClient
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
from video_pipeline.engine.net.recent_answers import RecentAnswers

FULL_SCALE: Final = 32767

KEPT_PIECES: Final = 8
"""Answers that stay in memory: if the disk is full, they are not asked and paid for again."""

Mark = tuple[int, int, float]
"""A word's place in the spoken text, and when it begins, in seconds of the piece."""


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """The speech of one piece of text; `marks` are empty if the service does not tell them."""

    samples: Speech
    rate_hz: int
    marks: tuple[Mark, ...] = ()


class SpeechCalls(Protocol):
    """The requests of one service."""

    @property
    def service(self) -> str:
        """The service's name."""

    @property
    def voice(self) -> str:
        """The voice's name, or "" if the service chooses it."""

    @property
    def model(self) -> str:
        """The model or type of voice by which the service charges."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the sound depends on besides the text, and no secret."""

    def fits(self, spoken: SpokenText, at: int, end: int) -> bool:
        """Return whether the service takes these characters in one request."""

    def content(self, spoken: SpokenText, at: int, end: int) -> str:
        """Return what is sent for these characters: text or SSML."""

    def ask(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return these characters as speech; raise ServiceError."""

    def voices(self) -> tuple[str, ...]:
        """Return the names of the service's voices, which cost nothing to ask; raise ServiceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteNarrator:
    """Speaks through a service.

    `ratio` is how much faster the sound is played than it was spoken, which changes the pitch of a voice whose service
    cannot; the service speaks slower by it.
    """

    calls: SpeechCalls
    cache: ContentCache
    language: str
    ttl: float
    ratio: float = 1.0
    _kept: RecentAnswers[SpokenPiece] = field(
        default_factory=lambda: RecentAnswers(KEPT_PIECES), compare=False, repr=False
    )

    @property
    def model(self) -> str:
        """The model or type of voice by which the service charges."""
        return self.calls.model

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {**self.calls.identity, "ratio": self.ratio, "joining": [JOINING_VERSION, PAUSE_SECONDS]}

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return None: a service says itself what it cannot speak."""
        return None

    def speak(self, spoken: SpokenText, target: Path) -> tuple[Heard, ...]:
        """Write the text as speech, and return when its words are heard if the service tells; raise TTSError."""
        if spoken.is_silent:
            raise TTSError("nothing in the text can be spoken")
        places = cut_text(
            spoken.text, language=self.language, fits=lambda at, end: self.calls.fits(spoken, at, end)
        )
        pieces = [self._piece(spoken, at, end) for at, end in places]
        rate_hz = pieces[0].rate_hz
        if any(piece.rate_hz != rate_hz for piece in pieces):
            raise ServiceError(
                f"{self.calls.service}: its answers have different sample rates", kind="rejected"
            )
        joined = join_speech([piece.samples for piece in pieces], rate_hz)
        samples = joined.samples
        played_hz = round(rate_hz * self.ratio)
        with wave.open(str(target), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(played_hz)
            file.writeframes(_as_16_bit(samples).tobytes())
        if not all(piece.marks for piece in pieces):
            return ()
        begins = [
            (at, end, max(0.0, (start + seconds * rate_hz) / played_hz))
            for piece, start in zip(pieces, joined.starts, strict=True)
            for at, end, seconds in piece.marks
        ]
        return marked_times(begins, samples, played_hz)

    def _piece(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return a piece of the text as speech from memory, the cache, or the service."""
        parts = {**self.calls.identity, "content": self.calls.content(spoken, at, end)}
        key = key_of(parts)
        with one_at_a_time(self.cache.folder / "speech" / "locks", key):
            if kept := self._kept.get(key):
                return _placed_piece(kept, at)

            def make(target: Path) -> None:
                piece = self._kept.get(key)
                if piece is None:
                    piece = self._asked(spoken, at, end)
                    # As it is read from the cache later, so that a repeated render has the same bytes.
                    samples = _as_16_bit(piece.samples) / FULL_SCALE
                    piece = SpokenPiece(samples, piece.rate_hz, _shifted(piece.marks, -at))
                    self._kept.keep(key, piece)
                _write_piece(piece, target)

            path, _ = self.cache.get_or_make("speech", parts, ".wav", make, ttl=self.ttl, check=check_wav)
            if kept := self._kept.get(key):
                return _placed_piece(kept, at)
            return _placed_piece(_read_piece(path), at)

    def _asked(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        try:
            return self.calls.ask(spoken, at, end)
        except ServiceError as error:
            if error.kind == "rejected" and self.calls.voice:
                self._check_voice()
            raise

    def _check_voice(self) -> None:
        """Raise ConfigError if the service does not have the voice; a list that cannot be had says nothing."""
        try:
            voices = self.calls.voices()
        except ServiceError:
            return
        if voices and self.calls.voice not in voices:
            raise unknown_voice(self.calls.voice, self.calls.service, voices, language=self.language)


def letters_in(text: str) -> int:
    """Return how many letters and digits a text has."""
    return sum(map(str.isalnum, text))


@dataclass(frozen=True, slots=True)
class SpeechPace:
    """How fast a service speaks, and how much faster its sound is then played (see RemoteNarrator)."""

    speed: float
    ratio: float = 1.0


def pace_of(settings: Tts, *, slowest: float, fastest: float) -> SpeechPace:
    """Return the pace for `tts.speech_rate` and `tts.pitch` of a service that cannot change the pitch itself.

    Raises ConfigError if the service cannot speak as slowly or fast as that needs.
    """
    ratio = 2.0 ** (settings.pitch / 12)
    speed = settings.speech_rate / ratio
    if not slowest <= speed <= fastest:
        raise ConfigError(
            f"tts.pitch: got {settings.pitch:g} with tts.speech_rate {settings.speech_rate:g}: the service would have to "
            f"speak at {speed:.2f} of its pace, and it can at {slowest:g} to {fastest:g}; give values nearer to 0 and 1"
        )
    return SpeechPace(speed, ratio)


def remote_narrator(
    calls: SpeechCalls, settings: Tts, context: SpeechContext, pace: SpeechPace
) -> RemoteNarrator:
    """Return the narrator that speaks through a service's calls."""
    ttl = settings.cache_ttl if settings.cache_enabled else 0
    return RemoteNarrator(
        calls=calls, cache=context.cache, language=context.language, ttl=ttl, ratio=pace.ratio
    )


def decoded_answer(data: bytes, client: ServiceClient, *, letters: int) -> tuple[Speech, int]:
    """Return the samples and rate of a sound; raise ServiceError if it is no whole speech."""
    try:
        return decode_speech(data, letters=letters)
    except AssetError as error:
        raise client.error(str(error), kind="busy") from error


def _placed_piece(piece: SpokenPiece, at: int) -> SpokenPiece:
    return SpokenPiece(piece.samples, piece.rate_hz, _shifted(piece.marks, at))


def _shifted(marks: tuple[Mark, ...], by: int) -> tuple[Mark, ...]:
    return tuple((at + by, end + by, seconds) for at, end, seconds in marks)


def _as_16_bit(samples: Speech) -> npt.NDArray[np.int16]:
    return (np.clip(samples, -1, 1) * FULL_SCALE).round().astype("<i2")


def _write_piece(piece: SpokenPiece, target: Path) -> None:
    """Write a piece as a sealed WAV file; its marks count from the beginning of its text."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(piece.rate_hz)
        file.writeframes(_as_16_bit(piece.samples).tobytes())
    seal_wav(target, {"marks": piece.marks})


def _read_piece(path: Path) -> SpokenPiece:
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / FULL_SCALE
        rate_hz = file.getframerate()
    marks = tuple((at, end, seconds) for at, end, seconds in notes_of(path.read_bytes())["marks"])
    return SpokenPiece(samples, rate_hz, marks)
