"""Reverb by a feedback delay network, around a loop's end."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.music.oscillators import RATE_HZ, Wave

DELAYS: Final = (1481, 1693, 1933, 2203, 2521, 2879, 3299, 3767)
"""Lengths of the delay lines in samples: primes, so that their echoes do not coincide."""

_BLOCK: Final = 1024
_RING: Final = 8192
TAIL: Final = 3 * RATE_HZ
"""Samples for which the reverb of a loop's end goes on at its beginning; the last second of them fades."""


def _mixed(lines: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the eight lines mixed by a Hadamard matrix, which keeps their energy."""
    size = len(lines)
    step = 1
    while step < size:
        pairs = lines.reshape(size // (2 * step), 2, step, -1)
        lines = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(size, -1)
        step *= 2
    return lines * np.float32(0.35355339059327373)


def loop_reverb(dry: Wave, *, feedback: float, damping: float) -> tuple[Wave, Wave]:
    """Return the reverb of a loop, left and right; what sounds after its end is heard at its beginning.

    `feedback`, below 1, is what each pass keeps; `damping`, 0 to 0.5, how much of the highs each pass loses. The network
    is that of Jot and Chaigne (1991): delays, a low-pass in each, and an orthogonal matrix that feeds them back.
    """
    length = len(dry)
    total = length + TAIL
    blocks = -(-total // _BLOCK)
    sent = np.zeros(blocks * _BLOCK, np.float32)
    sent[:length] = dry
    ring = np.zeros((len(DELAYS), _RING), np.float32)
    rows = np.arange(len(DELAYS))[:, None]
    back = np.arange(-1, _BLOCK)[None, :] - np.array(DELAYS)[:, None]
    keep, lose = np.float32(feedback * (1 - damping)), np.float32(feedback * damping)
    left, right = np.empty_like(sent), np.empty_like(sent)
    for begin in range(0, len(sent), _BLOCK):
        heard = ring[rows, (back + begin) & (_RING - 1)]
        heard = keep * heard[:, 1:] + lose * heard[:, :-1]
        end = begin + _BLOCK
        left[begin:end] = heard[0] + heard[2] - heard[4] - heard[6]
        right[begin:end] = heard[1] + heard[3] - heard[5] - heard[7]
        at = begin & (_RING - 1)
        ring[:, at : at + _BLOCK] = _mixed(heard) + sent[begin:end]
    fading = np.minimum(1, np.arange(TAIL, 0, -1) / RATE_HZ).astype(np.float32)
    for side in (left, right):
        side[:TAIL] += side[length:total] * fading
    return left[:length], right[:length]
