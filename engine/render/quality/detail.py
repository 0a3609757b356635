"""What an encoder keeps of a picture, by the elementary features of VMAF, over tiles.

VMAF combines VIF (information kept, at four scales), ADM (detail kept, in wavelet bands) and motion by a trained model
(https://github.com/Netflix/vmaf). ADM here is the one of VMAF's model v0.6.1, but for the borders; VIF is over blocks
of the size of its windows instead of around each pixel.

H. R. Sheikh and A. C. Bovik, "Image information and visual quality", IEEE TIP 15 (2006); S. Li et al., "Image quality
assessment by separately evaluating detail losses and additive impairments", IEEE TMM 13 (2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Stack = npt.NDArray[np.float32]
"""Tiles, shape (tiles, height, width)."""

Weights = npt.NDArray[np.float64]

SCALES: Final = 4
WINDOW_PX: Final = 16
"""Side of VIF's blocks at the finest scale, about the width of its window; half of it at each coarser scale."""

BLUR: Final = (1, 4, 6, 4, 1)
ROW_STEP: Final = 16
"""How motion is blurred, and of how many rows one is read."""

NOISE: Final = np.float32(2)
"""Variance of the eye's own noise."""

LOW: Final = (0.482962913144690, 0.836516303737469, 0.224143868041857, -0.129409522550921)
HIGH: Final = (-0.129409522550921, -0.224143868041857, 0.836516303737469, -0.482962913144690)
"""Daubechies' wavelet of four taps."""

COSINE: Final = np.float32(math.cos(math.pi / 180) ** 2)
"""Gradients whose directions differ by less than a degree differ in contrast only, which is no loss."""


def _sensitivity(scale: int, direction: int) -> float:
    """Return the eye's sensitivity to a band: 0 for horizontal and vertical ones, 1 for diagonal ones.

    A. B. Watson et al., "Visibility of wavelet quantization noise", IEEE TIP 6 (1997), for a picture of 1080 lines seen
    from three times its height.
    """
    amplitude = ((0.67234, 0.72709), (0.41317, 0.49428), (0.22727, 0.28688), (0.11792, 0.15214))
    lines_per_degree = 3 * 1080 * math.pi / 180
    distance = math.log10(2.0 ** (scale + 1) * 0.401 * (1.0, 0.534)[direction] / lines_per_degree)
    return amplitude[scale][direction] / (2 * 0.495 * 10 ** (0.466 * distance * distance))


SENSITIVITY: Final = tuple(
    tuple(np.float32(_sensitivity(scale, direction)) for direction in (0, 0, 1)) for scale in range(SCALES)
)


@dataclass(frozen=True, slots=True)
class Kept:
    """Shares kept of a frame: detail (ADM), and information (VIF) from the finest of four scales to the coarsest."""

    detail: float
    information: tuple[float, ...]


def compare(reference: Stack, shown: Stack, weights: Weights, *, frame_pixels: int) -> tuple[Kept, ...]:
    """Return what each of some decoded frames has kept of its reference.

    The tiles of the frames are stacked, one frame after the other; each stands for its part of `weights` of such tiles
    in a frame of `frame_pixels`.
    """
    detail = _detail(reference, shown, weights, frame_pixels)
    information = _information(reference, shown, weights)
    return tuple(
        Kept(float(kept), tuple(map(float, shares))) for kept, shares in zip(detail, information, strict=True)
    )


def _information(reference: Stack, shown: Stack, weights: Weights) -> Weights:
    """Return VIF, shape (frames, scales)."""
    shares = []
    for scale in range(SCALES):
        side = WINDOW_PX >> scale
        mean, shown_mean = _block_means(reference, side), _block_means(shown, side)
        variance = np.maximum(_block_means(reference * reference, side) - mean * mean, 0)
        shown_variance = np.maximum(_block_means(shown * shown, side) - shown_mean * shown_mean, 0)
        covariance = np.maximum(_block_means(reference * shown, side) - mean * shown_mean, 0)
        gain = covariance / np.maximum(variance, np.float32(1e-6))
        noise = np.maximum(shown_variance - gain * covariance, np.float32(1e-6))
        flat = variance < NOISE
        kept = np.where(
            flat,
            1 - np.minimum(shown_variance * np.float32(4 / 255**2), 1),
            np.log2(1 + gain * gain * variance / (noise + NOISE)),
        )
        whole = np.where(flat, 1, np.log2(1 + variance / NOISE))
        shares.append(_weighted_sum(kept, weights) / _weighted_sum(whole, weights))
        if scale < SCALES - 1:
            reference, shown = _half_size(reference), _half_size(shown)
    return np.stack(shares, axis=1)


def _weighted_sum(values: Stack, weights: Weights) -> Weights:
    """Return the sum over each frame."""
    sums: Weights = values.sum((1, 2), dtype=np.float64).reshape(-1, len(weights)) @ weights
    return sums


def _block_means(values: Stack, side: int) -> Stack:
    """Return the means over blocks; `side` is a power of two."""
    left = side
    while left > 1:
        values = values[:, 0::2] + values[:, 1::2]
        values = values[:, :, 0::2] + values[:, :, 1::2]
        left //= 2
    means: Stack = values / np.float32(side * side)
    return means


def _half_size(values: Stack) -> Stack:
    """Return tiles at half their size, low-pass filtered by 1 4 6 4 1; the edge is mirrored."""
    for _ in range(2):
        around = np.concatenate((values[:, 2:0:-1], values, values[:, -2:-4:-1]), axis=1)
        even, odd = around[:, 0::2], around[:, 1::2]
        sums = even[:, :-2] + even[:, 2:] + 4 * (odd[:, :-2] + odd[:, 1:-1]) + 6 * even[:, 1:-1]
        values = (sums / np.float32(16)).swapaxes(1, 2)
    return values


def _detail(reference: Stack, shown: Stack, weights: Weights, frame_pixels: int) -> Weights:
    """Return ADM, shape (frames,)."""
    kept: Weights = np.zeros(len(reference) // len(weights))
    whole = kept.copy()
    for scale in range(SCALES):
        reference, bands = _wavelet(reference)
        shown, shown_bands = _wavelet(shown)
        # What VMAF adds to each band's norm, of which the outer tenth is cut off.
        floor = (0.64 * frame_pixels / 4 ** (scale + 1) / 32) ** (1 / 3)
        rests = _restored(bands, shown_bands)
        mask = _mask(shown_bands, rests, scale)
        for band, rest, sensitivity in zip(bands, rests, SENSITIVITY[scale], strict=True):
            seen = np.maximum(np.abs(rest) * sensitivity - mask, 0)
            size = np.abs(band) * sensitivity
            kept += np.cbrt(0.64 * _weighted_sum(seen * seen * seen, weights)) + floor
            whole += np.cbrt(0.64 * _weighted_sum(size * size * size, weights)) + floor
    return kept / whole


def _wavelet(values: Stack) -> tuple[Stack, list[Stack]]:
    """Return the approximation of tiles, and their horizontal, vertical and diagonal bands, at half the size."""
    low, high = (_filtered(values, taps, 1) for taps in (LOW, HIGH))
    return _filtered(low, LOW, 2), [
        _filtered(high, LOW, 2),
        _filtered(low, HIGH, 2),
        _filtered(high, HIGH, 2),
    ]


def _filtered(values: Stack, taps: tuple[float, ...], axis: int) -> Stack:
    """Return every second sample of a filtered axis; the edge is mirrored."""
    count = values.shape[axis]
    edges = [np.take(values, (0,), axis), values, np.take(values, (count - 1, count - 2), axis)]
    around = np.concatenate(edges, axis)
    parts = [
        around[:, at : at + count : 2] if axis == 1 else around[:, :, at : at + count : 2] for at in range(4)
    ]
    first, second, third, fourth = (np.float32(tap) * part for tap, part in zip(taps, parts, strict=True))
    filtered: Stack = first + second + third + fourth
    return filtered


def _restored(bands: list[Stack], shown: list[Stack]) -> list[Stack]:
    """Return what the shown bands have of the reference's, without what was added to them."""
    (across, down), (shown_across, shown_down) = bands[:2], shown[:2]
    product = across * shown_across + down * shown_down
    sizes = (across * across + down * down) * (shown_across * shown_across + shown_down * shown_down)
    same_direction = (product >= 0) & (product * product >= COSINE * sizes)
    rests = []
    for band, shown_band in zip(bands, shown, strict=True):
        divisor = np.where(np.abs(band) < np.float32(1e-6), np.float32(1e-6), band)
        rests.append(np.where(same_direction, shown_band, np.clip(shown_band / divisor, 0, 1) * band))
    return rests


def _mask(shown: list[Stack], rests: list[Stack], scale: int) -> Stack:
    """Return how much of each coefficient is masked by what was added around it, in all bands."""
    mask = np.zeros_like(shown[0])
    for shown_band, rest, sensitivity in zip(shown, rests, SENSITIVITY[scale], strict=True):
        added = np.abs(shown_band - rest) * sensitivity
        mask += (_around(_around(added).swapaxes(1, 2)).swapaxes(1, 2) + added) / np.float32(30)
    return mask


def _around(values: Stack) -> Stack:
    """Return the sum of each row and its two neighbours; an edge is its own neighbour."""
    sums = values.copy()
    sums[:, 1:] += values[:, :-1]
    sums[:, :1] += values[:, :1]
    sums[:, :-1] += values[:, 1:]
    sums[:, -1:] += values[:, -1:]
    return sums


def motion(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> float:
    """Return the mean absolute difference of two lumas, blurred, as VMAF's motion; one row in sixteen is compared.

    The blur is about VMAF's own, by 1 4 6 4 1 each way: noise would count as motion with a smaller one.
    """
    down, across = (before.shape[axis] - len(BLUR) + 1 for axis in (0, 1))
    rows = np.zeros((len(range(0, down, ROW_STEP)), before.shape[1]), np.int16)
    for at, tap in enumerate(BLUR):
        lines = slice(at, at + down, ROW_STEP)
        rows += tap * (after[lines].astype(np.int16) - before[lines])
    sums = np.zeros((len(rows), across), np.int32)
    for at, tap in enumerate(BLUR):
        sums += tap * rows[:, at : at + across]
    return float(np.abs(sums).mean(dtype=np.float64)) / sum(BLUR) ** 2
