"""OpenAI's pictures: OpenAI's own client and ours on the same fake, sizes by model, and keys of their own address."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.picture_setup import painting, painting_through, set_picture_environment
from tests.support.picture_vendors import PICTURE_KEY, Dalle, OpenAiPictures, PictureVendor, as_json
from tests.support.service_fakes import Answer, Asked, ServiceFake, service_fake
from video_pipeline.engine.assets.images.openai_images import dalle_setup
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import ImageGenerationError, ServiceError


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)


def asked_by_openai(fake: ServiceFake, **more: object) -> str:
    with openai.OpenAI(base_url=f"{fake.url}/v1", api_key=PICTURE_KEY, max_retries=0, timeout=30) as client:
        given = {"model": "gpt-image-2", "prompt": "A boat.", "size": "1088x1920", **more}
        made = client.images.generate(**given)  # type: ignore[call-overload]
        assert made.data
        return str(made.data[0].b64_json)


def test_openais_own_client_succeeds_on_the_fake() -> None:
    with service_fake(OpenAiPictures()) as fake:
        assert asked_by_openai(fake).startswith("iVBOR")
        assert fake.problems == []


@pytest.mark.parametrize("fault", ["cut", "429", "500", "key"])
def test_openais_own_client_fails_on_the_fakes_faults(fault: str) -> None:
    with service_fake(OpenAiPictures()) as fake:
        fake.faults.append(fault)
        with pytest.raises((openai.OpenAIError, httpx.HTTPError)):
            asked_by_openai(fake)


def test_openais_own_client_sees_a_blocked_prompt() -> None:
    with service_fake(OpenAiPictures()) as fake:
        assert isinstance(fake.vendor, PictureVendor)
        fake.vendor.filters = True
        with pytest.raises(openai.BadRequestError, match="moderation_blocked"):
            asked_by_openai(fake)


@pytest.mark.parametrize(
    "wrong",
    [
        {"output_format": "gif87"},
        {"extra_body": {"seed": 2}},
        {"size": "1080x1920"},
        {"response_format": "b64_json"},
    ],
)
def test_the_fake_refuses_what_the_contract_does_not_have(wrong: dict[str, object]) -> None:
    with service_fake(OpenAiPictures()) as fake, pytest.raises(openai.BadRequestError):
        asked_by_openai(fake, **wrong)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("gpt-image-2.6-flare", "1088x1936"),
        ("gpt-image-1.5", "1024x1536"),
        ("dall-e-3", "1024x1792"),
        ("dall-e-2", "1024x1024"),
        ("flux", "768x1344"),
    ],
)
def test_each_model_is_asked_for_a_size_that_it_takes(model: str, size: str, tmp_path: Path) -> None:
    with painting("dalle", tmp_path, services={"dalle": {"model": model}}) as run:
        run.paint()
        assert run.fake.problems == []
        asked = json.loads(run.fake.worked[0].body)
        assert (asked["size"], asked["model"]) == (size, model)


def test_a_used_up_quota_is_no_matter_of_waiting(tmp_path: Path) -> None:
    class Poor(Dalle):
        def answer(self, asked: Asked) -> tuple[Answer, int]:
            return as_json(429, {"error": {"message": "You exceeded it", "code": "insufficient_quota"}}), 0

    with service_fake(Poor()) as fake:
        with pytest.raises(ImageGenerationError, match="the account has no credit"):
            painting_through(fake, tmp_path).paint()
        assert len(fake.worked) == 1


def test_openais_key_is_for_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    own = dalle_setup(Images(service="dalle"))
    assert own == (
        "key from environment variable OPENAI_API_KEY, https://api.openai.com/v1, model gpt-image-2.6-flare"
    )
    with pytest.raises(ServiceError, match="no key"):
        dalle_setup(Images(service="dalle", api_endpoint="https://other.example/v1"))
