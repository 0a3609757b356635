"""Emoji: which clusters are shown as colour pictures, and how their glyphs are painted."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import uharfbuzz as hb

from video_pipeline.filters.typeset.face import FontFace, load
from video_pipeline.filters.typeset.style import Color

TEXT_SELECTOR: Final = "\ufe0e"
EMOJI_SELECTOR: Final = "\ufe0f"

# Unicode 16, emoji-data.txt: characters below U+1F000 with Emoji_Presentation, and hearts, which are often written
# without a selector. Above, all are shown in colour.
_EMOJI: Final = re.compile(
    "[\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd"
    "\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e"
    "\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff]"
)
# A selector, a skin tone, or an emoji that is joined to the character before.
_MADE_EMOJI: Final = re.compile("\ufe0f|[\U0001f3fb-\U0001f3ff]|\u200d[\u2600-\u27bf\U0001f000-\U0001faff]")

_UNITS_A_PIXEL: Final = 64  # HarfBuzz paints at this many units per pixel
_REMEMBERED_PX: Final = 160


class Painted(NamedTuple):
    """A painted glyph: premultiplied RGBA rows, and its place relative to its origin, y downwards."""

    left: int
    top: int
    rgba: npt.NDArray[np.uint8]


@lru_cache(maxsize=8192)
def is_emoji(cluster: str) -> bool:
    """Return whether a cluster is an emoji by itself or by its selectors (Unicode, UTS #51)."""
    if TEXT_SELECTOR in cluster:
        return False
    return bool(_EMOJI.match(cluster) or _MADE_EMOJI.search(cluster))


def paint_glyph(face: FontFace, glyph_id: int, *, size_px: int, color: Color) -> Painted | None:
    """Paint a glyph with the colours of its font (COLR); return None if it has none.

    Parts that the font leaves to the text have the text's `color`.
    """
    if not load(face).has_colors:
        return None
    paint = _painted if size_px <= _REMEMBERED_PX else _painted.__wrapped__
    return paint(face, glyph_id, size_px, color[:3])


@lru_cache(maxsize=256)
def _painted(face: FontFace, glyph_id: int, size_px: int, color: tuple[int, int, int]) -> Painted | None:
    loaded = load(face)
    font = hb.Font(loaded.hb_font)
    font.scale = (size_px * _UNITS_A_PIXEL, size_px * _UNITS_A_PIXEL)
    painter = hb.RasterPaint()
    painter.scale_factor = (_UNITS_A_PIXEL, _UNITS_A_PIXEL)
    painter.foreground = hb.Color(*color, 255)
    extents = font.get_glyph_extents(glyph_id)
    if extents is None or not painter.set_glyph_extents(extents):
        return None
    if not painter.paint_glyph_or_fail(font, glyph_id):
        return None
    image = painter.render()
    if image is None:
        return None
    place = image.extents
    rows = np.frombuffer(image.buffer, np.uint8).reshape(place.height, place.stride)[:, : 4 * place.width]
    bgra = rows.reshape(place.height, place.width, 4)[::-1]  # HarfBuzz's rows go upwards
    rgba = np.ascontiguousarray(bgra[..., [2, 1, 0, 3]])
    return Painted(place.x_origin, -(place.y_origin + place.height), rgba)
