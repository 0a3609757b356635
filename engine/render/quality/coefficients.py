"""Constants of `model`, fitted by `python -m benchmarks.quality_fit` to 133 segments.

On stories that were left out in turn, a segment's VMAF above 94 was missed by 0.34 (median).
"""

from __future__ import annotations

from typing import Final

SCORE: Final = (
    89.44,
    4.2662,
    -0.074726,
    0.023603,
    1.5416,
    1.1751,
    3.3433,
    -2.0302,
    0.013018,
    0.030252,
    -0.031166,
    0.067457,
    -0.01353,
    -0.034301,
    0.041819,
    0.069789,
    -0.046425,
    0.023881,
    0.011148,
    0.014066,
    0.10849,
    0.047357,
    0.14425,
    -0.074873,
    0.03275,
    -0.047676,
    -0.10413,
    0.10042,
    0.081855,
    -0.050954,
    -0.0047763,
    -0.06677,
    0.063621,
    1.2622,
    -0.91929,
    0.73962,
)
"""Of the terms of the map from features to VMAF."""

OFFSETS: Final = (
    -0.66705,
    -0.14428,
    -0.28929,
    -0.61102,
    -0.91723,
)
GROWTH: Final = (
    0.11502,
    0.075396,
    0.15659,
    0.20081,
    0.1449,
)
CURVE: Final = (
    -0.00078212,
    -0.0035196,
    -0.0030827,
    -0.000223,
    -0.0019244,
)
"""Of each feature: what a whole segment loses beside a probe, its growth with a step of crf, and the growth's."""

FIRST: Final = 0.82226

MOVING: Final = 0.052185
SIZE: Final = 0.05144
AHEAD: Final = -0.23335
STILLNESS: Final = -0.4473
TREE: Final = -0.23703
NOISE: Final = 1.5464
"""What circumstances add to the loss; noise to that of detail alone."""

AHEAD_GROWTH: Final = -0.00052572
TREE_GROWTH: Final = -0.019953
"""What they add to its growth with a step of crf."""

JOINS: Final = (
    (0.8735, -1.049),
    (2.826, -4.607),
    (1.582, -1.769),
    (0.7146, -1.526),
    (0.8667, -1.023),
    (1.074, -0.8584),
)
"""Slope and offset of each group of transitions."""
