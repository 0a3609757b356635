"""Faces of font files: their weight, metrics and coverage."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import freetype
import uharfbuzz as hb

FREETYPE_LOCK = threading.Lock()
"""Hold this around every use of `Loaded.outlines`: FreeType's faces and library are not thread-safe."""


KEPT_BYTES: Final = 64 * 2**20
"""Enough for the packaged fonts in four weights."""

MAPPED_BYTES: Final = 4 * 2**20
"""Packaged fonts of at least this size are mapped instead of read."""


class FontError(ValueError):
    """A font file that is missing or is not a font."""


@dataclass(frozen=True, slots=True)
class FontFace:
    """A face of a font file; `weight` sets the `wght` axis (1 to 1000) if the font is variable.

    A face of a file that may change is also identified by the SHA-256 of its bytes, so that nothing cached for one
    version serves another.
    """

    path: Path
    weight: int | None = None
    index: int = 0
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.weight is not None and not 1 <= self.weight <= 1000:
            raise ValueError(f"weight: got {self.weight!r}; give a number from 1 to 1000")


@dataclass(frozen=True, slots=True)
class FontStack:
    """Faces in order of preference: the first face that covers a cluster of text draws it."""

    faces: tuple[FontFace, ...]

    def __post_init__(self) -> None:
        if not self.faces:
            raise ValueError("faces: got none; give at least one face")


class Loaded:
    """An open face: HarfBuzz for shaping and metrics (in ems), FreeType for outlines."""

    __slots__ = (
        "__weakref__",
        "ascent",
        "codepoints",
        "descent",
        "has_colors",
        "hb_face",
        "hb_font",
        "is_default_instance",
        "outlines",
        "size_bytes",
        "upem",
    )

    def __init__(self, face: FontFace, data: bytes | None = None) -> None:
        # A large packaged font is mapped, so that only the glyphs in use are read.
        mapped = data is None and not face.sha256 and _is_large(face.path)
        if data is None and not mapped:
            data = _font_bytes(face)
        self.size_bytes = 2 * len(data) if data else 0  # HarfBuzz copies it
        try:
            with FREETYPE_LOCK:
                self.outlines = freetype.Face(
                    io.BytesIO(data) if data is not None else str(face.path), index=face.index
                )
        except freetype.FT_Exception as error:
            raise FontError(f"font {str(face.path)!r}, face {face.index}: not a font ({error})") from error
        if not self.outlines.is_scalable:
            raise FontError(f"font {str(face.path)!r}, face {face.index}: has no outlines")
        blob = hb.Blob(data) if data is not None else hb.Blob.from_file_path(str(face.path))
        self.hb_face = hb.Face(blob, face.index)
        self.hb_font = hb.Font(self.hb_face)
        self.upem: int = self.hb_face.upem
        self.codepoints: frozenset[int] = frozenset(self.hb_face.unicodes)
        self.has_colors: bool = self.hb_face.has_color_paint or self.hb_face.has_color_layers
        self.is_default_instance = True
        axes = self.hb_face.axis_infos
        wght = next((axis for axis in axes if axis.tag == "wght"), None)
        if wght is not None and face.weight is not None:
            value = min(max(float(face.weight), wght.min_value), wght.max_value)
            self.is_default_instance = value == wght.default_value
            self.hb_font.set_variations({"wght": value})
            with FREETYPE_LOCK:
                self.outlines.set_var_design_coords(
                    [value if axis.tag == "wght" else axis.default_value for axis in axes]
                )
        extents = self.hb_font.get_font_extents("ltr")
        self.ascent: float = extents.ascender / self.upem
        self.descent: float = -extents.descender / self.upem

    def data(self) -> bytes:
        """Return the bytes of the font file."""
        return bytes(self.hb_face.blob.data)

    def covers(self, text: str) -> bool:
        """Return whether every visible character of `text` has a glyph, composed or decomposed."""
        return any(
            all(ord(c) in self.codepoints for c in form if not is_ignorable(c))
            for form in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text))
        )

    def has_variation(self, base: str, selector: str) -> bool:
        """Return whether the font has a glyph for this base character with this variation selector."""
        return bool(self.hb_font.get_variation_glyph(ord(base), ord(selector)))


def _is_large(path: Path) -> bool:
    try:
        return path.stat().st_size >= MAPPED_BYTES
    except OSError:
        return False


def _font_bytes(face: FontFace) -> bytes:
    try:
        data = face.path.read_bytes()
    except OSError as error:
        raise FontError(f"font {str(face.path)!r} cannot be read: {error.strerror or error}") from error
    if face.sha256 and hashlib.sha256(data).hexdigest() != face.sha256:
        raise FontError(f"font {str(face.path)!r}: the file has changed since it was first read")
    return data


_loaded: WeakValueDictionary[FontFace, Loaded] = WeakValueDictionary()
_kept: OrderedDict[FontFace, Loaded] = OrderedDict()
_keeping = threading.Lock()


def load(face: FontFace, data: bytes | None = None) -> Loaded:
    """Return an opened face; `data` is the content of its file (default: it is read).

    A face stays open while anything refers to it. The latest faces stay open up to KEPT_BYTES in all.
    """
    loaded = _loaded.get(face)
    if loaded is not None:
        return loaded
    loaded = Loaded(face, data)
    with _keeping:
        _loaded[face] = _kept[face] = loaded
        while sum(kept.size_bytes for kept in _kept.values()) > KEPT_BYTES:
            _kept.popitem(last=False)
    return loaded


@lru_cache(maxsize=65536)
def ink_extent(face: FontFace, glyph_id: int) -> tuple[float, float]:
    """Return the extent of a glyph's ink above and below the baseline, in ems (both positive outwards)."""
    loaded = load(face)
    extents = loaded.hb_font.get_glyph_extents(glyph_id)
    if extents is None or extents.height == 0:
        return (-1.0, -1.0)
    return (extents.y_bearing / loaded.upem, -(extents.y_bearing + extents.height) / loaded.upem)


@lru_cache(maxsize=8192)
def is_ignorable(character: str) -> bool:
    """Return whether a character needs no glyph: a joiner, a selector, a blank."""
    code = ord(character)
    return (
        unicodedata.category(character) in ("Cf", "Zs")
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
        or code in (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164)
    )


def static_instance(face: FontFace, *, directory: Path) -> FontFace:
    """Return a static font file of a variable face at its weight, written to `directory` unless it exists.

    FFmpeg's drawtext cannot set a weight, but draws this file as `rasterise` draws the variable face. The file is named
    by its content and never half-written. For a face that is already static, return its own file.
    """
    loaded = load(face)
    if face.index == 0 and loaded.is_default_instance:
        return face
    source = (face.sha256 or hashlib.sha256(face.path.read_bytes()).hexdigest())[:16]
    target = directory / f"{face.path.stem.split('[')[0]}-{face.weight}-{face.index}-{source}.ttf"
    if not target.exists():
        request = hb.SubsetInput()
        request.keep_everything()
        for axis in loaded.hb_face.axis_infos:
            if axis.tag == "wght" and face.weight is not None:
                value = min(max(float(face.weight), axis.min_value), axis.max_value)
                request.pin_axis_location(loaded.hb_face, "wght", value)
            else:
                request.pin_axis_to_default(loaded.hb_face, axis.tag)
        directory.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=directory, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(request.subset(loaded.hb_face).blob.data)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    return replace(face, path=target, weight=None, index=0, sha256="")
