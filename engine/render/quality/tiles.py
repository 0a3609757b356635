"""Tiles of a frame, more of them where there is more to lose, and the small picture that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.render.planes import Buffer, new_frame, planes_of

Luma = npt.NDArray[np.uint8]

TILE_PX: Final = 64
UNIT_PX: Final = 16
"""Sides of tiles are multiples of a macroblock, which is also what `detail` needs at its coarsest scale."""

SHARE: Final = 0.06
"""Share of a frame that is in tiles."""

LEAST_TILES: Final = 8
STEP: Final = 4
"""Only every fourth row and column is read to decide where the tiles are."""

EDGES, INFORMATION, EVEN = 0.5, 0.3, 0.2
"""What decides where tiles are: cubes of differences, as in ADM; logarithms of variances, as in VIF; area."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Equal rectangles of a frame by their corners (left, top), and for how many rectangles of the frame each stands."""

    tile_px: tuple[int, int]
    corners: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of the mosaic; its last places repeat the first tiles."""
        columns = max(1, round(len(self.corners) ** 0.5))
        return columns, -(-len(self.corners) // columns)

    @property
    def mosaic_px(self) -> tuple[int, int]:
        """Width and height of the mosaic."""
        return self.grid[0] * self.tile_px[0], self.grid[1] * self.tile_px[1]

    def mosaic(self, frame: Buffer) -> Buffer:
        """Return the tiles of a frame side by side, as a small frame; both are stacked planes Y, U, V."""
        small = new_frame(*self.mosaic_px)
        columns, rows = self.grid
        for into, plane, part in zip(planes_of(small), planes_of(frame), (1, 2, 2), strict=True):
            width, height = self.tile_px[0] // part, self.tile_px[1] // part
            for place in range(columns * rows):
                left, top = self.corners[place % len(self.corners)]
                x, y = place % columns * width, place // columns * height
                into[y : y + height, x : x + width] = plane[
                    top // part : top // part + height, left // part : left // part + width
                ]
        return small

    def of_mosaic(self, luma: Luma) -> npt.NDArray[np.float32]:
        """Return the tiles in a mosaic's luma, shape (tiles, height, width)."""
        (width, height), (columns, rows) = self.tile_px, self.grid
        apart = luma.reshape(rows, height, columns, width).swapaxes(1, 2)
        return apart.reshape(-1, height, width)[: len(self.corners)].astype(np.float32)


def choose_tiles(luma: Luma, *, share: float = SHARE) -> Tiles:
    """Return tiles that cover about a share of a frame with this luma; one of nearly the whole frame if it is small.

    They are a systematic sample along a line that winds through the frame, each with a probability in proportion to what
    it holds. M. H. Hansen and W. N. Hurwitz, "On the theory of sampling from finite populations", 1943.
    """
    height, width = luma.shape
    down, across = height // TILE_PX, width // TILE_PX
    count = max(LEAST_TILES, round(share * height * width / TILE_PX**2))
    if count * 2 > down * across:
        whole = width // UNIT_PX * UNIT_PX, height // UNIT_PX * UNIT_PX
        return Tiles(whole, ((0, 0),), (height * width / (whole[0] * whole[1]),))
    sizes = _sizes(luma[: down * TILE_PX : STEP, : across * TILE_PX : STEP].astype(np.float32), down, across)
    sizes[1::2] = sizes[1::2, ::-1]
    chances = sizes.ravel() / sizes.sum() * count
    at = np.searchsorted(np.cumsum(chances), np.arange(count) + 0.5)
    places, times = np.unique(np.minimum(at, down * across - 1), return_counts=True)
    corners = []
    for place in places.tolist():
        row, column = divmod(place, across)
        corners.append(((across - 1 - column if row % 2 else column) * TILE_PX, row * TILE_PX))
    return Tiles((TILE_PX, TILE_PX), tuple(corners), tuple((times / chances[places]).tolist()))


def _sizes(luma: npt.NDArray[np.float32], down: int, across: int) -> npt.NDArray[np.float64]:
    """Return how much each square holds of a luma of every STEP-th pixel, in shares of the whole."""
    steep = np.zeros_like(luma)
    steep[:, 1:] = np.abs(luma[:, 1:] - luma[:, :-1]) ** 3
    steep[1:] += np.abs(luma[1:] - luma[:-1]) ** 3
    blocks = luma.reshape(luma.shape[0] // 4, 4, luma.shape[1] // 4, 4)
    information = np.log2(1 + blocks.var((1, 3)) / 2)

    def shares(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        side = values.shape[0] // down
        sums = values.reshape(down, side, across, side).sum((1, 3), dtype=np.float64)
        parts: npt.NDArray[np.float64] = sums / max(sums.sum(), 1e-9)
        return parts

    sizes: npt.NDArray[np.float64] = (
        EDGES * shares(steep) + INFORMATION * shares(information) + EVEN / (down * across)
    )
    return sizes
