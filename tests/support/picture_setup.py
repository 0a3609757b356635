"""Painters of fake image services, as a render opens them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.picture_vendors import PICTURE_KEY, PICTURE_VENDORS
from tests.support.service_fakes import ServiceFake, service_fake
from video_pipeline.engine.assets.images.chain import PainterChain
from video_pipeline.engine.assets.images.service import PaintedScene, PictureContext, PictureRequest
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.net.spending import PICTURES, DailyCount, Spending

PICTURE_ENVIRONMENT = dict.fromkeys(
    ("STABILITY_API_KEY", "OPENAI_COMPATIBLE_API_KEY", "PEXELS_API_KEY", "PIXABAY_API_KEY"), PICTURE_KEY
)
WORKFLOW = {
    "3": {"class_type": "KSampler", "inputs": {"seed": "{{seed}}", "model": ["4", 0]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": "{{width}}", "height": "{{height}}"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "best quality, {{prompt}}"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
}


def image_services(fake: ServiceFake, folder: Path) -> dict[str, Any]:
    """Return the configuration that sends a service's requests to its fake."""
    name = fake.vendor.name
    keys: dict[str, Any] = {
        "endpoint": f"{fake.url}/v1" if name in ("dalle", "openai_compatible") else fake.url
    }
    if name == "dalle":  # the key of the environment is for OpenAI's own address alone
        (folder / "openai.key").write_text(PICTURE_KEY)
        keys |= {"key_file": str(folder / "openai.key")}
    if name == "comfyui":
        (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
        keys |= {"workflow": str(folder / "workflow.json")}
    return {name: keys}


def images_settings(fake: ServiceFake, folder: Path, **keys: Any) -> Images:
    services = image_services(fake, folder)
    for name, more in keys.pop("services", {}).items():
        services[name] = {**services.get(name, {}), **more}
    given = {"service": fake.vendor.name, "timeout": 60, "max_retries": 2, "services": services, **keys}
    return load_config({"images": given}, environ=False).images


@dataclass
class Painting:
    """A fake service and the chain that asks it."""

    fake: ServiceFake
    chain: PainterChain
    spending: Spending
    folder: Path

    def paint(self, text: str = "A boat leaves the harbour.", seed: int = 7, **more: Any) -> PaintedScene:
        return self.chain.make(picture_request(text, seed, **more))

    @property
    def cached(self) -> list[Path]:
        """The pictures and clips that were kept."""
        kept = self.folder / "cache"
        return sorted([*(kept / "answers").glob("*/*.png"), *(kept / "clips").glob("*/*.mp4")])


def picture_request(text: str = "A boat leaves the harbour.", seed: int = 7, **more: Any) -> PictureRequest:
    given = {"genre": "adventure", "frame_px": (270, 480), "title": "The Lighthouse", **more}
    return PictureRequest(text=text, seed=seed, service_seed=seed, variant=seed, **given)


def set_picture_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PICTURE_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@contextmanager
def painting(name: str, folder: Path, **keys: Any) -> Iterator[Painting]:
    """Run a vendor's fake and open its painter, without a service that replaces it."""
    with service_fake(PICTURE_VENDORS[name]()) as fake:
        yield painting_through(fake, folder, **keys)


def painting_through(
    fake: ServiceFake,
    folder: Path,
    *,
    names: tuple[str, ...] = (),
    job: int = 100,
    day: int = 1000,
    **keys: Any,
) -> Painting:
    settings = images_settings(fake, folder, **keys)
    meter = Spending(
        job_limit=job, day_limit=day, count=DailyCount(lambda: folder / "state", billed=PICTURES)
    )
    context = PictureContext(meter=meter, cache=ContentCache(folder / "cache"), node=Node())
    return Painting(fake, PainterChain((settings.service, *names), settings, context), meter, folder)
