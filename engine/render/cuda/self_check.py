"""Compare a GPU's frames with the processor's, byte for byte, before any of them is in a video."""

from __future__ import annotations

from typing import Final

import numpy as np

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.device import Device
from video_pipeline.engine.render.cuda.painter import FrameSpec, GpuPainter, StillSide
from video_pipeline.engine.render.planes import Buffer, Layer, Planes, new_frame, planes_of
from video_pipeline.native import kernels

SIZE_PX: Final = (134, 50)
"""Parts of tiles in both directions."""

BOUND: Final = 16 * 2**20


def check_frames(device: Device) -> None:
    """Draw a frame of every transition; raise UnavailableError if one is not that of the native kernels."""
    width, height = SIZE_PX
    rng = np.random.default_rng(11)
    pictures = [_random_picture(rng, 190 + 40 * number, 90) for number in range(2)]
    overlay = kernels.Overlay(rng.integers(0, 256, (20, 90, 4), np.uint8))
    painter = GpuPainter(device, width=width, height=height, bound=BOUND)
    specs = [
        _spec(name, pictures, overlay, 0.1 + 0.8 * number / len(kernels.transition_records()))
        for number, (name, _) in enumerate(kernels.transition_records())
    ]
    with painter.pinned_frames() as pinned:
        for start in range(0, len(specs), painter.batch_frames):
            part = specs[start : start + painter.batch_frames]
            painter.draw(part, pinned).finish()
            drawn = pinned.bytes[: len(part) * painter.frame_bytes].reshape(len(part), height * 3 // 2, width)
            for spec, frame in zip(part, drawn, strict=True):
                _compare(device, spec, frame)
    ring = painter.ring(least=1, most=1)
    (surface,) = ring.take(1)
    painter.draw_surfaces(specs[:1], [surface]).finish()
    _compare(device, specs[0], surface.download())
    ring.close()


def _random_picture(rng: np.random.Generator, width: int, height: int) -> Planes:
    frame = new_frame(width, height)
    frame[:] = rng.integers(0, 256, frame.shape, np.uint8)
    return planes_of(frame)


def _spec(name: str, pictures: list[Planes], overlay: kernels.Overlay, at: float) -> FrameSpec:
    sides = tuple(
        StillSide(
            key=number,
            planes=picture,
            left=1.3 + at,
            top=-0.6,
            step_x=0.9 + 0.5 * number + 0.3 * at,
            step_y=1.5 - 0.4 * number,
            copied=False,
            fade=at * number,
        )
        for number, picture in enumerate(pictures)
    )
    return FrameSpec(sides, (name, at), (Layer("overlay", overlay, 31, 14, 0.7, None),))


def native_frame(spec: FrameSpec, width: int, height: int) -> Buffer:
    """Return a frame of stills as the native kernels draw it, as stacked planes Y, U, V."""
    drawn = []
    for side in spec.sides:
        assert isinstance(side, StillSide)
        target = planes_of(new_frame(width, height))
        kernels.resample_frame(
            side.planes, target, left=side.left, top=side.top, step_x=side.step_x, step_y=side.step_y
        )
        kernels.fade(target, amount=side.fade)
        drawn.append(target)
    frame = new_frame(width, height)
    if spec.transition is not None:
        kernels.transition(*spec.transition, drawn[0], drawn[1], planes_of(frame))
    else:
        for plane, source in zip(planes_of(frame), drawn[0], strict=True):
            plane[:] = source
    for _, overlay, x, y, opacity, part in spec.layers:
        kernels.blend(planes_of(frame), overlay, x=x, y=y, opacity=opacity, part=part)
    return frame


def _compare(device: Device, spec: FrameSpec, frame: Buffer) -> None:
    wrong = int((native_frame(spec, *SIZE_PX) != frame).sum())
    if wrong:
        assert spec.transition is not None
        raise UnavailableError(
            f"{device.name} draws other frames than the processor: {wrong} of {frame.size} bytes of "
            f"{spec.transition[0]!r} differ"
        )
