"""From what a probe measured to the VMAF of a segment at any crf, and back to the crf for a VMAF.

What is lost of each feature grows by a constant factor with each step of crf. The shares that are then kept, and the
motion, give the VMAF. `benchmarks/quality_fit.py` fits the constants and says how well that holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from video_pipeline.engine.render.quality.coefficients import (
    AHEAD,
    AHEAD_GROWTH,
    CURVE,
    FIRST,
    GROWTH,
    JOINS,
    MOVING,
    NOISE,
    OFFSETS,
    SCORE,
    SIZE,
    STILLNESS,
    TREE,
    TREE_GROWTH,
)
from video_pipeline.engine.render.quality.detail import SCALES, Kept
from video_pipeline.engine.render.quality.probe import PROBE_CRF, SegmentProbe

MODEL_VERSION: Final = 2
"""Increase it when the same probe gives another crf, so that no older one is used from a cache."""

CRF_MIN, CRF_MAX, CRF_STEP = 12.0, 36.0, 0.25
ENOUGH: Final = 0.25
"""If a target is out of reach, so much less than the most that can be reached is enough: the rest would cost much."""

LEAST_KEPT, MOST_KEPT = 0.01, 0.9999
"""Shares beyond these are counted as these."""

MEANS: Final = (0.97, 0.75, 0.95, 0.97, 0.985, 0.8, 1.5)
SPREADS: Final = (0.02, 0.15, 0.05, 0.03, 0.015, 0.6, 2.0)
MOTION_BEND, MOTION_MAX = 8.0, 60.0
"""Where more motion matters less, and where the fitted samples end."""

STILL: Final = 0.02
"""Less motion is none."""

USUAL_PIXELS: Final = 1080 * 1920
USUAL_AHEAD: Final = 20
USUAL_STRENGTH: Final = 3.0
"""Lookahead and mbtree's strength of the default profile, to which everything but what others change is fitted."""

PREDICTED: Final = 0.2
"""Later frames up to this share of the first one's size are those of motion, larger ones those of noise."""

FAST: Final = 6.0
"""With more motion than this, what tiles show later is new in them without being noise."""

USUAL_MOTION: Final = 0.7
"""The logarithm of one more than the motion of a slow zoom."""

JOIN_GROUPS: Final = (
    ("fadeblack", "fadewhite"),
    ("dissolve", "distance"),
    ("fade", "circle", "pixelize"),
    ("slide", "cover", "reveal", "squeeze"),
    ("wipe", "zoom", "hblur"),
    ("",),
)
"""How the names of transitions begin, group by group; the first that fits. In a group, what a transition lacks to a VMAF
of 100 is about the same function of what the scene before lacks: what moves fast hides losses, and two pictures at once
have more to lose."""


def group_of(name: str) -> int:
    """Return the number of a transition's group."""
    return next(number for number, begins in enumerate(JOIN_GROUPS) if name.startswith(begins))


def score_terms(detail: float, information: Sequence[float], motion: float) -> list[float]:
    """Return the terms of the map from features to VMAF: all products of up to two of them."""
    values = (detail, *information, math.log1p(min(motion, MOTION_MAX)), min(motion, MOTION_BEND))
    scaled = [(value - mean) / spread for value, mean, spread in zip(values, MEANS, SPREADS, strict=True)]
    products = [one * other for at, one in enumerate(scaled) for other in scaled[at:]]
    return [1.0, *scaled, *products]


def losses_of(kept: Kept) -> list[float]:
    """Return the double logarithms of what is lost of each feature, in which a factor is a sum."""
    return [
        math.log(-math.log(min(max(share, LEAST_KEPT), MOST_KEPT)))
        for share in (kept.detail, *kept.information)
    ]


def circumstances(probe: SegmentProbe) -> tuple[float, float, float, float, float, float]:
    """Return how far a segment is from the usual in motion, frame size and lookahead, as logarithms.

    Then stillness, how far the strength of x264's mbtree is from the usual one, and noise.
    """
    return (
        math.log1p(min(probe.motion, MOTION_MAX)) - USUAL_MOTION,
        math.log2(probe.frame_pixels / USUAL_PIXELS) / 2,
        math.log2(max(1, probe.ahead_frames) / USUAL_AHEAD),
        float(probe.motion < STILL),
        (probe.tree_strength - USUAL_STRENGTH) * (probe.ahead_frames > 0),
        max(0.0, probe.unpredicted - PREDICTED) * (probe.motion < FAST),
    )


def predict_vmaf(probe: SegmentProbe, crf: float) -> float:
    """Return the VMAF that a segment is expected to have at a crf of CRF_MIN or more, in steps of CRF_STEP."""
    return next(vmaf for at, vmaf in _predictions(probe) if at >= crf)


def _predictions(probe: SegmentProbe) -> Iterator[tuple[float, float]]:
    """Yield each crf with the VMAF that a segment is expected to have.

    With each step of crf it falls by no less than with the step before: so it does in all samples, and the map would not
    hold far from them.
    """
    raw = vmaf = _solo_vmaf(probe, CRF_MIN)
    fall = 0.0
    for step in range(int((CRF_MAX - CRF_MIN) / CRF_STEP) + 1):
        crf = CRF_MIN + step * CRF_STEP
        if step:
            before, raw = raw, _solo_vmaf(probe, crf)
            fall = max(fall, before - raw)
            vmaf -= fall
        solo = min(max(vmaf, 0.0), 100.0)
        joined = sum(share * _join_vmaf(name, solo) for name, share in probe.joins)
        yield crf, (1 - sum(share for _, share in probe.joins)) * solo + joined


def _join_vmaf(name: str, solo: float) -> float:
    """Return the VMAF of a transition after a scene with a VMAF."""
    slope, offset = JOINS[group_of(name)]
    return min(100.0, max(0.0, 100 - offset - slope * (100 - solo)))


def _solo_vmaf(probe: SegmentProbe, crf: float) -> float:
    """Return the VMAF of the part of a segment that shows one scene, which may be above 100."""
    moving, size, ahead, still, tree, noise = circumstances(probe)
    steps = crf - PROBE_CRF
    shift = MOVING * moving + SIZE * size + AHEAD * ahead + STILLNESS * still + TREE * tree
    faster = AHEAD_GROWTH * ahead + TREE_GROWTH * tree
    noises = (NOISE * noise, *[0.0] * SCALES)
    kept = []
    parts = zip(losses_of(probe.first), losses_of(probe.later), OFFSETS, noises, GROWTH, CURVE, strict=True)
    for first, later, offset, noisy, growth, curve in parts:
        loss = FIRST * first + (1 - FIRST) * later + offset + shift + noisy
        kept.append(math.exp(-math.exp(loss + (growth + faster + curve * steps) * steps)))
    terms = score_terms(kept[0], kept[1:], probe.motion)
    return sum(term * factor for term, factor in zip(terms, SCORE, strict=True))


def choose_crf(probe: SegmentProbe, target: float) -> tuple[float, float]:
    """Return the highest crf with which a segment reaches a VMAF, and the VMAF that it is expected to have.

    If the lowest crf does not reach it, a crf that comes close to the lowest one's VMAF.
    """
    predictions = list(_predictions(probe))
    wanted = min(target, predictions[0][1] - ENOUGH)
    return next((each for each in reversed(predictions) if each[1] >= wanted), predictions[0])
