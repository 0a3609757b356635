"""Constants of `model`, fitted by `python -m benchmarks.quality_fit` to 124 segments.

On stories that were left out in turn, a segment's VMAF above 94 was missed by 0.36 (median).
"""

from __future__ import annotations

from typing import Final

SCORE: Final = (
    89.504,
    4.2732,
    -0.05814,
    0.28065,
    1.0041,
    1.3583,
    3.6512,
    -2.4352,
    0.0065154,
    0.034273,
    -0.0040506,
    0.019189,
    0.0036404,
    -0.028853,
    0.034023,
    0.077804,
    0.0059491,
    -0.18529,
    0.10039,
    0.128,
    0.037296,
    0.21504,
    -0.37757,
    0.090829,
    0.081993,
    -0.19135,
    0.37172,
    -0.21842,
    -0.42121,
    0.54144,
    0.047488,
    0.16315,
    -0.18917,
    1.5722,
    -1.4629,
    1.0149,
)
"""Of the terms of the map from features to VMAF."""

OFFSETS: Final = (
    -0.3683,
    0.30332,
    0.18653,
    0.4284,
    -0.80535,
)
GROWTH: Final = (
    0.11333,
    0.14298,
    0.16611,
    0.20012,
    0.26176,
)
CURVE: Final = (
    0.0011559,
    -0.00047674,
    -0.00047674,
    -0.00047674,
    -0.00047674,
)
"""Of each feature: what a whole segment loses beside a probe, its growth with a step of crf, and the growth's."""

FIRST: Final = 0.91762

MOVING: Final = (0.041997, -0.03089)
AHEAD: Final = (-0.23155, 0.0043818)
STILLNESS: Final = (-0.28007, -0.017741)
SIZE: Final = 0.011716
"""What circumstances add to the loss, and to its growth."""

JOINS: Final = (
    (0.889, -1.305),
    (2.913, -6.455),
    (1.713, -3.405),
    (0.6874, -1.372),
    (0.9743, -1.553),
    (1.034, -1.048),
)
"""Slope and offset of each group of transitions."""
