"""Narrators of fake speech services, as a render opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.speech_vendors import ACCESS_KEY, KEY, SECRET_KEY, TOKEN, VENDORS, Polly
from video_pipeline.engine.assets.models import Narration
from video_pipeline.engine.assets.speech.chain import NarratorChain
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import SpeechContext
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.net.spending import DailyCount, Spending

ENVIRONMENT = {
    "GOOGLE_TTS_API_KEY": KEY,
    "AZURE_SPEECH_KEY": KEY,
    "OPENAI_COMPATIBLE_API_KEY": KEY,
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_REGION": Polly.region,
}
SECRETS = (KEY, SECRET_KEY, TOKEN)


def endpoint_keys(fake: ServiceFake) -> dict[str, Any]:
    """Return the configuration that sends a service's requests to its fake."""
    path = "/v1" if fake.vendor.name == "openai_compatible" else ""
    return {fake.vendor.name: {"endpoint": f"{fake.url}{path}"}}


def tts_settings(fake: ServiceFake, **keys: Any) -> Tts:
    services = {**endpoint_keys(fake)}
    for name, more in keys.pop("services", {}).items():
        services[name] = {**services.get(name, {}), **more}
    given = {
        "service": fake.vendor.name,
        "fallback": [],
        "timeout": 60,
        "max_retries": 2,
        "services": services,
        **keys,
    }
    return load_config({"tts": given}, environ=False).tts


def spending(folder: Path, *, job: int = 100_000, day: int = 1_000_000) -> Spending:
    return Spending(job_limit=job, day_limit=day, count=DailyCount(lambda: folder / "state"))


@dataclass
class Speaking:
    """A fake service and the chain that speaks through it."""

    fake: ServiceFake
    chain: NarratorChain
    spending: Spending
    folder: Path

    def say(self, text: str, *, language: str = "en", **options: Any) -> Narration:
        return self.chain.narrate(spoken_text(text, language=language, **options)).narration

    @property
    def cached(self) -> list[Path]:
        return sorted((self.folder / "cache" / "speech").glob("*/*.wav"))


def set_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@contextmanager
def speaking(name: str, folder: Path, *, language: str = "en", **keys: Any) -> Iterator[Speaking]:
    """Run a vendor's fake and open its narrator."""
    with service_fake(VENDORS[name]()) as fake:
        yield speaking_through(fake, folder, language=language, **keys)


def speaking_through(fake: ServiceFake, folder: Path, *, language: str = "en", **keys: Any) -> Speaking:
    limits = {"job": keys.pop("job", 100_000), "day": keys.pop("day", 1_000_000)}
    settings = tts_settings(fake, **keys)
    meter = spending(folder, **limits)
    context = SpeechContext(language=language, region="", meter=meter, cache=ContentCache(folder / "cache"))
    return Speaking(
        fake, NarratorChain((settings.service, *settings.fallback), settings, context), meter, folder
    )
