"""Narration: turn text into a WAV file. Each speech service has its own file beside this one."""

from __future__ import annotations

import hashlib
import json
import struct
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, cast

import numpy as np

from video_pipeline.engine.assets.models import Narration, Sound, WordTimesBy
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.word_times import (
    WORD_TIMES_VERSION,
    Heard,
    shared_times,
    shown_times,
)
from video_pipeline.engine.common.cache import ContentCache, DamagedError
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.spoken_words import SpokenBy, SpokenWord
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError

AUTO: Final = "auto"
"""The service or voice that suits the story's language."""

SEAL_HEAD: Final = b"sha2" + struct.pack("<I", hashlib.sha256().digest_size)
"""The name and the length of the chunk that holds a WAV file's SHA-256."""

SEAL_BYTES: Final = len(SEAL_HEAD) + hashlib.sha256().digest_size

WORDS_CHUNK: Final = b"wrds"
"""The name of the chunk that holds when the words of the shown text are heard, as JSON."""


class Narrator(Protocol):
    """Speaks texts with one voice and one pace."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text; part of the cache key."""

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why it cannot speak a text in a language (ISO 639-1), or None if it can."""

    def speak(self, spoken: SpokenText, target: Path) -> tuple[Heard, ...]:
        """Write a text as speech into a mono 16-bit WAV file; raise TTSError if that fails.

        Returns when its words are heard, or nothing if the voice does not tell; they are then estimated.
        """


class SpokenLanguage(NamedTuple):
    """A language that a service speaks offline: ISO 639-1, its English name, the default voice, and a sentence to hear it."""

    code: str
    name: str
    voice: str
    sample: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechService:
    """One speech service, as SPEECH_SERVICES lists it.

    `open` returns its narrator for a configuration and raises ConfigError naming a wrong key; `voices`
    returns the voices that work on this machine. A service that speaks offline lists its `languages`; `language_of`
    returns the language of any of its voices ("" for another's), `missing` the modules that a language still needs here,
    and `credit` who made a voice and under which licence.
    """

    name: str
    default_voice: str
    open: Callable[[Tts], Narrator]
    voices: Callable[[], tuple[str, ...]]
    languages: tuple[SpokenLanguage, ...] = ()
    language_of: Callable[[str], str] = lambda voice: ""
    missing: Callable[[str], tuple[str, ...]] = lambda language: ()
    credit: Callable[[str], str] = lambda voice: ""


class UnspokenError(TTSError):
    """A narration is not cached, and was not to be spoken."""


def seal_wav(path: Path, notes: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Append notes and then the SHA-256 of a WAV file's bytes, in chunks that players skip."""
    data = bytearray(path.read_bytes())
    body = json.dumps(notes, separators=(",", ":")).encode()
    body += b" " * (len(body) % 2)  # chunks have even lengths
    data += WORDS_CHUNK + struct.pack("<I", len(body)) + body
    data[4:8] = struct.pack("<I", len(data) + SEAL_BYTES - 8)  # RIFF: the length of all chunks
    path.write_bytes(data + SEAL_HEAD + hashlib.sha256(data).digest())


def notes_of(data: bytes) -> dict[str, Any]:
    """Return the notes of a sealed WAV file."""
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == WORDS_CHUNK:
            return cast(dict[str, Any], json.loads(data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return {}


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


@dataclass(frozen=True, slots=True)
class NoNarrator:
    """Stands for the voice of a language that none of this machine speaks: it refuses every text, and says why."""

    reason: str

    @property
    def identity(self) -> dict[str, Any]:
        """Nothing is spoken."""
        return {"service": "none"}

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why nothing is spoken."""
        return self.reason

    def speak(self, spoken: SpokenText, target: Path) -> tuple[Heard, ...]:
        """Raise TTSError."""
        raise TTSError(self.reason)


def choose_narrator(settings: Tts, *, fallback: bool, language: str = "en") -> NarratorChoice:
    """Return the narrator that the settings name, for a language (ISO 639-1).

    `auto` is the first offline service that speaks the language, and its voice. If this version lacks a service, an
    offline voice speaks instead; without `fallback` that is a ConfigError. Raises ConfigError for a voice that is not
    installed.
    """
    if settings.service == "none":
        return NarratorChoice(None)
    if settings.service in SPEECH_SERVICES.names:
        return NarratorChoice(_opened_narrator(settings, language))
    message = (
        f"tts.service: got {settings.service!r}{closest(settings.service, SPEECH_SERVICES.names)}, "
        "which is not part of this version; "
        f"allowed: {', '.join(SPEECH_SERVICES.names)}"
    )
    if not fallback:
        raise ConfigError(message)
    narrator = _opened_narrator(settings.model_copy(update={"service": AUTO, "voice": AUTO}), language)
    if isinstance(narrator, NoNarrator):
        return NarratorChoice(narrator, message)
    return NarratorChoice(narrator, f"{message}; {narrator.identity['service']!r} speaks instead")


def _opened_narrator(settings: Tts, language: str) -> Narrator:
    """Return the narrator of settings in which service and voice may be `auto`."""
    named, voice = settings.service, settings.voice
    services = offline_services() if named == AUTO else iter((load_speech_service(named),))
    if voice != AUTO and named == AUTO:
        for service in services:
            if service.language_of(voice):
                return service.open(settings)
        raise ConfigError(f"tts.voice: got {voice!r}{closest(voice, _offline_voices())}; {_voices_allowed()}")
    for service in services:
        if voice != AUTO or not service.languages:
            return service.open(settings)
        for spoken in service.languages:
            if spoken.code == language and not service.missing(language):
                return service.open(settings.model_copy(update={"voice": spoken.voice}))
    return NoNarrator(_why_no_voice(language, service=None if named == AUTO else named))


def offline_services() -> Iterator[SpeechService]:
    """Yield the services that `auto` chooses from, preferred ones first."""
    for member in SPEECH_SERVICES.members:
        if not member.by_name_only:
            yield load_speech_service(member.name)


def _offline_voices() -> dict[str, str]:
    """Return the voices that are installed, and the language of each."""
    return {voice: service.language_of(voice) for service in offline_services() for voice in service.voices()}


def _voices_allowed() -> str:
    grouped: dict[str, list[str]] = {}
    for voice, language in _offline_voices().items():
        grouped.setdefault(language, []).append(voice)
    lists = [f"{code}: {', '.join(voices)}" for code, voices in grouped.items()]
    return f"allowed offline: auto; {'; '.join(lists)}"


def _why_no_voice(language: str, *, service: str | None) -> str:
    """Return why no voice speaks a language, and which extras and services have one."""
    if service is not None:
        return f"{service!r} has no voice for the text (language {language!r}); set tts.service to auto"
    spoken = [(each, service) for service in offline_services() for each in service.languages]
    for each, having in spoken:
        if each.code == language:
            return (
                f"the voice for {each.name} is not installed: pip install 'video-pipeline[voices]' "
                f"({having.name} lacks {', '.join(having.missing(language))})"
            )
    others = [member.name for member in SPEECH_SERVICES.members if member.by_name_only]
    online = f"; tts.service may name one that does: {', '.join(others)}" if others else ""
    return (
        f"no offline voice speaks the text (language {language!r}); those of the extra `voices` and of hibari speak "
        f"{', '.join(each.code for each, _ in spoken)}{online}"
    )


def narrate(
    spoken: SpokenText,
    *,
    language: str,
    narrator: Narrator,
    cache_folder: ContentCache,
    settings: Tts,
    only_cached: bool = False,
) -> Narration:
    """Return a text as speech, cached by its words and voice; raise TTSError if it cannot be spoken.

    With `only_cached` nothing is spoken: raises UnspokenError for a text that is not cached.
    """
    refusal = narrator.refusal(spoken.shown, language=language)
    if refusal is not None:
        raise TTSError(refusal)

    def make(target: Path) -> None:
        if only_cached:
            raise UnspokenError("it is not cached")
        heard = narrator.speak(spoken, target)
        by: WordTimesBy = "voice" if heard else "shares"
        with wave.open(str(target), "rb") as sound:
            rate_hz = sound.getframerate()
            if not heard:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
                heard = shared_times(spoken, samples, rate_hz)
        words = [
            [word.start, word.stop, round(word.begins * rate_hz), round(word.ends * rate_hz)]
            for word in shown_times(spoken, heard)
        ]
        seal_wav(target, {"by": by, "words": words})

    path, _ = cache_folder.get_or_make(
        "narration",
        {
            **narrator.identity,
            "shown": spoken.shown,
            "text": spoken.text,
            "parts": [
                [part.at, part.end, part.start, part.stop, part.spell, part.phonemes] for part in spoken.parts
            ],
            "word_times": WORD_TIMES_VERSION,
        },
        ".wav",
        make,
        ttl=settings.cache_ttl if settings.cache_enabled else 0,
        check=check_wav,
    )
    with ANY_FILES.open(path) as file:
        with wave.open(file.stream, "rb") as sound:
            rate_hz = sound.getframerate()
            duration = Fraction(sound.getnframes(), rate_hz)
        file.stream.seek(0)
        notes = notes_of(file.stream.read())
        words = tuple(
            SpokenWord(start, stop, Fraction(begins, rate_hz), Fraction(ends, rate_hz))
            for start, stop, begins, ends in notes["words"]
        )
        spoken_by = SpokenBy(narrator.identity["service"], narrator.identity.get("voice", ""))
        return Narration(Sound(path, file.sha256, duration), words, notes["by"], spoken_by)
