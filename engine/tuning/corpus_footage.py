"""Footage for the corpus, as a camera would film it: movement that no camera move describes, and noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image, ImageDraw, ImageFilter

FilmedWith = Literal["grain", "hand"]
"""Film with much grain on a slow dolly, or a hand-held camera that things pass before."""

Pixels = npt.NDArray[np.uint8]

GRAIN: Final = 8.0
NOISE: Final = 3.0
"""Standard deviation of film grain, and of a sensor's noise, in steps of 8 bits."""

SHAKE: Final = 0.012
"""How far a hand moves, as a share of the frame's height."""

PASSING: Final = 5
"""Number of things that pass before the camera."""


def write_footage(
    target: Path,
    scene: Image.Image,
    *,
    how: FilmedWith,
    size_px: tuple[int, int],
    fps: Fraction,
    frames: int,
) -> None:
    """Write lossless video (FFV1 in Matroska, BT.709) of a picture as it would be filmed."""
    with av.open(str(target), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for number, pixels in enumerate(_film(scene, how=how, size_px=size_px, fps=fps, frames=frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base = number, 1 / fps
            frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.ITU709
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _film(
    scene: Image.Image, *, how: FilmedWith, size_px: tuple[int, int], fps: Fraction, frames: int
) -> Iterator[Pixels]:
    """Yield each frame as RGB, shape (height, width, 3)."""
    random = np.random.default_rng(len(how))
    width, height = size_px
    grain = _grain(random, size_px, GRAIN if how == "grain" else NOISE, fine=how == "hand")
    things = [_thing(random, size_px) for _ in range(PASSING)] if how == "hand" else []
    for number in range(frames):
        time = number / float(fps)
        picture = _seen(scene, time, how=how, size_px=size_px)
        for thing, mask, (x, y, x_speed, y_speed) in things:
            at = round((x + x_speed * time) * width), round((y + y_speed * time) * height)
            picture.paste(thing, at, mask)
        shift = tuple(int(each) for each in random.integers(0, 4096, 2))
        noise = np.roll(grain, shift, (0, 1))
        pixels = np.asarray(picture, np.int16) + noise[:, :, None]
        yield pixels.clip(0, 255).astype(np.uint8)


def _seen(scene: Image.Image, time: float, *, how: FilmedWith, size_px: tuple[int, int]) -> Image.Image:
    """Return what the camera sees of a scene: slowly nearer, or shaken, turned a little, and behind moving air."""
    width, height = size_px
    zoom = min(scene.width / width, scene.height / height) / (1.08 + 0.03 * time)
    angle = x = y = 0.0
    if how == "hand":
        reach = SHAKE * height
        x = reach * (math.sin(2.1 * time) + 0.5 * math.sin(5.3 * time + 1))
        y = reach * (math.cos(1.7 * time) + 0.4 * math.sin(6.1 * time))
        angle = 0.01 * math.sin(1.3 * time)
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    middle_x, middle_y = scene.width / 2 + x, scene.height / 2 + y
    move = (
        *(cos, -sin, middle_x - cos * width / 2 + sin * height / 2),
        *(sin, cos, middle_y - sin * width / 2 - cos * height / 2),
    )
    picture = scene.transform(size_px, Image.Transform.AFFINE, move, Image.Resampling.BICUBIC)
    if how == "grain":
        return picture
    # The lower third waves, row by row, as water does.
    pixels = np.asarray(picture).copy()
    for row in range(height * 2 // 3, height):
        depth = (row - height * 2 / 3) / (height / 3)
        bend = round(0.01 * width * depth * math.sin(row / (0.02 * height) + 4 * time))
        pixels[row] = np.roll(pixels[row], bend, 0)
    return Image.fromarray(pixels)


def _grain(
    random: np.random.Generator, size_px: tuple[int, int], strength: float, *, fine: bool
) -> npt.NDArray[np.int16]:
    """Return a frame of noise; grain of film is coarser than a sensor's noise."""
    width, height = size_px
    noise = random.normal(128, 40, (height, width)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(noise)
    if not fine:
        picture = picture.filter(ImageFilter.GaussianBlur(0.7))
    grain = np.asarray(picture, np.float32) - 128
    scaled: npt.NDArray[np.int16] = (
        (grain * (strength / max(1e-6, float(grain.std())))).round().astype(np.int16)
    )
    return scaled


def _thing(
    random: np.random.Generator, size_px: tuple[int, int]
) -> tuple[Image.Image, Image.Image, tuple[float, float, float, float]]:
    """Return something that passes: its picture, its outline, and its place and speed in frames a second."""
    width, height = size_px
    side = max(4, int(min(width, height) * random.uniform(0.12, 0.3)))
    colours = random.integers(20, 220, (6, 6, 3)).astype(np.uint8)
    thing = Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((1, 1, side - 2, side - 2), fill=255)
    x, y = random.uniform(-0.1, 0.8, 2)
    x_speed, y_speed = random.uniform(-0.25, 0.35, 2)
    return thing, mask.filter(ImageFilter.GaussianBlur(side / 40)), (x, y, x_speed, y_speed)
