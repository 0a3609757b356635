"""Read overlay pictures from files, and scale or move them by fractions of a pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from video_pipeline.engine.render.captions.draw import CaptionPiece

Rgba = npt.NDArray[np.uint8]
"""Rows of red, green, blue and straight alpha, shape (height, width, 4)."""

_MARGIN_PX = 2
"""Transparent margin in pixels around a picture that moves by fractions of a pixel."""


def read_rgba(path: Path) -> Rgba:
    """Return the pixels of a picture file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


def pieced(parts: Sequence[tuple[Rgba, tuple[int, int, int, int] | None]]) -> Rgba:
    """Return one picture of parts (left, top, width, height) of several of one size; None is a whole picture."""
    if len(parts) == 1 and parts[0][1] is None:
        return parts[0][0]
    canvas = np.zeros_like(parts[0][0])
    for rgba, part in parts:
        left, top, width, height = part or (0, 0, rgba.shape[1], rgba.shape[0])
        place = np.s_[top : top + height, left : left + width]
        canvas[place] = rgba[place]
    return canvas


@dataclass(frozen=True, slots=True)
class Placing:
    """The placement of a picture on a frame: scaled by `scale` about its middle, then moved down by `down_px`."""

    width_px: int
    height_px: int
    x_px: int
    y_px: int
    scale: float = 1.0
    down_px: float = 0.0

    @classmethod
    def of(cls, piece: CaptionPiece, size_px: tuple[int, int]) -> Placing:
        """Return the placement of a caption piece."""
        return cls(*size_px, piece.x_px, piece.y_px, piece.scale, piece.rise_px)

    @property
    def still(self) -> bool:
        """Whether the picture is drawn unscaled at its own position."""
        return self.scale == 1 and self.down_px == 0

    def x(self, at: float) -> float:
        """Return the x on the frame of column `at` of the picture, in pixels."""
        return self.x_px + self.width_px / 2 + self.scale * (at - self.width_px / 2)

    def y(self, at: float) -> float:
        """Return the y on the frame of row `at` of the picture, in pixels."""
        return self.y_px + self.height_px / 2 + self.scale * (at - self.height_px / 2) + self.down_px

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The bounding box on the frame in whole pixels: left, top, right, bottom."""
        return (
            math.floor(self.x(0)),
            math.floor(self.y(0)),
            math.ceil(self.x(self.width_px)),
            math.ceil(self.y(self.height_px)),
        )

    def drawn(self, rgba: Rgba) -> Rgba:
        """Return the pixels of `box`: the picture resampled by Lanczos, its colours weighted by their opacity."""
        if self.still:
            return rgba
        left, top, right, bottom = self.box
        canvas = Image.fromarray(np.pad(rgba, ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0))))

        def source(at: int, origin: float) -> float:
            return (at - origin) / self.scale + _MARGIN_PX

        area = (
            max(0.0, source(left, self.x(0))),
            max(0.0, source(top, self.y(0))),
            min(float(canvas.width), source(right, self.x(0))),
            min(float(canvas.height), source(bottom, self.y(0))),
        )
        size = (right - left, bottom - top)
        scaled = canvas.convert("RGBa").resize(size, Image.Resampling.LANCZOS, box=area)
        return np.asarray(scaled.convert("RGBA"))
