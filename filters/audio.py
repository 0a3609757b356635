"""Audio filters: constant gain, true-peak limiter, loudness by EBU R 128, and the file format of a finished mix."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.filters.graph import STANDARD_INPUT, Stream, Value, open_input

OVERSAMPLING: Final = 4
"""Oversampling for true peak: four times, by ITU-R BS.1770-4, annex 2."""

LIMITER_ATTACK_MS: Final = 5
"""Look-ahead of the limiter, which lowers the gain before a peak arrives."""

LIMITER_RELEASE_MS: Final = 80

UNMEASURED_LUFS: Final = -70.0
"""The absolute gate of EBU R 128: the reading if no part of 0.4 s was loud enough to be measured."""

PCM_24: Final[dict[str, Value]] = {
    "f": "wav",
    "acodec": "pcm_s24le",
    "rf64": "auto",
    "fflags": "+bitexact",
    "flags": "+bitexact",
    "map_metadata": "-1",
}
"""Output options of a 24-bit WAV without dates or versions; from 4 GB on it is written as RF64."""

RAW_24: Final[dict[str, Value]] = {"f": "s24le", "acodec": "pcm_s24le"}
"""Output options of the same samples without a header, for a pipe."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """A result of `measure_loudness`: integrated loudness in LUFS, true peak in dBTP (-inf for digital silence)."""

    integrated_lufs: float
    true_peak_db: float

    @property
    def measurable(self) -> bool:
        """Whether any part of the sound passed the absolute gate."""
        return self.integrated_lufs > UNMEASURED_LUFS


def open_raw(path: Path | None, *, sample_rate_hz: int) -> Stream:
    """Open a file, or with None the standard input, of interleaved stereo float32 samples without a header."""
    source = STANDARD_INPUT if path is None else path
    return open_input(source, demuxer="f32le", media="a", sample_rate=sample_rate_hz, ch_layout="stereo")


def gain(stream: Stream, *, gain_db: float) -> Stream:
    """Multiply by a constant gain; float samples above full scale are kept."""
    return stream.filter("volume", volume=f"{gain_db:.4f}dB", precision="double")


def limit_true_peak(stream: Stream, *, ceiling_db: float, sample_rate_hz: int) -> Stream:
    """Lower the gain around peaks above `ceiling_db`, without delay, and leave the rest unchanged.

    The limiter works on oversampled sound, because peaks between samples count. `level` is off: it would
    raise the whole sound to full scale.
    """
    return (
        stream.filter("aresample", sample_rate_hz * OVERSAMPLING)
        .filter(
            "alimiter",
            limit=10 ** (ceiling_db / 20),
            attack=LIMITER_ATTACK_MS,
            release=LIMITER_RELEASE_MS,
            level="disabled",
            latency=1,
        )
        .filter("aresample", sample_rate_hz)
    )


def exact_length(stream: Stream, *, samples: int) -> Stream:
    """Cut the sound, or pad it with silence, to `samples` in each channel."""
    return stream.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def measure_loudness(stream: Stream) -> Stream:
    """Pass the sound through and log its loudness at the end; `parse_loudness` reads the log."""
    return stream.filter("ebur128", peak="true", framelog="quiet")


_NUMBER = r"(-?(?:[0-9]+(?:\.[0-9]+)?|inf)|nan)"
_SUMMARY = re.compile(
    rf"Summary:.*?Integrated loudness:\s+I:\s*{_NUMBER}\s*LUFS.*?True peak:\s+Peak:\s*{_NUMBER}\s*dBFS",
    re.DOTALL,
)


def parse_loudness(log: str) -> Loudness:
    """Read the last summary of `measure_loudness` in ffmpeg's log; raise ValueError if there is none."""
    found = _SUMMARY.findall(log[log.rfind("Summary:") :] if "Summary:" in log else "")
    if not found:
        raise ValueError("ffmpeg's log holds no summary of ebur128 with integrated loudness and true peak")
    integrated, peak = (float(number) for number in found[-1])
    if math.isnan(integrated) or math.isnan(peak):
        raise ValueError(f"ebur128 measured I {integrated} LUFS, peak {peak} dBFS: the sound is not finite")
    return Loudness(integrated_lufs=max(integrated, UNMEASURED_LUFS), true_peak_db=peak)
