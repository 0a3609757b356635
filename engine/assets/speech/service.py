"""Narration: turn text into a WAV file. Each speech service has its own file beside this one."""

from __future__ import annotations

import hashlib
import struct
import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol, cast

from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.common.cache import ContentCache, DamagedError
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError

SEAL_HEAD: Final = b"sha2" + struct.pack("<I", hashlib.sha256().digest_size)
"""The name and the length of the chunk that holds a WAV file's SHA-256."""

SEAL_BYTES: Final = len(SEAL_HEAD) + hashlib.sha256().digest_size


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


def seal_wav(path: Path) -> None:
    """Append the SHA-256 of a WAV file's bytes, in a chunk that players skip."""
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", len(data) + SEAL_BYTES - 8)  # RIFF: the length of all chunks
    path.write_bytes(data + SEAL_HEAD + hashlib.sha256(data).digest())


def check_wav(path: Path) -> None:
    """Raise DamagedError for a WAV file whose bytes are not those that were sealed."""
    data = memoryview(path.read_bytes())
    sealed, seal = data[:-SEAL_BYTES], bytes(data[-SEAL_BYTES:])
    if not seal.startswith(SEAL_HEAD):
        raise DamagedError("it does not end with its SHA-256")
    if seal.removeprefix(SEAL_HEAD) != hashlib.sha256(sealed).digest():
        raise DamagedError("its SHA-256 is not the one it was written with")


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

    def make(target: Path) -> None:
        narrator.speak(text, target)
        seal_wav(target)

    path, _ = cache_folder.get_or_make(
        "narration",
        {**narrator.identity, "text": text},
        ".wav",
        make,
        ttl=settings.cache_ttl if settings.cache_enabled else 0,
        check=check_wav,
    )
    with ANY_FILES.open(path) as file, wave.open(file.stream, "rb") as sound:
        duration = Fraction(sound.getnframes(), sound.getframerate())
        return Sound(path, file.sha256, duration)
