"""The stage a background is drawn on: its size, its palette and its named random streams.

Lengths are in *units*: 1 unit is the shorter side of the picture. So a 9:16 picture is 1 unit wide and
1.78 units high, and the same drawing code serves every size and aspect. Pictures are planar float32
arrays of shape (3, height_px, width_px), display-referred sRGB in 0..1: NumPy broadcasts over planes
several times faster than over interleaved pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .palettes import Palette

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The canvas of one picture; `width` and `height` are in units, other names give their unit."""

    width_px: int
    height_px: int
    width: float
    height: float
    palette: Palette
    key: str
    light_key: str = ""
    """The key of the random stream that places the light, if several pictures share it."""
    overcast: float = 0.0
    """How much of the sky is covered: 0 leaves it as its style has it, 1 hides its light."""
    snow: float = 0.0
    """How much of the ground is covered with snow."""

    @classmethod
    def of(cls, *, size_px: tuple[int, int], palette: Palette, key: str, light_key: str = "") -> Stage:
        """Make the stage of a picture of `size_px` (width, height)."""
        width_px, height_px = size_px
        unit_px = min(size_px)
        return cls(
            width_px=width_px,
            height_px=height_px,
            width=width_px / unit_px,
            height=height_px / unit_px,
            palette=palette,
            key=key,
            light_key=light_key,
        )

    @property
    def unit_px(self) -> float:
        """Pixels in one unit."""
        return self.width_px / self.width

    @property
    def columns(self) -> Array:
        """Pixel centres along x in units, shape (1, width_px)."""
        step = self.width / self.width_px
        return ((np.arange(self.width_px, dtype=np.float32) + 0.5) * step)[None, :]

    @property
    def rows(self) -> Array:
        """Pixel centres along y in units, downward, shape (height_px, 1)."""
        step = self.height / self.height_px
        return ((np.arange(self.height_px, dtype=np.float32) + 0.5) * step)[:, None]

    def coarse(self, unit_px: int = 320) -> Stage:
        """Return the same stage with at most `unit_px` pixels a unit, for fields without sharp edges."""
        scale = min(1.0, unit_px / self.unit_px)
        return replace(
            self,
            width_px=max(1, round(self.width_px * scale)),
            height_px=max(1, round(self.height_px * scale)),
        )

    def patch(self, *, width_px: int, height_px: int) -> Stage:
        """Return a small stage of pixels of the same size, for the texture of one object."""
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            width=width_px / self.unit_px,
            height=height_px / self.unit_px,
        )

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the random stream of one purpose; draws for one purpose do not change the others."""
        key = self.light_key if purpose == "light" and self.light_key else self.key
        digest = hashlib.sha256(f"{key}|{purpose}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))

    def side(self) -> float:
        """Return the side on which the light is: -1 left, 1 right."""
        return 1.0 if self.rng("light").random() < 0.5 else -1.0

    def row_px(self, y: float) -> int:
        """Return the pixel row at `y` units, held inside 0..height_px."""
        return min(self.height_px, max(0, int(y / self.height * self.height_px)))
