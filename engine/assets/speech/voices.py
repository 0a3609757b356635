"""The offline voices by language: which are installed, and what one sounds like."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from video_pipeline.engine.assets.speech.chain import choose_narrator, offline_services
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import Narrator, SpeechContext
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, RenderingError, ServiceError, TTSError
from video_pipeline.engine.net.spending import DailyCount, Spending


class LanguageVoices(NamedTuple):
    """A language that an offline service speaks, its voices here, the default first, and the packages that it lacks."""

    code: str
    name: str
    service: str
    voices: tuple[str, ...]
    missing: tuple[str, ...]
    credits: tuple[str, ...]
    sample: str


def voices_by_language() -> tuple[LanguageVoices, ...]:
    """Return every language that an offline service speaks, with or without voices on this machine."""
    found = []
    for service in offline_services():
        here = service.voices()
        for language in service.languages:
            voices = tuple(voice for voice in here if service.language_of(voice) == language.code)
            found.append(
                LanguageVoices(
                    language.code,
                    language.name,
                    service.name,
                    tuple(sorted(voices, key=lambda voice: voice != language.voice)),
                    service.missing(language.code),
                    tuple(dict.fromkeys(service.credit(voice) for voice in voices)),
                    language.sample,
                )
            )
    return tuple(found)


def speak_sample(settings: Tts, target: Path, *, language: str | None = None, text: str | None = None) -> str:
    """Write what a voice sounds like as a WAV file, and return the voice's name.

    The voice is the one that the settings name, or that of a language. Without a text, it speaks a sentence of its
    language. Raises ConfigError for a voice or language that is not installed and for a wrong target, TTSError if it
    cannot speak the text.
    """
    if target.suffix.lower() != ".wav":
        raise ConfigError(f"--sample: got {str(target)!r}; allowed: a name that ends in .wav")
    known = voices_by_language()
    named = next((each for each in known if settings.voice in each.voices), None)
    language = language or (named.code if named else "en")
    narrator = offline_narrator(settings, language=language)
    spoken = next((each for each in known if each.code == language), None)
    text = text or (spoken.sample if spoken else "")
    refusal = narrator.refusal(text, language=language)
    if refusal is not None:
        raise TTSError(refusal)
    try:
        with whole_file(target) as partial:
            narrator.speak(spoken_text(text, language=language), partial)
    except OSError as error:
        raise RenderingError(f"--sample: {target}: cannot be written: {error.strerror}") from error
    return str(narrator.identity.get("voice", ""))


def offline_narrator(settings: Tts, *, language: str) -> Narrator:
    """Return the narrator that the settings name for a language (ISO 639-1), with no money to spend.

    Raises ConfigError for a voice or language that is not installed, and for silence.
    """
    with TemporaryDirectory(prefix="video-pipeline-") as folder:
        unpaid = Spending(job_limit=0, day_limit=0, count=DailyCount(lambda: Path(folder)))
        context = SpeechContext(
            language=language, region="", meter=unpaid, cache=ContentCache(Path(folder), 0)
        )
        chain = choose_narrator(settings, fallback=False, context=context).chain
        if chain is None:
            raise ConfigError("tts.service: got 'none', which speaks nothing; set it to auto")
        try:
            return chain.narrator(chain.names[0])
        except ServiceError as error:
            raise ConfigError(str(error)) from error
