"""Amazon Polly by its REST interface, signed with Signature Version 4. Word times are a second request, billed again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.remote import (
    Mark,
    RemoteNarrator,
    SpeechPace,
    SpokenPiece,
    decoded_answer,
    letters_in,
    pace_of,
    remote_narrator,
)
from video_pipeline.engine.assets.speech.service import SpeechContext, SpeechService
from video_pipeline.engine.assets.speech.ssml import MarkedText, marked_text
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import (
    Fault,
    ServiceAnswer,
    ServiceClient,
    ServiceRequest,
    service_client,
    usual_fault,
)
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.secret import Secret, find_secret
from video_pipeline.engine.net.sigv4 import AwsCredentials, signed_headers

logger = logging.getLogger(__name__)

NAME: Final = "amazon_polly"
BILLED_CHARACTERS: Final = 3000
TOTAL_CHARACTERS: Final = 6000
"""Limits of one request (Polly's developer guide, "Quotas"): characters of the text, and of the SSML with its tags."""

UNMARKED_ENGINES: Final = ("generative",)
REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
THROTTLED: Final = ("ThrottlingException", "TooManyRequestsException", "ServiceFailureException")

DEFAULT_VOICES: Final[Mapping[str, str]] = {
    "en": "Joanna", "en-GB": "Amy", "en-AU": "Olivia", "en-IN": "Kajal", "es": "Lucia", "es-US": "Lupe",
    "es-MX": "Mia", "fr": "Lea", "fr-CA": "Gabrielle", "de": "Vicki", "it": "Bianca", "pt": "Camila", "pt-PT": "Ines",
    "ja": "Takumi", "zh": "Zhiyu", "ko": "Seoyeon", "hi": "Kajal", "nl": "Laura", "pl": "Ola", "sv": "Elin",
    "da": "Sofie", "nb": "Ida", "no": "Ida", "fi": "Suvi", "ca": "Arlet", "ar": "Hala", "cs": "Jitka", "tr": "Burcu",
}  # fmt: skip
"""A neural voice of each language, and of some regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollyCalls:
    """Requests to Polly."""

    client: ServiceClient
    endpoint: str
    region: str
    credentials: Callable[[], AwsCredentials]
    voice: str
    model: str
    word_times: bool
    pace: SpeechPace
    service: str = NAME

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": NAME,
            "endpoint": self.endpoint,
            "model": self.model,
            "voice": self.voice,
            "speed": self.pace.speed,
            "word_times": self._has_marks,
        }

    @property
    def _has_marks(self) -> bool:
        return self.word_times and self.model not in UNMARKED_ENGINES

    def content(self, spoken: SpokenText, at: int, end: int) -> str:
        """Return the SSML."""
        return self._document(marked_text(spoken, at, end, marks=False))[0]

    def _document(self, marked: MarkedText) -> tuple[str, int]:
        """Return the SSML of a text, and the byte at which the text begins."""
        opened, closed = "<speak>", "</speak>"
        if self.pace.speed != 1:
            opened, closed = f'{opened}<prosody rate="{self.pace.speed * 100:.0f}%">', f"</prosody>{closed}"
        return f"{opened}{marked.content}{closed}", len(opened.encode())

    def fits(self, spoken: SpokenText, at: int, end: int) -> bool:
        """Return whether Polly takes these characters in one request."""
        return end - at <= BILLED_CHARACTERS and len(self.content(spoken, at, end)) <= TOTAL_CHARACTERS

    def ask(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return these characters as speech."""
        marked = marked_text(spoken, at, end, marks=False)
        document, begins = self._document(marked)
        letters = letters_in(spoken.text[at:end])
        made: list[SpokenPiece] = []

        def check(answer: ServiceAnswer) -> None:
            made.append(SpokenPiece(*decoded_answer(answer.body, self.client, letters=letters)))

        # Polly's own PCM has 16 kHz at most.
        speech = {"OutputFormat": "ogg_vorbis", "SampleRate": "24000"}
        self.client.ask(self._request(document, end - at, speech, accepts=("audio/",)), check=check)
        piece = made[-1]
        if not self._has_marks:
            return piece
        try:
            return SpokenPiece(piece.samples, piece.rate_hz, self._marks(document, end - at, marked, begins))
        except ServiceError as error:
            logger.warning("%s; word times are estimated", error)  # the speech itself is paid for
            return piece

    def _marks(self, document: str, billed: int, marked: MarkedText, begins: int) -> tuple[Mark, ...]:
        """Return when words begin: speech marks, one JSON object a line, with byte offsets and milliseconds."""
        found: list[Mark] = []

        def check(answer: ServiceAnswer) -> None:
            found.clear()
            try:
                lines = [json.loads(line) for line in answer.body.decode().splitlines() if line.strip()]
                for mark in lines:
                    if mark["type"] != "word":
                        continue
                    word = marked.word_at_byte(int(mark["start"]) - begins)
                    if word is not None and (not found or word[0] > found[-1][0]):
                        found.append((*word, int(mark["time"]) / 1000))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise self.client.error("its speech marks cannot be read", kind="busy") from error

        wanted = {"OutputFormat": "json", "SpeechMarkTypes": ["word"]}
        # It answers application/x-json-stream.
        self.client.ask(self._request(document, billed, wanted, accepts=("application/",)), check=check)
        return tuple(found)

    def _request(
        self, document: str, billed: int, wanted: Mapping[str, Any], *, accepts: tuple[str, ...]
    ) -> ServiceRequest:
        body = {
            "Engine": self.model,
            "Text": document,
            "TextType": "ssml",
            "VoiceId": self.voice,
            **wanted,
        }
        return ServiceRequest(
            url=f"{self.endpoint}/v1/speech",
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
            accepts=accepts,
            billed=billed,
            sign=self._sign,
        )

    def _sign(self, request: ServiceRequest) -> Mapping[str, str]:
        return signed_headers(
            self.credentials(),
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=request.body,
            region=self.region,
            service="polly",
        )

    def voices(self) -> tuple[str, ...]:
        """Return the voices that speak with the engine."""
        answer = self.client.ask(
            ServiceRequest(url=f"{self.endpoint}/v1/voices", method="GET", sign=self._sign)
        )
        data = answer.json()
        found = data.get("Voices") if isinstance(data, Mapping) else None
        return tuple(
            str(voice.get("Id", ""))
            for voice in found or ()
            if isinstance(voice, Mapping) and self.model in voice.get("SupportedEngines", [self.model])
        )


def polly_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means: Polly throttles with status 400, and its answers to wrong keys quote the request."""
    kind, words = usual_fault(answer)
    name = answer.headers.get("x-amzn-errortype", "").partition(":")[0]
    if name in THROTTLED:
        kind = "busy"
    if kind == "denied":
        return kind, name
    return kind, ": ".join(part for part in (name, words) if part)


def _region_of(settings: Tts) -> str:
    region = settings.services.amazon_polly.region
    for variable in REGION_VARIABLES:
        region = region or os.environ.get(variable)
    if not region:
        raise ServiceError(
            f"{NAME}: no region: set tts.services.amazon_polly.region or AWS_REGION", kind="denied"
        )
    return region


def _endpoint_in(settings: Tts, region: str) -> str:
    url = settings.services.amazon_polly.endpoint or f"https://polly.{region}.amazonaws.com"
    return checked_endpoint("tts.services.amazon_polly.endpoint", url, has_secret=True)


def _aws_credentials(secrets: list[Secret]) -> tuple[Callable[[], AwsCredentials], str]:
    """Return the source of credentials, and it in words: the environment, else botocore's chain with the extra aws.

    Every secret that it gives is added to `secrets`.
    """

    def named(variable: str) -> Secret | None:
        return find_secret(variable, file=None, variables=(variable,))

    access, secret = named("AWS_ACCESS_KEY_ID"), named("AWS_SECRET_ACCESS_KEY")
    if access is not None and secret is not None:
        token = named("AWS_SESSION_TOKEN")
        secrets += [each for each in (access, secret, token) if each is not None]
        fixed = AwsCredentials(access, secret, token)
        return lambda: fixed, "keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    missing = "no key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise ServiceError(
            f"{NAME}: {missing}, or install {the_extra('aws')} for profiles and roles", kind="denied"
        ) from None
    try:
        found = Session().get_credentials()
    except BotoCoreError as error:
        raise ServiceError(
            f"{NAME}: the AWS configuration cannot be used: {type(error).__name__}", kind="denied"
        ) from None
    if found is None:
        raise ServiceError(f"{NAME}: {missing}, or a profile or role", kind="denied")

    def current() -> AwsCredentials:
        try:
            frozen = found.get_frozen_credentials()
        except BotoCoreError as error:
            raise ServiceError(
                f"{NAME}: the AWS credentials cannot be renewed: {type(error).__name__}", kind="denied"
            ) from None
        made = AwsCredentials(
            Secret(frozen.access_key, found.method),
            Secret(frozen.secret_key, found.method),
            Secret(frozen.token, found.method) if frozen.token else None,
        )
        known = {each.reveal() for each in secrets}
        given = (made.access_key, made.secret_key, made.token)
        secrets.extend(each for each in given if each is not None and each.reveal() not in known)
        return made

    return current, f"AWS credentials ({found.method})"


def polly_setup(settings: Tts) -> str:
    """Return where the credentials come from and the address."""
    region = _region_of(settings)
    return f"{_aws_credentials([])[1]}, {_endpoint_in(settings, region)}"


def open_polly(settings: Tts, context: SpeechContext) -> RemoteNarrator:
    """Return the narrator; raise ConfigError for a wrong address, ServiceError without region, key or voice."""
    keys = settings.services.amazon_polly
    region = _region_of(settings)
    endpoint = _endpoint_in(settings, region)
    secrets: list[Secret] = []
    credentials, _ = _aws_credentials(secrets)
    pace = pace_of(settings, slowest=0.2, fastest=2.0)
    language, local = context.language, f"{context.language}-{context.region}"
    voice = settings.voice or DEFAULT_VOICES.get(local) or DEFAULT_VOICES.get(language, "")
    if not voice:
        raise ServiceError(
            f"{NAME}: no voice is known for the language {language!r}; set tts.voice", kind="denied"
        )
    calls = PollyCalls(
        client=service_client(NAME, settings, context, secrets=secrets, fault=polly_fault),
        endpoint=endpoint,
        region=region,
        credentials=credentials,
        voice=voice,
        model=keys.model,
        word_times=keys.word_times,
        pace=pace,
    )
    return remote_narrator(calls, settings, context, pace)


SERVICE: Final = SpeechService(name=NAME, default_voice="", open=open_polly, voices=tuple, setup=polly_setup)
