"""OpenAI's pictures (POST /images/generations), and any server with that protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.assets.images.answers import decoded_answer_picture, decoded_base64
from video_pipeline.engine.assets.images.prompts import nearest_aspect, prompt_of, size_for
from video_pipeline.engine.assets.images.remote import (
    AskedPicture,
    RemotePainter,
    endpoint_of,
    no_key,
    remote_painter,
)
from video_pipeline.engine.assets.images.service import ImageService, PictureContext, PictureRequest
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, service_client
from video_pipeline.engine.net.openai_protocol import is_openai, openai_fault
from video_pipeline.engine.net.secret import Secret, find_secret

DALLE_NAME: Final = "dalle"
COMPATIBLE_NAME: Final = "openai_compatible"

GPT_SIZES: Final = ((1024, 1024), (1536, 1024), (1024, 1536))
DALLE_3_SIZES: Final = ((1024, 1024), (1792, 1024), (1024, 1792))
DALLE_2_SIZES: Final = ((1024, 1024),)
GPT_2_MEGAPIXELS: Final = 2.1
"""About 1080x1920, below 2560x1440, above which OpenAI calls sizes experimental."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiPictureCalls:
    """Requests to OpenAI or a server with its protocol."""

    client: ServiceClient
    service: str
    endpoint: str
    secret: Secret | None
    model: str
    settings: Images
    quality: str = "auto"
    megapixels: float = 1.0

    def prompt(self, request: PictureRequest) -> str:
        """Return the prompt that is sent for a request."""
        return prompt_of(request, self.settings)

    def key(self, request: PictureRequest) -> Mapping[str, Any]:
        """Return everything that the picture depends on. The protocol has no seed: scenes differ by ours."""
        return {
            "service": self.service,
            "endpoint": self.endpoint,
            "seed": request.service_seed,
            **self._fields(request),
        }

    def _fields(self, request: PictureRequest) -> dict[str, Any]:
        width, height = self._size(request.frame_px)
        fields: dict[str, Any] = {"prompt": self.prompt(request), "n": 1, "size": f"{width}x{height}"}
        if self.model:
            fields["model"] = self.model
        if self._is_gpt:
            fields |= {"output_format": "png", "quality": self.quality}
        else:  # they answer with a URL otherwise
            fields["response_format"] = "b64_json"
        return fields

    @property
    def _is_gpt(self) -> bool:
        return self.model.startswith(("gpt-image", "chatgpt-image"))

    def _size(self, frame_px: tuple[int, int]) -> tuple[int, int]:
        if self.model.startswith("gpt-image-2"):
            return size_for(frame_px, megapixels=GPT_2_MEGAPIXELS, multiple=16)
        if self._is_gpt:
            return nearest_aspect(frame_px, GPT_SIZES)
        if self.model in ("dall-e-2", "dall-e-3"):
            return nearest_aspect(frame_px, DALLE_3_SIZES if self.model == "dall-e-3" else DALLE_2_SIZES)
        return size_for(frame_px, megapixels=self.megapixels, multiple=64)

    def ask(self, request: PictureRequest) -> AskedPicture:
        """Return the picture."""
        made: list[AskedPicture] = []

        def check(answer: ServiceAnswer) -> None:
            body = answer.json()
            data = body.get("data") if isinstance(body, Mapping) else None
            first = data[0] if isinstance(data, list) and data else None
            text = first.get("b64_json") if isinstance(first, Mapping) else None
            if not text:
                raise self.client.error("the answer has no data[0].b64_json", kind="busy")
            made.append(AskedPicture(decoded_answer_picture(decoded_base64(text, self.client), self.client)))

        key = {"Authorization": f"Bearer {self.secret.reveal()}"} if self.secret is not None else {}
        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/images/generations",
                headers={"Content-Type": "application/json", **key},
                body=json.dumps(self._fields(request), ensure_ascii=False).encode(),
                billed=1,
            ),
            check=check,
        )
        return made[-1]


def _dalle_address(settings: Images) -> tuple[str, Secret | None]:
    """Return address and key. OpenAI's key goes to OpenAI alone, unless a file names it for another address."""
    keys = settings.services.dalle
    secret = find_secret("images.services.dalle.key_file", file=keys.key_file, variables=("OPENAI_API_KEY",))
    endpoint = endpoint_of(DALLE_NAME, keys.endpoint, settings, has_secret=secret is not None)
    if not is_openai(endpoint) and keys.key_file is None:
        secret = None
    return endpoint, secret


def dalle_setup(settings: Images) -> str:
    """Return the address and where the key comes from."""
    endpoint, secret = _dalle_address(settings)
    if secret is None:
        raise no_key(DALLE_NAME, "OPENAI_API_KEY")
    return f"key from {secret.origin}, {endpoint}, model {settings.services.dalle.model}"


def connect_dalle(settings: Images, context: PictureContext) -> RemotePainter:
    """Return the painter; raise ConfigError for a wrong address, ServiceError without a key."""
    endpoint, secret = _dalle_address(settings)
    if secret is None:
        raise no_key(DALLE_NAME, "OPENAI_API_KEY")
    keys = settings.services.dalle
    calls = OpenAiPictureCalls(
        client=service_client(DALLE_NAME, settings, context, secrets=(secret,), fault=openai_fault),
        service=DALLE_NAME,
        endpoint=endpoint,
        secret=secret,
        model=keys.model,
        settings=settings,
        quality=keys.quality,
    )
    return remote_painter(calls, settings, context)


def _compatible_address(settings: Images) -> tuple[str, Secret | None]:
    keys = settings.services.openai_compatible
    secret = find_secret(
        "images.services.openai_compatible.key_file",
        file=keys.key_file,
        variables=("OPENAI_COMPATIBLE_API_KEY",),
    )
    return endpoint_of(COMPATIBLE_NAME, keys.endpoint, settings, has_secret=secret is not None), secret


def compatible_setup(settings: Images) -> str:
    """Return the address and where the key comes from."""
    endpoint, secret = _compatible_address(settings)
    return f"{f'key from {secret.origin}' if secret else 'no key'}, {endpoint}"


def connect_compatible(settings: Images, context: PictureContext) -> RemotePainter:
    """Return the painter; raise ConfigError for a wrong address."""
    endpoint, secret = _compatible_address(settings)
    keys = settings.services.openai_compatible
    secrets = (secret,) if secret is not None else ()
    calls = OpenAiPictureCalls(
        client=service_client(COMPATIBLE_NAME, settings, context, secrets=secrets, fault=openai_fault),
        service=COMPATIBLE_NAME,
        endpoint=endpoint,
        secret=secret,
        model=keys.model or "",
        settings=settings,
        megapixels=keys.megapixels,
    )
    return remote_painter(calls, settings, context)


DALLE: Final = ImageService(name=DALLE_NAME, connect=connect_dalle, setup=dalle_setup)
OPENAI_COMPATIBLE: Final = ImageService(
    name=COMPATIBLE_NAME, connect=connect_compatible, setup=compatible_setup
)
