"""Stills of the native compositor: decoded once and resampled once to the size that their camera needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from video_pipeline.engine.assets.cube import load_lut
from video_pipeline.engine.common.input_files import open_again
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.compositors.graded_clips import load_frame_grade
from video_pipeline.engine.render.planes import Planes, new_frame, planes_of
from video_pipeline.engine.timeline import Clip, Grade, Still
from video_pipeline.filters.geometry import (
    MAX_STAGE,
    Camera,
    Rect,
    blurred_copy,
    contained_size,
    even,
    largest_rect,
)
from video_pipeline.native import kernels
from video_pipeline.native.kernels import FEWEST_TAPS_STEP, MAX_STEP

MAX_PLANE_PIXELS = 24_000_000
"""Pixels of the largest plane; a camera that goes closer shows an enlarged, softer picture."""

STRIP_ROWS = 128
"""Rows converted to planes at once; even, so that no chroma row spans two strips."""

BLUR_DARKER = 18
"""RGB levels by which the blurred background is darkened, so that the picture stands out."""


@dataclass(frozen=True, slots=True)
class Look:
    """A still as a clip shows it: how it fits and where the camera moves. Clips with equal looks share one picture."""

    still: Still
    fit: str
    camera: Camera
    canvas_px: tuple[int, int]
    grade: Grade | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Everything that the planes depend on, with the camera's two views in a fixed order."""
        ends = sorted((self.camera.start, self.camera.end), key=lambda rect: (rect.width, rect.x, rect.y))
        return (self.still.sha256, self.still.path, self.fit, tuple(ends), self.canvas_px, self.grade)


def look_of(clip: Clip, canvas_px: tuple[int, int]) -> Look:
    """Return the look of a clip that shows a still."""
    assert isinstance(clip.source, Still)
    camera = clip.effective_camera(canvas_px[0] / canvas_px[1])
    return Look(clip.source, clip.fit, camera, canvas_px, clip.grade)


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Where a frame lies in one level of a picture: its top left corner, and source pixels for each of its own.

    With `copied`, the level is the frame.
    """

    level: int
    left: float
    top: float
    step_x: float
    step_y: float
    copied: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """The part `bounds` of a picture (in fractions of it) as planes, finest first, each level half the one before."""

    bounds: Rect
    levels: tuple[Planes, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all planes in bytes."""
        return sum(plane.nbytes for level in self.levels for plane in level)

    def place(self, view: Rect, size_px: tuple[int, int]) -> FramePlace:
        """Return where a frame of `size_px` that shows the rectangle `view` of the picture (in fractions) lies."""
        width, height = size_px
        for number, level in enumerate(self.levels):
            chosen, (rows, columns) = number, level[0].shape
            step_x = view.width / self.bounds.width * columns / width
            step_y = view.height / self.bounds.height * rows / height
            if max(step_x, step_y) <= MAX_STEP * (1 + 1e-9):
                break
        left = (view.x - self.bounds.x) / self.bounds.width * columns
        top = (view.y - self.bounds.y) / self.bounds.height * rows
        copied = (rows, columns) == (height, width) and (
            max(abs(left), abs(top), abs(step_x - 1), abs(step_y - 1)) < 1e-6
        )
        return FramePlace(chosen, left, top, min(step_x, MAX_STEP), min(step_y, MAX_STEP), copied)

    def draw(self, view: Rect, target: Planes) -> None:
        """Draw the rectangle `view` of the picture (in fractions of it) over all of `target`."""
        height, width = target[0].shape
        placed = self.place(view, (width, height))
        level = self.levels[placed.level]
        if placed.copied:
            for drawn, plane in zip(target, level, strict=True):
                np.copyto(drawn, plane)
            return
        kernels.resample_frame(
            level,
            target,
            left=placed.left,
            top=placed.top,
            step_x=placed.step_x,
            step_y=placed.step_y,
        )


def _plane_px(look: Look, stage: tuple[float, float], bounds: Rect) -> tuple[int, int]:
    """Return the size of the finest plane: as large as the closest view needs, but no larger than the picture."""
    start, end = look.camera.start, look.camera.end
    if not look.camera.moves:
        return look.canvas_px
    closest, widest = sorted((start.width, end.width))
    # A slight zoom needs the fewest taps if the size of its plane lies between the sizes for its two views.
    zoom = widest / closest
    coarser = max(1.0, zoom / FEWEST_TAPS_STEP) if zoom <= FEWEST_TAPS_STEP**2 else 1.0
    width = look.canvas_px[0] * bounds.width / closest / coarser
    height = look.canvas_px[1] * bounds.height / min(start.height, end.height) / coarser
    finer = max(1.0, width / (stage[0] * bounds.width), height / (stage[1] * bounds.height))
    finer = max(finer, math.sqrt(width * height / MAX_PLANE_PIXELS))
    return even(width / finer), even(height / finer)


def _open_still(still: Still, wanted_px: tuple[float, float]) -> Image.Image:
    """Return a still in RGB; a JPEG is decoded at the smallest of its sizes that covers `wanted_px`."""
    with (
        open_again(still.path, sha256="" if still.is_copy else still.sha256) as file,
        Image.open(file.stream) as image,
    ):
        if image.format == "JPEG":
            image.draft("RGB", (math.ceil(wanted_px[0]), math.ceil(wanted_px[1])))
        if image.mode != "RGB":
            return image.convert("RGB")
        image.load()  # convert() would copy an RGB image
        return image


@lru_cache(maxsize=4)
def _lut_of(grade: Grade) -> ImageFilter.Color3DLUT:
    table = load_lut(grade.path)
    return ImageFilter.Color3DLUT(len(table), np.ascontiguousarray(table.ravel(), np.float32))


def _graded(image: Image.Image, grade: Grade | None) -> Image.Image:
    """Return a picture in the colours of a grade: trilinear, in whole numbers, so the same on every machine."""
    return image.filter(_lut_of(grade)) if grade is not None else image


def _as_planes(image: Image.Image, box: tuple[int, int, int, int]) -> Planes:
    """Return the planes of a part (left, top, right, bottom) of an image; odd sides round chroma up."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    half = ((height + 1) // 2, (width + 1) // 2)
    luma, blue, red = np.empty((height, width), np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8)
    # Strip by strip, because converting a whole photograph copies it three times, a hundred megabytes.
    for first in range(0, height, STRIP_ROWS):
        last = min(height, first + STRIP_ROWS)
        strip = np.asarray(image.crop((left, top + first, right, top + last)))
        chroma = slice(first // 2, (last + 1) // 2)
        kernels.rgb_to_yuv(strip, (luma[first:last], blue[chroma], red[chroma]))
    return luma, blue, red


_frame_grade_of = lru_cache(maxsize=4)(load_frame_grade)


def _graded_planes(planes: Planes, grade: Grade | None) -> Planes:
    """Return planes in the colours of a grade, as frames of clips are graded, which is far quicker than as RGB."""
    if grade is None:
        return planes
    height, width = planes[0].shape
    drawn = planes_of(new_frame(width, height))
    _frame_grade_of(grade).apply(planes, drawn)
    return drawn


def _crop_and_scale(image: Image.Image, box: Rect, size_px: tuple[int, int]) -> Planes:
    """Return the part `box` (in fractions) of an image, scaled to `size_px`.

    The filter is cubic, widened when it shrinks; below half the size, whole blocks are averaged first.
    """
    left, top = box.x * image.width, box.y * image.height
    width, height = box.width * image.width, box.height * image.height
    block = max(1, int(min(width / size_px[0], height / size_px[1])))
    # The margin is the width of the cubic filter.
    margin = 4 * block
    near = (max(0, int(left - margin) // block * block), max(0, int(top - margin) // block * block))
    far = (
        min(image.width, math.ceil(left + width + margin)),
        min(image.height, math.ceil(top + height + margin)),
    )
    if block > 1:
        part = image.reduce(block, box=(*near, *far))
        source = _as_planes(part, (0, 0, *part.size))
    else:
        source = _as_planes(image, (*near, *far))
    planes = planes_of(new_frame(*size_px))
    kernels.resample_frame(
        source,
        planes,
        left=(left - near[0]) / block,
        top=(top - near[1]) / block,
        step_x=min(MAX_STEP, width / block / size_px[0]),
        step_y=min(MAX_STEP, height / block / size_px[1]),
    )
    return planes


def _halve_planes(planes: Planes) -> Planes:
    """Return planes at half the size."""
    rows, columns = planes[0].shape
    smaller = planes_of(new_frame(even(columns / 2), even(rows / 2)))
    steps = (columns / smaller[0].shape[1], rows / smaller[0].shape[0])
    kernels.resample_frame(
        planes, smaller, left=0, top=0, step_x=min(MAX_STEP, steps[0]), step_y=min(MAX_STEP, steps[1])
    )
    return smaller


def _compose(look: Look) -> Image.Image:
    """Return the whole picture on a canvas of the frame's aspect: on black, or on a blurred copy of itself."""
    camera, still = look.camera, look.still
    closer = min(MAX_STAGE, 1 / min(camera.start.width, camera.end.width))
    inner_px = contained_size((still.width_px, still.height_px), look.canvas_px)
    # No smaller than the frame, and larger only if the picture has the pixels.
    closer = max(1.0, min(closer, still.width_px / inner_px[0]))
    width, height = even(look.canvas_px[0] * closer), even(look.canvas_px[1] * closer)
    inner_px = contained_size((still.width_px, still.height_px), (width, height))
    image = _open_still(still, (width, height))
    front = _graded(image.resize(inner_px, Image.Resampling.LANCZOS, reducing_gap=3.0), look.grade)
    stage = Image.new("RGB", (width, height))
    if look.fit == "blur":
        small, sigma = blurred_copy(look.canvas_px)
        shown = largest_rect(image.width / image.height, width / height)
        left, top = shown.x * image.width, shown.y * image.height
        pixels = (left, top, left + shown.width * image.width, top + shown.height * image.height)
        back = image.resize(small, Image.Resampling.LANCZOS, box=pixels, reducing_gap=3.0)
        back = _graded(back, look.grade).filter(ImageFilter.GaussianBlur(sigma))
        back = back.point([max(0, value - BLUR_DARKER) for value in range(256)] * 3)
        stage = back.resize((width, height), Image.Resampling.BICUBIC)
    stage.paste(front, ((width - inner_px[0]) // 4 * 2, (height - inner_px[1]) // 4 * 2))
    return stage


def load_picture(look: Look) -> Picture:
    """Decode a still and make the planes that its camera needs; raise RenderingError or FileChangedError."""
    bounds = look.camera.bounds()
    try:
        if look.fit == "cover":
            stage = (float(look.still.width_px), float(look.still.height_px))
            size_px = _plane_px(look, stage, bounds)
            wanted = (size_px[0] / bounds.width, size_px[1] / bounds.height)
            plain = _crop_and_scale(_open_still(look.still, wanted), bounds, size_px)
            finest = _graded_planes(plain, look.grade)
        else:
            whole = _compose(look)
            size_px = _plane_px(look, whole.size, bounds)
            finest = _crop_and_scale(whole, bounds, size_px)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RenderingError(f"{look.still.path}: cannot be decoded: {error}") from error
    widest = max(look.camera.start.width, look.camera.end.width) / bounds.width * size_px[0]
    highest = max(look.camera.start.height, look.camera.end.height) / bounds.height * size_px[1]
    step = max(widest / look.canvas_px[0], highest / look.canvas_px[1])
    levels = [finest]
    while step > MAX_STEP * (1 + 1e-9):
        levels.append(_halve_planes(levels[-1]))
        step /= 2
    return Picture(bounds, tuple(levels))
