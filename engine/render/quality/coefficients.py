"""Constants of `model`, fitted by `python -m benchmarks.quality_fit` to 133 segments.

On stories that were left out in turn, a segment's VMAF above 94 was missed by 0.38 (median).
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
    -0.58776,
    0.40206,
    -0.087472,
    0.14047,
    -1.2246,
)
GROWTH: Final = (
    0.14187,
    0.099857,
    0.19886,
    0.20555,
    0.20364,
)
CURVE: Final = (
    -0.0008869,
    -0.0022254,
    -0.0022011,
    -0.001386,
    -0.00051296,
)
"""Of each feature: what a whole segment loses beside a probe, its growth with a step of crf, and the growth's."""

FIRST: Final = 0.78065

MOVING: Final = -0.063897
SIZE: Final = 0.04212
AHEAD: Final = -0.22574
STILLNESS: Final = -0.37211
TREE: Final = -0.34333
NOISE: Final = 3.3455
"""What circumstances add to the loss."""

JOINS: Final = (
    (0.8745, -1.32),
    (2.879, -6.03),
    (1.632, -2.743),
    (0.6831, -1.367),
    (0.9502, -1.38),
    (1.018, -0.809),
)
"""Slope and offset of each group of transitions."""
