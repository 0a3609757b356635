"""Random valid calls of the native kernels: odd sizes, strides and positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from video_pipeline.native import _core as core

Array = npt.NDArray[Any]
Rng = np.random.Generator

NAMES = [name for name, _ in core.transition_records()]


class Room:
    """A picture inside a larger array: contiguous, with margins, upside down, or on every second row."""

    def __init__(self, rng: Rng, height: int, width: int, *channels: int) -> None:
        step = int(rng.choice([1, 1, -1, 2, -2]))
        margins = np.where(rng.random(4) < 0.5, 0, rng.integers(1, 40, 4)).tolist()
        above, below, left, right = margins
        rows = (height - 1) * abs(step) + 1
        self.around = rng.integers(0, 256, (above + rows + below, left + width + right, *channels), np.uint8)
        if rng.random() < 0.3:
            self.around[:] = rng.choice([0, 255, 128], self.around.shape)
        if step > 0:
            down = slice(above, above + rows, step)
        else:
            down = slice(above + rows - 1, above - 1 if above else None, step)
        self._place = (down, slice(left, left + width))
        self._before = self.around.copy()

    @property
    def view(self) -> Array:
        """The picture itself."""
        return self.around[self._place]

    def reset(self) -> None:
        """Restore the original bytes."""
        self.around[:] = self._before

    def check(self, *, drawn: bool) -> None:
        """Raise if bytes around the picture changed; unless `drawn`, also if any byte of it did."""
        expected = self._before.copy()
        if drawn:
            expected[self._place] = self.view
        assert np.array_equal(self.around, expected), "bytes that are not the target's were written"


@dataclass(frozen=True, slots=True)
class Call:
    """A valid call of a kernel, with the pictures that it writes and those that it reads."""

    kernel: str
    arguments: dict[str, Any]
    targets: tuple[Room, ...]
    sources: tuple[Room, ...]

    def run(self) -> None:
        """Call it."""
        getattr(core, self.kernel)(**self.arguments)

    def reset(self) -> None:
        """Restore the original bytes of the targets."""
        for room in self.targets:
            room.reset()

    def check(self, *, drawn: bool) -> None:
        """Raise if the call wrote outside its targets."""
        for room in self.targets:
            room.check(drawn=drawn)
        for room in self.sources:
            room.check(drawn=False)

    def drawn(self) -> list[Array]:
        """Return copies of the targets' contents."""
        return [room.view.copy() for room in self.targets]


def describe(value: Any) -> str:
    """Return a short description of an argument."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape} strides {value.strides}"
    if isinstance(value, tuple):
        return "(" + ", ".join(describe(item) for item in value) + ")"
    return repr(value)[:60]


def describe_call(call: Call) -> str:
    """Return the call as one line of text."""
    return f"{call.kernel}({', '.join(f'{key}={describe(value)}' for key, value in call.arguments.items())})"


def size(rng: Rng) -> tuple[int, int]:
    """Return rows and columns: 1 to 130, sometimes a long thin picture."""
    height, width = (int(n) for n in rng.integers(1, 131, 2))
    if rng.random() < 0.06:
        height, width = int(rng.integers(1, 4)), int(rng.choice([1023, 1024, 1025, 5001, 16384]))
        if rng.random() < 0.5:
            height, width = width, height
    return height, width


def frame(rng: Rng, height: int, width: int) -> tuple[Room, Room, Room]:
    """Y, U and V."""
    half = ((height + 1) // 2, (width + 1) // 2)
    return Room(rng, height, width), Room(rng, *half), Room(rng, *half)


def views(rooms: tuple[Room, ...]) -> tuple[Array, ...]:
    """Return three planes as arrays, the form that kernels accept."""
    return tuple(room.view for room in rooms)


def share(rng: Rng) -> float:
    """Return a number from 0 to 1, often 0 or 1 or close to it."""
    ends = [0.0, 1.0, 0.5, 5e-324, 1e-7, float(np.nextafter(1, 0)), float(np.nextafter(0.5, 1))]
    return float(rng.choice(ends)) if rng.random() < 0.4 else float(rng.random())


def place(rng: Rng) -> float:
    """Return a position for `resample`, inside or far outside the picture."""
    kinds = [
        rng.uniform(-200, 200),
        float(rng.integers(-99, 99)),
        rng.uniform(-1, 1) * 1e6,
        -999999.99,
        999999.99,
    ]
    return float(rng.choice(kinds))


def step(rng: Rng) -> float:
    """Return a step for `resample`."""
    return float(rng.choice([rng.uniform(0.01, 2), 1.0, 2.0, 1.5, float(np.nextafter(2, 0)), 1e-9, 5e-324]))


def rectangle(rng: Rng) -> dict[str, float]:
    """Return a call that resamples a part of a source."""
    return {"left": place(rng), "top": place(rng), "step_x": step(rng), "step_y": step(rng)}


def resample(rng: Rng) -> Call:
    """One plane."""
    source, target = Room(rng, *size(rng)), Room(rng, *size(rng))
    arguments = {"source": source.view, "target": target.view, **rectangle(rng)}
    return Call("resample", arguments, (target,), (source,))


def resample_frame(rng: Rng) -> Call:
    """Three planes."""
    source, target = frame(rng, *size(rng)), frame(rng, *size(rng))
    arguments = {"source": views(source), "target": views(target), **rectangle(rng)}
    return Call("resample_frame", arguments, target, source)


def fade(rng: Rng) -> Call:
    """Return a call that fades to black or white."""
    target = frame(rng, *size(rng))
    arguments = {"target": views(target), "amount": share(rng), "level": str(rng.choice(["black", "white"]))}
    return Call("fade", arguments, target, ())


def rgb_to_yuv(rng: Rng) -> Call:
    """Return a call that converts an RGB picture to a frame."""
    shape = size(rng)
    rgb, target = Room(rng, *shape, 3), frame(rng, *shape)
    return Call("rgb_to_yuv", {"rgb": rgb.view, "target": views(target)}, target, (rgb,))


def blend(rng: Rng) -> Call:
    """Return a call that blends an overlay or a part of it, at any position."""
    target, rgba = frame(rng, *size(rng)), Room(rng, *size(rng), 4)
    overlay = core.Overlay(rgba.view)
    overlay.planes(x_odd=bool(rng.random() < 0.5), y_odd=bool(rng.random() < 0.5))
    height, width = target[0].view.shape
    x, y = (
        int(rng.integers(-overlay.width - 3, width + 4)),
        int(rng.integers(-overlay.height - 3, height + 4)),
    )
    if rng.random() < 0.2:
        x = int(rng.choice([0, -1000000, 1000000]))
    if rng.random() < 0.1:
        y = int(rng.choice([0, -1000000, 1000000]))
    part = None
    if rng.random() < 0.5:
        left, top = int(rng.integers(0, overlay.width + 1)), int(rng.integers(0, overlay.height + 1))
        across, down = rng.integers(0, overlay.width - left + 1), rng.integers(0, overlay.height - top + 1)
        part = (left, top, int(across), int(down))
    arguments = {
        "target": views(target),
        "overlay": overlay,
        "x": x,
        "y": y,
        "opacity": share(rng),
        "part": part,
    }
    return Call("blend", arguments, target, (rgba,))


def transition(rng: Rng) -> Call:
    """Return a call of any kernel."""
    shape = size(rng)
    first, second, target = (frame(rng, *shape) for _ in range(3))
    arguments = {
        "name": str(rng.choice(NAMES)),
        "progress": share(rng),
        "first": views(first),
        "second": views(second),
        "target": views(target),
    }
    return Call("transition", arguments, target, (*first, *second))


MAKERS: list[Callable[[Rng], Call]] = [
    resample,
    resample_frame,
    fade,
    rgb_to_yuv,
    blend,
    transition,
    transition,
]
