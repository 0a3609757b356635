"""The speech service `kokoro`: Spanish, French, Hindi, Italian, Japanese, Portuguese and Chinese, offline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from video_pipeline.engine.assets.speech.joining import EDGE_LEVEL, EDGE_MARGIN_SECONDS
from video_pipeline.engine.assets.speech.kokoro.model import (
    MODEL_SHA256,
    SAMPLE_RATE_HZ,
    open_model,
    vocabulary,
)
from video_pipeline.engine.assets.speech.kokoro.phonemes import kokoro_sentences
from video_pipeline.engine.assets.speech.kokoro.voices import (
    KOKORO_CREDIT,
    KOKORO_LANGUAGES,
    KokoroLanguage,
    kokoro_language,
    kokoro_voices,
    missing_packages,
)
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.service import SpeechContext, SpeechService, SpokenLanguage
from video_pipeline.engine.assets.speech.speech_file import pitch_ratio, write_speech
from video_pipeline.engine.assets.speech.voiced_words import Timed, timed_words
from video_pipeline.engine.assets.speech.word_times import Heard
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError

KOKORO_VERSION: Final = 1
"""Increase it when the sound of the same spoken text changes, so that cached narration is not used."""

HIGHEST_PEAK: Final = 0.99
"""Louder sound is lowered as a whole: some voices exceed 1."""


@dataclass(frozen=True, slots=True)
class KokoroNarrator:
    """A voice of Kokoro: one language, 24 kHz."""

    voice: str
    language: KokoroLanguage
    speech_rate: float
    pitch_semitones: float
    model: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": "kokoro",
            "model": MODEL_SHA256,
            "voice": self.voice,
            "language": self.language.code,
            "front_end": KOKORO_VERSION,
            "packages": {name: version(name) for name in self.language.packages},
            "edges": [EDGE_LEVEL, EDGE_MARGIN_SECONDS],
            "speech_rate": self.speech_rate,
            "pitch": self.pitch_semitones,
        }

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why the voice cannot speak a text, or None: it speaks only its language."""
        if language == self.language.code:
            return None
        return (
            f"the voice {self.voice!r} speaks {self.language.name}; the text is not (language {language!r})"
        )

    def speak(self, spoken: SpokenText, target: Path) -> tuple[Heard, ...]:
        """Write the text as speech, return when its words are heard; raise TTSError if nothing can be spoken."""
        if spoken.is_silent:
            raise TTSError("nothing in the text can be spoken")
        opened = open_model()
        known = vocabulary()
        sounds: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        timed: list[Timed] = []
        at = 0
        for words in kokoro_sentences(spoken, self.language):
            phonemes = "".join(word.phonemes for word in words).rstrip()
            if not _has_sound(phonemes, known):
                continue
            samples, durations = opened.sound(
                phonemes, voice=self.voice, speed=self.speech_rate / pitch_ratio(self.pitch_semitones)
            )
            timed += timed_words(words, durations, vocabulary=known, start=at, samples=len(samples))
            sounds.append(samples)
            at += len(samples)
        if not sounds:
            raise TTSError(f"the voice {self.voice!r} knows no sound of the text")
        samples = np.concatenate(sounds)
        peak = float(np.abs(samples).max())
        if not np.isfinite(peak) or peak == 0:
            raise TTSError("Kokoro returned no sound")
        return write_speech(
            samples * min(1.0, HIGHEST_PEAK / peak),
            timed,
            target,
            sample_rate_hz=SAMPLE_RATE_HZ,
            pitch_semitones=self.pitch_semitones,
        )


def _has_sound(phonemes: str, known: Iterable[str]) -> bool:
    return any(phoneme.isalpha() for phoneme in phonemes if phoneme in known)


def open_kokoro(settings: Tts, context: SpeechContext) -> KokoroNarrator:
    """Return the narrator of a voice; raise ConfigError for one that is unknown or not installed."""
    language = kokoro_language(settings.voice)
    if language is None:
        known = [voice for each in KOKORO_LANGUAGES for voice in each.voices]
        hint = closest(settings.voice, known)
        raise ConfigError(f"tts.voice: got {settings.voice!r}{hint}; allowed: {', '.join(known)}")
    missing = missing_packages(language.code)
    if missing:
        raise ConfigError(
            f"tts.voice: got {settings.voice!r}, which needs {', '.join(missing)}, of {the_extra('voices')}"
        )
    return KokoroNarrator(settings.voice, language, settings.speech_rate, settings.pitch)


def _credit(voice: str) -> str:
    language = kokoro_language(voice)
    trained_on = f", trained on {language.credit}" if language and language.credit else ""
    return f"{KOKORO_CREDIT}{trained_on}"


def _kokoro_code(voice: str) -> str:
    language = kokoro_language(voice)
    return language.code if language else ""


SERVICE: Final = SpeechService(
    name="kokoro",
    default_voice=KOKORO_LANGUAGES[0].voices[0],
    open=open_kokoro,
    voices=kokoro_voices,
    languages=tuple(
        SpokenLanguage(language.code, language.name, language.voices[0], language.sample)
        for language in KOKORO_LANGUAGES
    ),
    language_of=_kokoro_code,
    missing=missing_packages,
    credit=_credit,
)
