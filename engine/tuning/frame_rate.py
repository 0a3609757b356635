"""The frame rate of a video file, by the time stamps of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av

from video_pipeline.engine.errors import InputError

RATES: Final = (
    *(Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)
"""The rates that files are meant to have."""

NEAR: Final = Fraction(1, 1000)
"""Share by which a measured rate may differ from one of RATES and be meant as it, because of rounded time stamps."""

JITTER: Final = Fraction(1, 5)
"""Share of a frame's time by which time stamps may be off if the rate is steady: Matroska rounds to milliseconds."""

MOST_FRAMES: Final = 20_000


@dataclass(frozen=True, slots=True)
class SteadyRate:
    """A steady frame rate for a file, and a note if the file has a variable one."""

    fps: Fraction
    notes: tuple[str, ...] = ()


def steady_rate(path: Path) -> SteadyRate:
    """Return the frame rate of a file, or the nearest of RATES if it is variable; raise InputError if unreadable."""
    try:
        with av.open(str(path), options={"protocol_whitelist": "file,pipe"}) as container:
            stream = container.streams.video[0]
            packets = islice(container.demux(stream), MOST_FRAMES)
            tick = stream.time_base or Fraction(1, 1000)
            times = sorted(packet.pts * tick for packet in packets if packet.pts is not None)
            named = stream.average_rate
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"material {path}: cannot be read: {error.strerror}") from error
    return rate_of(times, named=named)


def rate_of(times: list[Fraction], *, named: Fraction | None = None) -> SteadyRate:
    """Return the steady rate of frames that are shown at these times; `named` is what the file says, None if nothing."""
    if len(times) < 2 or times[-1] <= times[0]:
        return SteadyRate(named or Fraction(30))
    step = (times[-1] - times[0]) / (len(times) - 1)
    rate = 1 / step
    nearest = min(RATES, key=lambda each: abs(each - rate))
    off = max(abs(time - times[0] - number * step) for number, time in enumerate(times))
    if off > JITTER * step:
        note = f"variable frame rate, {float(rate):.2f} on average: made steady at {float(nearest):.6g}"
        return SteadyRate(nearest, (note,))
    meant = [
        each
        for each in (named, nearest)
        if each and abs(each - rate) <= each * NEAR + off / step / len(times)
    ]
    return SteadyRate(meant[0] if meant else rate.limit_denominator(1001))
