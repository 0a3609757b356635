"""Typeset the pictures of captions, and cache them under the hash of their inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.fonts import font_versions
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import ContentCache, DamagedError, FileDigests, file_sha256
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.render.captions.lettering import LetterSheet, coloured_places, letter_sheet
from video_pipeline.engine.timeline import Caption
from video_pipeline.filters.typeset import FontFace, FontStack, Raster, TextLayout, layout_text, rasterise
from video_pipeline.filters.typeset.face import load
from video_pipeline.filters.typeset.style import Color

PLACE = "sheet"
"""Name of the PNG text that holds a picture's offset in its layout, and the edges of its lines."""

PNG_LEVEL = 1
"""zlib level: a caption is written in a third of the time of the default, 6."""

_digest = FileDigests()  # shared, because most captions have the same font


@dataclass(frozen=True, slots=True)
class Room:
    """The space into which a caption's text is fitted."""

    max_width_px: int
    max_height_px: int
    min_size_px: int

    def lay_out(self, caption: Caption, fonts: FontStack) -> TextLayout:
        """Lay out the caption's text, no larger than the room."""
        return layout_text(caption.text, fonts=fonts, style=caption.style, **asdict(self))


def has_ink(layout: TextLayout) -> bool:
    """Return whether a layout has anything visible."""
    return any(line.strip() for line in layout.lines)


@dataclass(frozen=True, slots=True)
class CaptionPicture:
    """A caption as one picture, the size of its layout, the picture's offset in it, and where its letters are."""

    picture: Path
    size_px: tuple[int, int]
    left_px: int
    top_px: int
    sheet: LetterSheet


def caption_picture(
    caption: Caption,
    fonts: FontStack,
    room: Room,
    cache: ContentCache,
    *,
    lay_out: Callable[[], TextLayout],
) -> CaptionPicture | None:
    """Return a caption as one picture, from the cache if possible, or None if nothing is visible.

    `lay_out` returns the layout of the caption in the room, in any colour.
    """

    def draw(path: Path) -> None:
        layout = replace(lay_out(), style=caption.style)
        note: dict[str, Any] = {"ink": has_ink(layout)}
        image = Image.new("RGBA", (1, 1))
        if note["ink"]:
            raster = paint_letters(layout, caption)
            image = raster.image
            note |= {"size": [layout.width_px, layout.height_px], "at": [raster.left_px, raster.top_px]}
            note["rows"] = letter_sheet(layout, raster).rows
        notes = PngInfo()
        notes.add_text(PLACE, json.dumps(note))
        image.save(path, "PNG", pnginfo=notes, compress_level=PNG_LEVEL)

    parts = {**_fonts_and_style(caption, fonts), "room": asdict(room), "part": PLACE}
    path, _ = cache.get_or_make("captions", parts, ".png", draw, check=check_png)
    with Image.open(path) as picture:
        note, drawn_px = json.loads(picture.info[PLACE]), picture.width
    if not note["ink"]:
        return None
    (width, height), (left, top) = note["size"], note["at"]
    return CaptionPicture(path, (width, height), left, top, LetterSheet(drawn_px, left, tuple(note["rows"])))


def paint_letters(layout: TextLayout, caption: Caption) -> Raster:
    """Paint a layout of a caption, each word in its speaker's colour."""
    raster = rasterise(layout)
    if not caption.colours:
        return raster
    image = raster.image.copy()
    painted: dict[Color, Raster] = {}
    sheet = letter_sheet(layout, raster)
    for box, color in coloured_places(layout, sheet, caption.text, caption.colours):
        if color not in painted:
            look = replace(layout, style=replace(layout.style, color=color))
            painted[color] = framed(rasterise(look), like=raster)
        image.paste(painted[color].image.crop(box), box[:2])
    return Raster(image, raster.left_px, raster.top_px)


def framed(raster: Raster, *, like: Raster) -> Raster:
    """Pad a picture to the size and position of `like`, a larger picture of the same layout."""
    if (raster.left_px, raster.top_px, raster.image.size) == (like.left_px, like.top_px, like.image.size):
        return raster
    canvas = Image.new("RGBA", like.image.size, (0, 0, 0, 0))
    canvas.paste(raster.image, (raster.left_px - like.left_px, raster.top_px - like.top_px))
    return Raster(canvas, like.left_px, like.top_px)


def part_picture(
    raster: Raster, layout: TextLayout, caption: Caption, cache: ContentCache, *, part: str
) -> Path:
    """Return the cached file of one part of a layout's picture, such as its letters or its box."""
    parts = {**_picture_key(layout, caption), "part": part}
    path, _ = cache.get_or_make(
        "captions",
        parts,
        ".png",
        lambda path: raster.image.save(path, "PNG", compress_level=PNG_LEVEL),
        check=check_png,
    )
    return path


def _fonts_and_style(caption: Caption, fonts: FontStack) -> dict[str, Any]:
    """Return everything that the look of a caption's letters depends on, apart from position."""
    return {
        "text": caption.text,
        "style": asdict(caption.style),
        **({"colours": [asdict(colour) for colour in caption.colours]} if caption.colours else {}),
        # The first face may be the user's own file; the others are identified by the version of the packaged fonts.
        "font_sha256": fonts.faces[0].sha256 or _digest(fonts.faces[0].path),
        "faces": [[face.path.name, face.weight, face.index] for face in fonts.faces],
        "versions": _versions(),
    }


def _picture_key(layout: TextLayout, caption: Caption) -> dict[str, Any]:
    """Return the cache key of a layout's picture."""
    return {
        **_fonts_and_style(replace(caption, style=layout.style), layout.fonts),
        "width_px": layout.width_px,
        "lines": layout.lines,
        "size_px": layout.size_px,
    }


def _versions() -> list[str]:
    """Return the versions of the typesetting libraries."""
    return [__version__, version("Pillow"), *font_versions()]


def font_file(face: FontFace, cache: ContentCache) -> Path:
    """Return a file of a face's font for drawtext: the packaged one, or a copy of one that may change."""
    if not face.sha256:
        return face.path

    def write(target: Path) -> None:
        target.write_bytes(load(face).data())

    def check(target: Path) -> None:
        if file_sha256(target) != face.sha256:
            raise DamagedError("it does not hold the font")

    suffix = face.path.suffix.lower()
    path, _ = cache.get_or_make("fonts", {"sha256": face.sha256}, suffix, write, check=check)
    return path


def text_file(text: str, cache: ContentCache) -> Path:
    """Return a cached file that holds a text, for drawtext."""
    path, _ = cache.get_or_make(
        "captions", {"text": text}, ".txt", partial(_write_text, text), check=partial(_check_text, text)
    )
    return path


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _check_text(text: str, path: Path) -> None:
    if path.read_bytes() != text.encode():
        raise DamagedError("its content is not the caption's text")
