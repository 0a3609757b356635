"""Azure Speech by its REST interface. It tells no word times there: those are events of the SDK's websocket."""

from __future__ import annotations

import os
import unicodedata
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
from video_pipeline.engine.assets.speech.ssml import escaped, marked_text
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, service_client
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.secret import Secret, find_secret

NAME: Final = "azure_speech"
KEY_VARIABLE: Final = "AZURE_SPEECH_KEY"
REGION_VARIABLE: Final = "AZURE_SPEECH_REGION"

MAX_SECONDS: Final = 595.0
"""Azure cuts a sound at 10 minutes and does not say so; one as long as this is taken for cut."""

PIECE_CHARACTERS: Final = 1500
"""At 5 characters a second, as in Chinese, they last 5 minutes."""

DEFAULT_VOICES: Final[Mapping[str, str]] = {
    "en": "en-US-JennyNeural", "en-GB": "en-GB-SoniaNeural", "en-AU": "en-AU-NatashaNeural",
    "es": "es-ES-ElviraNeural", "es-MX": "es-MX-DaliaNeural", "fr": "fr-FR-DeniseNeural",
    "fr-CA": "fr-CA-SylvieNeural", "de": "de-DE-KatjaNeural", "it": "it-IT-ElsaNeural",
    "pt": "pt-BR-FranciscaNeural", "pt-PT": "pt-PT-RaquelNeural", "hi": "hi-IN-SwaraNeural",
    "ja": "ja-JP-NanamiNeural", "zh": "zh-CN-XiaoxiaoNeural", "ko": "ko-KR-SunHiNeural",
    "nl": "nl-NL-ColetteNeural", "pl": "pl-PL-ZofiaNeural", "ru": "ru-RU-SvetlanaNeural",
    "sv": "sv-SE-SofieNeural", "tr": "tr-TR-EmelNeural", "ar": "ar-EG-SalmaNeural", "uk": "uk-UA-PolinaNeural",
    "da": "da-DK-ChristelNeural", "nb": "nb-NO-PernilleNeural", "no": "nb-NO-PernilleNeural",
    "fi": "fi-FI-SelmaNeural", "cs": "cs-CZ-VlastaNeural", "el": "el-GR-AthinaNeural", "hu": "hu-HU-NoemiNeural",
    "ro": "ro-RO-AlinaNeural", "vi": "vi-VN-HoaiMyNeural", "th": "th-TH-PremwadeeNeural",
    "id": "id-ID-GadisNeural", "he": "he-IL-HilaNeural", "ca": "ca-ES-JoanaNeural", "bn": "bn-IN-TanishaaNeural",
}  # fmt: skip
"""A voice of each language, and of some regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureCalls:
    """Requests to Azure."""

    client: ServiceClient
    endpoint: str
    secret: Secret
    voice: str
    pace: SpeechPace
    service: str = NAME
    model: str = "Neural"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {"service": NAME, "endpoint": self.endpoint, "voice": self.voice, "speed": self.pace.speed}

    def content(self, spoken: SpokenText, at: int, end: int) -> str:
        """Return what is inside the SSML's voice element."""
        content = marked_text(spoken, at, end, marks=False).content
        return (
            content if self.pace.speed == 1 else f'<prosody rate="{self.pace.speed:.2f}">{content}</prosody>'
        )

    def fits(self, spoken: SpokenText, at: int, end: int) -> bool:
        """Return whether the sound of these characters stays well below the length at which Azure cuts it."""
        return end - at <= PIECE_CHARACTERS * min(1.0, self.pace.speed)

    def ask(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return these characters as speech."""
        content = self.content(spoken, at, end)
        locale = "-".join(self.voice.split("-")[:2])
        document = (
            '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
            f'xml:lang="{escaped(locale)}"><voice name="{escaped(self.voice)}">{content}</voice></speak>'
        )
        made: list[SpokenPiece] = []

        def check(answer: ServiceAnswer) -> None:
            samples, rate_hz = decoded_answer(
                answer.body, self.client, letters=letters_in(spoken.text[at:end])
            )
            if len(samples) >= MAX_SECONDS * rate_hz:
                raise self.client.error("the sound is cut at 10 minutes", kind="rejected")
            made.append(SpokenPiece(samples, rate_hz))

        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/cognitiveservices/v1",
                headers={
                    "Ocp-Apim-Subscription-Key": self.secret.reveal(),
                    "Content-Type": "application/ssml+xml",
                    "X-Microsoft-OutputFormat": "riff-24khz-16bit-mono-pcm",
                },
                body=document.encode(),
                accepts=("audio/",),
                billed=azure_characters(content),
            ),
            check=check,
        )
        return made[-1]

    def voices(self) -> tuple[str, ...]:
        """Return the region's voices."""
        answer = self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/cognitiveservices/voices/list",
                method="GET",
                headers={"Ocp-Apim-Subscription-Key": self.secret.reveal()},
            )
        )
        data = answer.json()
        found = data if isinstance(data, list) else []
        return tuple(str(voice.get("ShortName", "")) for voice in found if isinstance(voice, Mapping))


def azure_characters(content: str) -> int:
    """Return what Azure bills: everything inside the voice element, Chinese characters twice."""
    return len(content) + sum(unicodedata.name(letter, "").startswith("CJK UNIFIED") for letter in content)


def _endpoint_and_secret(settings: Tts) -> tuple[str, Secret]:
    keys = settings.services.azure_speech
    secret = find_secret("tts.services.azure_speech.key_file", file=keys.key_file, variables=(KEY_VARIABLE,))
    if secret is None:
        raise ServiceError(
            f"{NAME}: no key: set the environment variable {KEY_VARIABLE} or name a file in "
            "tts.services.azure_speech.key_file",
            kind="denied",
        )
    region = keys.region or os.environ.get(REGION_VARIABLE)
    if not region and not keys.endpoint:
        raise ServiceError(
            f"{NAME}: no region: set tts.services.azure_speech.region or the environment variable {REGION_VARIABLE}",
            kind="denied",
        )
    url = keys.endpoint or f"https://{region}.tts.speech.microsoft.com"
    return checked_endpoint("tts.services.azure_speech.endpoint", url, has_secret=True), secret


def azure_setup(settings: Tts) -> str:
    """Return where the key comes from and the address."""
    endpoint, secret = _endpoint_and_secret(settings)
    return f"key from {secret.origin}, {endpoint}"


def open_azure(settings: Tts, context: SpeechContext) -> RemoteNarrator:
    """Return the narrator; raise ConfigError for a wrong address, ServiceError without key, region or voice."""
    endpoint, secret = _endpoint_and_secret(settings)
    pace = pace_of(settings, slowest=0.5, fastest=2.0)
    language, local = context.language, f"{context.language}-{context.region}"
    voice = settings.voice or DEFAULT_VOICES.get(local) or DEFAULT_VOICES.get(language, "")
    if not voice:
        raise ServiceError(
            f"{NAME}: no voice is known for the language {language!r}; set tts.voice", kind="denied"
        )
    calls = AzureCalls(
        client=service_client(NAME, settings, context, secrets=(secret,)),
        endpoint=endpoint,
        secret=secret,
        voice=voice,
        pace=pace,
    )
    return remote_narrator(calls, settings, context, pace)


SERVICE: Final = SpeechService(name=NAME, default_voice="", open=open_azure, voices=tuple, setup=azure_setup)
