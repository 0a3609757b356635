"""The model that is fitted is the model that the engine computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.quality_fit import DEFAULT_SETTINGS, Samples, fit_losses, probe_of
from video_pipeline.engine.render.quality import coefficients
from video_pipeline.engine.render.quality.model import CRF_MIN, predict_vmaf

FITTED = np.array(
    [
        *coefficients.OFFSETS,
        coefficients.FIRST,
        *coefficients.GROWTH,
        *coefficients.CURVE,
        *(coefficients.MOVING, coefficients.SIZE, coefficients.STILLNESS, coefficients.NOISE),
        *(coefficients.AHEAD, coefficients.TREE, coefficients.AHEAD_GROWTH, coefficients.TREE_GROWTH),
    ]
)
SCORE = np.array(coefficients.SCORE)


def rows_of(
    *, settings: str, tree: tuple[int, float], unpredicted: float, motion: float
) -> list[dict[str, Any]]:
    about = {"material": f"{settings}{motion}", "start": 0, "settings": settings}
    kept = {"first": [0.97, 0.7, 0.9, 0.96, 0.98], "later": [0.96, 0.68, 0.88, 0.95, 0.97]}
    probe = {
        "kind": "probe",
        "tree": tree,
        "unpredicted": unpredicted,
        "motion": motion,
        "pixels": 720 * 1280,
    }
    crfs = (CRF_MIN, 20, 28)
    segments = [{**about, "kind": "segment", "crf": crf, "solo": 107 - crf / 2, "joins": ()} for crf in crfs]
    return [{**about, **kept, **probe}, *segments]


CASES = [
    rows_of(settings=DEFAULT_SETTINGS, tree=(20, 3.0), unpredicted=0.1, motion=0.0),
    rows_of(settings=DEFAULT_SETTINGS, tree=(20, 3.0), unpredicted=0.5, motion=2.5),
    rows_of(settings=DEFAULT_SETTINGS, tree=(20, 3.0), unpredicted=0.5, motion=9.0),
    rows_of(settings="veryfast", tree=(10, 2.0), unpredicted=0.3, motion=1.0),
    rows_of(settings="none", tree=(0, 2.0), unpredicted=0.0, motion=4.0),
]


@pytest.mark.parametrize("rows", CASES)
def test_the_fit_and_the_engine_have_one_model(rows: list[dict[str, Any]]) -> None:
    samples = Samples(rows)
    found = samples.predict(FITTED, SCORE, np.ones(len(samples.vmaf), bool))
    assert found[0] == pytest.approx(predict_vmaf(probe_of(rows[0]), CRF_MIN), abs=1e-9)


def test_other_settings_change_nothing_of_what_is_fitted_to_the_default() -> None:
    samples = Samples([row for rows in CASES for row in rows])
    everything = np.ones(len(samples.vmaf), bool)
    growth = np.array([coefficients.GROWTH, coefficients.CURVE])
    alone = fit_losses(samples, SCORE, growth, samples.default)
    together = fit_losses(samples, SCORE, growth, everything)
    assert np.array_equal(alone[:-4], together[:-4])
    assert not alone[-4:].any()
    assert together[-4:].all()
    errors = (samples.predict(together, SCORE, everything) - samples.vmaf)[samples.default]
    started = (samples.predict(FITTED, SCORE, everything) - samples.vmaf)[samples.default]
    assert np.sqrt(np.mean(errors**2)) < np.sqrt(np.mean(started**2))
