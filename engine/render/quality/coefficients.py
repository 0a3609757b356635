"""Constants of `model`, fitted by `python -m benchmarks.quality_fit` to 124 segments.

On stories that were left out in turn, a segment's VMAF above 94 was missed by 0.39 (median).
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
    -0.5874,
    0.3847,
    -0.099704,
    0.14585,
    -1.1718,
)
GROWTH: Final = (
    0.14253,
    0.09815,
    0.19847,
    0.20538,
    0.20407,
)
CURVE: Final = (
    -0.00094851,
    -0.0020707,
    -0.0021948,
    -0.0013978,
    -0.00057501,
)
"""Of each feature: what a whole segment loses beside a probe, its growth with a step of crf, and the growth's."""

FIRST: Final = 0.744

MOVING: Final = -0.073209
SIZE: Final = 0.072405
AHEAD: Final = -0.22161
STILLNESS: Final = -0.34386
"""What circumstances add to the loss."""

JOINS: Final = (
    (0.889, -1.305),
    (2.913, -6.455),
    (1.713, -3.405),
    (0.6874, -1.372),
    (0.9743, -1.553),
    (1.034, -1.048),
)
"""Slope and offset of each group of transitions."""
