"""Narration: turn text into a WAV file. Each speech service has its own file beside this one."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from video_pipeline.engine.common.spoken_words import SpokenBy, SpokenWord
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import TTSError
from video_pipeline.engine.net.meter import Meter

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
    def model(self) -> str:
        """The model or type of voice by which a service charges, or ""."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the sound depends on besides the text; part of the cache key."""

    def refusal(self, text: str, *, language: str) -> str | None:
        """Return why it cannot speak a text, as it is spoken, in a language (ISO 639-1), or None if it can."""

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
class SpeechContext:
    """What a narrator may need besides its settings.

    `language` (ISO 639-1) and `region` are the story's; `meter` counts what is paid for, and `cache` keeps each answer
    of a service as soon as it is complete. After `stop` is set, services are not asked again. `turn` is held while a voice
    in this process speaks, so that one does at a time.
    """

    language: str
    region: str
    meter: Meter
    cache: ContentCache
    stop: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechService:
    """One speech service, as SPEECH_SERVICES lists it.

    `open` returns its narrator; `settings.voice` is then the voice of this service, or `default_voice`. It raises
    ConfigError naming a wrong key, and ServiceError if the service is not set up. `voices` returns the voices that work
    on this machine without a network. A service on the network has `setup`, which returns what it would use (address,
    where its key comes from) and raises as `open` does.

    A service that speaks offline lists its `languages`; `language_of` returns the language of any of its voices ("" for
    another's), `missing` the modules that a language still needs here, and `credit` who made a voice and under which
    licence.
    """

    name: str
    default_voice: str
    open: Callable[[Tts, SpeechContext], Narrator]
    voices: Callable[[], tuple[str, ...]]
    setup: Callable[[Tts], str] | None = None
    languages: tuple[SpokenLanguage, ...] = ()
    language_of: Callable[[str], str] = lambda voice: ""
    missing: Callable[[str], tuple[str, ...]] = lambda language: ()
    credit: Callable[[str], str] = lambda voice: ""

    @property
    def is_remote(self) -> bool:
        """Whether it is a service on the network, which answers several requests at once."""
        return self.setup is not None


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
    refusal = narrator.refusal(spoken.text, language=language)
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
