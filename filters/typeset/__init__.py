"""Typeset text: shape, wrap and paint it, with the same pixels on every machine.

    text ──▶ characters ──▶ shaping ──▶ layout ──▶ raster
             (made safe,    (glyphs,    (lines,     (RGBA
              levels)        faces)      boxes)      picture)

HarfBuzz shapes, FreeType draws, ICU finds line breaks and unicode-bidi directions; all four come in wheels,
so the result does not depend on installed libraries.
"""

from video_pipeline.filters.typeset.face import FontError, FontFace, FontStack, static_instance
from video_pipeline.filters.typeset.layout import TextLayout, TextLine, layout_text, missing_letters
from video_pipeline.filters.typeset.letters import LetterBox, WordBox
from video_pipeline.filters.typeset.raster import Raster, rasterise, rasterise_box
from video_pipeline.filters.typeset.style import Align, Box, Color, Shadow, TextStyle

__all__ = [
    "Align",
    "Box",
    "Color",
    "FontError",
    "FontFace",
    "FontStack",
    "LetterBox",
    "Raster",
    "Shadow",
    "TextLayout",
    "TextLine",
    "TextStyle",
    "WordBox",
    "layout_text",
    "missing_letters",
    "rasterise",
    "rasterise_box",
    "static_instance",
]
