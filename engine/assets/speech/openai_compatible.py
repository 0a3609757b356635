"""Any server with OpenAI's protocol for speech (POST /audio/speech), such as Kokoro-FastAPI. It tells no word times."""

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
    service_client,
)
from video_pipeline.engine.assets.speech.service import SpeechContext, SpeechService
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.openai_protocol import is_openai, openai_fault
from video_pipeline.engine.net.secret import Secret, find_secret

NAME: Final = "openai_compatible"
MAX_CHARACTERS: Final = 4096
"""Characters of the input of one request (OpenAI's reference)."""

OPENAI_VOICES: Final = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
DEFAULT_VOICE: Final = "alloy"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiCalls:
    """Requests to a server with OpenAI's protocol."""

    client: ServiceClient
    endpoint: str
    secret: Secret | None
    voice: str
    model_name: str
    pace: SpeechPace
    service: str = NAME

    @property
    def model(self) -> str:
        """The model by which OpenAI charges; "" for other servers, whose prices are not known."""
        return self.model_name if is_openai(self.endpoint) else ""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": NAME,
            "endpoint": self.endpoint,
            "model": self.model_name,
            "voice": self.voice,
            "speed": self.pace.speed,
        }

    def content(self, spoken: SpokenText, at: int, end: int) -> str:
        """Return the text: the protocol has no place for sounds in IPA."""
        return spoken.text[at:end]

    def fits(self, spoken: SpokenText, at: int, end: int) -> bool:
        """Return whether the server takes these characters in one request."""
        return end - at <= MAX_CHARACTERS

    def ask(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return these characters as speech."""
        text = self.content(spoken, at, end)
        body = {
            "model": self.model_name,
            "input": text,
            "voice": self.voice,
            "response_format": "wav",
            "speed": round(self.pace.speed, 4),
        }
        made: list[SpokenPiece] = []

        def check(answer: ServiceAnswer) -> None:
            made.append(SpokenPiece(*decoded_answer(answer.body, self.client, letters=letters_in(text))))

        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/audio/speech",
                headers={"Content-Type": "application/json", **self._key()},
                body=json.dumps(body, ensure_ascii=False).encode(),
                accepts=("audio/", "application/octet-stream"),
                billed=len(text),
            ),
            check=check,
        )
        return made[-1]

    def voices(self) -> tuple[str, ...]:
        """Return the server's voices if it lists them, as Kokoro-FastAPI does, and OpenAI's own for OpenAI."""
        if is_openai(self.endpoint):
            return OPENAI_VOICES
        answer = self.client.ask(
            ServiceRequest(url=f"{self.endpoint}/audio/voices", method="GET", headers=self._key())
        )
        data = answer.json()
        found = data.get("voices") if isinstance(data, Mapping) else None
        return tuple(
            str(voice.get("id") or voice.get("name") or "") if isinstance(voice, Mapping) else str(voice)
            for voice in found or ()
        )

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret.reveal()}"} if self.secret is not None else {}


def _endpoint_and_key(settings: Tts) -> tuple[str, Secret | None]:
    """Return address and key. OpenAI's key goes to OpenAI alone."""
    keys = settings.services.openai_compatible
    is_vendor = is_openai(keys.endpoint)
    variable = "OPENAI_API_KEY" if is_vendor else "OPENAI_COMPATIBLE_API_KEY"
    secret = find_secret("tts.services.openai_compatible.key_file", file=keys.key_file, variables=(variable,))
    endpoint = checked_endpoint(
        "tts.services.openai_compatible.endpoint", keys.endpoint, has_secret=secret is not None
    )
    if is_vendor and secret is None:
        raise ServiceError(
            f"{NAME}: no key: set the environment variable {variable}, name a file in "
            "tts.services.openai_compatible.key_file, or another server in tts.services.openai_compatible.endpoint",
            kind="denied",
        )
    return endpoint, secret


def openai_setup(settings: Tts) -> str:
    """Return the address and where the key comes from."""
    endpoint, secret = _endpoint_and_key(settings)
    return f"{f'key from {secret.origin}' if secret else 'no key'}, {endpoint}"


def open_openai(settings: Tts, context: SpeechContext) -> RemoteNarrator:
    """Return the narrator; raise ConfigError for a wrong address, ServiceError without a key."""
    endpoint, secret = _endpoint_and_key(settings)
    pace = pace_of(settings, slowest=0.25, fastest=4.0)
    secrets = (secret,) if secret is not None else ()
    calls = OpenAiCalls(
        client=service_client(NAME, settings, context, secrets=secrets, fault=openai_fault),
        endpoint=endpoint,
        secret=secret,
        voice=settings.voice,
        model_name=settings.services.openai_compatible.model,
        pace=pace,
    )
    return remote_narrator(calls, settings, context, pace)


SERVICE: Final = SpeechService(
    name=NAME, default_voice=DEFAULT_VOICE, open=open_openai, voices=tuple, setup=openai_setup
)
