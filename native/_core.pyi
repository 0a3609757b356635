"""Types of the native extension module; see native/*.cpp."""

import numpy as np
from numpy.typing import NDArray

MAX_STEP: float
"""Largest step of `resample`, in source pixels for each output pixel; the taps cover no more."""

FEWEST_TAPS_STEP: float
"""Largest step at which the kernels use four taps."""

_Plane = NDArray[np.uint8]
_Frame = tuple[_Plane, _Plane, _Plane]

class Overlay:
    """A picture with transparency, converted to premultiplied luma and chroma planes."""

    def __init__(self, rgba: _Plane) -> None: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def planes(
        self, *, x_odd: bool = ..., y_odd: bool = ...
    ) -> tuple[_Plane, NDArray[np.int8], NDArray[np.int8], _Plane, _Plane]: ...

class FrameGrade:
    """A 3D LUT, shape (blue, green, red, 3) with values from 0 to 1, for frames of BT.709, limited range.

    Threads may share it. It has 4 MB of new levels.
    """

    def __init__(self, table: NDArray[np.float64]) -> None: ...
    def apply(self, source: _Frame, target: _Frame) -> None:
        """Grade a frame into another one of its size."""

class CudaPlan:
    """The frames of a launch of the CUDA kernels; see native/cuda/plan.h. Addresses are of the GPU's memory.

    `memory` is the host's copy of what lies at `address` when the kernels run; `launches` completes it. A plan that
    does not fit raises ValueError.
    """

    def __init__(self, memory: _Plane, *, address: int, width: int, height: int) -> None: ...
    @staticmethod
    def frame_bytes(*, width: int, height: int, layers: int) -> int: ...
    def clear(self) -> None: ...
    def begin(self, *, target: int, stride: int, interleaved: bool) -> None: ...
    def still(
        self,
        planes: int,
        *,
        width: int,
        height: int,
        left: float,
        top: float,
        step_x: float,
        step_y: float,
        fade: float = ...,
    ) -> None: ...
    def copy(self, planes: int, *, fade: float = ...) -> None: ...
    def transition(self, name: str, progress: float, *, scratch: int) -> None: ...
    def layer(
        self,
        packed: int,
        overlay: Overlay,
        *,
        x: int,
        y: int,
        opacity: float = ...,
        part: tuple[int, int, int, int] | None = ...,
    ) -> None: ...
    def end(self) -> None: ...
    def launches(self) -> list[tuple[str, tuple[int, int, int], int]]: ...
    @property
    def used_bytes(self) -> int: ...

def pack_overlay(overlay: Overlay, *, x_odd: bool, y_odd: bool) -> NDArray[np.uint8]:
    """Return the planes of an overlay for one parity of its place, as CudaPlan.layer expects them in the GPU."""

def usable_targets() -> list[str]: ...
def active_target() -> str: ...
def force_target(name: str) -> None: ...
def resample(
    source: _Plane, target: _Plane, *, left: float, top: float, step_x: float, step_y: float
) -> None: ...
def resample_frame(
    source: _Frame, target: _Frame, *, left: float, top: float, step_x: float, step_y: float
) -> None: ...
def fade(target: _Frame, *, amount: float, level: str = ...) -> None: ...
def rgb_to_yuv(rgb: _Plane, target: _Frame) -> None: ...
def blend(
    target: _Frame,
    overlay: Overlay,
    *,
    x: int,
    y: int,
    opacity: float = ...,
    part: tuple[int, int, int, int] | None = ...,
) -> None: ...
def transition(name: str, progress: float, first: _Frame, second: _Frame, target: _Frame) -> None: ...
def transition_records() -> list[tuple[str, str]]: ...
