"""The pictures of captions, typeset once and cached under the hash of their inputs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import ContentCache, DamagedError, FileDigests
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.timeline import Caption
from video_pipeline.filters.typeset import FontStack, Raster, TextLayout, layout_text, rasterise

PLACE = "place"
"""The PNG text key with a picture's offset in its layout."""

PNG_LEVEL = 1
"""zlib level: a caption is written in a third of the time of the usual 6."""

_digest = FileDigests()  # captions mostly share one font


@dataclass(frozen=True, slots=True)
class Room:
    """The room that a caption's text is fitted into."""

    max_width_px: int
    max_height_px: int
    min_size_px: int

    def lay_out(self, caption: Caption, fonts: FontStack) -> TextLayout:
        """Return the caption's text, fitted."""
        return layout_text(caption.text, fonts=fonts, style=caption.style, **asdict(self))


def has_ink(layout: TextLayout) -> bool:
    """Return whether anything is visible."""
    return any(line.strip() for line in layout.lines)


@dataclass(frozen=True, slots=True)
class Setting:
    """A caption's picture, the size of its layout, and the picture's offset in it."""

    picture: Path
    size_px: tuple[int, int]
    left_px: int
    top_px: int


def set_whole(caption: Caption, fonts: FontStack, room: Room, cache: ContentCache) -> Setting | None:
    """Return a caption as one picture, or None if nothing is visible; a cached one is neither laid out nor drawn."""

    def draw(path: Path) -> None:
        layout = room.lay_out(caption, fonts)
        note: dict[str, Any] = {"ink": has_ink(layout)}
        image = Image.new("RGBA", (1, 1))
        if note["ink"]:
            raster = rasterise(layout)
            image = raster.image
            note |= {"size": [layout.width_px, layout.height_px], "at": [raster.left_px, raster.top_px]}
        notes = PngInfo()
        notes.add_text(PLACE, json.dumps(note))
        image.save(path, "PNG", pnginfo=notes, compress_level=PNG_LEVEL)

    parts = {**_fonts_and_style(caption, fonts), "room": asdict(room), "part": PLACE}
    path, _ = cache.get_or_make("captions", parts, ".png", draw, check=check_png)
    with Image.open(path) as picture:
        note = json.loads(picture.info[PLACE])
    if not note["ink"]:
        return None
    (width, height), (left, top) = note["size"], note["at"]
    return Setting(path, (width, height), left, top)


def part_picture(
    raster: Raster, layout: TextLayout, caption: Caption, cache: ContentCache, *, part: str
) -> Path:
    """Return the file of a part of a layout's picture in the cache."""
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
    """Return the inputs of a caption's letters, independent of position."""
    return {
        "text": caption.text,
        "style": asdict(caption.style),
        # The first face may be a file of the user's; the others come with the packaged fonts' version.
        "font_sha256": _digest(fonts.faces[0].path),
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
    names = ("uharfbuzz", "freetype-py", "icu4py", "python-bidi", "Pillow", "manimgx-fonts")
    return [__version__, *(version(name) for name in names)]


def text_file(text: str, cache: ContentCache) -> Path:
    """Return a file that holds a text, for drawtext."""
    path, _ = cache.get_or_make(
        "captions", {"text": text}, ".txt", partial(_write_text, text), check=partial(_check_text, text)
    )
    return path


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _check_text(text: str, path: Path) -> None:
    if path.read_bytes() != text.encode():
        raise DamagedError("it does not hold the caption's text")
