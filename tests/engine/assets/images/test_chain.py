"""Which image service is asked: the configured one, those of images.fallback in order, and in the end drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.picture_setup import (
    image_services,
    images_settings,
    painting_through,
    picture_request,
    set_picture_environment,
)
from tests.support.picture_vendors import PICTURE_VENDORS, Stability
from tests.support.service_fakes import service_fake
from video_pipeline.engine.assets.images.chain import PainterChoice, choose_painters
from video_pipeline.engine.assets.images.service import PictureContext, UnpaintedError
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.families import IMAGE_SERVICES
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import ConfigError, ImageGenerationError
from video_pipeline.engine.net.spending import PICTURES, DailyCount, Spending
from video_pipeline.engine.timeline import Still

VARIABLES = ("STABILITY_API_KEY", "OPENAI_API_KEY", "PEXELS_API_KEY", "PIXABAY_API_KEY")


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def chosen(settings: Images, folder: Path, *, fallback: bool = True) -> PainterChoice:
    meter = Spending(
        job_limit=100, day_limit=100, count=DailyCount(lambda: folder / "state", billed=PICTURES)
    )
    context = PictureContext(meter=meter, cache=ContentCache(folder / "cache"), node=Node())
    return choose_painters(settings, fallback=fallback, context=context)


@pytest.mark.parametrize("fallback", [True, False])
def test_midjourney_is_an_error_that_says_why(fallback: bool, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"images\.service: got 'midjourney': Midjourney has no public API; allowed: drawn, stable_diffusion,",
    ):
        chosen(Images(service="midjourney"), tmp_path, fallback=fallback)


@pytest.mark.parametrize("fallback", [True, False])
def test_a_service_that_is_not_known_is_an_error_that_lists_those_that_are(
    fallback: bool, tmp_path: Path
) -> None:
    told = r"images\.service: got 'stable_difusion' \(did you mean 'stable_diffusion'\?\); allowed: drawn, stable_d"
    with pytest.raises(ConfigError, match=told):
        chosen(Images(service="stable_difusion"), tmp_path, fallback=fallback)


@pytest.mark.parametrize("name", ["stable_diffusion", "dalle", "pexels", "pixabay"])
def test_a_service_without_its_key_falls_back_or_is_an_error(name: str, tmp_path: Path) -> None:
    settings = Images(service=name)
    choice = chosen(settings, tmp_path)
    assert "no key: set the environment variable " in choice.warnings[0]
    assert choice.chain.make(picture_request()).reasons == ()
    with pytest.raises(ConfigError, match=rf"{name}: no key: .*images\.services\.{name}\.key_file"):
        chosen(settings, tmp_path, fallback=False)


def test_every_service_has_a_fake_that_it_is_tried_against() -> None:
    assert {*PICTURE_VENDORS, "drawn"} == set(IMAGE_SERVICES.names)


@pytest.mark.parametrize("address", ["", "/v1", "/v2beta"])
def test_the_old_address_is_taken_with_a_warning(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(Stability()) as fake:
        settings = images_settings(
            fake, tmp_path, api_endpoint=f"{fake.url}{address}", timeout=60, services={}
        )
        choice = chosen(settings, tmp_path, fallback=False)
        assert isinstance(choice.chain.make(picture_request()).shown, Still)
        assert fake.worked[0].path == "/v2beta/stable-image/generate/core"
        told = f"images.api_endpoint: {fake.url}/v1 names the old version /v1; /v2beta is asked instead"
        assert choice.warnings == ((told,) if address == "/v1" else ())


def test_a_short_timeout_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)
    (warning,) = chosen(Images(service="stable_diffusion", timeout=30), tmp_path).warnings
    assert warning.startswith("images.timeout: 30 s is short")


def test_a_key_does_not_travel_without_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)
    with pytest.raises(ConfigError, match=r"images\.api_endpoint: .*the key would travel without encryption"):
        chosen(Images(service="pexels", api_endpoint="http://pexels.example"), tmp_path)


def test_a_service_that_goes_down_is_replaced_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(Stability()) as fake, service_fake(PICTURE_VENDORS["automatic1111"]()) as other:
        run = painting_through(
            fake,
            tmp_path,
            names=("automatic1111", "drawn"),
            max_retries=0,
            services=image_services(other, tmp_path),
        )
        fake.faults.append("500")
        made = run.paint()
        assert made.origin is not None
        assert made.origin.service == "automatic1111"
        assert made.reasons == ("stable_diffusion: 503 Service Unavailable (sent once)",)
        assert run.paint("Another.").reasons == ()
        assert len(fake.asked) == 1
        other.faults.append("key")
        last = run.paint("A third.")
        assert last.origin is None
        assert len(last.reasons) == 1
        assert isinstance(last.shown, Still)


def test_a_prompt_that_is_refused_is_one_scenes_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(Stability()) as fake:
        run = painting_through(fake, tmp_path, names=("drawn",))
        made = run.paint("A weapon.")
        assert made.reasons == ("stable_diffusion: 403 Forbidden: Your request was flagged",)
        assert made.origin is None
        assert run.spending.spent == {}
        assert run.paint().origin is not None


@pytest.mark.parametrize(("fault", "permanent"), [("500", False), ("key", True)])
def test_a_job_is_tried_again_only_if_that_can_help(
    fault: str, permanent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(Stability()) as fake:
        run = painting_through(fake, tmp_path, max_retries=0)
        fake.faults.append(fault)
        with pytest.raises(ImageGenerationError) as caught:
            run.paint()
        assert caught.value.details["permanent"] is permanent


@pytest.mark.parametrize("name", sorted(PICTURE_VENDORS))
def test_what_is_not_cached_is_not_asked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(PICTURE_VENDORS[name]()) as fake:
        run = painting_through(fake, tmp_path)
        with pytest.raises(UnpaintedError):
            run.chain.make(picture_request(), only_cached=True)
        assert fake.asked == []
        first = run.paint()
        asked = len(fake.asked)
        assert run.chain.make(picture_request(), only_cached=True) == first
        assert len(fake.asked) == asked


def test_an_unreachable_server_is_said_without_being_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(Stability()) as fake:
        settings: dict[str, Any] = {"max_retries": 0}
    run = painting_through(fake, tmp_path, **settings)
    with pytest.raises(ImageGenerationError, match=r"cannot be reached at 127\.0\.0\.1:\d+: "):
        run.paint()
    assert run.spending.spent == {}
