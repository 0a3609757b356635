"""Frames drawn by the CUDA kernels, which were compiled as C++, and by the native rows."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from video_pipeline.engine.render.planes import Buffer, Planes
from video_pipeline.native import kernels

LAYERS = 32
"""The most layers of a test's frame."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """The compiled kernels; the GPU's memory is this process's."""

    compiled: ctypes.CDLL

    @classmethod
    def load(cls, path: Path) -> Kernels:
        """Load the library."""
        return cls(ctypes.CDLL(str(path)))

    def run(self, plan: kernels.CudaPlan) -> None:
        """Run a plan's launches, in order."""
        for name, grid, frames in plan.launches():
            call = getattr(self.compiled, f"launch_{name}")
            call.argtypes = [ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint64]
            call(*grid, frames)


def half(size: int) -> int:
    """Return the side of a chroma plane."""
    return (size + 1) // 2


def planes_bytes(width: int, height: int) -> int:
    """Return the size of a picture's planes."""
    return width * height + 2 * half(width) * half(height)


def split(flat: Buffer, width: int, height: int) -> Planes:
    """Return views of the planes in one array."""
    luma, chroma = width * height, half(width) * half(height)
    shape = (half(height), half(width))
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(shape),
        flat[luma + chroma : luma + 2 * chroma].reshape(shape),
    )


@dataclass(frozen=True, slots=True)
class View:
    """Where a picture is resampled."""

    left: float
    top: float
    step_x: float
    step_y: float


@dataclass(frozen=True, slots=True)
class Side:
    """A picture of a frame; without a view it has the frame's size and is copied."""

    flat: Buffer
    width: int
    height: int
    view: View | None = None
    fade: float = 0.0


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture with transparency over the frame."""

    overlay: kernels.Overlay
    x: int
    y: int
    opacity: float = 1.0
    part: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that a frame shows."""

    width: int
    height: int
    sides: tuple[Side, ...]
    transition: tuple[str, float] | None = None
    layers: tuple[Layer, ...] = ()


def draw_native(drawing: Drawing) -> Planes:
    """Draw with the native rows."""

    def blank() -> Planes:
        flat = np.zeros(planes_bytes(drawing.width, drawing.height), np.uint8)
        return split(flat, drawing.width, drawing.height)

    drawn = []
    for side in drawing.sides:
        target, source = blank(), split(side.flat, side.width, side.height)
        if side.view is None:
            for to, plane in zip(target, source, strict=True):
                np.copyto(to, plane)
        else:
            view = side.view
            kernels.resample_frame(
                source, target, left=view.left, top=view.top, step_x=view.step_x, step_y=view.step_y
            )
        if side.fade:
            kernels.fade(target, amount=side.fade)
        drawn.append(target)
    target = drawn[0]
    if drawing.transition:
        target = blank()
        kernels.transition(*drawing.transition, drawn[0], drawn[1], target)
    for layer in drawing.layers:
        kernels.blend(target, layer.overlay, x=layer.x, y=layer.y, opacity=layer.opacity, part=layer.part)
    return target


@dataclass(slots=True)
class Launch:
    """Frames that one plan draws, with the memory that stands for the GPU's."""

    drawings: Sequence[Drawing]
    interleaved: bool
    stride: int
    held: list[Buffer] = field(default_factory=list)

    def draw(self, library: Kernels) -> list[Planes]:
        """Draw with the CUDA kernels."""
        first = self.drawings[0]
        width, height = first.width, first.height
        size = len(self.drawings) * kernels.CudaPlan.frame_bytes(width=width, height=height, layers=LAYERS)
        memory = self._memory(size)
        plan = kernels.CudaPlan(memory, address=memory.ctypes.data, width=width, height=height)
        targets = [self._memory(self.stride * (height + half(height)) + 64) for _ in self.drawings]
        for drawing, target in zip(self.drawings, targets, strict=True):
            self._plan(plan, drawing, target)
        library.run(plan)
        assert plan.used_bytes <= size
        return [self._planes(target, width, height) for target in targets]

    def _memory(self, size: int) -> Buffer:
        memory = np.full(size, 77, np.uint8)
        self.held.append(memory)
        return memory

    def _plan(self, plan: kernels.CudaPlan, drawing: Drawing, target: Buffer) -> None:
        plan.begin(target=target.ctypes.data, stride=self.stride, interleaved=self.interleaved)
        for side in drawing.sides:
            if side.view is None:
                plan.copy(side.flat.ctypes.data, fade=side.fade)
                continue
            view = side.view
            plan.still(
                side.flat.ctypes.data,
                width=side.width,
                height=side.height,
                left=view.left,
                top=view.top,
                step_x=view.step_x,
                step_y=view.step_y,
                fade=side.fade,
            )
        if drawing.transition:
            scratch = self._memory(2 * planes_bytes(drawing.width, drawing.height))
            plan.transition(*drawing.transition, scratch=scratch.ctypes.data)
        for layer in drawing.layers:
            packed = kernels.pack_overlay(layer.overlay, x_odd=bool(layer.x & 1), y_odd=bool(layer.y & 1))
            self.held.append(packed)
            plan.layer(
                packed.ctypes.data,
                layer.overlay,
                x=layer.x,
                y=layer.y,
                opacity=layer.opacity,
                part=layer.part,
            )
        plan.end()

    def _planes(self, target: Buffer, width: int, height: int) -> Planes:
        luma = target[: self.stride * height].reshape(height, self.stride)
        rest = target[self.stride * height :]
        assert (luma[:, width:] == 77).all(), "written beside the luma"
        rows, columns = half(height), half(width)
        if self.interleaved:
            chroma = rest[: self.stride * rows].reshape(rows, self.stride)
            assert (chroma[:, 2 * columns :] == 77).all(), "written beside the chroma"
            assert (rest[self.stride * rows :] == 77).all(), "written after the frame"
            return luma[:, :width], chroma[:, 0 : 2 * columns : 2], chroma[:, 1 : 2 * columns : 2]
        stride = half(self.stride)
        u, v = (
            rest[index * stride * rows : (index + 1) * stride * rows].reshape(rows, stride)
            for index in range(2)
        )
        return luma[:, :width], u[:, :columns], v[:, :columns]


def differing(one: Planes, other: Planes) -> int:
    """Return the number of bytes that differ."""
    return sum(int((first != second).sum()) for first, second in zip(one, other, strict=True))
