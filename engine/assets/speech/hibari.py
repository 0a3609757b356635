"""hibari-tts: a neural voice inside its wheel, offline, English."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from video_pipeline.engine.assets.speech.hibari_engine import VERSION, open_engine
from video_pipeline.engine.assets.speech.joining import EDGE_LEVEL, EDGE_MARGIN_SECONDS
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.service import SpeechContext, SpeechService, SpokenLanguage
from video_pipeline.engine.assets.speech.speech_file import pitch_ratio, write_speech
from video_pipeline.engine.assets.speech.word_times import Heard
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError

EMBEDDED_VOICE = "heart"
"""The voice that the hibari-tts wheel itself holds."""


def hibari_voices() -> tuple[str, ...]:
    """Return the voices that work offline: those whose model is inside the package or already fetched."""
    from hibari.voices import VOICES, voice_path

    def is_here(name: str) -> bool:
        try:
            return Path(voice_path(name, download_missing=False)).is_file()
        except FileNotFoundError:
            return False

    return tuple(name for name in VOICES if is_here(name))


@dataclass(frozen=True, slots=True)
class HibariNarrator:
    """The voice inside the hibari-tts wheel: English, 24 kHz."""

    voice: str
    speech_rate: float
    pitch_semitones: float
    model: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": "hibari",
            "version": version("hibari-tts"),
            "voice": self.voice,
            "front_end": VERSION,
            "edges": [EDGE_LEVEL, EDGE_MARGIN_SECONDS],
            "speech_rate": self.speech_rate,
            "pitch": self.pitch_semitones,
        }

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why the voice cannot speak a text, or None: it speaks only English."""
        if language == "en" and is_latin(text):
            return None
        return f"the voice speaks English; the text is not (language {language!r})"

    def speak(self, spoken: SpokenText, target: Path) -> tuple[Heard, ...]:
        """Write the text as speech, return when its words are heard; raise TTSError if nothing can be spoken."""
        if spoken.is_silent:
            raise TTSError("nothing in the text can be spoken")
        try:
            engine = open_engine(self.voice)
            samples, heard = engine.speak(spoken, speed=self.speech_rate / pitch_ratio(self.pitch_semitones))
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise TTSError(f"hibari-tts could not speak: {error}") from error
        if samples.size == 0 or not np.isfinite(samples).all():
            raise TTSError("hibari-tts returned no sound")
        return write_speech(
            samples, heard, target, sample_rate_hz=engine.sample_rate, pitch_semitones=self.pitch_semitones
        )


def is_latin(text: str) -> bool:
    """Return whether most letters of a text are Latin."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(1 for letter in letters if "LATIN" in unicodedata.name(letter, ""))
    return bool(letters) and latin * 2 > len(letters)


def open_hibari(settings: Tts, context: SpeechContext) -> HibariNarrator:
    """Return the narrator; raise ConfigError for a voice that is not installed."""
    # Listing the voices imports the whole package, which cached narration does not need.
    if settings.voice != EMBEDDED_VOICE and settings.voice not in (voices := hibari_voices()):
        hint = closest(settings.voice, voices)
        raise ConfigError(f"tts.voice: got {settings.voice!r}{hint}; allowed offline: {', '.join(voices)}")
    return HibariNarrator(settings.voice, settings.speech_rate, settings.pitch)


def _hibari_language(voice: str) -> str:
    if voice == EMBEDDED_VOICE:
        return "en"
    from hibari.voices import VOICES

    return "en" if voice in VOICES else ""


SERVICE: Final = SpeechService(
    name="hibari",
    default_voice=EMBEDDED_VOICE,
    open=open_hibari,
    voices=hibari_voices,
    languages=(
        SpokenLanguage("en", "English", EMBEDDED_VOICE, "The keeper climbed the stairs one last time."),
    ),
    language_of=_hibari_language,
    credit=lambda voice: "hibari-tts (Apache-2.0), after Kokoro-82M by hexgrad (Apache-2.0)",
)
