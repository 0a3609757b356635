"""Vendors of speech whose fakes hold requests against the vendors' own contracts.

The contracts are not ours: Polly's is botocore's service-2.json with botocore's validator and signer, Google's are
its discovery document in google-api-python-client and the messages of google-cloud-texttospeech, OpenAI's are the
types of the package openai. Azure and piper publish no such contract; their fakes follow Microsoft's page "Text to
speech REST API" (ms.date 10/21/2025) and docs/API_HTTP.md and http_server.py of OHF-Voice/piper1-gpl (read on
2026-11-28). Kokoro-FastAPI's is in kokoro_fastapi.json, which pydantic wrote from the server's own models.
"""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tests.support.discovery import DiscoveryContract
from tests.support.paths import ROOT
from tests.support.service_fakes import Answer, Asked, ContractError, Vendor
from tests.support.speech_sounds import RATE_HZ, ogg_of, spoken_samples, wav_of

KEY = "sk-test-0123456789abcdefGHIJ"
ACCESS_KEY, SECRET_KEY, TOKEN = (
    "AKIDTESTTESTTEST",
    "wJalrSecretSecretSecret/K7MDENG",
    "session-token-AbCdEf0123",
)


def text_of_ssml(document: str) -> tuple[str, list[tuple[str, int]]]:
    """Return the text of an SSML document, and its marks with the character at which each is."""
    try:
        root = ET.fromstring(document)
    except ET.ParseError as error:
        raise ContractError(f"SSML: {error}") from error
    if root.tag.rpartition("}")[2] != "speak":
        raise ContractError("SSML: it is not a speak element")
    text = ""
    marks: list[tuple[str, int]] = []

    def walk(element: ET.Element) -> None:
        nonlocal text
        if element.tag.rpartition("}")[2] == "mark":
            marks.append((element.get("name", ""), len(text)))
        text += element.text or ""
        for child in element:
            walk(child)
            text += child.tail or ""

    walk(root)
    return text, marks


class Polly(Vendor):
    name = "amazon_polly"
    region = "eu-west-1"

    def __init__(self) -> None:
        from botocore.loaders import Loader
        from botocore.model import ServiceModel

        self.model = ServiceModel(Loader().load_service_model("polly", "service-2"), "polly")
        self.voices = ("Joanna", "Lucia", "Takumi")

    def key_refused(self) -> Answer:
        return self.error(403, "UnrecognizedClientException", f"The security token {TOKEN} is invalid.")

    def throttled(self, headers: Mapping[str, str]) -> Answer:
        return self.error(400, "ThrottlingException", "Rate exceeded", headers)

    def false_success(self) -> Answer:
        return Answer(200, "audio/ogg", b"")

    @staticmethod
    def error(status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        body = json.dumps({"message": message}).encode()
        return Answer(status, "application/json", body, {"x-amzn-ErrorType": name, **(headers or {})})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if not self._signed(asked):
            return self.error(
                403, "InvalidSignatureException", f"Credential {ACCESS_KEY}: canonical string"
            ), 0
        if asked.method == "GET":
            voices = [{"Id": voice, "SupportedEngines": ["neural", "standard"]} for voice in self.voices]
            return Answer(200, "application/json", json.dumps({"Voices": voices}).encode()), 0
        given = json.loads(asked.body)
        self._check(given)
        if given["VoiceId"] not in self.voices:
            return self.error(400, "ValidationException", f"Value '{given['VoiceId']}' at 'voiceId'"), 0
        ssml = given["Text"]
        text, _ = text_of_ssml(ssml) if given.get("TextType") == "ssml" else (ssml, [])
        if len(text) > 3000 or len(ssml) > 6000:
            return self.error(400, "TextLengthExceededException", "Maximum text length has been exceeded"), 0
        samples, words = spoken_samples(text)
        if given["OutputFormat"] == "json":
            return Answer(200, "application/x-json-stream", self._marks(ssml, text, words)), len(text)
        if given["OutputFormat"] != "ogg_vorbis" or given.get("SampleRate") not in (
            "8000",
            "16000",
            "22050",
            "24000",
        ):
            return self.error(400, "InvalidSampleRateException", "The specified sample rate is not valid"), 0
        return Answer(200, "audio/ogg", ogg_of(samples)), len(text)

    @staticmethod
    def _marks(ssml: str, text: str, words: list[tuple[int, int, float]]) -> bytes:
        lines, at = [], 0
        for start, end, seconds in words:
            at = ssml.index(text[start:end].replace("'", "&apos;"), at)
            byte = len(ssml[:at].encode())
            value = text[start:end]
            lines.append(
                json.dumps(
                    {"time": round(seconds * 1000), "type": "word", "start": byte,
                     "end": byte + len(value.encode()), "value": value}
                )
            )  # fmt: skip
            at += 1
        return "\n".join(lines).encode()

    def _check(self, given: dict[str, Any]) -> None:
        from botocore.validate import ParamValidator

        shape = self.model.operation_model("SynthesizeSpeech").input_shape
        report = ParamValidator().validate(given, shape)
        if report.has_errors():
            raise ContractError(report.generate_report())
        for name, value in given.items():
            if name not in shape.members:
                raise ContractError(f"SynthesizeSpeech has no {name}")
            member = shape.members[name]
            allowed = getattr(getattr(member, "member", member), "enum", [])
            for one in value if isinstance(value, list) else [value]:
                if allowed and one not in allowed and name != "VoiceId":
                    raise ContractError(f"{name}: {one}")

    def _signed(self, asked: Asked) -> bool:
        """Whether botocore's own signer makes the same signature."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        given = asked.headers.get("authorization", "")
        names = re.search(r"SignedHeaders=([^,]+)", given)
        if not names or f"Credential={ACCESS_KEY}/" not in given or "host" not in names[1]:
            return False
        url = f"http://{asked.headers['host']}{asked.path}"
        headers = {name: asked.headers[name] for name in names[1].split(";")}
        request = AWSRequest(asked.method, url, headers=headers, data=asked.body)
        stamp = asked.headers["x-amz-date"]
        age = datetime.now(UTC) - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        request.context["timestamp"] = stamp
        signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "polly", self.region)
        signature = signer.signature(
            signer.string_to_sign(request, signer.canonical_request(request)), request
        )
        return abs(age) < timedelta(minutes=5) and given.endswith(f"Signature={signature}")


class Google(Vendor):
    name = "google_tts"
    voices = ("en-US-Neural2-C", "es-ES-Standard-A", "en-US-Chirp3-HD-Charon")
    plain = b"{}"

    def __init__(self) -> None:
        from google.cloud import texttospeech_v1beta1

        self.messages = texttospeech_v1beta1
        self.contract = DiscoveryContract("texttospeech.v1beta1")

    def key_refused(self) -> Answer:
        return self.error(403, "PERMISSION_DENIED", f"API key not valid: {KEY}")

    def throttled(self, headers: Mapping[str, str]) -> Answer:
        return self.error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", headers)

    def false_success(self) -> Answer:
        return Answer(200, "application/json", b'{"audioContent": ""}')

    @staticmethod
    def error(status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        body = {"error": {"code": status, "message": message, "status": name}}
        return Answer(status, "application/json; charset=UTF-8", json.dumps(body).encode(), headers or {})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        from google.protobuf.json_format import ParseError

        messages = self.messages
        bearer = asked.headers.get("authorization") == f"Bearer {TOKEN}"
        if asked.headers.get("x-goog-api-key") != KEY and not bearer:
            return self.key_refused(), 0
        # google-cloud-texttospeech asks for numbers as enums and sends them, which the document does not know.
        path = asked.path.partition("?")[0]
        is_numbered = "enum-encoding%3Dint" in asked.path
        method = self.contract.check_request(
            asked.method, path if is_numbered else asked.path, self.plain if is_numbered else asked.body
        )
        if asked.method == "GET":
            return self.checked(
                method, {"voices": [{"name": name, "languageCodes": [name[:5]]} for name in self.voices]}
            ), 0
        try:
            given = messages.SynthesizeSpeechRequest.from_json(asked.body, ignore_unknown_fields=False)
        except ParseError as error:
            raise ContractError(str(error)) from error
        if given.voice.name and given.voice.name not in self.voices:
            return self.error(400, "INVALID_ARGUMENT", f"Voice '{given.voice.name}' does not exist."), 0
        if not given.voice.language_code:
            raise ContractError("voice.languageCode is required")
        content = given.input.ssml or given.input.text
        if not content or len(content.encode()) > 5000:
            return self.error(
                400, "INVALID_ARGUMENT", "Either `input.text` or `input.ssml` is longer than 5000 bytes"
            ), 0
        text, marks = text_of_ssml(content) if given.input.ssml else (content, [])
        samples, words = spoken_samples(text)
        body: dict[str, Any] = {"audioContent": base64.b64encode(wav_of(samples)).decode()}
        if messages.SynthesizeSpeechRequest.TimepointType.SSML_MARK in given.enable_time_pointing:
            starts = {start: seconds for start, _, seconds in words}
            body["timepoints"] = [
                {"markName": name, "timeSeconds": starts[at]} for name, at in marks if at in starts
            ]
        if "pitch" in json.loads(asked.body)["audioConfig"] and "Chirp" in given.voice.name:
            return self.error(400, "INVALID_ARGUMENT", "This voice does not support pitch."), 0
        return self.checked(method, body), len(text)

    def checked(self, method: dict[str, Any], body: dict[str, Any]) -> Answer:
        self.contract.check_answer(method, body)
        return Answer(200, "application/json", json.dumps(body).encode())


class OpenAi(Vendor):
    name = "openai_compatible"
    voices = ("alloy", "af_heart")

    def __init__(self) -> None:
        from openai.types.audio import SpeechCreateParams
        from pydantic import TypeAdapter

        self.contract = SpeechCreateParams
        self.adapter = TypeAdapter(SpeechCreateParams)

    def key_refused(self) -> Answer:
        body = {
            "error": {
                "message": f"Incorrect API key provided: {KEY[:8]}***{KEY[-4:]}.",
                "code": "invalid_api_key",
            }
        }
        return Answer(401, "application/json", json.dumps(body).encode())

    def false_success(self) -> Answer:
        return Answer(200, "application/json", b'{"error": {"message": "the model is loading"}}')

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        from pydantic import ValidationError

        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return self.key_refused(), 0
        if asked.path == "/v1/audio/voices":
            return Answer(200, "application/json", json.dumps({"voices": list(self.voices)}).encode()), 0
        if asked.path != "/v1/audio/speech":
            return Answer(404, "application/json", b'{"detail": "Not Found"}'), 0
        given = json.loads(asked.body)
        try:
            self.adapter.validate_python(given)
        except ValidationError as error:
            raise ContractError(str(error)) from error
        if unknown := set(given) - set(self.contract.__annotations__):
            raise ContractError(f"SpeechCreateParams has no {unknown}")
        if not 0.25 <= given.get("speed", 1) <= 4 or len(given["input"]) > 4096:
            raise ContractError("speed or length")
        if given["voice"] not in self.voices:
            body = {"error": {"message": f"Invalid voice: {given['voice']}", "code": "invalid_value"}}
            return Answer(400, "application/json", json.dumps(body).encode()), 0
        samples, _ = spoken_samples(given["input"])
        return Answer(200, "audio/wav", wav_of(samples, streamed=True)), len(given["input"])


class KokoroFastApi(OpenAi):
    """Kokoro-FastAPI: OpenAI's protocol, and speech with word times by /dev/captioned_speech."""

    voices = ("af_heart", "alloy")
    captioned = "/dev/captioned_speech"

    def __init__(self) -> None:
        super().__init__()
        self.schemas = json.loads((ROOT / "tests" / "support" / "kokoro_fastapi.json").read_text())
        self.tells: Callable[[list[dict[str, Any]]], list[dict[str, Any]] | None] = lambda stamps: stamps

    def false_success(self) -> Answer:
        return Answer(
            200, "application/json", b'{"audio": "", "audio_format": "audio/wav", "timestamps": []}'
        )

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        from jsonschema import ValidationError, validate

        if asked.path != self.captioned:
            return super().answer(asked)
        given = json.loads(asked.body)
        schema = self.schemas["request"]
        try:
            validate(given, schema)
        except ValidationError as error:
            return Answer(422, "application/json", json.dumps({"detail": error.message}).encode()), 0
        if unknown := set(given) - set(schema["properties"]):
            raise ContractError(f"CaptionedSpeechRequest has no {unknown}")
        if given.get("stream", True) or given.get("response_format", "mp3") != "wav":
            raise ContractError("this fake answers whole WAV files alone")
        if given.get("voice") not in self.voices:
            detail = {"error": "validation_error", "message": f"Voice '{given.get('voice')}' not found."}
            return Answer(400, "application/json", json.dumps({"detail": detail}).encode()), 0
        text = given["input"]
        samples, words = spoken_samples(text)
        body = {
            "audio": base64.b64encode(wav_of(samples, streamed=True)).decode(),
            "audio_format": "audio/wav",
            "timestamps": self.tells(self._stamps(text, words, len(samples) / RATE_HZ)),
        }
        validate(body, self.schemas["response"])
        return Answer(200, "application/json", json.dumps(body).encode()), len(text)

    @staticmethod
    def _stamps(text: str, words: list[tuple[int, int, float]], length: float) -> list[dict[str, Any]]:
        """Return tokens as the server's English reader makes them, in which punctuation marks are tokens too."""
        stamps: list[dict[str, Any]] = []
        for (at, end, begins), after in zip(words, [*words[1:], (len(text), 0, length)], strict=True):
            stamps.append({"word": text[at:end], "start_time": begins, "end_time": after[2]})
            marks = text[end : after[0]].strip()
            if marks:
                stamps.append({"word": marks, "start_time": after[2], "end_time": after[2]})
        return stamps


class Azure(Vendor):
    name = "azure_speech"
    voices = ("en-US-JennyNeural", "es-ES-ElviraNeural")
    formats = ("riff-24khz-16bit-mono-pcm", "riff-48khz-16bit-mono-pcm")

    def key_refused(self) -> Answer:
        return Answer(401, "text/html", b"Access denied due to invalid subscription key")

    def throttled(self, headers: Mapping[str, str]) -> Answer:
        return Answer(429, "text/plain", b"Too Many Requests", headers)

    def false_success(self) -> Answer:
        return Answer(200, "audio/x-wav", b"")

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.headers.get("ocp-apim-subscription-key") != KEY:
            return self.key_refused(), 0
        if asked.path == "/cognitiveservices/voices/list":
            body = [{"ShortName": voice, "Locale": voice[:5]} for voice in self.voices]
            return Answer(200, "application/json; charset=utf-8", json.dumps(body).encode()), 0
        if asked.path != "/cognitiveservices/v1":
            raise ContractError(f"no such path: {asked.path}")
        if asked.headers.get("content-type") != "application/ssml+xml":
            return Answer(415, "text/plain", b"Unsupported media type"), 0
        if (
            asked.headers.get("x-microsoft-outputformat") not in self.formats
            or "user-agent" not in asked.headers
        ):
            raise ContractError("X-Microsoft-OutputFormat and User-Agent are required")
        text, _ = text_of_ssml(asked.body.decode())
        root = ET.fromstring(asked.body)
        voice = root.find("{http://www.w3.org/2001/10/synthesis}voice")
        if (
            root.get("version") != "1.0"
            or voice is None
            or not root.get("{http://www.w3.org/XML/1998/namespace}lang")
        ):
            raise ContractError("SSML: version, xml:lang and voice are required")
        if voice.get("name") not in self.voices:
            return Answer(400, "text/plain", b"Unsupported voice"), 0
        samples, _ = spoken_samples(text)
        return Answer(200, "audio/x-wav", wav_of(samples)), len(text)


class Piper(Vendor):
    name = "piper"
    voices = ("en_US-lessac-medium",)
    paths = ("/synthesize",)

    def key_refused(self) -> Answer:
        return Answer(401, "text/plain", b"a proxy asks for a password")

    def false_success(self) -> Answer:
        return Answer(200, "text/html; charset=utf-8", wav_of(np.zeros(RATE_HZ)))

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.path == "/voices":
            return Answer(
                200, "application/json", json.dumps({voice: {} for voice in self.voices}).encode()
            ), 0
        if asked.path not in self.paths:
            return Answer(405 if asked.path == "/" else 404, "text/html", b"<h1>Not Found</h1>"), 0
        given = json.loads(asked.body)
        known = {"text", "voice", "speaker", "speaker_id", "length_scale", "noise_scale", "noise_w_scale"}
        if not given.get("text", "").strip() or set(given) - known:
            raise ContractError(f"piper: {given}")
        samples, _ = spoken_samples(given["text"])
        return Answer(200, "text/html; charset=utf-8", wav_of(samples)), 0


VENDORS: dict[str, Callable[[], Vendor]] = {each.name: each for each in (Google, Polly, Azure, OpenAi, Piper)}
