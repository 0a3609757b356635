"""AUTOMATIC1111's web UI and Forge: POST /sdapi/v1/txt2img of a server that was started with --api."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.assets.images.answers import decoded_answer_picture, decoded_base64
from video_pipeline.engine.assets.images.prompts import prompt_of, size_for
from video_pipeline.engine.assets.images.remote import (
    AskedPicture,
    RemotePainter,
    endpoint_of,
    remote_painter,
)
from video_pipeline.engine.assets.images.service import ImageService, PictureContext, PictureRequest
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, service_client

NAME: Final = "automatic1111"
MULTIPLE: Final = 64
"""Sides are multiples of it, which all models take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Automatic1111Calls:
    """Requests to the web UI."""

    client: ServiceClient
    endpoint: str
    settings: Images
    service: str = NAME

    @property
    def model(self) -> str:
        """The checkpoint, or "" for the one that is loaded."""
        return self.settings.services.automatic1111.model or ""

    def prompt(self, request: PictureRequest) -> str:
        """Return the prompt that is sent for a request."""
        return prompt_of(request, self.settings)

    def key(self, request: PictureRequest) -> Mapping[str, Any]:
        """Return everything that the picture depends on."""
        return {"service": NAME, "endpoint": self.endpoint, **self._fields(request)}

    def _fields(self, request: PictureRequest) -> dict[str, Any]:
        keys = self.settings.services.automatic1111
        width, height = size_for(request.frame_px, megapixels=keys.megapixels, multiple=MULTIPLE)
        fields: dict[str, Any] = {
            "prompt": self.prompt(request),
            "negative_prompt": self.settings.negative_prompt,
            "seed": request.service_seed,
            "steps": keys.steps,
            "cfg_scale": keys.cfg_scale,
            "width": width,
            "height": height,
            "n_iter": 1,
            "batch_size": 1,
        }
        if keys.model:
            fields["override_settings"] = {"sd_model_checkpoint": keys.model}
        return fields

    def ask(self, request: PictureRequest) -> AskedPicture:
        """Return the picture."""
        made: list[AskedPicture] = []

        def check(answer: ServiceAnswer) -> None:
            body = answer.json()
            images = body.get("images") if isinstance(body, Mapping) else None
            if not isinstance(images, list) or not images:
                raise self.client.error("the answer has no images", kind="busy")
            picture = decoded_answer_picture(decoded_base64(images[0], self.client), self.client)
            made.append(AskedPicture(picture, _seed_said(body.get("info"), request.service_seed)))

        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/sdapi/v1/txt2img",
                headers={"Content-Type": "application/json"},
                body=json.dumps(self._fields(request), ensure_ascii=False).encode(),
            ),
            check=check,
        )
        return made[-1]


def _seed_said(info: Any, asked: int) -> int:
    """Return the seed that the server says it used, in JSON text."""
    try:
        return int(json.loads(info)["seed"])
    except (TypeError, ValueError, KeyError):
        return asked


def automatic1111_setup(settings: Images) -> str:
    """Return the address."""
    own = settings.services.automatic1111.endpoint
    return f"no key, {endpoint_of(NAME, own, settings, has_secret=False)}"


def connect_automatic1111(settings: Images, context: PictureContext) -> RemotePainter:
    """Return the painter; raise ConfigError for a wrong address."""
    calls = Automatic1111Calls(
        client=service_client(NAME, settings, context),
        endpoint=endpoint_of(NAME, settings.services.automatic1111.endpoint, settings, has_secret=False),
        settings=settings,
    )
    return remote_painter(calls, settings, context)


SERVICE: Final = ImageService(name=NAME, connect=connect_automatic1111, setup=automatic1111_setup)
