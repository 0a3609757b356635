"""Painting: colours, ramps, blending and the last step from float planes to an 8-bit picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from .stage import Array, Stage

Float64 = npt.NDArray[np.float64]

GRAIN_LEVELS = 0.6  # Standard deviation of the luma grain, in 8-bit levels: heavier grain costs bitrate.
NOISE_TILE_PX = 512
STRIP_PIXELS = 65_536
"""Pixels that are computed at a time: a quarter of a megabyte of floats."""
STRIP_ROWS = 64
VIGNETTE = 0.20
# White text needs a contrast of 3:1 (WCAG, large text), which is a relative luminance of 0.30 behind it.
CAPTION_LUMINANCE = 0.22
CAPTION_ZONE = 0.58  # Captions lie below this part of the height.

# Björn Ottosson, "A perceptual color space for image processing" (2020).
_RGB_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LMS_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_LAB_TO_LMS = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_LMS_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)

Matrix = tuple[tuple[float, float, float], ...]


def _apply(matrix: Matrix, planes: Float64) -> Float64:
    # Written out rather than `@`: BLAS may sum in another order on another number of threads.
    return np.stack([a * planes[0] + b * planes[1] + c * planes[2] for a, b, c in matrix])


def _linear(srgb: Float64) -> Float64:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _encoded(linear: Float64) -> Float64:
    clipped = np.clip(linear, 0.0, 1.0)
    return np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)


def _to_oklab(srgb: Float64) -> Float64:
    return _apply(_LMS_TO_LAB, np.cbrt(_apply(_RGB_TO_LMS, _linear(srgb))))


def _from_oklab(lab: Float64) -> Float64:
    return _encoded(_apply(_LMS_TO_RGB, _apply(_LAB_TO_LMS, lab) ** 3))


def colour(text: str) -> Array:
    """Return `#rrggbb` as three sRGB values in 0..1, shape (3,)."""
    return np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def mix(first: Array, second: Array, amount: float) -> Array:
    """Mix two colours of shape (3,) in OKLab; `amount` 0 gives the first, 1 the second."""
    a, b = _to_oklab(first.astype(np.float64)), _to_oklab(second.astype(np.float64))
    return _from_oklab(a + (b - a) * amount).astype(np.float32)


def lighten(base: Array, amount: float) -> Array:
    """Scale a colour's OKLab lightness and chroma by `amount` (over 1 is brighter)."""
    lab = _to_oklab(base.astype(np.float64))
    lab[0] = min(lab[0] * amount, 0.99)
    return _from_oklab(lab).astype(np.float32)


def ramp(t: Array, stops: Sequence[tuple[float, Array]]) -> Array:
    """Map `t` through colour stops (position, colour), smooth in OKLab; shape (3, *t.shape)."""
    places = np.array([place for place, _ in stops])
    labs = np.stack([_to_oklab(c.astype(np.float64)) for _, c in stops], axis=1)
    fine = np.linspace(places[0], places[-1], 1024)
    # A short moving average rounds the corners at the stops, which would show as Mach bands.
    kernel = np.hanning(129)
    kernel /= kernel.sum()
    table = np.stack([np.interp(fine, places, lab) for lab in labs])
    padded = np.pad(table, ((0, 0), (64, 64)), mode="reflect", reflect_type="odd")
    smooth = np.stack([np.convolve(row, kernel, mode="valid") for row in padded])
    rgb = _from_oklab(smooth)
    return np.stack([np.interp(t, fine, row) for row in rgb]).astype(np.float32)


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high` (Hermite); `low` may exceed `high`."""
    t = np.clip((x - low) * (1.0 / (high - low)), 0, 1)
    eased: Array = t * t * (3 - 2 * t)
    return eased


def sigmoid(x: Array) -> Array:
    """Squeeze noise of standard deviation 1 into 0..1 without the flat patches that clipping makes."""
    return np.tanh(x) * np.float32(0.5) + np.float32(0.5)


def enlarge(planes: Array, stage: Stage, *, rows: slice | None = None, large: Array | None = None) -> Array:
    """Enlarge planes (n, h, w), or one plane (h, w), to the stage's shape, or only to the `rows` asked for.

    The result is `large` if that is given.
    """
    top, bottom, _ = (rows or slice(None)).indices(stage.height_px)
    if large is None:
        large = np.empty((*planes.shape[:-2], bottom - top, stage.width_px), dtype=np.float32)
    if planes.ndim == 3:
        for plane, target in zip(planes, large, strict=True):
            enlarge(plane, stage, rows=rows, large=target)
        return large
    if planes.shape == (stage.height_px, stage.width_px):
        large[:] = planes[top:bottom]
        return large
    height, width = planes.shape
    scale = height / stage.height_px
    small = Image.fromarray(planes)
    for strip in strips(large):
        first, last = top + strip.start, top + strip.stop
        size, box = (stage.width_px, last - first), (0, first * scale, width, last * scale)
        large[strip] = plane_of(small.resize(size, Image.Resampling.BICUBIC, box))
    return large


def plane_of(image: Image.Image) -> Array:
    """Return the pixels of an image of floats (mode F), shape (h, w), read-only: NumPy would copy them once more."""
    return np.frombuffer(image.tobytes(), dtype=np.float32).reshape(image.height, image.width)


def strips(plane: Array) -> Iterator[slice]:
    """Yield slices of the rows of a plane (h, w), so few at a time that what is computed of them stays in the cache."""
    height, width = plane.shape
    step = max(1, STRIP_PIXELS // max(1, width))
    return (slice(first, min(first + step, height)) for first in range(0, height, step))


def blur(plane: Array, radius_px: float) -> Array:
    """Blur a plane (h, w) by nearly a Gaussian of deviation `radius_px`: three box filters each way."""
    half = max(1, round(radius_px))
    for _ in range(3):
        for axis in (0, 1):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (half + 1, half)
            total = np.cumsum(np.pad(plane, pad, mode="edge"), axis=axis, dtype=np.float64)
            high = np.take(total, range(2 * half + 1, total.shape[axis]), axis=axis)
            low = np.take(total, range(total.shape[axis] - 2 * half - 1), axis=axis)
            plane = ((high - low) / (2 * half + 1)).astype(np.float32)
    return plane


def over(canvas: Array, tint: Array, alpha: Array) -> None:
    """Lay `tint` on a canvas (3, h, w) in place; `tint` is (3,), (3, h, 1) or (3, h, w), `alpha` (h, w)."""
    if tint.ndim == 1:
        tint = tint[:, None, None]
    for strip in strips(canvas[0]):
        cover = alpha[strip] if alpha.shape[0] > 1 else alpha
        for i in range(3):
            part = canvas[i, strip]
            laid = (tint[i, strip] if tint.shape[1] > 1 else tint[i]) - part
            laid *= cover
            part += laid


def lay_lit(canvas: Array, dark: Array, lit: Array, share: Array, alpha: Array) -> None:
    """Lay a surface on a canvas in place whose colour goes from `dark` to `lit` (3,) by `share` (h, w)."""
    for strip in strips(canvas[0]):
        for i in range(3):
            part = canvas[i, strip]
            tone = share[strip] * (lit[i] - dark[i])
            tone += dark[i]
            tone -= part
            tone *= alpha[strip]
            part += tone


def screen(canvas: Array, tint: Array, amount: Array) -> None:
    """Add light to a canvas in place without passing 1: 1 - (1 - canvas) * (1 - tint * amount)."""
    if tint.ndim == 1:
        tint = tint[:, None, None]
    for strip in strips(canvas[0]):
        light = amount[strip] if amount.shape[0] > 1 else amount
        for i in range(3):
            part = canvas[i, strip]
            added = light * (tint[i, strip] if tint.shape[1] > 1 else tint[i])
            np.clip(added, 0, 1, out=added)
            added *= 1 - part
            part += added


def soft_clip(planes: Array) -> Array:
    """Roll values over 0.7 off toward 1, so that added light keeps its colour and never clips flat."""
    excess = np.maximum(planes - 0.7, 0)
    rolled: Array = np.minimum(planes, 0.7) + 0.3 * (1 - np.exp(-excess / 0.3))
    return rolled


def shading(stage: Stage, picture: Array) -> Array:
    """Return the brightness factor of each pixel: the vignette, and the caption zone held dark enough."""
    coarse = stage.coarse(160)
    x = coarse.columns / stage.width * 2 - 1
    y = coarse.rows / stage.height * 2 - 1
    shade: Array = 1 - VIGNETTE * smoothstep(0.35, 1.5, np.sqrt(x * x + y * y))
    zone = picture[:, int(CAPTION_ZONE * stage.height_px) :: 4, ::4].astype(np.float64)
    linear = _linear(np.clip(zone, 0, 1))
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    bright = float(np.percentile(luminance, 80)) if luminance.size else 0.0
    if bright > CAPTION_LUMINANCE:
        factor = (CAPTION_LUMINANCE / bright) ** (1 / 2.4)
        shade = shade * (1 - (1 - factor) * smoothstep(-0.12, 0.42, y))
    return np.ascontiguousarray(np.broadcast_to(shade, (coarse.height_px, coarse.width_px)), dtype=np.float32)


def finish(stage: Stage, picture: Array, *, size_px: tuple[int, int]) -> Image.Image:
    """Shade, grain and dither float planes into an RGB image of `size_px`, which may exceed the stage's.

    The dither is triangular noise of two levels' width, which makes the mean of the 8-bit values equal the
    float value and the error's variance constant (Lipshitz, Wannamaker, Vanderkooy 1992). It is added after
    any enlargement, so that it is one pixel fine in the result.
    """
    rng = stage.rng("finish")
    tile = (NOISE_TILE_PX, NOISE_TILE_PX)
    grain = rng.standard_normal(tile, dtype=np.float32) * np.float32(GRAIN_LEVELS)
    out = Stage.of(size_px=size_px, palette=stage.palette, key=stage.key)
    shade = shading(stage, picture)
    across = -(-out.width_px // NOISE_TILE_PX)
    bands = [np.empty((out.height_px, out.width_px), dtype=np.uint8) for _ in picture]
    noises = [
        np.tile(
            rng.random(tile, dtype=np.float32) - rng.random(tile, dtype=np.float32) + grain + np.float32(0.5),
            (1, across),
        )[:, : out.width_px]
        for _ in picture
    ]
    for first in range(0, out.height_px, STRIP_ROWS):
        rows = slice(first, min(first + STRIP_ROWS, out.height_px))
        bright = enlarge(shade, out, rows=rows)
        bright *= 255
        for source, noise, band in zip(picture, noises, bands, strict=True):
            plane = enlarge(source, out, rows=rows)
            plane *= bright
            plane += noise[np.arange(rows.start, rows.stop) % NOISE_TILE_PX]
            np.clip(plane, 0, 255, out=plane)
            band[rows] = plane
    return Image.merge("RGB", [Image.fromarray(band) for band in bands])
