"""The reverb of a loop goes on over its end."""

from __future__ import annotations

import itertools

import numpy as np

from video_pipeline.engine.assets.music.reverb import loop_reverb


def impulse(at: int) -> np.ndarray:  # type: ignore[type-arg]
    dry = np.zeros(300_000, np.float32)
    dry[at] = 1
    return dry


def test_a_later_sound_has_the_same_reverb_later_around_the_end() -> None:
    early = loop_reverb(impulse(2048), feedback=0.85, damping=0.2)
    late = loop_reverb(impulse(2048 + 1024 * 285), feedback=0.85, damping=0.2)
    for one, other in zip(early, late, strict=True):
        assert np.abs(np.roll(one, 1024 * 285) - other).max() < 2e-3


def test_the_reverb_dies_away_and_is_not_the_same_on_both_sides() -> None:
    left, right = loop_reverb(impulse(0), feedback=0.85, damping=0.2)
    power = [float((left[begin : begin + 24000] ** 2).sum()) for begin in range(0, 240_000, 24000)]
    assert all(later < earlier for earlier, later in itertools.pairwise(power))
    assert power[-1] < 1e-6 * power[0]
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.3
