"""The order in which speech services speak: the one that the settings name, then those that replace it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from video_pipeline.engine.assets.models import Narration
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.service import (
    Narrator,
    SpeechContext,
    SpeechService,
    load_speech_service,
    narrate,
)
from video_pipeline.engine.assets.speech.voice_names import voice_for
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, ServiceError, TTSError, UnavailableError


@dataclass(frozen=True, slots=True)
class NarratedScene:
    """A scene's narration; `reasons` say why services before the one that speaks did not."""

    narration: Narration
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class NarratorChain:
    """Services that speak, preferred ones first. Thread-safe.

    A service that fails for more than one text is not asked again in this render, so that each scene does not wait for
    it anew.
    """

    names: tuple[str, ...]
    settings: Tts
    context: SpeechContext
    _open: dict[str, Narrator] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _passing: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def parallel(self) -> int:
        """How many texts may be spoken at once; a voice in this process speaks one at a time."""
        usable = [name for name in self.names if name not in self.closed]
        remote = bool(usable) and load_speech_service(usable[0]).is_remote
        return self.settings.parallel_requests if remote else 1

    @property
    def closed(self) -> Mapping[str, str]:
        """The services that are not asked again, and why."""
        with self._lock:
            return dict(self._closed)

    def narrator(self, name: str) -> Narrator:
        """Return a service's narrator, opened when it is first needed; raise ServiceError if it is not usable."""
        with self._lock:
            if name in self._closed:
                raise ServiceError(self._closed[name], kind="denied")
            if name not in self._open:
                service = load_speech_service(name)
                voice = voice_for(self.settings, name) or service.default_voice
                settings = self.settings.model_copy(update={"voice": voice})
                self._open[name] = service.open(settings, self.context)
            return self._open[name]

    def model_of(self, name: str) -> str:
        """Return the model or type of voice by which a service charges, or "" if it is not known."""
        with self._lock:
            return self._open[name].model if name in self._open else ""

    def narrate(self, spoken: SpokenText) -> NarratedScene:
        """Return a text as speech by the first service that can; raise TTSError with every reason if none can.

        The error is not permanent if a service was only unreachable or busy, so that a node tries the job again. Raises
        ConfigError for a wrong key, such as a voice that the service does not have.
        """
        skipped: list[str] = []
        reasons: list[str] = []
        for name in self.names:
            if name in self.closed:
                skipped.append(self.closed[name])
                continue
            try:
                made = self._narrated(name, spoken)
            except (UnavailableError, ServiceError) as error:
                reason = f"{name}: {error}" if isinstance(error, UnavailableError) else str(error)
                if getattr(error, "kind", "") == "busy":
                    self._passing.add(name)
                is_known = getattr(error, "kind", "") != "rejected" and not self.close(name, reason)
                (skipped if is_known else reasons).append(reason)
            except TTSError as error:
                reasons.append(str(error))
            else:
                return NarratedScene(replace(made, spoken_by=name), tuple(reasons))
        raise TTSError("; ".join([*skipped, *reasons]), permanent=not self._passing)

    def _narrated(self, name: str, spoken: SpokenText) -> Narration:
        with nullcontext() if load_speech_service(name).is_remote else self._turn:
            return narrate(
                spoken,
                language=self.context.language,
                narrator=self.narrator(name),
                cache_folder=self.context.cache,
                settings=self.settings,
            )

    def close(self, name: str, reason: str) -> bool:
        """Do not ask a service again; return False if another scene has found that out."""
        with self._lock:
            is_new = name not in self._closed
            self._closed.setdefault(name, reason)
            return is_new


@dataclass(frozen=True, slots=True)
class NarratorChoice:
    """The narrators of a render, or None for silence. `warning` says why the configured service does not speak."""

    chain: NarratorChain | None
    warning: str | None = None


def choose_narrator(settings: Tts, *, fallback: bool, context: SpeechContext) -> NarratorChoice:
    """Return the services that the settings name; with `fallback` also those of `tts.fallback`, in order.

    Without `fallback` a service that is not set up, or that this version lacks, is a ConfigError. A wrong key, such as a
    voice of another service, always is.
    """
    if settings.service == "none":
        return NarratorChoice(None)
    later = tuple(name for name in dict.fromkeys(settings.fallback) if name != settings.service)
    chain = NarratorChain((settings.service, *(later if fallback else ())), settings, context)
    if settings.service in {member.name for member in SPEECH_SERVICES.members}:
        try:
            chain.narrator(settings.service)
            return NarratorChoice(chain)
        except UnavailableError as error:
            message = f"tts.service: {settings.service!r} is not usable here: {error}"
        except ServiceError as error:
            message = f"tts.service: {error}"
    else:
        message = (
            f"tts.service: got {settings.service!r}{closest(settings.service, SPEECH_SERVICES.names)}, "
            f"which is not part of this version; allowed: {', '.join(SPEECH_SERVICES.names)}"
        )
    if not fallback:
        raise ConfigError(message)
    chain.close(settings.service, message)
    instead = f"{later[0]!r} speaks instead" if later else "scenes are silent and 1.5 times longer"
    return NarratorChoice(chain, f"{message}; {instead}")


def remote_services() -> tuple[SpeechService, ...]:
    """Return the services on the network that can be imported here."""
    found = []
    for member in SPEECH_SERVICES.members:
        try:
            service = load_speech_service(member.name)
        except UnavailableError:
            continue
        if service.is_remote:
            found.append(service)
    return tuple(found)
