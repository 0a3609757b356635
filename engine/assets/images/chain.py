"""The order in which image services are asked: the one that the settings name, those that replace it, drawing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from video_pipeline.engine.assets.images.service import (
    ImageService,
    PaintedScene,
    PictureContext,
    PictureRequest,
    PictureSource,
    UnpaintedError,
    load_image_service,
    painted,
)
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.families import IMAGE_SERVICES
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import ConfigError, ImageGenerationError
from video_pipeline.engine.net.service_order import ServiceOrder, importable_services
from video_pipeline.engine.timeline import Still

OFFLINE: Final = IMAGE_SERVICES.members[0].name
"""The service that draws here, and is the last."""

WITHOUT_API: Final = {"midjourney": "Midjourney has no public API"}
"""Services that cannot be asked, and why."""


@dataclass(slots=True)
class PainterChain:
    """Services that make pictures, preferred ones first. Thread-safe."""

    names: tuple[str, ...]
    settings: Images
    context: PictureContext
    order: ServiceOrder[PictureSource] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.order = ServiceOrder(
            names=self.names,
            open_service=self._connected,
            failure=ImageGenerationError,
            passed_on=(UnpaintedError,),
        )

    @property
    def is_remote(self) -> bool:
        """Whether the first usable service is on the network."""
        return any(name != OFFLINE for name in self.order.usable)

    def _connected(self, name: str) -> PictureSource:
        connect = load_image_service(name).connect
        assert connect is not None
        return connect(self.settings, self.context)

    def make(self, request: PictureRequest, *, only_cached: bool = False) -> PaintedScene:
        """Return a picture by the first service that can; raise ImageGenerationError with every reason if none can.

        With `only_cached` none is asked and nothing drawn: raises UnpaintedError if the first usable service's is not cached. The error is
        not permanent if a service was only unreachable or busy, so that a node tries the job again. Raises ConfigError
        for a wrong key.
        """

        def ask(name: str) -> PaintedScene:
            if name == OFFLINE:
                return PaintedScene(self.drawn(request, only_cached=only_cached))
            return self.order.opened(name).make(request, only_cached=only_cached)

        made, reasons = self.order.first_answer(ask)
        return replace(made, reasons=reasons)

    def drawn(self, request: PictureRequest, *, only_cached: bool = False) -> Still:
        """Return a picture that is drawn here; with `only_cached` raise UnpaintedError if it would have to be."""
        opened = load_image_service(OFFLINE).open
        assert opened is not None
        return painted(
            request,
            painter=opened(self.settings),
            cache=self.context.cache,
            settings=self.settings,
            only_cached=only_cached,
        )


@dataclass(frozen=True, slots=True)
class PainterChoice:
    """The services of a render. `warnings` say why the configured one is not used, and what to change."""

    chain: PainterChain
    warnings: tuple[str, ...] = ()


def choose_painters(settings: Images, *, fallback: bool, context: PictureContext) -> PainterChoice:
    """Return the services that the settings name; with `fallback` also those of `images.fallback`, and drawing last.

    Without `fallback` a service that is not set up is a ConfigError. A wrong key and a service that is not known, or that
    has no API, always are.
    """
    first = settings.service
    names = dict.fromkeys((first, *settings.fallback, OFFLINE) if fallback else (first,))
    chain = PainterChain(tuple(names), settings, context)
    if first in WITHOUT_API:
        raise ConfigError(
            f"images.service: got {first!r}: {WITHOUT_API[first]}; allowed: {', '.join(IMAGE_SERVICES.names)}"
        )
    if first not in IMAGE_SERVICES.names:
        raise ConfigError(
            f"images.service: got {first!r}{closest(first, IMAGE_SERVICES.names)}; "
            f"allowed: {', '.join(IMAGE_SERVICES.names)}"
        )
    if first == OFFLINE:
        return PainterChoice(chain)
    message = chain.order.why_unusable(first, family=IMAGE_SERVICES)
    if message is None:
        return PainterChoice(chain, chain.order.opened(first).warnings)
    if not fallback:
        raise ConfigError(message)
    chain.order.close(first, message)
    instead = chain.order.first_open(chain.names[: chain.names.index(OFFLINE)])
    effect = "pictures are drawn" if instead is None else f"{instead!r} is asked"
    return PainterChoice(chain, (f"{message}; {effect} instead",))


def remote_image_services() -> tuple[ImageService, ...]:
    """Return the services on the network that can be imported here."""
    services = importable_services(IMAGE_SERVICES, load_image_service)
    return tuple(service for service in services if service.setup is not None)
