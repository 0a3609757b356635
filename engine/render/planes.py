"""Frames as planes: the views of Y, U and V in one array, in the encoder's layout; and layers over them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from video_pipeline.native import kernels

Buffer = npt.NDArray[np.uint8]

Planes = tuple[Buffer, Buffer, Buffer]
"""Y of shape (height, width), U and V of half that height and width: 4:2:0, BT.709 limited range."""


def new_frame(width_px: int, height_px: int) -> Buffer:
    """Return a frame, shape (height * 3 / 2, width), with undefined pixels; both sides are even."""
    return np.empty((height_px * 3 // 2, width_px), np.uint8)


def video_frame(array: Buffer, *, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """Return a frame over the array's own memory, or over a copy if PyAV would misplace the planes.

    `pix_fmt` is yuv420p or nv12. `VideoFrame.from_numpy_buffer` (PyAV 18) computes the height as rows // 6 * 4, which is right for multiples of four only.
    """
    if array.shape[0] % 6:
        return av.VideoFrame.from_ndarray(array, format=pix_fmt)
    return av.VideoFrame.from_numpy_buffer(array, format=pix_fmt)


def write_nv12(frame: Buffer, target: Buffer) -> None:
    """Write stacked planes Y, U, V as NV12 to an array of shape (height * 3 / 2, pitch); the pitch is even."""
    luma, u, v = planes_of(frame)
    height, width = luma.shape
    target[:height, :width] = luma
    # Little-endian pairs: twice as fast as copying every second byte.
    pairs = target[height:, :width].view("<u2")
    np.left_shift(v, 8, out=pairs, dtype=np.uint16, casting="unsafe")
    np.bitwise_or(pairs, u, out=pairs)


def planar_of(frame: Buffer, width_px: int) -> Buffer:
    """Return a copy of an NV12 frame, shape (height * 3 / 2, pitch), as stacked planes Y, U, V."""
    height = frame.shape[0] * 2 // 3
    planar = new_frame(width_px, height)
    luma, u, v = planes_of(planar)
    luma[:] = frame[:height, :width_px]
    u[:] = frame[height:, 0:width_px:2]
    v[:] = frame[height:, 1:width_px:2]
    return planar


def planes_of(frame: Buffer) -> Planes:
    """Return views of the Y, U and V planes of a frame, which are stacked in its array."""
    rows, width = frame.shape
    height = rows * 2 // 3
    flat = frame.reshape(-1)
    luma, chroma = width * height, (width // 2) * (height // 2)
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )


class Layer(NamedTuple):
    """A picture with transparency over a frame, or the part (left, top, width, height) of it; `key` names its pixels."""

    key: Hashable
    overlay: kernels.Overlay
    x: int
    y: int
    opacity: float
    part: tuple[int, int, int, int] | None
