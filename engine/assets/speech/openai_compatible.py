"""Any server with OpenAI's protocol for speech (POST /audio/speech). Of these only Kokoro-FastAPI tells word times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.assets.speech.captioned_speech import (
    PATH,
    captioned_marks,
    captioned_sound,
    captioned_url,
)
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
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, service_client
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.openai_protocol import OPENAI_HOST, is_openai, openai_fault
from video_pipeline.engine.net.secret import Secret, find_secret

NAME: Final = "openai_compatible"
MAX_CHARACTERS: Final = 4096
"""Characters of the input of one request (OpenAI's reference)."""

OPENAI_VOICES: Final = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
DEFAULT_VOICE: Final = "alloy"
WORD_TIMES_KEY: Final = "tts.services.openai_compatible.word_times"
ABSENT: Final = (f"{NAME}: 404 ", f"{NAME}: 405 ")
"""How the error of a path begins that a server does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiCalls:
    """Requests to a server with OpenAI's protocol."""

    client: ServiceClient
    endpoint: str
    secret: Secret | None
    voice: str
    model_name: str
    pace: SpeechPace
    word_times: bool = False
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
            **({"word_times": True} if self.word_times else {}),
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
        if self.word_times:
            return self._captioned(body, spoken, at, end)
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

    def _captioned(self, body: Mapping[str, Any], spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return speech with word times; raise ConfigError if the server does not tell them."""
        letters = letters_in(spoken.text[at:end])
        made: list[SpokenPiece] = []

        def check(answer: ServiceAnswer) -> None:
            data = answer.json()
            try:
                sound = captioned_sound(data)
            except ValueError as error:
                raise self.client.error(str(error), kind="busy") from error
            samples, rate_hz = decoded_answer(sound, self.client, letters=letters)
            made.append(SpokenPiece(samples, rate_hz, captioned_marks(data, spoken.text, at, end)))

        request = ServiceRequest(
            url=captioned_url(self.endpoint),
            headers={"Content-Type": "application/json", **self._key()},
            body=json.dumps({**body, "stream": False}, ensure_ascii=False).encode(),
            billed=end - at,
        )
        try:
            self.client.ask(request, check=check)
        except ServiceError as error:
            if str(error).startswith(ABSENT):
                raise ConfigError(
                    f"{WORD_TIMES_KEY}: got true, and the server at {self.endpoint} has no {PATH}; "
                    "set it to false, and word times are estimated"
                ) from error
            raise
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
    if is_vendor and keys.word_times:
        raise ConfigError(
            f"{WORD_TIMES_KEY}: got true with {OPENAI_HOST}, which tells no word times; set it to false, or name a "
            "Kokoro-FastAPI server in tts.services.openai_compatible.endpoint"
        )
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
    """Return the address, where the key comes from, and whether word times are asked for."""
    endpoint, secret = _endpoint_and_key(settings)
    times = f", word times from {PATH}" if settings.services.openai_compatible.word_times else ""
    return f"{f'key from {secret.origin}' if secret else 'no key'}, {endpoint}{times}"


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
        word_times=settings.services.openai_compatible.word_times,
    )
    return remote_narrator(calls, settings, context, pace)


SERVICE: Final = SpeechService(
    name=NAME, default_voice=DEFAULT_VOICE, open=open_openai, voices=tuple, setup=openai_setup
)
