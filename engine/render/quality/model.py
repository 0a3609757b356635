"""From what a probe measured to the VMAF of a segment at any crf, and back to the crf for a VMAF.

What is lost of each feature grows by a constant factor with each step of crf. The shares that are then kept, and the
motion, give the VMAF. `benchmarks/quality_fit.py` fits the constants and says how well that holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from video_pipeline.engine.render.quality.coefficients import (
    BY_MOTION,
    BY_SIZE,
    FIRST,
    GROWTH,
    JOINS,
    OFFSETS,
    SCORE,
)
from video_pipeline.engine.render.quality.detail import Kept
from video_pipeline.engine.render.quality.probe import PROBE_CRF, Probe

MODEL_VERSION: Final = 1
"""Increase it when the same probe gives another crf, so that no older one is used from a cache."""

CRF_MIN, CRF_MAX, CRF_STEP = 12.0, 36.0, 0.25
CRF_FITTED: Final = 27.0
"""The highest crf of the samples; beyond it the VMAF falls by as much a step as before it, or by LEAST_SLOPE."""

SLOPE_STEPS: Final = 2.0
LEAST_SLOPE: Final = 0.3
ENOUGH: Final = 0.25
"""If a target is out of reach, so much less than the most that can be reached is enough: the rest would cost much."""

BLENDS: Final = ("fade", "dissolve", "smooth", "hblur", "distance", "pixelize")
"""How the names begin of transitions that show both pictures at once."""

THROUGH: Final = ("fadeblack", "fadewhite")

MEANS: Final = (0.97, 0.75, 0.95, 0.97, 0.985, 0.8, 1.5)
SPREADS: Final = (0.02, 0.15, 0.05, 0.03, 0.015, 0.6, 2.0)
MOTION_MAX: Final = 8.0


def score_terms(detail: float, information: Sequence[float], motion: float) -> list[float]:
    """Return the terms of the map from features to VMAF: all products of up to two of them."""
    values = (detail, *information, math.log1p(motion), min(motion, MOTION_MAX))
    scaled = [(value - mean) / spread for value, mean, spread in zip(values, MEANS, SPREADS, strict=True)]
    products = [one * other for at, one in enumerate(scaled) for other in scaled[at:]]
    return [1.0, *scaled, *products]


def predict_vmaf(probe: Probe, crf: float) -> float:
    """Return the VMAF that a segment is expected to have at a crf."""
    inside = min(crf, CRF_FITTED)
    solo = _solo_vmaf(probe, inside)
    if crf > CRF_FITTED:
        slope = (_solo_vmaf(probe, CRF_FITTED - SLOPE_STEPS) - solo) / SLOPE_STEPS
        solo = max(0.0, solo - max(slope, LEAST_SLOPE) * (crf - CRF_FITTED))
    joined = sum(share * min(100.0, solo + _above(name)) for name, share in probe.joins)
    return (1 - sum(share for _, share in probe.joins)) * solo + joined


def _solo_vmaf(probe: Probe, crf: float) -> float:
    """Return the VMAF of the part of a segment that shows one scene."""
    shift = BY_MOTION * (math.log1p(probe.motion) - 0.7)
    shift += BY_SIZE * math.log2(probe.frame_pixels / (1080 * 1920)) / 2
    kept = []
    for at, (offset, growth) in enumerate(zip(OFFSETS, GROWTH, strict=True)):
        first, later = (
            math.log(-math.log(min(max(each, 0.2), 0.9999)))
            for each in (_features(probe.first)[at], _features(probe.later)[at])
        )
        loss = FIRST * first + (1 - FIRST) * later + offset + growth * (crf - PROBE_CRF) + shift
        kept.append(math.exp(-math.exp(loss)))
    terms = score_terms(kept[0], kept[1:], probe.motion)
    return min(100.0, sum(term * factor for term, factor in zip(terms, SCORE, strict=True)))


def _features(kept: Kept) -> tuple[float, ...]:
    return (kept.detail, *kept.information)


def _above(name: str) -> float:
    """Return by how much the VMAF of a transition is above that of the scene before it."""
    through, blend, edges = JOINS[1], JOINS[0], JOINS[2]
    return through if name in THROUGH else blend if name.startswith(BLENDS) else edges


def choose_crf(probe: Probe, target: float) -> tuple[float, float]:
    """Return the highest crf with which a segment reaches a VMAF, and the VMAF that it is expected to have.

    If the lowest crf does not reach it, a crf that comes close to the lowest one's VMAF.
    """
    crf, vmaf = CRF_MIN, predict_vmaf(probe, CRF_MIN)
    wanted = min(target, vmaf - ENOUGH)
    while crf < CRF_MAX and (next_vmaf := predict_vmaf(probe, crf + CRF_STEP)) >= wanted:
        crf, vmaf = crf + CRF_STEP, next_vmaf
    return crf, vmaf
