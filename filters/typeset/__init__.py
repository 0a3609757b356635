"""Set text: shape it, wrap it, paint it. The same pixels on every machine.

    text ──▶ characters ──▶ shaping ──▶ layout ──▶ raster
             (made safe,    (glyphs,    (lines,     (RGBA
              levels)        faces)      boxes)      picture)

HarfBuzz shapes, FreeType draws, ICU finds the breaks and unicode-bidi the directions; all four come inside
wheels, so nothing depends on what the system has installed.
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
