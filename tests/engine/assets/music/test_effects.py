"""Sound effects: short, quiet at both ends, and as loud as the mix counts on."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest

from video_pipeline.engine.assets.music.effects import EFFECT_PEAK, MAKERS, make_effect
from video_pipeline.engine.common.music import EffectName, effects_of

NAMES: tuple[EffectName, ...] = get_args(EffectName)
LONGEST = {"whoosh": 0.7, "pop": 0.125, "click": 0.05}


def test_every_effect_has_a_maker() -> None:
    assert tuple(MAKERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_effect_begins_and_ends_in_silence_and_never_clips(name: EffectName) -> None:
    sound = make_effect(name) / 32768
    assert len(sound) / 48000 == pytest.approx(LONGEST[name])
    assert np.abs(sound[[0, -1]]).max() < 0.002
    assert np.abs(sound).max() == pytest.approx(EFFECT_PEAK, abs=1e-3)
    assert np.abs(sound.mean(axis=0)).max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_loudest_tenth_of_a_second_is_at_most_as_loud_as_speech(name: EffectName) -> None:
    power = ((make_effect(name) / 32768) ** 2).sum(axis=1)
    tenth = np.convolve(power, np.ones(4800) / 4800).max()
    assert -32 < 10 * np.log10(tenth) - 0.7 < -18.5


def test_a_whoosh_passes_from_left_to_right() -> None:
    halves = (make_effect("whoosh").astype(np.float64) ** 2).reshape(2, -1, 2).sum(axis=1)
    assert halves[0, 0] > halves[0, 1]
    assert halves[1, 1] > halves[1, 0]


def test_effects_have_the_same_bytes_on_every_machine() -> None:
    digests = [hashlib.sha256(make_effect(name).astype("<i2").tobytes()).hexdigest()[:16] for name in NAMES]
    assert digests == ["7d4cd7da09a67ccc", "eb98fadb0929dfaa", "52f04c3dc3990cc0"]


def test_a_choice_of_effects_has_those_of_its_name() -> None:
    assert effects_of("none") == ()
    assert effects_of("transitions") == ("whoosh", "click")
    assert effects_of("captions") == ("pop",)
    assert set(effects_of("all")) == set(NAMES)
