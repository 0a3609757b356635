"""How an encoder spends bits: a constant quality or an average, and the cap on either."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

DEFAULT_CRF = 16.0
CAP_BITS_PER_PIXEL = Fraction(8_000_000, 1080 * 1920 * 30)
CAP_MIN = 400_000
"""The lowest cap on the bit rate of the default quality, in bits per second."""

BUFFER_SECONDS = 2
"""The buffer over which a cap holds if none was asked for, in seconds of the cap."""


def cap_by_size(size_px: tuple[int, int], fps: Fraction) -> int:
    """Return the bit rate that a profile's constant quality does not exceed, in bits per second."""
    return max(CAP_MIN, round(size_px[0] * size_px[1] * fps * CAP_BITS_PER_PIXEL))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateControl:
    """A constant `crf`, an average `bitrate`, or a `quality` that each segment gets a crf for.

    Each has an optional cap in bits per second. `quality` is a VMAF. `buffer_bits` is the size of the buffer over which
    the cap holds, if it was asked for.
    """

    crf: float | None = None
    quality: float | None = None
    bitrate: str | None = None
    max_bit_rate: int | None = None
    buffer_bits: int | None = None

    @property
    def capped_buffer_bits(self) -> int | None:
        """The size of the buffer over which the cap holds, None without a cap."""
        return None if self.max_bit_rate is None else self.buffer_bits or BUFFER_SECONDS * self.max_bit_rate
