"""Narration: turn text into a WAV file. Each speech service has its own file beside this one."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, cast

from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.common.cache import ContentCache, DamagedError, file_sha256
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError


class Narrator(Protocol):
    """Speaks texts with one voice and one pace."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text; part of the cache key."""

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why it cannot speak a text in a language (ISO 639-1), or None if it can."""

    def speak(self, text: str, target: Path) -> None:
        """Write the text as speech into a mono 16-bit WAV file; raise TTSError if that fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechService:
    """One speech service, as SPEECH_SERVICES lists it.

    `open` returns its narrator for a configuration and raises ConfigError naming a wrong key; `voices`
    returns the voices that work on this machine.
    """

    name: str
    default_voice: str
    open: Callable[[Tts], Narrator]
    voices: Callable[[], tuple[str, ...]]


def check_wav(path: Path) -> None:
    """Raise DamagedError for a WAV file that is truncated or not a WAV file."""
    try:
        with wave.open(str(path), "rb") as file:
            promised = file.getnframes() * file.getnchannels() * file.getsampwidth()
    except (wave.Error, EOFError) as error:
        raise DamagedError(str(error) or "it ends in its header") from error
    if path.stat().st_size < promised:
        raise DamagedError(f"{path.stat().st_size} bytes; its header promises {promised} of sound")


def load_speech_service(name: str) -> SpeechService:
    """Return the record of a speech service; raise UnavailableError if it cannot be imported here."""
    return cast(SpeechService, SPEECH_SERVICES.load(name))


@dataclass(frozen=True, slots=True)
class NarratorChoice:
    """The narrator of a render, or None for silence. `warning` names a configured service that this version lacks."""

    narrator: Narrator | None
    warning: str | None = None


def choose_narrator(settings: Tts, *, fallback: bool) -> NarratorChoice:
    """Return the narrator that the settings name, or the offline one if this version lacks that service.

    Without `fallback` a service that this version lacks is a ConfigError.
    """
    if settings.service == "none":
        return NarratorChoice(None)
    if settings.service in SPEECH_SERVICES.names:
        return NarratorChoice(load_speech_service(settings.service).open(settings))
    offline = load_speech_service(SPEECH_SERVICES.members[0].name)
    message = (
        f"tts.service {settings.service!r} is not part of this version; "
        f"allowed: {', '.join(SPEECH_SERVICES.names)}"
    )
    if not fallback:
        raise ConfigError(message)
    narrator = offline.open(settings.model_copy(update={"voice": offline.default_voice}))
    return NarratorChoice(narrator, f"{message}; {offline.name!r} speaks instead")


def narrate(
    text: str, *, language: str, narrator: Narrator, cache_folder: ContentCache, settings: Tts
) -> Sound:
    """Return the text as speech, cached by its words and voice; raise TTSError if it cannot be spoken."""
    refusal = narrator.refusal(text, language=language)
    if refusal is not None:
        raise TTSError(refusal)
    make: Callable[[Path], None] = lambda target: narrator.speak(text, target)  # noqa: E731
    path, _ = cache_folder.get_or_make(
        "narration",
        {**narrator.identity, "text": text},
        ".wav",
        make,
        ttl=settings.cache_ttl if settings.cache_enabled else 0,
        check=check_wav,
    )
    with wave.open(str(path), "rb") as file:
        duration = Fraction(file.getnframes(), file.getframerate())
    return Sound(path, file_sha256(path), duration)
