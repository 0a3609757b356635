"""Drawn backgrounds: the picture of a scene that has none, by genre and seed, in any size and aspect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from video_pipeline.engine.story.motifs.depiction import Depiction

from .abstract import bokeh, silk
from .chambers import arches, cave
from .city import city_dusk
from .composition import OUTDOORS, depict
from .desert import dunes
from .genres import GENRES, Genre, find_genre
from .heavens import aurora, nebula, planet
from .paint import finish
from .palettes import Palette
from .ridges import cloud_sea, misty_ridges, paper_hills
from .stage import Array, Stage
from .water import moonlit_sea
from .woods import foggy_forest

__all__ = [
    "GENRES",
    "SIZE_LIMIT_PX",
    "STYLES",
    "Genre",
    "Palette",
    "Style",
    "draw_background",
    "draw_depiction",
    "style_of",
]

CLOSER = 1.4
"""How much larger subjects and people are in the second view of a place."""

STEPPED_IN = 1.3
"""How much larger everything is in the second view of a place within walls."""

SIZE_LIMIT_PX = (16, 7680)
# Larger pictures are drawn at this size and enlarged, to limit time and memory; dither and grain stay fine.
_DRAWN_PIXELS_MAX = 9_000_000


@dataclass(frozen=True, slots=True)
class Style:
    """A way of drawing a background: `draw` fills a stage with planar float32 sRGB, (3, height, width)."""

    name: str
    description: str
    draw: Callable[[Stage], Array]


STYLES: tuple[Style, ...] = (
    Style("misty_ridges", "mountain ridges in mist under a sun or moon", misty_ridges),
    Style("cloud_sea", "a sea of clouds seen from above", cloud_sea),
    Style("paper_hills", "hills cut from layers of coloured paper", paper_hills),
    Style("dunes", "desert dunes in low light", dunes),
    Style("moonlit_sea", "open sea with the light's glitter on it", moonlit_sea),
    Style("foggy_forest", "trunks in fog with shafts of light", foggy_forest),
    Style("aurora", "northern lights over a lake", aurora),
    Style("nebula", "a nebula among stars", nebula),
    Style("planet", "sunrise over the limb of a planet", planet),
    Style("city_dusk", "a skyline with lit windows by the water", city_dusk),
    Style("arches", "a hall of arches with light at its end", arches),
    Style("cave", "the mouth of a cave from within", cave),
    Style("bokeh", "soft lights out of focus", bokeh),
    Style("silk", "flowing folds of silk", silk),
)


def style_of(*, genre: str, seed: int) -> str:
    """Return the style in which a genre is drawn; consecutive seeds differ in it."""
    styles = find_genre(genre).styles
    return styles[seed % len(styles)]


def draw_background(
    *,
    genre: str,
    seed: int,
    size_px: tuple[int, int],
    style: str | None = None,
    palette: int | None = None,
    view: int = 0,
) -> Image.Image:
    """Draw a background of `size_px` (width, height), as an RGB image.

    The same arguments give the same bytes in any process. `genre` chooses the palette, and the style if
    `style` is None; an unknown genre is drawn as "general". `palette`, any number, holds one of the genre's palettes
    over several pictures; it follows from the seed if None. With `view` 1 the light is on the other side and the rest
    drawn anew. The lower part is dark enough for white captions.

    Raises ValueError for a style that `STYLES` lacks, or a side outside `SIZE_LIMIT_PX`.
    """
    drawn = _drawn_px(size_px)
    by_name = {s.name: s for s in STYLES}
    if style is not None and style not in by_name:
        raise ValueError(f"style: got {style!r}; allowed: {', '.join(by_name)}")
    manner = find_genre(genre)
    # Consecutive seeds differ in style and palette, and every combination occurs.
    lap, place = divmod(seed, len(manner.styles))
    colours = manner.palettes[(lap + place if palette is None else palette) % len(manner.palettes)]
    chosen = by_name[style if style is not None else style_of(genre=genre, seed=seed)]
    first = f"{chosen.name}|{seed}"
    stage = Stage.of(size_px=drawn, palette=colours, key=_key_of(first, view), light_key=first)
    return finish(stage, _seen_from(chosen.draw(stage), view), size_px=size_px)


def _key_of(first: str, view: int) -> str:
    return f"{first}|view {view}" if view else first


def _seen_from(planes: Array, view: int) -> Array:
    """Exchange left and right in a second view, which brings the light to the other side."""
    return planes[:, :, ::-1] if view else planes


def draw_depiction(
    composition: Depiction,
    *,
    genre: str,
    seed: int,
    size_px: tuple[int, int],
    palette: int = 0,
    view: int = 0,
) -> Image.Image:
    """Draw a place with its subject, people, weather and time, as an RGB image of `size_px` (width, height).

    The same arguments give the same bytes in any process. `palette`, any number, chooses one of the genre's and
    the place of the light, so that both hold over a story. `view` 1 shows the same place a second time: nearer, the
    light on the other side, the rest drawn anew. The lower part is dark enough for white captions. Raises ValueError for a side outside `SIZE_LIMIT_PX`.
    """
    palettes = find_genre(genre).palettes
    stage = Stage.of(
        size_px=_drawn_px(size_px),
        palette=palettes[palette % len(palettes)],
        key=_key_of(f"{composition.place}|{seed}", view),
        light_key=f"{composition.place}|{palette}",
    )
    planes = _seen_from(depict(stage, composition, closer=CLOSER if view else 1.0), view)
    if view and composition.place not in OUTDOORS:
        stage, planes = _stepped_in(stage, planes)
    return finish(stage, planes, size_px=size_px)


def _stepped_in(stage: Stage, planes: Array) -> tuple[Stage, Array]:
    """Return a part of a room, toward its light, as a picture of its own: within walls there is no other side."""
    height, width = planes.shape[1:]
    wide, high = round(width / STEPPED_IN), round(height / STEPPED_IN)
    left = round((width - wide) * (0.5 - 0.3 * stage.side()))
    top = round((height - high) * 0.45)
    cut = planes[:, top : top + high, left : left + wide]
    return Stage.of(size_px=(wide, high), palette=stage.palette, key=stage.key), np.ascontiguousarray(cut)


def _drawn_px(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which a picture of `size_px` is drawn; raise ValueError for a side outside the limits."""
    width_px, height_px = size_px
    low, high = SIZE_LIMIT_PX
    if not (low <= width_px <= high and low <= height_px <= high):
        raise ValueError(f"size_px: got {width_px}x{height_px}; allowed: sides of {low} to {high} pixels")
    scale = min(1.0, (_DRAWN_PIXELS_MAX / (width_px * height_px)) ** 0.5)
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))
