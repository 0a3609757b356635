"""Pictures drawn offline, by the motifs of a scene's words, genre and seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.images.service import ImageService, PictureRequest
from video_pipeline.engine.assets.models import DrawnPicture
from video_pipeline.engine.config.images import Images

BACKGROUND_VERSION = 2
"""Increase it when drawn pictures change, so that cached ones are not used."""

DRAWN_OVERSIZE = 1.2
"""Drawn pictures are larger than the frame by this factor, so that zooming in shows detail."""


@dataclass(frozen=True, slots=True)
class DrawnPainter:
    """Draws pictures offline: a style if one is asked for, else the composition, else the genre's style."""

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
            "composition": request.composition.names if request.composition and not request.style else None,
            "style": request.style,
            "palette": request.palette,
            "view": request.view,
        }

    def paint(self, request: PictureRequest, target: Path) -> None:
        """Draw the picture and write it as PNG."""
        from video_pipeline.engine.assets.backgrounds import draw_background, draw_depiction
        from video_pipeline.engine.assets.backgrounds.png import write_png

        size_px = self._size(request)
        if request.composition is not None and request.style is None:
            image = draw_depiction(
                request.composition,
                genre=request.genre,
                seed=request.seed,
                size_px=size_px,
                palette=request.palette or 0,
                view=request.view,
            )
        else:
            image = draw_background(
                genre=request.genre,
                seed=request.seed,
                size_px=size_px,
                style=request.style,
                palette=request.palette,
                view=request.view,
            )
        write_png(image, target)


def drawn_picture(request: PictureRequest) -> DrawnPicture:
    """Return what the picture of a request shows."""
    style = request.style
    if style is None and request.composition is not None:
        return DrawnPicture(
            motifs=request.composition.names,
            seed=request.seed,
            view=request.view,
            by_meaning=request.by_meaning,
        )
    if style is None:
        from video_pipeline.engine.assets.backgrounds import style_of

        style = style_of(genre=request.genre, seed=request.seed)
    return DrawnPicture(style=style, seed=request.seed, view=request.view)


def open_drawn(settings: Images) -> DrawnPainter:
    """Return the painter."""
    del settings  # no setting changes the drawing
    return DrawnPainter()


SERVICE: Final = ImageService(name="drawn", open=open_drawn)
