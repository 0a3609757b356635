"""Every tolerance of the tests that look at pictures, and the checks that apply them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]

SAME_PICTURE_DB = 50.0
"""PSNR above which two drawings of a frame count as the same picture, up to rounding."""

SAME_AFTER_CODING_DB = 38.0
"""PSNR of a picture coded at crf 16 against another coding of it."""

XFADE_START_DB = 23.0
"""PSNR of xfade's frame at progress 1 against the first scene, where the transition starts at a small size."""

SAME_PROXY_DB = 30.0
"""PSNR of a proxy's frame against the full frame made smaller: letters and boxes lie on other whole pixels."""

XFADE_DB = 40.0
"""PSNR of a native transition against xfade, which cuts where ours rounds and resamples chroma to 4:4:4 and back."""

TRANSITION_TWIN_DB = 50.0
"""PSNR of a native transition against its float64 twin: chroma of soft edges is taken in the middle of its pixels."""

TRANSITION_TWIN_LEVELS = 1
"""How far luma of a native transition may lie from its float64 twin."""

DISSOLVE_SHARE = 0.02
"""Largest difference between the share of pixels that show the first scene and the progress."""

SAME_PICTURE_LEVELS = 8
"""How far the mean colour of a frame at a low bit rate may lie from its flat picture's, in RGB."""

AAC_ERROR = 0.02
"""How far samples of a tone at 0.2 of full scale may lie from it after AAC at the default bit rate."""

COLOUR_LEVELS = 1
"""How far Y, U and V of a flat colour may lie from BT.709."""

CROP_LEVELS = 2.0
"""How far Y, U and V of soft colours may lie from float64 once frames of any pixel format are cut and scaled."""

CAPTION_LIGHT = 0.02
"""How far the share of a fading caption's light may lie from its scene's: alpha and luma are rounded to 8 bits."""

FADE_LEVELS = 2
"""How far a faded level may lie from the line between black and the picture."""

COMPOSITORS_DB = 40.0
"""PSNR of a frame drawn by one compositor against the same frame drawn by another."""

BLURRED_FILL_DB = 33.0
"""The same for a picture over its own blurred copy: the blurs are different Gaussians of a few pixels."""

SUBPIXEL_PX = 0.1
"""How far the native compositor may place a point from the camera's formula: Lanczos, which makes the plane, does not
keep straight lines exactly (0.03 px at worst, times the zoom)."""

NATIVE_JITTER_PX = 0.01
"""RMS of the second difference (px/frame²) of a steady move drawn by the native compositor."""

PERSPECTIVE_PX = 0.15
"""How far perspective may place a point from the camera's formula."""

ZOOMPAN_SOFT_PX = 0.3
"""What zoompan's rounding of sizes adds to its rounding of places."""

JITTER_PX = 0.02
"""RMS of the second difference (px/frame²) of a steady perspective zoom."""


def psnr_db(one: Frames, other: Frames) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite for equal arrays."""
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def assert_frames_equal(actual: Frames, expected: Frames, *, min_psnr_db: float | None = None) -> None:
    """Compare frame by frame, exactly or by the PSNR of each frame; name the first frame that differs."""
    assert actual.shape == expected.shape, f"{actual.shape} is not {expected.shape}"
    for number, (one, other) in enumerate(zip(actual, expected, strict=True)):
        if np.array_equal(one, other):
            continue
        found = psnr_db(one, other)
        worst = int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max())
        wanted = "equal" if min_psnr_db is None else f"{min_psnr_db:g} dB"
        assert min_psnr_db is not None and found >= min_psnr_db, (  # noqa: PT018
            f"frame {number} of {len(actual)}: {found:.2f} dB, off by up to {worst} levels; wanted: {wanted}"
        )


def assert_colour(pixel: npt.ArrayLike, expected: tuple[float, float, float]) -> None:
    """Compare one Y, U, V with the value in BT.709 limited range."""
    difference = np.abs(np.asarray(pixel, np.float64) - expected)
    assert difference.max() <= COLOUR_LEVELS, f"{np.asarray(pixel).tolist()} is not {expected}"


RESAMPLE_LEVELS = 1.01
"""How far a resampled byte may lie from float64: 7/8 by the dither, 4/64 and 4/128 by what eight taps down and across
lose (the latter 1.25 times, the weights' sum without their signs), 1/32 by rounded weights."""

RESAMPLE_MEAN_LEVELS = 0.015
"""How far the mean of many resampled bytes may lie from float64's: what chance leaves of 40,000 of them, and more."""

FADE_KERNEL_LEVELS = 0.52
"""How far the native fade may lie from float64: its own rounding, and an amount in steps of 1/65536."""

CONVERSION_LEVELS = 0.52
"""How far native RGB to YUV may lie from float64: its own rounding, and weights in steps of 1/65536."""

BLEND_LEVELS = 1.25
"""How far a blended byte may lie from float64: its own rounding, and that of the premultiplied bytes and of alpha."""


def assert_levels(actual: Frames, expected: npt.NDArray[np.float64], *, within: float, what: str) -> None:
    """Compare a plane of bytes with float64 levels."""
    assert actual.shape == expected.shape, f"{what}: {actual.shape} is not {expected.shape}"
    difference = np.abs(actual - expected)
    worst = np.unravel_index(int(difference.argmax()), difference.shape)
    assert difference.max() <= within, (
        f"{what}: {actual[worst]} is not {expected[worst]:.3f} at row {worst[0]}, column {worst[1]}; "
        f"allowed: {within} levels"
    )


CANCEL_SECONDS = 2.0
"""Until a cancelled attempt on another machine has left nothing: 2 s on idle cores, of which a second is its worker's own."""
