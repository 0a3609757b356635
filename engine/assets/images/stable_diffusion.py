"""Stability AI's pictures: POST /v2beta/stable-image/generate/…, and the guide's /v1 address."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.assets.images.answers import decoded_answer_picture
from video_pipeline.engine.assets.images.prompts import nearest_aspect, prompt_of
from video_pipeline.engine.assets.images.remote import (
    AskedPicture,
    RemotePainter,
    endpoint_of,
    no_key,
    remote_painter,
)
from video_pipeline.engine.assets.images.service import ImageService, PictureContext, PictureRequest
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.net.client import (
    Fault,
    ServiceAnswer,
    ServiceClient,
    ServiceRequest,
    service_client,
    usual_fault,
)
from video_pipeline.engine.net.secret import Secret, find_secret

NAME: Final = "stable_diffusion"
VARIABLE: Final = "STABILITY_API_KEY"
ASPECTS: Final = ((21, 9), (16, 9), (3, 2), (5, 4), (1, 1), (4, 5), (2, 3), (9, 16), (9, 21))
SEEDS: Final = 4294967294
"""The largest seed; 0 asks for a random one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityCalls:
    """Requests to Stability's v2beta."""

    client: ServiceClient
    endpoint: str
    secret: Secret
    model: str
    settings: Images
    service: str = NAME

    def prompt(self, request: PictureRequest) -> str:
        """Return the prompt that is sent for a request."""
        return prompt_of(request, self.settings)

    def key(self, request: PictureRequest) -> Mapping[str, Any]:
        """Return everything that the picture depends on."""
        return {"service": NAME, "endpoint": self.endpoint, "model": self.model, **self._fields(request)}

    def _fields(self, request: PictureRequest) -> dict[str, str]:
        width, height = nearest_aspect(request.frame_px, ASPECTS)
        fields = {
            "prompt": self.prompt(request),
            "aspect_ratio": f"{width}:{height}",
            "seed": str(request.service_seed % SEEDS + 1),
            "output_format": "png",
        }
        if self.settings.negative_prompt:
            fields["negative_prompt"] = self.settings.negative_prompt
        if self.model.startswith("sd3"):
            fields |= {"model": self.model, "mode": "text-to-image"}
        return fields

    def ask(self, request: PictureRequest) -> AskedPicture:
        """Return the picture. A blurred one that the service filtered is an error."""
        fields = self._fields(request)
        boundary, body = _multipart(fields)
        made: list[AskedPicture] = []

        def check(answer: ServiceAnswer) -> None:
            reason = answer.headers.get("finish-reason", "SUCCESS")
            if reason != "SUCCESS":
                raise self.client.error(f"the picture was filtered ({reason})", kind="rejected")
            seed = answer.headers.get("seed", fields["seed"])
            picture = decoded_answer_picture(answer.body, self.client)
            made.append(AskedPicture(picture, int(seed) if seed.isdigit() else None))

        path = "sd3" if self.model.startswith("sd3") else self.model
        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/v2beta/stable-image/generate/{path}",
                headers={
                    "Authorization": f"Bearer {self.secret.reveal()}",
                    "Accept": "image/*",
                    "Content-Type": f"multipart/form-data; boundary={boundary}",
                },
                body=body,
                accepts=("image/",),
                billed=1,
            ),
            check=check,
        )
        return made[-1]


def stability_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means: 403 is the moderation of this prompt, 402 an account without credits."""
    kind, words = usual_fault(answer)
    if answer.status == 403:
        errors = (answer.json() or {}).get("errors") if isinstance(answer.json(), Mapping) else None
        return "rejected", str(errors[0]) if isinstance(errors, list) and errors else "moderation"
    if answer.status == 402:
        return "denied", "the account has no credits"
    return kind, words


def _multipart(fields: Mapping[str, str]) -> tuple[str, bytes]:
    """Return a boundary and the body of a form (RFC 7578); the service takes no other form, even without a file."""
    boundary = hashlib.sha256(repr(fields).encode()).hexdigest()[:40]
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return boundary, ("".join(parts) + f"--{boundary}--\r\n").encode()


def _stability_address(settings: Images) -> tuple[str, Secret | None, tuple[str, ...]]:
    """Return base URL, key and warnings."""
    keys = settings.services.stable_diffusion
    secret = find_secret(
        "images.services.stable_diffusion.key_file", file=keys.key_file, variables=(VARIABLE,)
    )
    endpoint = endpoint_of(NAME, keys.endpoint, settings, has_secret=True)
    found = re.fullmatch(r"(.*)/(v[0-9]\w*)", endpoint)
    if found is None:
        return endpoint, secret, ()
    warning = f"images.api_endpoint: {endpoint} names the old version /{found[2]}; /v2beta is asked instead"
    return found[1], secret, (warning,) if found[2] != "v2beta" else ()


def stability_setup(settings: Images) -> str:
    """Return the address and where the key comes from."""
    endpoint, secret, _ = _stability_address(settings)
    if secret is None:
        raise no_key(NAME, VARIABLE)
    return f"key from {secret.origin}, {endpoint}"


def connect_stability(settings: Images, context: PictureContext) -> RemotePainter:
    """Return the painter; raise ConfigError for a wrong address, ServiceError without a key."""
    endpoint, secret, warnings = _stability_address(settings)
    if secret is None:
        raise no_key(NAME, VARIABLE)
    calls = StabilityCalls(
        client=service_client(NAME, settings, context, secrets=(secret,), fault=stability_fault),
        endpoint=endpoint,
        secret=secret,
        model=settings.services.stable_diffusion.model,
        settings=settings,
    )
    return remote_painter(calls, settings, context, warnings=warnings)


SERVICE: Final = ImageService(name=NAME, connect=connect_stability, setup=stability_setup)
