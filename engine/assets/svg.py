"""Draw an SVG as a picture: without scripts, and without reading any other file or address.

The drawing program (`svg_program`) gets a document that was parsed and written again here, so it sees nothing that was
not checked. Text is set in the packaged fonts, so the drawing is the same on every machine.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET
from xml.parsers import expat

from PIL import Image

from video_pipeline.engine.assets.fonts import font_versions, packaged_files
from video_pipeline.engine.assets.picture_readers import UnreadablePictureError
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import OpenFile
from video_pipeline.engine.common.versions import version

LONG_SIDE_PX: Final = 4096
"""The longer side of a drawing: enough for a close view of a frame of 1920 pixels."""

SVG_MAX_BYTES: Final = 16 * 2**20
ELEMENTS: Final = 200_000
DEPTH: Final = 200
"""Most elements of a document, and most of them inside each other: the drawing program recurses."""

DRAW_SECONDS: Final = 30
"""Seconds of a drawing: elements that repeat each other may take forever."""

DRAW_BYTES: Final = 2 * 2**30
"""Memory of the drawing program."""

PROGRAM: Final = "video_pipeline.engine.assets.svg_program"

EMBEDDED: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
}
"""Pillow's formats of the pictures that may be inside an SVG, by media type."""

_DATA_URL: Final = re.compile(r"\s*data:([a-z]+/[a-z]+)((?:;[^;,]*)*),(.*)", re.IGNORECASE | re.DOTALL)
_FOREIGN_URL: Final = re.compile(r"""url\(\s*["']?\s*(?!["'#\s])[^)]*""", re.IGNORECASE)
_IMPORT: Final = re.compile(r"@import", re.IGNORECASE)
_LEFT_OUT: Final = frozenset(["script", "foreignObject"])
_HYPERLINK: Final = "a"
"""The element whose link is for a reader to follow; its contents are drawn."""


def drawn_svg(
    file: OpenFile, *, max_megapixels: float, cache: ContentCache, check: Callable[[Path], None]
) -> Path:
    """Return the PNG that an SVG shows, with its transparency, from the cache if it was drawn before.

    Raises UnreadablePictureError, whose text follows the file's name.
    """

    def draw(target: Path) -> None:
        document = checked_svg(file, max_megapixels=max_megapixels)
        target.write_bytes(_run_program(document, side_px))
        file.check()

    side_px = min(LONG_SIDE_PX, int((max_megapixels * 1e6) ** 0.5))
    parts = {
        "sha256": file.sha256,
        "side": side_px,
        "max_megapixels": max_megapixels,
        "resvg": version("resvg_py"),
        "fonts": font_versions(),
        "version": 1,
    }
    path, _ = cache.get_or_make("drawings", parts, ".png", draw, check=check)
    return path


def checked_svg(file: OpenFile, *, max_megapixels: float) -> bytes:
    """Return an SVG document, written again without scripts; raise UnreadablePictureError if it must not be drawn."""
    if file.size > SVG_MAX_BYTES:
        raise UnreadablePictureError(f"has {file.size} bytes; allowed: at most {SVG_MAX_BYTES} for an SVG")
    builder = _Builder(max_megapixels)
    parser = expat.ParserCreate(None, "}")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.EntityDeclHandler = builder.refuse_entity
    parser.buffer_text = True
    try:
        parser.Parse(file.read(), True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise UnreadablePictureError(f"is not a valid SVG: {error}") from error
    return builder.document()


class _Builder:
    """Builds a document from the events of a parser, and refuses what it must not have."""

    def __init__(self, max_megapixels: float) -> None:
        self._tree = ET.TreeBuilder()
        self._open: list[str] = []
        self._skipped = 0
        """How many of the open elements are inside one that is left out, or are it."""
        self._elements = 0
        self._max_pixels = max_megapixels * 1e6
        self._pixels = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS:
            raise UnreadablePictureError(f"has more than {ELEMENTS} elements; allowed: at most {ELEMENTS}")
        if len(self._open) >= DEPTH:
            raise UnreadablePictureError(f"has elements more than {DEPTH} deep; allowed: at most {DEPTH}")
        local = _local(name)
        self._open.append(local)
        if self._skipped or local in _LEFT_OUT:
            self._skipped += 1
            return
        for key, value in attributes.items():
            if _local(key) in ("href", "src"):
                if local != _HYPERLINK:
                    self._check_link(value, local)
            else:
                _check_style(value)
        self._tree.start(_qualified(name), {_qualified(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self._open.pop()
        if self._skipped:
            self._skipped -= 1
            return
        self._tree.end(_qualified(name))

    def text(self, data: str) -> None:
        if self._skipped or not self._open:
            return
        if self._open[-1] == "style":
            _check_style(data)
        self._tree.data(data)

    def refuse_entity(self, name: str, *_: object) -> None:
        raise UnreadablePictureError(
            f"declares the entity {name[:40]!r}; save it without entities (as plain SVG)"
        )

    def document(self) -> bytes:
        found: bytes = ET.tostring(self._tree.close(), encoding="utf-8", xml_declaration=True)
        return found

    def _check_link(self, value: str, element: str) -> None:
        if value.strip().startswith("#"):
            return
        match = _DATA_URL.fullmatch(value)
        form = EMBEDDED.get(match.group(1).lower()) if match else None
        if match is None or form is None:
            raise UnreadablePictureError(
                f"refers to {value.strip()[:80]!r} (<{element}>); allowed: its own parts (#id) and embedded pictures "
                f"({', '.join(sorted(EMBEDDED))})"
            )
        is_base64 = match.group(2).lower().replace(" ", "").endswith(";base64")
        try:
            data = unquote_to_bytes(match.group(3))
            data = base64.b64decode(data) if is_base64 else data
            with Image.open(io.BytesIO(data), formats=(form,)) as image:
                self._pixels += image.width * image.height
        except (binascii.Error, OSError, ValueError, SyntaxError) as error:
            raise UnreadablePictureError(f"has an embedded picture that cannot be read: {error}") from error
        if self._pixels > self._max_pixels:
            raise UnreadablePictureError(
                f"has embedded pictures of {self._pixels / 1e6:.0f} megapixels; "
                f"allowed: at most {self._max_pixels / 1e6:g} (images.max_megapixels)"
            )


def _check_style(text: str) -> None:
    """Raise UnreadablePictureError for a style that names another file."""
    found = _FOREIGN_URL.search(text) or _IMPORT.search(text)
    if found:
        raise UnreadablePictureError(
            f"refers to {found.group()[:80]!r} in a style; allowed: its own parts (url(#id))"
        )


def _local(name: str) -> str:
    """Return an XML name without its namespace."""
    return name.rpartition("}")[2].rpartition(":")[2]


def _qualified(name: str) -> str:
    """Return a parser's `namespace}name` in ElementTree's form."""
    return "{" + name if "}" in name else name


def _run_program(document: bytes, side_px: int) -> bytes:
    """Return the PNG that the drawing program makes; raise UnreadablePictureError."""
    order = {"side": side_px, "memory": DRAW_BYTES, "seconds": DRAW_SECONDS, "fonts": packaged_files()}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", PROGRAM, json.dumps(order)],
            input=document,
            capture_output=True,
            check=False,
            timeout=DRAW_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadablePictureError(f"is not drawn after {DRAW_SECONDS} s; simplify it") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        # Python's own errors end with the reason; one that ends the process, as a lack of memory, begins with it.
        why = (
            said[-1 if done.returncode == 1 else 0][:200]
            if said
            else f"the drawing program ended with {done.returncode}"
        )
        raise UnreadablePictureError(f"cannot be drawn: {why}")
    return done.stdout
