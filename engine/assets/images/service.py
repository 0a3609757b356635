"""Pictures for scenes that bring none. The embedded painter draws a background by genre and seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.config.sections import Images
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.timeline import Still

BACKGROUND_VERSION = 1
"""Raised when drawn pictures change, so that caches forget the old ones."""

DRAWN_OVERSIZE = 1.2
"""Drawn pictures are this much larger than the frame, for the zoom to have something to show."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What a picture is wanted for: the scene's words, the story's genre, a seed, and the frame it is to fill."""

    text: str
    genre: str
    seed: int
    frame_px: tuple[int, int]


class Painter(Protocol):
    """Makes a picture for a scene."""

    def key(self, request: PictureRequest) -> dict[str, Any]:
        """Return everything that the picture depends on: its key in the cache."""

    def paint(self, request: PictureRequest, target: Path) -> None:
        """Write the picture as an opaque RGB PNG; raise ImageGenerationError where it cannot be made."""


@dataclass(frozen=True, slots=True)
class DrawnPainter:
    """Draws backgrounds, offline. The words play no part."""

    def _size(self, request: PictureRequest) -> tuple[int, int]:
        width, height = (2 * round(side * DRAWN_OVERSIZE / 2) for side in request.frame_px)
        return width, height

    def key(self, request: PictureRequest) -> dict[str, Any]:
        """Return everything that the picture depends on."""
        size = list(self._size(request))
        return {
            "service": "drawn",
            "version": BACKGROUND_VERSION,
            "genre": request.genre,
            "seed": request.seed,
            "size": size,
        }

    def paint(self, request: PictureRequest, target: Path) -> None:
        """Draw the picture and write it as PNG."""
        from video_pipeline.engine.assets.backgrounds import draw_background

        image = draw_background(genre=request.genre, seed=request.seed, size_px=self._size(request))
        image.save(target, "PNG", compress_level=1)


@dataclass(frozen=True, slots=True)
class PainterChoice:
    """The painter of a render; `warning` says what was asked for and is not here."""

    painter: Painter
    warning: str | None = None


def choose_painter(settings: Images, *, fallback: bool) -> PainterChoice:
    """Return the painter that the settings name, or the embedded one where that service is not built.

    Without `fallback` a service that is not built is a ConfigError.
    """
    if settings.service == "drawn":
        return PainterChoice(DrawnPainter())
    message = f"images.service {settings.service!r} is not part of this version; allowed: drawn"
    if not fallback:
        raise ConfigError(message)
    return PainterChoice(DrawnPainter(), f"{message}; pictures are drawn instead")


def painted(request: PictureRequest, *, painter: Painter, cache: ContentCache, settings: Images) -> Still:
    """Return the picture of a scene, from the cache where it is there."""
    ttl = settings.cache_ttl if settings.cache_enabled else 0
    path, _ = cache.get_or_make(
        "pictures",
        painter.key(request),
        ".png",
        lambda target: painter.paint(request, target),
        ttl=ttl,
        check=check_png,
    )
    with Image.open(path) as ready:
        width, height = ready.size
    return Still(path, width, height, file_sha256(path), "png_pipe")
