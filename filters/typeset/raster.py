"""Draw placed glyphs: fills, strokes, shadow and box, in one picture with straight alpha."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import freetype.raw as ft
import numpy as np
import numpy.typing as npt
from freetype import (
    FT_LOAD_NO_AUTOHINT,
    FT_LOAD_NO_BITMAP,
    FT_LOAD_NO_HINTING,
    FT_RENDER_MODE_NORMAL,
    FT_STROKER_LINECAP_ROUND,
    FT_STROKER_LINEJOIN_ROUND,
    Stroker,
)
from PIL import Image, ImageFilter

from video_pipeline.filters.typeset.emoji import Painted, paint_glyph
from video_pipeline.filters.typeset.face import FREETYPE_LOCK, FontFace, load
from video_pipeline.filters.typeset.layout import TextLayout
from video_pipeline.filters.typeset.style import Box, Color

Coverage = npt.NDArray[np.uint8]
"""Rows of coverage, 0 (outside) to 255 (inside)."""

BAND_ROWS: Final = 48
"""Rows that are composited at once: few enough for a processor's cache."""

_SUBPIXELS: Final = 4  # glyphs are placed on quarters of a pixel horizontally, as in drawtext

_REMEMBERED_PX: Final = 160
"""Larger glyphs are drawn each time: a thousand of them would take half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Raster:
    """An RGBA picture (straight alpha) and its position relative to the layout's top-left corner."""

    image: Image.Image
    left_px: int
    top_px: int


class _Mask(NamedTuple):
    left: int
    top: int
    coverage: Coverage


class _Frame(NamedTuple):
    """A rectangle of whole pixels, half-open."""

    left: int
    top: int
    right: int
    bottom: int

    def grown(self, amount: int) -> _Frame:
        return _Frame(self.left - amount, self.top - amount, self.right + amount, self.bottom + amount)

    def moved(self, dx: int, dy: int) -> _Frame:
        return _Frame(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)


def rasterise(layout: TextLayout) -> Raster:
    """Paint a layout: box, shadow, strokes, then fills, so that no stroke covers the fill of another glyph.

    Colour glyphs come last and have a shadow but no stroke. The picture is cropped to its visible part. Transparent pixels have the colour of the outermost layer, so that
    scaling and chroma subsampling make no dark fringe. An empty layout gives one transparent pixel.
    """
    style = layout.style
    painted, layout = _paint_emoji(layout)
    pictures = [_Mask(left, top, rgba[..., 3]) for left, top, rgba in painted]
    fills = _masks(layout, stroke_px=0.0)
    strokes = _masks(layout, stroke_px=style.stroke_px) if style.stroke_px > 0 else []
    ink = _bounds([*fills, *strokes, *pictures])
    if ink is None:
        return Raster(Image.new("RGBA", (1, 1), (*style.color[:3], 0)), 0, 0)
    frames = [ink]
    shadow = style.shadow
    reach_px = math.ceil(1.5 * shadow.blur_px) + 1 if shadow else 0
    if shadow:
        frames.append(ink.moved(shadow.dx_px, shadow.dy_px).grown(reach_px))
    if style.box:
        frames.append(_Frame(0, 0, layout.width_px, layout.height_px).grown(style.box.padding_px))
    frame = _union(frames)

    fill = _blit(fills, frame)
    outline = np.maximum(_blit(strokes, frame), fill) if strokes else fill
    layers: list[tuple[Coverage, Color]] = []
    if style.box:
        layers.append((_box_coverage(layout, style.box, frame), style.box.color))
    if shadow:
        cast = _blit([*(strokes or fills), *pictures], _Frame(*frame).moved(-shadow.dx_px, -shadow.dy_px))
        if shadow.blur_px > 0:
            blurred = Image.fromarray(cast).filter(ImageFilter.GaussianBlur(shadow.blur_px / 2))
            cast = np.asarray(blurred)
        layers.append((cast, shadow.color))
    if strokes:
        layers.append((outline, style.stroke_color))
    layers.append((fill, style.color))
    return _cropped(_over(layers, _paste(painted, frame, opacity=style.color[3] / 255)), frame)


def rasterise_box(layout: TextLayout) -> Raster:
    """Paint only the box behind a layout; return one transparent pixel if its style has none."""
    box = layout.style.box
    if box is None or not layout.text_lines:
        return Raster(Image.new("RGBA", (1, 1), (*layout.style.color[:3], 0)), 0, 0)
    frame = _Frame(0, 0, layout.width_px, layout.height_px).grown(box.padding_px)
    return _cropped(_over([(_box_coverage(layout, box, frame), box.color)]), frame)


def _paint_emoji(layout: TextLayout) -> tuple[list[Painted], TextLayout]:
    """Return the painted colour glyphs of a layout, at whole pixels, and the layout without them."""
    painted: list[Painted] = []
    others = []
    for glyph in layout.glyphs:
        picture = paint_glyph(glyph.face, glyph.glyph_id, size_px=layout.size_px, color=layout.style.color)
        if picture is None:
            others.append(glyph)
        else:
            left, top = round(glyph.x_px) + picture.left, round(glyph.y_px) + picture.top
            painted.append(Painted(left, top, picture.rgba))
    return painted, replace(layout, glyphs=tuple(others)) if painted else layout


def _paste(painted: Iterable[Painted], frame: _Frame, *, opacity: float) -> npt.NDArray[np.float32] | None:
    """Return painted glyphs on one canvas, premultiplied, 0 to 255; None if there are none."""
    canvas: npt.NDArray[np.float32] | None = None
    for left, top, rgba in painted:
        if canvas is None:
            canvas = np.zeros((frame.bottom - frame.top, frame.right - frame.left, 4), np.float32)
        height, width = rgba.shape[:2]
        x, y = left - frame.left, top - frame.top
        place = canvas[y : y + height, x : x + width]
        place *= 1 - rgba[..., 3:] * np.float32(opacity / 255)
        place += rgba * np.float32(opacity)
    return canvas


def _masks(layout: TextLayout, *, stroke_px: float) -> list[_Mask]:
    masks = []
    draw = _glyph_mask if layout.size_px <= _REMEMBERED_PX else _glyph_mask.__wrapped__
    for glyph in layout.glyphs:
        quarters = round(glyph.x_px * _SUBPIXELS)
        mask = draw(glyph.face, glyph.glyph_id, layout.size_px, quarters % _SUBPIXELS, stroke_px)
        if mask is not None:
            masks.append(
                _Mask(mask.left + quarters // _SUBPIXELS, mask.top + round(glyph.y_px), mask.coverage)
            )
    return masks


@lru_cache(maxsize=1024)
def _glyph_mask(face: FontFace, glyph_id: int, size_px: int, quarter: int, stroke_px: float) -> _Mask | None:
    """Draw one glyph with its origin at (quarter / 4, 0), widened by a round stroke; return None if it has no ink."""
    outlines = load(face).outlines  # opened before the lock is taken, because opening a face takes it too
    with FREETYPE_LOCK:
        outlines.set_pixel_sizes(0, size_px)
        try:
            outlines.load_glyph(glyph_id, FT_LOAD_NO_HINTING | FT_LOAD_NO_AUTOHINT | FT_LOAD_NO_BITMAP)
        except ft.FT_Exception:
            return None  # a glyph without outlines, such as a colour bitmap
        glyph = ft.FT_Glyph()
        _check_freetype(ft.FT_Get_Glyph(outlines.glyph._FT_GlyphSlot, ctypes.byref(glyph)))
        try:
            if stroke_px > 0:
                stroker = Stroker()
                radius = round(stroke_px * 64)
                stroker.set(radius, FT_STROKER_LINECAP_ROUND, FT_STROKER_LINEJOIN_ROUND, 0)
                _check_freetype(
                    ft.FT_Glyph_StrokeBorder(ctypes.byref(glyph), stroker._FT_Stroker, False, True)
                )
            origin = ft.FT_Vector(quarter * 64 // _SUBPIXELS, 0)
            _check_freetype(
                ft.FT_Glyph_To_Bitmap(ctypes.byref(glyph), FT_RENDER_MODE_NORMAL, ctypes.byref(origin), True)
            )
            drawn = ctypes.cast(glyph, ft.FT_BitmapGlyph).contents
            return _copied(drawn)
        finally:
            ft.FT_Done_Glyph(glyph)


def _copied(drawn: Any) -> _Mask | None:
    bitmap = drawn.bitmap
    if bitmap.width == 0 or bitmap.rows == 0:
        return None
    data = ctypes.string_at(bitmap.buffer, bitmap.rows * bitmap.pitch)
    rows = np.frombuffer(data, np.uint8).reshape(bitmap.rows, bitmap.pitch)[:, : bitmap.width]
    return _Mask(drawn.left, -drawn.top, rows)


def _check_freetype(error: int) -> None:
    if error:
        raise ft.FT_Exception(error)


def _bounds(masks: Iterable[_Mask]) -> _Frame | None:
    frames = [_Frame(m.left, m.top, m.left + m.coverage.shape[1], m.top + m.coverage.shape[0]) for m in masks]
    return _union(frames) if frames else None


def _union(frames: list[_Frame]) -> _Frame:
    lefts, tops, rights, bottoms = zip(*frames, strict=True)
    return _Frame(min(lefts), min(tops), max(rights), max(bottoms))


def _blit(masks: Iterable[_Mask], frame: _Frame) -> Coverage:
    """Combine masks on one canvas; overlaps have the greater coverage, so that joins do not darken."""
    canvas = np.zeros((frame.bottom - frame.top, frame.right - frame.left), np.uint8)
    for left, top, coverage in masks:
        height, width = coverage.shape
        x, y = left - frame.left, top - frame.top
        place = canvas[y : y + height, x : x + width]
        np.maximum(place, coverage, out=place)
    return canvas


def _box_coverage(layout: TextLayout, box: Box, frame: _Frame) -> Coverage:
    """Return the coverage of a rounded rectangle, from the signed distance to its edge."""
    half_w = layout.width_px / 2 + box.padding_px
    half_h = layout.height_px / 2 + box.padding_px
    radius = min(box.radius_px, half_w, half_h)
    x = np.arange(frame.left, frame.right, dtype=np.float32) + 0.5 - layout.width_px / 2
    y = np.arange(frame.top, frame.bottom, dtype=np.float32) + 0.5 - layout.height_px / 2
    qx = (np.abs(x) - half_w + radius)[None, :]
    qy = (np.abs(y) - half_h + radius)[:, None]
    distance = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - radius
    coverage: Coverage = (np.clip(0.5 - distance, 0, 1) * 255 + 0.5).astype(np.uint8)
    return coverage


def _over(
    layers: list[tuple[Coverage, Color]], top: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.uint8]:
    """Composite layers from the bottom up with the over operator; return RGBA rows with straight alpha.

    `top` is a premultiplied picture, 0 to 255, over all of them.
    """
    shape = layers[0][0].shape
    rgba = np.empty((*shape, 4), np.uint8)
    for start in range(0, shape[0], BAND_ROWS):
        rows = slice(start, start + BAND_ROWS)
        band = [(coverage[rows], color) for coverage, color in layers]
        _composite(band, None if top is None else top[rows], into=rgba[rows])
    return rgba


def _composite(
    layers: list[tuple[Coverage, Color]], top: npt.NDArray[np.float32] | None, *, into: npt.NDArray[np.uint8]
) -> None:
    """Composite rows as `_over` says."""
    alpha = np.zeros(layers[0][0].shape, np.float32)
    planes = [np.zeros(alpha.shape, np.float32) for _ in range(3)]
    for coverage, color in layers:
        added = coverage.astype(np.float32) * (color[3] / (255 * 255))
        kept = 1 - added
        planes = [
            plane * kept + added * np.float32(value) for plane, value in zip(planes, color, strict=False)
        ]
        alpha = alpha * kept + added
    if top is not None:
        over = top[..., 3] / np.float32(255)
        planes = [plane * (1 - over) + top[..., number] for number, plane in enumerate(planes)]
        alpha = alpha * (1 - over) + over
    visible = alpha > 0
    divisor = np.where(visible, alpha, 1)
    for number, plane in enumerate(planes):
        straight = np.minimum(plane / divisor + 0.5, 255)
        into[..., number] = np.where(visible, straight, layers[0][1][number])
    into[..., 3] = alpha * 255 + 0.5


def _cropped(rgba: npt.NDArray[np.uint8], frame: _Frame) -> Raster:
    rows = np.flatnonzero(rgba[..., 3].any(axis=1))
    columns = np.flatnonzero(rgba[..., 3].any(axis=0))
    if rows.size == 0:
        return Raster(Image.fromarray(rgba[:1, :1]), frame.left, frame.top)
    top, left = int(rows[0]), int(columns[0])
    cut = np.ascontiguousarray(rgba[top : rows[-1] + 1, left : columns[-1] + 1])
    return Raster(Image.fromarray(cut), frame.left + left, frame.top + top)
