"""Text for FFmpeg's drawtext: which texts it draws like `filters.typeset`, and with which options.

`filters.typeset` draws every script and style; drawtext draws simple left-to-right text with hard edges. The texts
here are not escaped; the graph does that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from video_pipeline.filters.typeset import (
    Align,
    Box,
    Color,
    FontError,
    FontFace,
    FontStack,
    Shadow,
    TextLayout,
    TextStyle,
    static_instance,
)
from video_pipeline.filters.typeset.characters import MAX_CHARACTERS, clusters, sanitise, script_of
from video_pipeline.filters.typeset.emoji import is_emoji
from video_pipeline.filters.typeset.face import load

__all__ = [
    "Align",
    "Box",
    "Color",
    "FontError",
    "FontFace",
    "FontStack",
    "Shadow",
    "TextStyle",
    "drawtext_able",
    "drawtext_options",
    "static_instance",
]

SIMPLE_SCRIPTS: Final = frozenset({"Latn", "Grek", "Cyrl"})
_OPAQUE: Final = 255


def drawtext_able(text: str, fonts: FontStack, style: TextStyle) -> bool:
    """Return whether drawtext draws this text like `filters.typeset`.

    It does for one simple left-to-right script in one face at its default weight (see `static_instance`), without
    soft shadows or round corners. Translucent strokes differ, because drawtext paints overlaps of neighbours twice.
    """
    face = load(fonts.faces[0])
    if fonts.faces[0].index != 0 or not face.is_default_instance or not _style_able(style):
        return False
    safe = sanitise(text, has_glyph=lambda c: any(load(f).covers(c) for f in fonts.faces))
    if not safe or len(safe) >= MAX_CHARACTERS:
        return False
    parts = [part for part in clusters(safe) if part != "\n"]
    scripts = {script for part in parts for script in map(script_of, part) if script}
    return (
        len(scripts) <= 1
        and scripts <= SIMPLE_SCRIPTS
        and all(face.covers(part) and not is_emoji(part) for part in parts)
    )


def _style_able(style: TextStyle) -> bool:
    shadow, box = style.shadow, style.box
    if style.stroke_px != int(style.stroke_px) or (style.stroke_px and style.stroke_color[3] != _OPAQUE):
        return False
    if shadow and (shadow.blur_px > 0 or (style.stroke_px and shadow.color[3] != _OPAQUE)):
        return False
    return not (box and box.radius_px > 0)


def drawtext_options(
    layout: TextLayout, *, font: Path | None = None, x_px: float | str, y_px: float | str
) -> list[dict[str, str | int | float]]:
    """Return the options of one drawtext for the box, if any, then one for each line, in drawing order.

    `font` is the file of the first face (default: the one that the face names). `x_px` and `y_px` are the layout's
    top-left corner; they may be drawtext expressions. The caller writes `text` to a file without a newline at its end
    and passes it as `textfile`, or lets the graph escape it.
    Positions agree with `rasterise` to about a pixel.
    """
    style = layout.style
    common: dict[str, str | int | float] = {
        "expansion": "none",
        "fontfile": str(font or layout.fonts.faces[0].path),
        "fontsize": layout.size_px,
    }
    drawn: list[dict[str, str | int | float]] = []
    if style.box and layout.text_lines:
        padding = style.box.padding_px
        drawn.append(
            {
                **common,
                "text": " ",
                "x": _offset(x_px, 0),
                "y": _offset(y_px, 0),
                "box": 1,
                "boxcolor": _color(style.box.color),
                "boxw": max(1, layout.width_px),
                "boxh": max(1, layout.height_px),
                "boxborderw": padding,
            }
        )
    look: dict[str, str | int | float] = {
        "fontcolor": _color(style.color),
        "ft_load_flags": "no_hinting",
        "y_align": "baseline",
        # drawtext clips glyphs that reach beyond their advance width, such as a leading j; an invisible box
        # enlarges the area that it draws in.
        "box": 1,
        "boxcolor": "black@0",
        "boxborderw": layout.size_px + round(style.stroke_px),
    }
    if style.stroke_px:
        look |= {"borderw": int(style.stroke_px), "bordercolor": _color(style.stroke_color)}
    if style.shadow and (style.shadow.dx_px or style.shadow.dy_px):
        look |= {
            "shadowx": style.shadow.dx_px,
            "shadowy": style.shadow.dy_px,
            "shadowcolor": _color(style.shadow.color),
        }
    for line in layout.text_lines:
        if line.text:
            x, y = _offset(x_px, line.left_px), _offset(y_px, line.baseline_px)
            drawn.append({**common, **look, "text": line.text, "x": x, "y": y})
    return drawn


def _offset(origin: float | str, distance: float) -> str | float:
    if isinstance(origin, str):
        return f"({origin})+{distance:.3f}"
    return round(origin + distance, 3)


def _color(color: Color) -> str:
    red, green, blue, alpha = color
    return f"0x{red:02x}{green:02x}{blue:02x}{alpha:02x}"
