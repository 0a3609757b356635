"""The order in which image services are asked: the one that the settings name, those that replace it, drawing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
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
from video_pipeline.engine.errors import ConfigError, ImageGenerationError, ServiceError, UnavailableError
from video_pipeline.engine.timeline import Still

OFFLINE: Final = IMAGE_SERVICES.members[0].name
"""The service that draws here, and is the last."""

WITHOUT_API: Final = {"midjourney": "Midjourney has no public API"}
"""Services that cannot be asked, and why."""


@dataclass(slots=True)
class PainterChain:
    """Services that make pictures, preferred ones first. Thread-safe.

    A service that fails for more than one picture is not asked again in this render, so that each scene does not wait for
    it anew.
    """

    names: tuple[str, ...]
    settings: Images
    context: PictureContext
    _open: dict[str, PictureSource] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _passing: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def is_remote(self) -> bool:
        """Whether the first usable service is on the network."""
        return any(name != OFFLINE for name in self.names if name not in self.closed)

    @property
    def closed(self) -> Mapping[str, str]:
        """The services that are not asked again, and why."""
        with self._lock:
            return dict(self._closed)

    def source(self, name: str) -> PictureSource:
        """Return a service on the network, connected when it is first needed; raise ServiceError if it is not usable."""
        with self._lock:
            if name in self._closed:
                raise ServiceError(self._closed[name], kind="denied")
            if name not in self._open:
                connect = load_image_service(name).connect
                assert connect is not None
                self._open[name] = connect(self.settings, self.context)
            return self._open[name]

    def make(self, request: PictureRequest, *, only_cached: bool = False) -> PaintedScene:
        """Return a picture by the first service that can; raise ImageGenerationError with every reason if none can.

        With `only_cached` none is asked: raises UnpaintedError if the first usable service's is not cached. The error is
        not permanent if a service was only unreachable or busy, so that a node tries the job again. Raises ConfigError
        for a wrong key.
        """
        skipped: list[str] = []
        reasons: list[str] = []
        for name in self.names:
            if name == OFFLINE:
                return PaintedScene(self.drawn(request), reasons=tuple(reasons))
            if name in self.closed:
                skipped.append(self.closed[name])
                continue
            try:
                made = self.source(name).make(request, only_cached=only_cached)
            except UnpaintedError:
                raise
            except (UnavailableError, ServiceError) as error:
                reason = f"{name}: {error}" if isinstance(error, UnavailableError) else str(error)
                kind = getattr(error, "kind", "")
                if kind == "busy":
                    self._passing.add(name)
                is_known = kind != "rejected" and not self.close(name, reason)
                (skipped if is_known else reasons).append(reason)
            else:
                return PaintedScene(made.shown, made.origin, tuple(reasons))
        raise ImageGenerationError("; ".join([*skipped, *reasons]), permanent=not self._passing)

    def drawn(self, request: PictureRequest) -> Still:
        """Return a picture that is drawn here."""
        opened = load_image_service(OFFLINE).open
        assert opened is not None
        return painted(
            request, painter=opened(self.settings), cache=self.context.cache, settings=self.settings
        )

    def close(self, name: str, reason: str) -> bool:
        """Do not ask a service again; return False if another scene has found that out."""
        with self._lock:
            is_new = name not in self._closed
            self._closed.setdefault(name, reason)
            return is_new


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
    try:
        return PainterChoice(chain, chain.source(first).warnings)
    except UnavailableError as error:
        message = f"images.service: {first!r} is not usable here: {error}"
    except ServiceError as error:
        message = f"images.service: {error}"
    if not fallback:
        raise ConfigError(message)
    chain.close(first, message)
    instead = _first_connected(chain)
    effect = "pictures are drawn" if instead is None else f"{instead!r} is asked"
    return PainterChoice(chain, (f"{message}; {effect} instead",))


def _first_connected(chain: PainterChain) -> str | None:
    """Return the first service before drawing that could be asked, as far as that is known without asking it."""
    for name in chain.names[: chain.names.index(OFFLINE)]:
        try:
            chain.source(name)
        except (UnavailableError, ServiceError):
            continue
        return name
    return None


def remote_image_services() -> tuple[ImageService, ...]:
    """Return the services on the network that can be imported here."""
    found = []
    for member in IMAGE_SERVICES.members:
        try:
            service = load_image_service(member.name)
        except UnavailableError:
            continue
        if service.setup is not None:
            found.append(service)
    return tuple(found)
