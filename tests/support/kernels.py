"""Helpers for tests of the native kernels: run every target in turn, and planes surrounded by guard bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

MISSING = "the extension native._core was not built with this installation"


class Guarded:
    """A plane of random bytes inside a larger array whose other bytes must not change."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        above, below, left, right = (int(n) for n in rng.integers(1, 40, 4))
        self.around = rng.integers(0, 256, (above + height + below, left + width + right), np.uint8)
        self._place = (slice(above, above + height), slice(left, left + width))
        self._before = self.around.copy()

    @property
    def plane(self) -> Bytes:
        """The plane itself; its stride is larger than its width."""
        return self.around[self._place]

    def reset(self) -> None:
        """Bring back the bytes it was made with."""
        self.around[:] = self._before

    def check(self) -> None:
        """Raise if a byte around the plane changed."""
        expected = self._before.copy()
        expected[self._place] = self.plane
        assert np.array_equal(self.around, expected), "bytes around the target were written"


class GuardedFrame:
    """Three guarded planes of one 4:2:0 frame."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        half = ((height + 1) // 2, (width + 1) // 2)
        self._guarded = [Guarded(rng, *shape) for shape in ((height, width), half, half)]

    @property
    def planes(self) -> tuple[Bytes, Bytes, Bytes]:
        """Y, U and V, as views."""
        y, u, v = (guarded.plane for guarded in self._guarded)
        return y, u, v

    def copies(self) -> tuple[Bytes, Bytes, Bytes]:
        """Return copies of Y, U and V."""
        y, u, v = (guarded.plane.copy() for guarded in self._guarded)
        return y, u, v

    def reset(self) -> None:
        """Bring back the bytes it was made with."""
        for guarded in self._guarded:
            guarded.reset()

    def check(self) -> None:
        """Raise if a byte around any plane changed."""
        for guarded in self._guarded:
            guarded.check()


@contextmanager
def forced(core: Any, name: str) -> Iterator[None]:
    """Use one target inside the `with` block, and the best one again after it."""
    core.force_target(name)
    try:
        yield
    finally:
        core.force_target("auto")


def draw_on_every_target(core: Any, guarded: Guarded | GuardedFrame, draw: Callable[[], None]) -> list[Bytes]:
    """Draw with each target, assert that the results are identical, and return the planes."""
    first: list[Bytes] = []
    for name in core.usable_targets():
        guarded.reset()
        with forced(core, name):
            draw()
        guarded.check()
        planes = [guarded.plane] if isinstance(guarded, Guarded) else list(guarded.planes)
        if not first:
            first = [plane.copy() for plane in planes]
        for one, other in zip(first, planes, strict=True):
            assert np.array_equal(one, other), f"target {name} draws other bytes than the plainest"
    return first


def seed_of(what: str) -> int:
    """Return a new seed and print it, so that a failure can be reproduced."""
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"{what}: seed {seed}")
    return seed


def bytes_of(rng: np.random.Generator, *shape: int) -> Bytes:
    """Return random bytes; in half of the cases only 0 and 255."""
    drawn = rng.integers(0, 256, shape, np.uint8)
    return drawn if rng.random() < 0.5 else np.where(drawn > 127, 255, 0).astype(np.uint8)
