"""A service on the network that makes pictures: each is kept in the cache as soon as it is paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from PIL import Image

from video_pipeline.engine.assets.images.answers import enlarged_still, read_png_notes, write_noted_png
from video_pipeline.engine.assets.images.service import (
    PaintedScene,
    PictureContext,
    PictureRequest,
    UnpaintedError,
)
from video_pipeline.engine.assets.models import PictureOrigin
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import key_of
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
from video_pipeline.engine.net.recent_answers import RecentAnswers

KEPT_PICTURES: Final = 4
"""Answers that stay in memory: if the disk is full, they are not asked and paid for again."""

SHORT_TIMEOUT: Final = 60.0
"""Seconds below which an answer that is given up may be on its way, and paid for."""


class AskedPicture(NamedTuple):
    """A service's picture as RGB, and the seed that it says it used."""

    picture: Image.Image
    seed: int | None = None


class PictureCalls(Protocol):
    """The requests of one service that generates pictures."""

    @property
    def service(self) -> str:
        """The service's name."""

    @property
    def model(self) -> str:
        """The model by which the service charges, or ""."""

    def prompt(self, request: PictureRequest) -> str:
        """Return the prompt that is sent for a request."""

    def key(self, request: PictureRequest) -> Mapping[str, Any]:
        """Return everything that the picture depends on, and no secret."""

    def ask(self, request: PictureRequest) -> AskedPicture:
        """Return the picture; raise ServiceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePainter:
    """Has pictures made by a service."""

    calls: PictureCalls
    context: PictureContext
    ttl: float
    warnings: tuple[str, ...] = ()
    _kept: RecentAnswers[AskedPicture] = field(
        default_factory=lambda: RecentAnswers(KEPT_PICTURES), compare=False, repr=False
    )

    def make(self, request: PictureRequest, *, only_cached: bool = False) -> PaintedScene:
        """Return the picture of a request, from the cache or the service."""
        cache, parts = self.context.cache, dict(self.calls.key(request))
        key = key_of(parts)

        def write(target: Path) -> None:
            asked = self._kept.get(key)
            if asked is None:
                if only_cached:
                    raise UnpaintedError("it is not cached")
                asked = self.calls.ask(request)
                self._kept.keep(key, asked)
            write_noted_png(asked.picture, {"seed": asked.seed}, target)

        with one_at_a_time(cache.folder / "answers" / "locks", key):
            path, _ = cache.get_or_make("answers", parts, ".png", write, ttl=self.ttl, check=check_png)
        origin = PictureOrigin(
            service=self.calls.service,
            generated=True,
            model=self.calls.model,
            prompt=self.calls.prompt(request),
            seed=read_png_notes(path)["seed"],
        )
        return PaintedScene(enlarged_still(path, request.frame_px, cache), origin)


def remote_painter(
    calls: PictureCalls, settings: Images, context: PictureContext, *, warnings: Sequence[str] = ()
) -> RemotePainter:
    """Return the painter that asks by a service's calls."""
    slow: tuple[str, ...] = ()
    if settings.timeout < SHORT_TIMEOUT:
        slow = (
            f"images.timeout: {settings.timeout:g} s is short: a picture can take minutes, and one that is given up "
            "may be paid for",
        )
    return RemotePainter(calls=calls, context=context, ttl=ttl_of(settings), warnings=(*warnings, *slow))


def ttl_of(settings: Images) -> float:
    """Return for how many seconds a cached answer is used."""
    return settings.cache_ttl if settings.cache_enabled else 0


def endpoint_of(service: str, own: str, settings: Images, *, has_secret: bool) -> str:
    """Return a service's checked base URL: `images.api_endpoint` for the configured service, otherwise its own."""
    if settings.api_endpoint is not None and settings.service == service:
        return checked_endpoint("images.api_endpoint", settings.api_endpoint, has_secret=has_secret)
    return checked_endpoint(f"images.services.{service}.endpoint", own, has_secret=has_secret)


def no_key(service: str, variable: str) -> ServiceError:
    """Return the error about a service without its key."""
    return ServiceError(
        f"{service}: no key: set the environment variable {variable}, or name a file in "
        f"images.services.{service}.key_file",
        kind="denied",
    )
