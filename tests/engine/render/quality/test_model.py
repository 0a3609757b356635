"""The model: less VMAF with each step of crf, and the highest crf that reaches a target."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from video_pipeline.engine.render.quality.detail import Kept
from video_pipeline.engine.render.quality.model import (
    CRF_MAX,
    CRF_MIN,
    CRF_STEP,
    ENOUGH,
    FAST,
    choose_crf,
    predict_vmaf,
)
from video_pipeline.engine.render.quality.probe import SegmentProbe

KEPT = Kept(0.985, (0.83, 0.95, 0.985, 0.997))
PROBE = SegmentProbe(KEPT, KEPT, motion=0.6, frame_pixels=1080 * 1920)


def test_a_higher_crf_gives_less() -> None:
    scores = [predict_vmaf(PROBE, crf) for crf in range(int(CRF_MIN), int(CRF_MAX) + 1)]
    falls = [better - worse for better, worse in pairwise(scores)]
    assert all(fall > 0 for fall in falls)
    assert falls == sorted(falls)  # faster and faster
    assert 85 < predict_vmaf(PROBE, 20) < 99


def test_a_picture_that_keeps_less_gets_a_lower_crf() -> None:
    worse = Kept(0.96, (0.7, 0.9, 0.96, 0.985))
    assert choose_crf(replace(PROBE, first=worse, later=worse), 93)[0] < choose_crf(PROBE, 93)[0]


def test_noise_gets_a_lower_crf_but_what_only_moves_fast_does_not() -> None:
    crf, _ = choose_crf(PROBE, 93)
    assert choose_crf(replace(PROBE, unpredicted=0.5), 93)[0] < crf
    fast = replace(PROBE, motion=FAST)
    assert choose_crf(replace(fast, unpredicted=0.5), 93) == choose_crf(fast, 93)


@pytest.mark.parametrize("target", [85, 90, 93, 95, 96])
def test_the_crf_is_the_highest_that_reaches_the_target(target: float) -> None:
    crf, vmaf = choose_crf(PROBE, target)
    assert vmaf == predict_vmaf(PROBE, crf) >= target > predict_vmaf(PROBE, crf + CRF_STEP)


def test_a_target_out_of_reach_costs_no_more_than_comes_close_to_the_most() -> None:
    flat = Kept(0.93, (0.4, 0.8, 0.9, 0.95))
    probe = replace(PROBE, first=flat, later=flat, motion=0)
    most = predict_vmaf(probe, CRF_MIN)
    crf, vmaf = choose_crf(probe, 99)
    assert most - ENOUGH <= vmaf < 99
    assert CRF_MIN < crf < 20


def test_a_target_that_the_highest_crf_still_reaches_takes_that() -> None:
    still = Kept(0.9995, (0.999, 0.9995, 0.9998, 0.9999))
    assert choose_crf(replace(PROBE, first=still, later=still, motion=3), 80)[0] == CRF_MAX


def test_a_cross_fade_lowers_and_a_slide_raises_what_a_segment_has() -> None:
    alone = predict_vmaf(PROBE, 22)
    assert predict_vmaf(replace(PROBE, joins=(("dissolve", 0.25),)), 22) < alone
    assert predict_vmaf(replace(PROBE, joins=(("slideup", 0.25),)), 22) > alone
