"""Constants of `model`, fitted by `python -m benchmarks.quality_fit` to 124 segments.

On stories that were left out in turn, a segment's VMAF above 94 was missed by 0.35 (median).
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
    -0.47403,
    0.29212,
    0.22525,
    0.24279,
    -0.71677,
)
GROWTH: Final = (
    0.1034,
    0.14886,
    0.15479,
    0.20556,
    0.25341,
)
CURVE: Final = (
    0.00043028,
    -0.0012685,
    -0.0012685,
    -0.0012685,
    -0.0012685,
)
"""Of each feature: what a whole segment loses beside a probe, its growth with a step of crf, and the growth's."""

FIRST: Final = 0.61398

MOVING: Final = (0.16024, -0.029024)
AHEAD: Final = (-0.24411, 0.003543)
SIZE: Final = 0.038231
"""What circumstances add to the loss, and to its growth."""

JOINS: Final = (
    1.8549,
    -3.1666,
    -0.21818,
    2.4614,
    0.94301,
)
