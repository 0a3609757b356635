"""Seeded noise: lattice noise for fields and lines, power-law noise for warped sampling."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from .stage import Array, Stage


def field(
    stage: Stage,
    rng: np.random.Generator,
    *,
    cell: tuple[float, float],
    octaves: int = 4,
    gain: float = 0.5,
) -> Array:
    """Return fractal value noise of the stage's shape, about -1..1.

    `cell` is the size (x, y) in units of the largest blobs; each octave halves it and is weighted by
    `gain`. Each octave is a small lattice enlarged by Pillow's bicubic filter, which is quick at any size.
    """
    total = np.zeros((stage.height_px, stage.width_px), dtype=np.float32)
    weight, norm = 1.0, 0.0
    cell_x, cell_y = cell
    for _ in range(octaves):
        across, down = stage.width / cell_x, stage.height / cell_y
        lattice = rng.random((math.ceil(down) + 4, math.ceil(across) + 4), dtype=np.float32) * 2 - 1
        box = (1.5, 1.5, 1.5 + across, 1.5 + down)
        size = (stage.width_px, stage.height_px)
        total += weight * np.asarray(Image.fromarray(lattice).resize(size, Image.Resampling.BICUBIC, box))
        norm += weight * weight
        weight *= gain
        cell_x, cell_y = cell_x / 2, cell_y / 2
    total *= 1.0 / math.sqrt(norm)
    return total


def line(rng: np.random.Generator, x: Array, *, cell: float, octaves: int = 4, gain: float = 0.5) -> Array:
    """Return fractal noise along `x` (units), about -1..1; the largest bumps are `cell` units long."""
    flat = x.ravel().astype(np.float64)
    total = np.zeros_like(flat)
    weight, norm = 1.0, 0.0
    for _ in range(octaves):
        shifted = flat / cell + 2.0 + rng.random()
        index = np.floor(shifted).astype(np.intp)
        lattice = rng.random(int(index.max(initial=0)) + 4) * 2 - 1
        part = shifted - index
        # Quintic smoothstep: no kinks in the first two derivatives.
        ease = part**3 * (part * (part * 6 - 15) + 10)
        total += weight * (lattice[index] * (1 - ease) + lattice[index + 1] * ease)
        norm += weight
        weight *= gain
        cell /= 2
    return (total / norm * 1.5).astype(np.float32).reshape(x.shape)


def peaks(rng: np.random.Generator, x: Array, *, cell: float, octaves: int = 6, gain: float = 0.48) -> Array:
    """Return ridged noise along `x`, about 0..1: sharp tops and wide valleys, as mountains have."""
    total = np.zeros_like(x)
    weight, norm = 1.0, 0.0
    for _ in range(octaves):
        total += weight * (1 - np.abs(line(rng, x, cell=cell, octaves=1)) / 1.5) ** 1.6
        norm += weight
        weight *= gain
        cell /= 2.03
    return total / norm


def cloud_texture(rng: np.random.Generator, *, size_px: int = 512, exponent: float = 1.7) -> Array:
    """Return a tileable square of power-law noise with mean 0 and standard deviation 1.

    White noise is shaped in the frequency domain to an amplitude of f**-exponent.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size_px, size_px)))
    fy = np.fft.fftfreq(size_px)[:, None] * size_px
    fx = np.fft.rfftfreq(size_px)[None, :] * size_px
    radius = np.sqrt(fx * fx + fy * fy)
    radius[0, 0] = 1.0
    shaped = spectrum * radius**-exponent
    shaped[0, 0] = 0.0
    texture = np.fft.irfft2(shaped, s=(size_px, size_px))
    scaled: Array = (texture / texture.std()).astype(np.float32)
    return scaled


def sample(texture: Array, u: Array, v: Array) -> Array:
    """Read a tileable texture bilinearly at `u`, `v`, where 1.0 is the whole tile."""
    side = texture.shape[0]
    u, v = np.broadcast_arrays(u * np.float32(side), v * np.float32(side))
    left, top = np.floor(u), np.floor(v)
    du, dv = u - left, v - top
    x0, y0 = left.astype(np.int32) % side, top.astype(np.int32) % side
    x1, y1 = (x0 + 1) % side, (y0 + 1) % side
    flat = texture.ravel()
    y0 *= side
    y1 *= side
    upper = flat[y0 + x0] * (1 - du) + flat[y0 + x1] * du
    lower = flat[y1 + x0] * (1 - du) + flat[y1 + x1] * du
    blended: Array = upper + (lower - upper) * dv
    return blended
