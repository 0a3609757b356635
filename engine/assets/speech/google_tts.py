"""Google Cloud Text-to-Speech by its REST interface, v1beta1, which alone tells when marks are heard."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from video_pipeline.engine.assets.speech.ssml import marked_text
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, service_client
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.secret import Secret, find_secret

NAME: Final = "google_tts"
MAX_BYTES: Final = 5000
"""Bytes of the text or SSML of one request (cloud.google.com/text-to-speech/quotas)."""

KEY_VARIABLE: Final = "GOOGLE_TTS_API_KEY"
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

REGIONS: Final[Mapping[str, str]] = {
    "en": "US", "zh": "CN", "ja": "JP", "ko": "KR", "pt": "BR", "hi": "IN", "cs": "CZ", "da": "DK", "el": "GR",
    "sv": "SE", "uk": "UA", "vi": "VN", "ar": "XA", "nb": "NO", "he": "IL", "bn": "IN", "ta": "IN", "te": "IN",
}  # fmt: skip
"""The region of a language's code if the story names none; otherwise it is that of the language: fr-FR."""

_TYPE: Final = re.compile(r"-(Standard|Wavenet|Neural2|Studio|Polyglot|News|Casual|Journey|Chirp)(\d?)")


def locale_of(language: str, region: str) -> str:
    """Return the tag of a language with its region, such as en-US."""
    language = {"zh": "cmn"}.get(language, language) if not region else language
    return f"{language}-{region or REGIONS.get(language.replace('cmn', 'zh'), language.upper())}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleCalls:
    """Requests to Google. Chirp and Journey voices take no SSML with marks and no pitch."""

    client: ServiceClient
    endpoint: str
    authorise: Callable[[ServiceRequest], Mapping[str, str]]
    voice: str
    locale: str
    pace: SpeechPace
    pitch: float
    service: str = NAME

    @property
    def model(self) -> str:
        """The type of the voice, by which Google charges; "" if Google chooses the voice."""
        found = _TYPE.search(self.voice)
        return f"{found[1]}{found[2]}" if found else ""

    @property
    def has_marks(self) -> bool:
        """Whether the voice takes SSML with marks."""
        return self.model not in ("Chirp", "Chirp3", "Journey", "Studio")

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the sound depends on besides the text."""
        return {
            "service": NAME,
            "endpoint": self.endpoint,
            "voice": self.voice,
            "locale": self.locale,
            "speed": self.pace.speed,
            "pitch": self.pitch,
        }

    def content(self, spoken: SpokenText, at: int, end: int) -> str:
        """Return the SSML with a mark before each word, or the text for a voice without marks."""
        if not self.has_marks:
            return spoken.text[at:end]
        return f"<speak>{marked_text(spoken, at, end, marks=True).content}</speak>"

    def fits(self, spoken: SpokenText, at: int, end: int) -> bool:
        """Return whether Google takes these characters in one request."""
        return len(self.content(spoken, at, end).encode()) <= MAX_BYTES

    def ask(self, spoken: SpokenText, at: int, end: int) -> SpokenPiece:
        """Return these characters as speech."""
        content = self.content(spoken, at, end)
        marked = marked_text(spoken, at, end, marks=True) if self.has_marks else None
        voice = {"languageCode": "-".join(self.voice.split("-")[:2]) or self.locale}
        if self.voice:
            voice["name"] = self.voice
        audio: dict[str, Any] = {"audioEncoding": "LINEAR16"}
        if self.pace.speed != 1:  # some voices refuse it
            audio["speakingRate"] = round(self.pace.speed, 4)
        if self.pitch:
            audio["pitch"] = self.pitch
        body: dict[str, Any] = {
            "input": {"ssml" if marked else "text": content},
            "voice": voice,
            "audioConfig": audio,
        }
        if marked:
            body["enableTimePointing"] = ["SSML_MARK"]
        letters = letters_in(spoken.text[at:end])
        made: list[SpokenPiece] = []

        def check(answer: ServiceAnswer) -> None:
            data = answer.json()
            if not isinstance(data, Mapping) or not isinstance(data.get("audioContent"), str):
                raise self.client.error("the answer has no audioContent", kind="busy")
            try:
                sound = base64.b64decode(data["audioContent"], validate=True)
            except binascii.Error as error:
                raise self.client.error(f"audioContent is not base64: {error}", kind="busy") from error
            samples, rate_hz = decoded_answer(sound, self.client, letters=letters)
            marks = _marks_of(data.get("timepoints"), marked.words) if marked else ()
            made.append(SpokenPiece(samples, rate_hz, marks))

        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/v1beta1/text:synthesize",
                headers={"Content-Type": "application/json"},
                body=json.dumps(body, ensure_ascii=False).encode(),
                # All characters of SSML are billed but those of marks (cloud.google.com/text-to-speech/pricing).
                billed=len(content) - (marked.mark_characters if marked else 0),
                sign=self.authorise,
            ),
            check=check,
        )
        return made[-1]

    def voices(self) -> tuple[str, ...]:
        """Return the names of Google's voices."""
        answer = self.client.ask(
            ServiceRequest(url=f"{self.endpoint}/v1beta1/voices", method="GET", sign=self.authorise)
        )
        data = answer.json()
        found = data.get("voices") if isinstance(data, Mapping) else None
        return tuple(str(voice.get("name", "")) for voice in found or () if isinstance(voice, Mapping))


def _marks_of(points: Any, words: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int, float], ...]:
    """Return when words begin by the timepoints of an answer; without any, or with wrong ones, nothing."""
    if not isinstance(points, list):
        return ()
    try:
        found = sorted((int(point["markName"]), float(point.get("timeSeconds", 0))) for point in points)
        return tuple((*words[number], seconds) for number, seconds in found)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return ()


@dataclass(slots=True)
class _AdcToken:
    """A token of Application Default Credentials (google-auth), renewed when it expires and added to `secrets`."""

    credentials: Any
    secrets: list[Secret]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: ServiceRequest) -> Mapping[str, str]:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        with self._lock:
            try:
                if not self.credentials.valid:
                    self.credentials.refresh(Request())
                    self.secrets.append(Secret(self.credentials.token, "Application Default Credentials"))
            except GoogleAuthError as error:
                raise ServiceError(
                    f"{NAME}: Application Default Credentials do not work: {type(error).__name__}",
                    kind="denied",
                ) from None
        headers: dict[str, str] = {}
        self.credentials.apply(headers)
        return headers


def _authorisation(
    settings: Tts,
) -> tuple[Callable[[ServiceRequest], Mapping[str, str]], Sequence[Secret], str]:
    """Return how requests are signed, the secrets to hide, and in words where they come from."""
    keys = settings.services.google_tts
    secret = find_secret("tts.services.google_tts.key_file", file=keys.key_file, variables=(KEY_VARIABLE,))
    if secret is not None:
        found = secret
        return lambda _: {"X-Goog-Api-Key": found.reveal()}, (secret,), f"key from {secret.origin}"
    # google.auth would ask the metadata server of a cloud machine for seconds; only a named file is looked for.
    missing = (
        f"no key: set the environment variable {KEY_VARIABLE}, name a file in tts.services.google_tts.key_file, or "
        f"install {the_extra('google')} and set GOOGLE_APPLICATION_CREDENTIALS"
    )
    if not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        raise ServiceError(f"{NAME}: {missing}", kind="denied")
    try:
        import google.auth
        import google.auth.transport.requests
    except ImportError:
        raise ServiceError(
            f"{NAME}: GOOGLE_APPLICATION_CREDENTIALS is set, and reading it needs {the_extra('google')}",
            kind="denied",
        ) from None
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise ServiceError(
            f"{NAME}: the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be used: {type(error).__name__}",
            kind="denied",
        ) from None
    secrets: list[Secret] = []
    return _AdcToken(credentials, secrets), secrets, "Application Default Credentials"


def _endpoint(settings: Tts) -> str:
    url = settings.services.google_tts.endpoint
    return checked_endpoint("tts.services.google_tts.endpoint", url, has_secret=True)


def google_setup(settings: Tts) -> str:
    """Return where Google's key comes from and the address."""
    return f"{_authorisation(settings)[2]}, {_endpoint(settings)}"


def open_google(settings: Tts, context: SpeechContext) -> RemoteNarrator:
    """Return the narrator; raise ConfigError for a wrong address, ServiceError without a key."""
    endpoint = _endpoint(settings)
    authorise, secrets, _ = _authorisation(settings)
    has_pitch = "-Chirp" not in settings.voice and "-Journey" not in settings.voice
    given = settings.model_copy(update={"pitch": 0.0}) if has_pitch else settings
    pace = pace_of(given, slowest=0.25, fastest=2.0)
    calls = GoogleCalls(
        client=service_client(NAME, settings, context, secrets=secrets),
        endpoint=endpoint,
        authorise=authorise,
        voice=settings.voice,
        locale=locale_of(context.language, context.region),
        pace=pace,
        pitch=settings.pitch if has_pitch else 0.0,
    )
    return remote_narrator(calls, settings, context, pace)


SERVICE: Final = SpeechService(
    name=NAME, default_voice="", open=open_google, voices=tuple, setup=google_setup
)
