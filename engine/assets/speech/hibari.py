"""hibari-tts: a neural voice inside its wheel, offline, English."""

from __future__ import annotations

import unicodedata
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.speech.service import SpeechService
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError
from video_pipeline.engine.story.splitting import BULLETS, block_mark, paragraphs

EMBEDDED_VOICE = "heart"
"""The voice that the hibari-tts wheel itself holds."""

EDGE_LEVEL = 0.01
EDGE_MARGIN_SECONDS = 0.06
"""Speech begins and ends where it exceeds this fraction of its peak (-40 dB); a margin is kept around it."""


SPOKEN_SYMBOLS: Final = "°^©№"
"""Symbols, by their Unicode category, that the voice reads as words."""

UNSPOKEN_MARKS: Final = (*BULLETS, *("#" * level for level in range(1, 7)))
"""Marks of headings and lists. The numbers of a list are spoken."""

ENDS: Final = '.!?:;,…—–"”’)'
"""Characters after which the voice pauses without a full stop."""

WORDS_VERSION: Final = 2
"""Increase it when `speakable` changes, so that cached narration is not used."""


@cache
def _hibari(voice: str) -> Any:
    from hibari import Hibari

    return Hibari(voice=voice)


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

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": "hibari",
            "version": version("hibari-tts"),
            "voice": self.voice,
            "words": WORDS_VERSION,
            "edges": [EDGE_LEVEL, EDGE_MARGIN_SECONDS],
            "speech_rate": self.speech_rate,
            "pitch": self.pitch_semitones,
        }

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why the voice cannot speak a text, or None: it speaks only English."""
        if language == "en" and is_latin(text):
            return None
        return f"the voice speaks English; the text is not (language {language!r})"

    def speak(self, text: str, target: Path) -> None:
        """Write the text as speech; raise TTSError if nothing can be spoken."""
        words = speakable(text)
        if not any(character.isalnum() for character in words):
            raise TTSError("nothing in the text can be spoken")
        # Speak slower by the pitch ratio and play faster by it: this changes the pitch and keeps the pace.
        ratio = 2.0 ** (self.pitch_semitones / 12)
        try:
            engine = _hibari(self.voice)
            samples = np.asarray(engine(words, speed=self.speech_rate / ratio, seed=0), np.float64)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise TTSError(f"hibari-tts could not speak: {error}") from error
        if samples.size == 0 or not np.isfinite(samples).all():
            raise TTSError("hibari-tts returned no sound")
        samples = _without_edges(samples, engine.sample_rate)
        with wave.open(str(target), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(round(engine.sample_rate * ratio))
            file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())


def _without_edges(samples: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    """Return speech without the silence at its ends, because the composer sets the pauses."""
    heard = np.flatnonzero(np.abs(samples) > EDGE_LEVEL * np.abs(samples).max())
    margin = round(EDGE_MARGIN_SECONDS * rate_hz)
    return samples[max(0, heard[0] - margin) : heard[-1] + 1 + margin]


def speakable(text: str) -> str:
    """Remove from a text what is not spoken: control characters, emoji, and marks of headings and lists.

    Paragraphs, headings and items of lists end with a full stop, for the pause, if they have no mark of their own.
    """
    spoken = []
    for blocks in paragraphs(text.replace("℃", "°C").replace("℉", "°F")):
        for block in blocks:
            mark = block_mark(block)
            kept = _without_symbols(block[len(mark) :] if mark.strip() in UNSPOKEN_MARKS else block)
            if any(character.isalnum() for character in kept):
                spoken.append(kept)
    ended = [words if words[-1] in ENDS else f"{words}." for words in spoken[:-1]]
    return " ".join([*ended, *spoken[-1:]])


def _without_symbols(text: str) -> str:
    kept = []
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif character in SPOKEN_SYMBOLS or kind not in ("Cf", "Cs", "Co", "Cn", "So", "Sk"):
            kept.append(character)
    return " ".join("".join(kept).split())


def is_latin(text: str) -> bool:
    """Return whether most letters of a text are Latin."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(1 for letter in letters if "LATIN" in unicodedata.name(letter, ""))
    return bool(letters) and latin * 2 > len(letters)


def open_hibari(settings: Tts) -> HibariNarrator:
    """Return the narrator; raise ConfigError for a voice that is not installed."""
    # Listing the voices imports the whole package, which cached narration does not need.
    if settings.voice != EMBEDDED_VOICE and settings.voice not in (voices := hibari_voices()):
        hint = closest(settings.voice, voices)
        raise ConfigError(f"tts.voice: got {settings.voice!r}{hint}; allowed offline: {', '.join(voices)}")
    return HibariNarrator(settings.voice, settings.speech_rate, settings.pitch)


SERVICE: Final = SpeechService(
    name="hibari", default_voice=EMBEDDED_VOICE, open=open_hibari, voices=hibari_voices
)
