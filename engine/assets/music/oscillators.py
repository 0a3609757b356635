"""Tables of waves, envelopes and noise, from exactly rounded operations alone."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]
"""Sound of one channel at 48 kHz."""

RATE_HZ: Final = 48_000
_TABLE_BITS: Final = 14
_PI: Final = 3.141592653589793

SEMITONES: Final = (
    1.0, 1.0594630943592953, 1.122462048309373, 1.189207115002721, 1.2599210498948732, 1.3348398541700344,
    1.4142135623730951, 1.4983070768766815, 1.5874010519681994, 1.681792830507429, 1.7817974362806785,
    1.8877486253633868,
)  # fmt: skip
"""2^(n/12), written out because a library's power may differ in its last bit."""

PARTIALS: Final[dict[str, tuple[float, ...]]] = {
    "sine": (1.0,),
    "soft": (1.0, 0.28, 0.10, 0.03),
    "warm": (1.0, 0.42, 0.24, 0.13, 0.08, 0.045, 0.025),
    "reed": (1.0, 0.12, 0.34, 0.06, 0.14, 0.03, 0.06),
    "bright": (1.0, 0.55, 0.36, 0.24, 0.15, 0.10, 0.06, 0.04),
}
"""Amplitudes of a wave's harmonics, from the first on."""


def pitch_hz(note: int) -> float:
    """Return the frequency of a MIDI note; 69 is 440 Hz."""
    octave, semitone = divmod(note - 69, 12)
    return 440.0 * SEMITONES[semitone] * (2.0**octave)


@cache
def _sine_table() -> npt.NDArray[np.float64]:
    """Return one period of a sine, by its Taylor series on the first quarter."""
    size = 1 << _TABLE_BITS
    x = np.arange(size // 4 + 1) * (2 * _PI / size)
    term, total, square = x.copy(), x.copy(), x * x
    for power in range(3, 22, 2):
        term = term * square / -(power * (power - 1))
        total = total + term
    quarter = total[:-1]
    half = np.concatenate([quarter, total[:0:-1]])
    return np.concatenate([half, -half])


@cache
def wave_table(name: str) -> Wave:
    """Return one period of a wave of `PARTIALS`, its harmonics added."""
    sine, size = _sine_table(), 1 << _TABLE_BITS
    total = np.zeros(size)
    for number, amplitude in enumerate(PARTIALS[name], 1):
        total = total + amplitude * sine[np.arange(size) * number % size]
    return total.astype(np.float32)


def oscillate(table: str, frequency_hz: float, samples: int, *, phase: float = 0.0) -> Wave:
    """Return a steady wave; `phase` is a fraction of its period."""
    step = np.uint32(round(frequency_hz / RATE_HZ * 2**32))
    at = np.arange(samples, dtype=np.uint32) * step + np.uint32(round(phase * 2**32) % 2**32)
    wave: Wave = wave_table(table)[at >> np.uint32(32 - _TABLE_BITS)]
    return wave


def glide(table: str, from_hz: float, to_hz: float, samples: int) -> Wave:
    """Return a wave whose frequency moves evenly from one to another."""
    first, last = (round(hz / RATE_HZ * 2**32) for hz in (from_hz, to_hz))
    steps = first + (last - first) * np.arange(samples, dtype=np.int64) // max(1, samples)
    at = np.cumsum(steps) & 0xFFFFFFFF
    wave: Wave = wave_table(table)[at >> (32 - _TABLE_BITS)]
    return wave


@cache
def _half_cosine(samples: int) -> Wave:
    """Return half a cosine from 0 to 1."""
    sine = _sine_table()
    at = (np.arange(samples, dtype=np.int64) * 2 + 1) * len(sine) // (4 * max(1, samples))
    rising = (0.5 + 0.5 * sine[(at - len(sine) // 4) % len(sine)]).astype(np.float32)
    rising.setflags(write=False)
    return rising


def swell(wave: Wave, *, attack: int, release: int) -> Wave:
    """Return a wave that rises over `attack` samples and falls over its last `release`."""
    shaped = wave.copy()
    attack, release = min(attack, len(wave)), min(release, len(wave))
    if attack:
        shaped[:attack] *= _half_cosine(attack)
    if release:
        shaped[len(wave) - release :] *= _half_cosine(release)[::-1]
    return shaped


def decay(samples: int, *, half_seconds: float) -> Wave:
    """Return an envelope that begins at 1 and falls ever slower; after about `half_seconds` it is a half.

    It is 1 / (1 + t)³, the likeness of an exponential decay that needs no exponential.
    """
    base = np.float32(1) + np.arange(samples, dtype=np.float32) * np.float32(0.26 / (half_seconds * RATE_HZ))
    fall: Wave = np.float32(1) / (base * base * base)
    return fall


def hiss(samples: int, *, seed: int) -> Wave:
    """Return white noise between -1 and 1, by a hash of each sample's number."""
    at = np.arange(samples, dtype=np.uint32) + np.uint32(seed * 0x9E3779B9 % 2**32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        at = (at ^ (at >> np.uint32(shift))) * np.uint32(factor)
    at = at ^ (at >> np.uint32(16))
    noise: Wave = (at >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    return noise


def smoothed(wave: Wave, width: int) -> Wave:
    """Return a wave as the mean of each `width` neighbours, a gentle low-pass.

    The sums are of whole numbers (2⁻²⁴), so they are exact in any order.
    """
    whole = np.concatenate(
        [np.zeros(width, np.int64), np.cumsum((wave * np.float32(2**24)).astype(np.int64))]
    )
    mean: Wave = ((whole[width:] - whole[:-width]).astype(np.float64) / (width * 2**24)).astype(np.float32)
    return mean
