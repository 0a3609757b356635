"""Piper's own HTTP server (piper-tts 1.3 and newer): POST /synthesize, or POST / of older ones. It costs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.remote import (
    RemoteNarrator,
    SpeechPace,
    SpokenPiece,
    decoded_answer,
    letters_in,
    pace_of,
    remote_narrator,
)
from video_pipeline.engine.assets.speech.service import SpeechContext, SpeechService
from video_pipeline.engine.assets.speech.voice_names import unknown_voice
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, service_client
from video_pipeline.engine.net.endpoint import checked_endpoint

NAME: Final = "piper"
MAX_CHARACTERS: Final = 4000
"""Piper has no limit; a piece of this size takes it seconds, which the timeout allows."""

PATHS: Final = ("/synthesize", "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class PiperCalls:
    """Requests to a piper server."""

    client: ServiceClient
    endpoint: str
    voice: str
    language: str
    pace: SpeechPace
    service: str = NAME
    model: str = NAME

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": NAME,
            "endpoint": self.endpoint,
            "voice": self.voice,
            "length_scale": self.pace.speed,
        }

    def content(self, spoken: SpokenText, at: int, end: int) -> str:
        """Return the text: the server has no place for sounds in IPA."""
        return spoken.text[at:end]

    def fits(self, spoken: SpokenText, at: int, end: int) -> bool:
        """Return whether a request takes these characters."""
        return end - at <= MAX_CHARACTERS

    def ask(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return these characters as speech; raise ConfigError for a voice that the server does not have.

        The server itself would speak with its default voice instead and not say so.
        """
        if self.voice and self.voice not in (voices := self.voices()):
            raise unknown_voice(self.voice, NAME, voices, language=self.language)
        text = self.content(spoken, at, end)
        body: dict[str, Any] = {"text": text, "length_scale": round(1 / self.pace.speed, 4)}
        if self.voice:
            body["voice"] = self.voice
        for path in PATHS:
            made: list[SpokenPiece] = []

            def check(answer: ServiceAnswer, made: list[SpokenPiece] = made) -> None:
                made.append(SpokenPiece(*decoded_answer(answer.body, self.client, letters=letters_in(text))))

            request = ServiceRequest(
                url=f"{self.endpoint}{path}",
                headers={"Content-Type": "application/json"},
                body=json.dumps(body, ensure_ascii=False).encode(),
                accepts=(),  # the server calls its WAV files text/html
            )
            try:
                self.client.ask(request, check=check)
                return made[-1]
            except ServiceError as error:
                is_absent = error.kind == "rejected" and any(code in str(error) for code in ("404", "405"))
                if path == PATHS[-1] or not is_absent:
                    raise
        raise AssertionError("the last path returns or raises")

    def voices(self) -> tuple[str, ...]:
        """Return the voices in the server's folders."""
        data = self.client.ask(ServiceRequest(url=f"{self.endpoint}/voices", method="GET")).json()
        return tuple(map(str, data)) if isinstance(data, Mapping) else ()


def _endpoint_of(settings: Tts) -> str:
    return checked_endpoint("tts.services.piper.endpoint", settings.services.piper.endpoint, has_secret=False)


def piper_setup(settings: Tts) -> str:
    """Return the address."""
    return f"no key, {_endpoint_of(settings)}"


def open_piper(settings: Tts, context: SpeechContext) -> RemoteNarrator:
    """Return the narrator; raise ConfigError for a wrong address."""
    pace = pace_of(settings, slowest=0.1, fastest=10.0)
    calls = PiperCalls(
        client=service_client(NAME, settings, context),
        endpoint=_endpoint_of(settings),
        voice=settings.voice,
        language=context.language,
        pace=pace,
    )
    return remote_narrator(calls, settings, context, pace)


SERVICE: Final = SpeechService(name=NAME, default_voice="", open=open_piper, voices=tuple, setup=piper_setup)
