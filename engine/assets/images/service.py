"""Pictures for scenes without an image or video. Each image service has its own file beside this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from PIL import Image

from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.families import IMAGE_SERVICES
from video_pipeline.engine.config.sections import Images
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.story.motifs.depiction import Depiction
from video_pipeline.engine.timeline import Still


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """A request for a picture: the scene's text, the story's genre, a seed, and the size of the frame to fill.

    `composition` is what the scene's words name, `style` what the story asks for instead. `palette` is the same
    for all scenes of a story; `mirrored` tells a second view of a place from the first.
    """

    text: str
    genre: str
    seed: int
    frame_px: tuple[int, int]
    composition: Depiction | None = None
    style: str | None = None
    palette: int | None = None
    mirrored: bool = False


class Painter(Protocol):
    """Makes a picture for a scene."""

    def key(self, request: PictureRequest) -> dict[str, Any]:
        """Return everything that the picture depends on: its key in the cache."""

    def paint(self, request: PictureRequest, target: Path) -> None:
        """Write the picture as an opaque RGB PNG; raise ImageGenerationError if it cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageService:
    """One image service, as IMAGE_SERVICES lists it. `open` raises ConfigError naming a wrong key."""

    name: str
    open: Callable[[Images], Painter]


def load_image_service(name: str) -> ImageService:
    """Return the record of an image service; raise UnavailableError if it cannot be imported here."""
    return cast(ImageService, IMAGE_SERVICES.load(name))


@dataclass(frozen=True, slots=True)
class PainterChoice:
    """The painter of a render. `warning` names a configured service that this version lacks."""

    painter: Painter
    warning: str | None = None


def choose_painter(settings: Images, *, fallback: bool) -> PainterChoice:
    """Return the painter that the settings name, or the offline one if this version lacks that service.

    Without `fallback` a service that this version lacks is a ConfigError.
    """
    if settings.service in IMAGE_SERVICES.names:
        return PainterChoice(load_image_service(settings.service).open(settings))
    offline = IMAGE_SERVICES.members[0].name
    message = (
        f"images.service: got {settings.service!r}{closest(settings.service, IMAGE_SERVICES.names)}, "
        "which is not part of this version; "
        f"allowed: {', '.join(IMAGE_SERVICES.names)}"
    )
    if not fallback:
        raise ConfigError(message)
    return PainterChoice(load_image_service(offline).open(settings), f"{message}; pictures are drawn instead")


def painted(request: PictureRequest, *, painter: Painter, cache: ContentCache, settings: Images) -> Still:
    """Return the picture of a scene, cached if possible."""
    ttl = settings.cache_ttl if settings.cache_enabled else 0
    path, _ = cache.get_or_make(
        "pictures",
        painter.key(request),
        ".png",
        lambda target: painter.paint(request, target),
        ttl=ttl,
        check=check_png,
    )
    with ANY_FILES.open(path) as file, Image.open(file.stream) as ready:
        return Still(path, *ready.size, file.sha256, "png_pipe", is_copy=True)
