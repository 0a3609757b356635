"""Polly: botocore's client and ours on the same fake, whose contract and signer are botocore's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.speech_setup import set_environment, speaking, tts_settings
from tests.support.speech_vendors import ACCESS_KEY, SECRET_KEY, TOKEN, Polly
from video_pipeline.engine.assets.speech.amazon_polly import polly_setup
from video_pipeline.engine.errors import ConfigError, ServiceError, TTSError

TEXT = "The keeper's lamp was lit."


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def asked_by_botocore(fake: ServiceFake, secret: str = SECRET_KEY, **more: Any) -> bytes:
    client = Session().create_client(
        "polly",
        region_name=Polly.region,
        endpoint_url=fake.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=secret,
        aws_session_token=TOKEN,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=30),
    )
    given = {
        "Engine": "neural",
        "OutputFormat": "ogg_vorbis",
        "SampleRate": "24000",
        "Text": "The lamp.",
        "VoiceId": "Joanna",
    }
    answer = client.synthesize_speech(**{**given, **more})
    sound: bytes = answer["AudioStream"].read()
    return sound


def test_botocores_client_succeeds_on_the_fake() -> None:
    with service_fake(Polly()) as fake:
        assert asked_by_botocore(fake).startswith(b"OggS")
        marks = asked_by_botocore(fake, OutputFormat="json", SpeechMarkTypes=["word"], SampleRate="24000")
        assert [json.loads(line)["value"] for line in marks.splitlines()] == ["The", "lamp"]
        assert fake.problems == []


@pytest.mark.parametrize("fault", ["cut", "429", "500", "key"])
def test_botocores_client_fails_on_the_fakes_faults(fault: str) -> None:
    with service_fake(Polly()) as fake:
        fake.faults.append(fault)
        with pytest.raises((ClientError, BotoCoreError)):
            asked_by_botocore(fake)


def test_the_fake_refuses_a_wrong_signature_and_fields_that_the_contract_lacks() -> None:
    with service_fake(Polly()) as fake:
        with pytest.raises(ClientError, match="InvalidSignatureException"):
            asked_by_botocore(fake, secret="another")
        with pytest.raises(ClientError):
            asked_by_botocore(fake, OutputFormat="flac")
        assert "OutputFormat" in fake.problems[0]


def test_throttling_is_status_400_and_is_waited_out(tmp_path: Path) -> None:
    with speaking("amazon_polly", tmp_path, services={"amazon_polly": {"word_times": False}}) as run:
        run.fake.faults.extend(["429", "429 after 0"])
        run.say(TEXT)
        assert len(run.fake.worked) == 3
        assert run.spending.spent == {"amazon_polly": len(TEXT)}  # throttled requests are not billed


def test_word_times_are_a_second_request_that_is_counted(tmp_path: Path) -> None:
    with speaking("amazon_polly", tmp_path) as run:
        assert run.say(TEXT).words_by == "voice"
        assert run.spending.spent == {"amazon_polly": 2 * len(TEXT)}
        assert run.fake.billed == 2 * len(TEXT)


def test_without_its_marks_the_speech_that_is_paid_for_is_kept(tmp_path: Path) -> None:
    with speaking("amazon_polly", tmp_path, max_retries=0) as run:
        run.fake.faults.extend(["", "500"])
        assert run.say(TEXT).words_by == "shares"


def test_a_generative_voice_has_no_marks(tmp_path: Path) -> None:
    with speaking("amazon_polly", tmp_path, services={"amazon_polly": {"model": "generative"}}) as run:
        assert run.say(TEXT).words_by == "shares"
        assert len(run.fake.worked) == 1


def test_a_wrong_secret_is_refused_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-value")
    with (
        speaking("amazon_polly", tmp_path) as run,
        pytest.raises(TTSError, match="InvalidSignatureException") as caught,
    ):
        run.say(TEXT)
    for secret in ("wrong-secret-value", ACCESS_KEY, TOKEN):
        assert secret not in str(caught.value)


def test_without_region_or_key_the_error_names_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with service_fake(Polly()) as fake:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(ServiceError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            polly_setup(tts_settings(fake))
        monkeypatch.delenv("AWS_REGION")
        with pytest.raises(ServiceError, match=r"tts\.services\.amazon_polly\.region or AWS_REGION"):
            polly_setup(tts_settings(fake))


def test_the_extra_aws_reads_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    path = tmp_path / "credentials"
    path.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    with speaking("amazon_polly", tmp_path) as run:
        run.say(TEXT)
        assert "shared-credentials-file" in polly_setup(tts_settings(run.fake))
        assert run.fake.problems == []


def test_a_pitch_that_the_service_cannot_make_up_for_is_an_error(tmp_path: Path) -> None:
    with (
        speaking("amazon_polly", tmp_path, pitch=-20, speech_rate=1.0) as run,
        pytest.raises(ConfigError, match=r"tts\.pitch: got -20 .* at 0\.2 to 2"),
    ):
        run.say(TEXT)
