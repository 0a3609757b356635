"""The settings of each speech service on the network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.service_keys import BaseUrl, ServiceWord, key_file_field
from video_pipeline.engine.config.values import LocalPath

if TYPE_CHECKING:
    SpeechServiceName = str
    SpeechServiceChoice = str
else:  # a type checker cannot evaluate the table
    SpeechServiceName = Literal["auto", *(member.name for member in SPEECH_SERVICES.members)]
    SpeechServiceChoice = Literal[SPEECH_SERVICES.names]


def _check_region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError("allowed: the name of a region, such as eu-west-1 or westeurope")
    return value


_REGION: Final = re.compile(r"[a-z0-9-]{2,40}")
_Region = Annotated[
    str, AfterValidator(_check_region), Field(json_schema_extra={"pattern": f"^{_REGION.pattern}$"})
]


def _voice(example: str) -> str | None:
    found: str | None = Field(
        None, description=f"Voice, such as {example}, if tts.voice is another service's or not set."
    )
    return found


class GoogleTtsKeys(Section):
    """Google Cloud Text-to-Speech."""

    endpoint: BaseUrl = Field("https://texttospeech.googleapis.com", description="Base URL.")
    key_file: LocalPath | None = key_file_field("GOOGLE_TTS_API_KEY, or Application Default Credentials")
    voice: ServiceWord | None = _voice("en-US-Neural2-C")


class AmazonPollyKeys(Section):
    """Amazon Polly."""

    region: _Region | None = Field(None, description="Region; null: AWS_REGION or AWS_DEFAULT_REGION.")
    endpoint: BaseUrl | None = Field(None, description="Base URL; null: the region's.")
    model: Literal["standard", "neural", "long-form", "generative"] = Field(
        "neural", description="Engine: standard, neural, long-form or generative."
    )
    word_times: bool = Field(
        True,
        description="Ask for the times of words, which is billed as the text once more; off: estimate them.",
    )
    voice: ServiceWord | None = _voice("Joanna")


class AzureSpeechKeys(Section):
    """Azure Speech."""

    region: _Region | None = Field(None, description="Region; null: AZURE_SPEECH_REGION.")
    endpoint: BaseUrl | None = Field(None, description="Base URL; null: the region's.")
    key_file: LocalPath | None = key_file_field("AZURE_SPEECH_KEY")
    voice: ServiceWord | None = _voice("en-US-JennyNeural")


class OpenAiCompatibleKeys(Section):
    """A server with OpenAI's POST /audio/speech, such as Kokoro-FastAPI."""

    endpoint: BaseUrl = Field(
        "https://api.openai.com/v1", description="Base URL, such as http://127.0.0.1:8880/v1."
    )
    model: ServiceWord = Field("tts-1", description="Model that the server knows.")
    key_file: LocalPath | None = key_file_field(
        "OPENAI_API_KEY for api.openai.com, OPENAI_COMPATIBLE_API_KEY for other servers"
    )
    word_times: bool = Field(
        False, description="Ask a Kokoro-FastAPI server for the times of words (/dev/captioned_speech)."
    )
    voice: ServiceWord | None = _voice("alloy")


class PiperKeys(Section):
    """Piper's HTTP server."""

    endpoint: BaseUrl = Field("http://127.0.0.1:5000", description="Base URL.")
    voice: ServiceWord | None = _voice("en_US-lessac-medium")


class SpeechServiceKeys(Section):
    """Addresses, models and key files of speech services, which a node's operator sets."""

    google_tts: GoogleTtsKeys = Field(default_factory=GoogleTtsKeys, description="Google.")
    amazon_polly: AmazonPollyKeys = Field(default_factory=AmazonPollyKeys, description="Amazon Polly.")
    azure_speech: AzureSpeechKeys = Field(default_factory=AzureSpeechKeys, description="Azure.")
    openai_compatible: OpenAiCompatibleKeys = Field(
        default_factory=OpenAiCompatibleKeys, description="OpenAI's protocol."
    )
    piper: PiperKeys = Field(default_factory=PiperKeys, description="Piper.")
