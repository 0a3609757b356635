"""Servers with OpenAI's protocol: OpenAI's own client and ours on the same fake; keys go to their own server alone."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.speech_setup import set_environment, speaking, tts_settings
from tests.support.speech_vendors import KEY, OpenAi
from video_pipeline.engine.assets.speech.openai_compatible import openai_setup
from video_pipeline.engine.assets.speech.prices import cost_report
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ServiceError


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def asked_by_openai(fake: ServiceFake, **more: object) -> bytes:
    with openai.OpenAI(base_url=f"{fake.url}/v1", api_key=KEY, max_retries=0, timeout=30) as client:
        given = {"model": "tts-1", "voice": "alloy", "input": "The lamp.", "response_format": "wav", **more}
        return client.audio.speech.create(**given).content  # type: ignore[arg-type]


def test_openais_own_client_succeeds_on_the_fake() -> None:
    with service_fake(OpenAi()) as fake:
        assert asked_by_openai(fake).startswith(b"RIFF")
        assert fake.problems == []


@pytest.mark.parametrize("fault", ["cut", "429", "500", "key"])
def test_openais_own_client_fails_on_the_fakes_faults(fault: str) -> None:
    with service_fake(OpenAi()) as fake:
        fake.faults.append(fault)
        with pytest.raises((openai.OpenAIError, httpx.HTTPError)):
            asked_by_openai(fake)


def test_the_fake_refuses_what_the_types_do_not_have() -> None:
    with service_fake(OpenAi()) as fake:
        with pytest.raises(openai.BadRequestError):
            asked_by_openai(fake, response_format="aiff")
        with pytest.raises(openai.BadRequestError):
            asked_by_openai(fake, extra_body={"pitch": 2})
        assert len(fake.problems) == 2


def test_openais_key_is_for_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.delenv("OPENAI_COMPATIBLE_API_KEY")
    with service_fake(OpenAi()) as fake:
        assert openai_setup(tts_settings(fake)) == f"no key, {fake.url}/v1"
    tts = load_config({"tts": {"service": "openai_compatible"}}, environ=False).tts
    assert openai_setup(tts) == "key from environment variable OPENAI_API_KEY, https://api.openai.com/v1"
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ServiceError, match=r"OPENAI_API_KEY, .*key_file, or another server"):
        openai_setup(tts)


def test_a_key_file_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_COMPATIBLE_API_KEY")
    (tmp_path / "key").write_text(f"{KEY}\n")
    services = {"openai_compatible": {"key_file": str(tmp_path / "key")}}
    with speaking("openai_compatible", tmp_path, services=services) as run:
        run.say("The lamp.")
        assert run.fake.worked[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_model_is_asked_for_and_only_openais_has_its_price(tmp_path: Path) -> None:
    with speaking("openai_compatible", tmp_path, services={"openai_compatible": {"model": "tts-1"}}) as run:
        run.say("The lamp.")
        assert json.loads(run.fake.worked[0].body)["model"] == "tts-1"
        model = run.chain.model_of("openai_compatible")
        assert cost_report("openai_compatible", model, 10)["usd"] is None
    assert cost_report("openai_compatible", "tts-1", 2_000_000)["usd"] == 30
