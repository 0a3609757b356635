"""Google: its own client and ours on the same fake, credentials, voices without marks, prices."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import wave
from http.client import HTTPException
from pathlib import Path
from typing import Any

import httplib2
import httpx
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import texttospeech_v1beta1 as vendor
from google.cloud.texttospeech_v1beta1.services.text_to_speech.transports import TextToSpeechRestTransport
from google.protobuf.json_format import ParseError
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from tests.support.discovery import discovery_document
from tests.support.origin import origin, reply
from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.speech_setup import set_environment, speaking, tts_settings
from tests.support.speech_vendors import KEY, TOKEN, Google
from video_pipeline.engine.assets.speech.google_tts import GoogleCalls, google_setup, locale_of
from video_pipeline.engine.assets.speech.remote import RemoteNarrator
from video_pipeline.engine.errors import ConfigError, ServiceError

TEXT = "The lamp was lit."


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def asked_by_the_vendor(fake: ServiceFake) -> vendor.SynthesizeSpeechResponse:
    transport = TextToSpeechRestTransport(
        host=f"127.0.0.1:{fake.port}", url_scheme="http", credentials=AnonymousCredentials()
    )
    client = vendor.TextToSpeechClient(transport=transport, client_options=ClientOptions())
    request = vendor.SynthesizeSpeechRequest(
        input=vendor.SynthesisInput(ssml='<speak><mark name="0"/>The <mark name="1"/>lamp.</speak>'),
        voice=vendor.VoiceSelectionParams(language_code="en-US", name="en-US-Neural2-C"),
        audio_config=vendor.AudioConfig(audio_encoding=vendor.AudioEncoding.LINEAR16),
        enable_time_pointing=[vendor.SynthesizeSpeechRequest.TimepointType.SSML_MARK],
    )
    with client:
        return client.synthesize_speech(request, metadata=[("x-goog-api-key", KEY)], retry=None, timeout=30)


def test_googles_own_client_succeeds_on_the_fake() -> None:
    with service_fake(Google()) as fake:
        answer = asked_by_the_vendor(fake)
        assert [point.mark_name for point in answer.timepoints] == ["0", "1"]
        with wave.open(io.BytesIO(answer.audio_content)) as sound:
            assert sound.getframerate() == 24000
        assert fake.problems == []


@pytest.mark.parametrize("fault", ["cut", "429", "429 after 1", "500", "html", "key"])
def test_googles_own_client_fails_on_the_fakes_faults(fault: str) -> None:
    with service_fake(Google()) as fake:
        fake.faults.append(fault)
        with pytest.raises((GoogleAPICallError, OSError, ParseError)):
            asked_by_the_vendor(fake)


def asked_by_discovery(fake: ServiceFake) -> Any:
    """Ask as Google's client for all its APIs does, which makes its methods from the discovery document."""
    document = discovery_document("texttospeech.v1beta1")
    options = ClientOptions(api_endpoint=fake.url)
    with build_from_document(document, http=httplib2.Http(timeout=30), client_options=options) as service:
        body = {
            "input": {"ssml": '<speak><mark name="0"/>The <mark name="1"/>lamp.</speak>'},
            "voice": {"languageCode": "en-US", "name": "en-US-Neural2-C"},
            "audioConfig": {"audioEncoding": "LINEAR16"},
            "enableTimePointing": ["SSML_MARK"],
        }
        request = service.text().synthesize(body=body)
        request.headers["x-goog-api-key"] = KEY
        return request.execute()


def test_the_client_of_googles_discovery_document_succeeds_on_the_fake() -> None:
    with service_fake(Google()) as fake:
        assert [point["markName"] for point in asked_by_discovery(fake)["timepoints"]] == ["0", "1"]
        assert fake.problems == []


@pytest.mark.parametrize("fault", ["cut", "429", "500", "key"])
def test_the_client_of_googles_discovery_document_fails_on_the_fakes_faults(fault: str) -> None:
    with service_fake(Google()) as fake:
        fake.faults.append(fault)
        with pytest.raises((HttpError, HTTPException, OSError)):
            asked_by_discovery(fake)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("text:synthesize", {"audioConfig": {"speed": 1}}, "audioConfig: .*'speed'"),
        ("text:synthesize", {"audio_config": {}}, "'audio_config'"),
        ("text:synthesize", {"audioConfig": {"audioEncoding": "WAV"}}, "audioEncoding: 'WAV' is not one of"),
        ("text:synthesize", {"audioConfig": {"pitch": "2"}}, "pitch: '2' is not of type 'number'"),
        ("text:synthesize", {"enableTimePointing": "SSML_MARK"}, "is not of type 'array'"),
        ("text:synthesize?speed=2", {}, "has no parameter {'speed'}"),
        ("text:speak", {}, "no such method: POST /v1beta1/text:speak"),
    ],
)
def test_the_fake_refuses_what_the_discovery_document_does_not_have(
    path: str, body: dict[str, Any], told: str
) -> None:
    given = {"input": {"text": "a"}, "voice": {"languageCode": "en-US"}, **body}
    with service_fake(Google()) as fake:
        answer = httpx.post(f"{fake.url}/v1beta1/{path}", json=given, headers={"X-Goog-Api-Key": KEY})
        assert answer.status_code == 400
        assert re.search(told, fake.problems[0]), fake.problems


def test_a_voice_without_marks_gets_plain_text_and_no_pitch(tmp_path: Path) -> None:
    with speaking("google_tts", tmp_path, voice="en-US-Chirp3-HD-Charon", pitch=2) as run:
        made = run.say(TEXT)
        body = json.loads(run.fake.worked[0].body)
        assert body["input"] == {"text": TEXT}
        assert "enableTimePointing" not in body
        assert "pitch" not in body["audioConfig"]
        assert made.words_by == "shares"
        assert run.chain.model_of("google_tts") == "Chirp3"


def test_the_voices_language_is_asked_for_and_without_a_voice_the_storys(tmp_path: Path) -> None:
    with speaking("google_tts", tmp_path, voice="es-ES-Standard-A") as run:
        run.say(TEXT)
        assert json.loads(run.fake.worked[0].body)["voice"] == {
            "languageCode": "es-ES",
            "name": "es-ES-Standard-A",
        }
    with speaking("google_tts", tmp_path / "b", language="fr") as run:
        run.say("La lampe.", language="fr")
        assert json.loads(run.fake.worked[0].body)["voice"] == {"languageCode": "fr-FR"}
    assert [locale_of(*each) for each in (("en", ""), ("en", "GB"), ("ja", ""), ("zh", ""))] == [
        "en-US",
        "en-GB",
        "ja-JP",
        "cmn-CN",
    ]


def test_marks_are_not_billed_and_other_tags_are(tmp_path: Path) -> None:
    with speaking("google_tts", tmp_path) as run:
        run.say("One two.")
        assert run.spending.spent == {"google_tts": len("<speak>One two.</speak>")}


def test_without_a_key_the_error_names_variable_file_and_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_TTS_API_KEY")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with service_fake(Google()) as fake, pytest.raises(ServiceError) as caught:
        google_setup(tts_settings(fake))
    for word in ("GOOGLE_TTS_API_KEY", "tts.services.google_tts.key_file", "GOOGLE_APPLICATION_CREDENTIALS"):
        assert word in str(caught.value)


def test_application_default_credentials_that_cannot_be_used_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_TTS_API_KEY")
    path = tmp_path / "account.json"
    path.write_text('{"type": "service_account", "private_key": "PRIVATE"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with service_fake(Google()) as fake, pytest.raises(ServiceError, match="cannot be used") as caught:
        google_setup(tts_settings(fake))
    assert "PRIVATE" not in str(caught.value)


def test_application_default_credentials_get_a_token_once_and_it_is_in_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not here to make a key")
    done = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.delenv("GOOGLE_TTS_API_KEY")
    token = json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}).encode()
    with origin(reply(token, Content_Type="application/json")) as tokens:
        account = {
            "type": "service_account",
            "private_key": done.stdout,
            "client_email": "narrator@example.org",
            "token_uri": f"http://127.0.0.1:{tokens.port}/token",
        }
        path = tmp_path / "account.json"
        path.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        with speaking("google_tts", tmp_path) as run:
            run.say(TEXT)
            run.say("Another text.")
            assert len(tokens.heads) == 1
            assert run.fake.worked[1].headers["authorization"] == f"Bearer {TOKEN}"
            narrator = run.chain.narrator("google_tts")
            assert isinstance(narrator, RemoteNarrator)
            assert isinstance(narrator.calls, GoogleCalls)
            error = narrator.calls.client.error(f"quoting {TOKEN}", kind="rejected")
            assert str(error) == "google_tts: quoting ***"


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "texttospeech", "https://user:word@x", "https://x/?key=1", "http://[::1", "https://x:99999"],
)
def test_a_wrong_address_is_an_error_that_names_the_key(url: str) -> None:
    with service_fake(Google()) as fake:
        settings = tts_settings(fake, services={"google_tts": {"endpoint": url}})
        with pytest.raises(ConfigError, match=r"^tts\.services\.google_tts\.endpoint: ") as caught:
            google_setup(settings)
        assert "word" not in str(caught.value)


def test_a_key_does_not_travel_without_encryption() -> None:
    with service_fake(Google()) as fake:
        settings = tts_settings(fake, services={"google_tts": {"endpoint": "http://tts.example.org"}})
        with pytest.raises(ConfigError, match="the key would travel without encryption"):
            google_setup(settings)
