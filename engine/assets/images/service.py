"""Pictures for scenes without an image or video. Each image service has its own file beside this one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from PIL import Image

from video_pipeline.engine.assets.models import PictureOrigin
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.config.families import IMAGE_SERVICES
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.net.meter import Meter
from video_pipeline.engine.story.motifs.depiction import Depiction
from video_pipeline.engine.timeline import Still


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """A request for a picture: the scene's text, the story's genre, a seed, and the size of the frame to fill.

    For services on the network it also has the titles of story and scene, the language (ISO 639-1), a `prompt` that
    replaces the one made of them, and seeds that edits of other scenes do not change, so that nothing is paid for again:
    `service_seed` follows from the scene's id, `variant` from its number, so that neighbours differ.

    `composition` is what the scene's words name, `style` what the story asks for instead. `palette` is the same
    for all scenes of a story. `view` is 0 or 1: a second view shows the same place nearer and from the other side.
    `by_meaning` says that the composition was found by the text's meaning, not its words.
    """

    text: str
    genre: str
    seed: int
    frame_px: tuple[int, int]
    title: str = ""
    scene_title: str = ""
    language: str = "en"
    prompt: str = ""
    service_seed: int = 0
    variant: int = 0
    composition: Depiction | None = None
    style: str | None = None
    palette: int | None = None
    view: int = 0
    by_meaning: bool = False


class Painter(Protocol):
    """Makes a picture for a scene."""

    def key(self, request: PictureRequest) -> dict[str, Any]:
        """Return everything that the picture depends on: its key in the cache."""

    def paint(self, request: PictureRequest, target: Path) -> None:
        """Write the picture as an opaque RGB PNG; raise ImageGenerationError if it cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureContext:
    """What a service on the network needs besides its settings.

    `meter` counts what is paid for, `cache` keeps each answer as soon as it is complete, `node` has the limits of
    downloads. After `stop` is set, services are not asked again.
    """

    meter: Meter
    cache: ContentCache
    node: Node
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class PaintedScene:
    """A scene's picture, or the file of its clip. `reasons` say why services before the one that made it did not."""

    shown: Still | Path
    origin: PictureOrigin | None = None
    reasons: tuple[str, ...] = ()


class PictureSource(Protocol):
    """Asks a service on the network for pictures or clips."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the settings should rather be."""

    def make(self, request: PictureRequest, *, only_cached: bool = False) -> PaintedScene:
        """Return a picture or clip, cached if possible; raise ServiceError, or UnpaintedError with `only_cached`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageService:
    """One image service, as IMAGE_SERVICES lists it: it draws here (`open`) or is on the network (`connect`).

    Both raise ConfigError naming a wrong key; `connect` raises ServiceError if the service is not set up. `setup` returns
    what it would use (address, where its key comes from) and raises as `connect` does.
    """

    name: str
    open: Callable[[Images], Painter] | None = None
    connect: Callable[[Images, PictureContext], PictureSource] | None = None
    setup: Callable[[Images], str] | None = None


class UnpaintedError(ImageGenerationError):
    """A service's picture is not cached, and was not to be asked for."""


def load_image_service(name: str) -> ImageService:
    """Return the record of an image service; raise UnavailableError if it cannot be imported here."""
    return cast(ImageService, IMAGE_SERVICES.load(name))


def painted(
    request: PictureRequest,
    *,
    painter: Painter,
    cache: ContentCache,
    settings: Images,
    only_cached: bool = False,
) -> Still:
    """Return the picture of a scene, cached if possible; with `only_cached` raise UnpaintedError if it is not."""

    def make(target: Path) -> None:
        if only_cached:
            raise UnpaintedError("it is not cached")
        painter.paint(request, target)

    ttl = settings.cache_ttl if settings.cache_enabled else 0
    path, _ = cache.get_or_make(
        "pictures",
        painter.key(request),
        ".png",
        make,
        ttl=ttl,
        check=check_png,
    )
    with ANY_FILES.open(path) as file, Image.open(file.stream) as ready:
        return Still(path, *ready.size, file.sha256, "png_pipe", is_copy=True)
