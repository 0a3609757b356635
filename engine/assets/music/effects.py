"""Short sounds for transitions, cuts and captions, synthesised like the music."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from video_pipeline.engine.assets.music.loops import Pcm
from video_pipeline.engine.assets.music.oscillators import (
    RATE_HZ,
    Wave,
    decay,
    glide,
    hiss,
    oscillate,
    smoothed,
    swell,
)
from video_pipeline.engine.common.music import EffectName

EFFECTS_FORMAT: Final = 1
"""Increase it when an effect sounds different, so that cached ones are not used."""


@dataclass(frozen=True, slots=True)
class Sides:
    """A sound on the left and on the right."""

    left: Wave
    right: Wave


def _whoosh() -> Sides:
    """Return air that passes from left to right: noise whose pitch rises to the middle and falls again."""
    length = RATE_HZ * 7 // 10
    sides = []
    for seed in (1, 2):
        noise = hiss(length, seed=seed)
        total = np.zeros(length, np.float32)
        # Broad to narrow means are low to high bands; each swells the later, the higher it is.
        for number, (wide, narrow) in enumerate(((96, 48), (48, 24), (24, 12))):
            band = (smoothed(noise, narrow) - smoothed(noise, wide)) * np.float32(1 / (1 + number * 0.6))
            margin = length * number // 10
            heard = swell(
                band[margin : length - margin],
                attack=length // 2 - margin,
                release=length // 2 - margin,
            )
            total[margin : length - margin] += heard
        sides.append(total)
    moving = (np.arange(length) / length).astype(np.float32)
    return Sides(
        sides[0] * (np.float32(1) - np.float32(0.5) * moving),
        sides[1] * (np.float32(0.5) + np.float32(0.5) * moving),
    )


def _pop() -> Sides:
    length = RATE_HZ // 8
    wave = glide("sine", 320, 620, length) * decay(length, half_seconds=0.025)
    wave = swell(wave, attack=180, release=length // 2)
    return Sides(wave, wave)


def _click() -> Sides:
    length = RATE_HZ // 20
    noise = hiss(length, seed=3)
    wave = oscillate("sine", 1150, length) + np.float32(0.4) * (smoothed(noise, 3) - smoothed(noise, 12))
    wave = swell(wave * decay(length, half_seconds=0.004), attack=30, release=length // 2)
    return Sides(wave, wave)


MAKERS: Final[dict[EffectName, Callable[[], Sides]]] = {"whoosh": _whoosh, "pop": _pop, "click": _click}

EFFECT_PEAK: Final = 0.25
"""The peak of every effect (-12 dBFS)."""


def make_effect(name: EffectName) -> Pcm:
    """Return an effect, with a peak of `EFFECT_PEAK`; the same bytes on every machine."""
    sides = MAKERS[name]()
    both = np.stack([sides.left, sides.right], axis=1)
    pcm: Pcm = np.rint(both * np.float32(EFFECT_PEAK * 32767 / float(np.abs(both).max()))).astype(np.int16)
    return pcm
