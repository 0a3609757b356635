"""The crf of each segment of a video whose quality is set: probed once, and cached."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Final

from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.quality.model import MODEL_VERSION, choose_crf
from video_pipeline.engine.render.quality.probe import Opening, probe_segment
from video_pipeline.engine.render.segment_cache import CachedSegment, SegmentCache
from video_pipeline.engine.timing import FrameRange

PROBES: Final = "probes"
"""The folder of the content cache for what probes found."""

PROBE_IDENTITY: Final = {"quality": MODEL_VERSION}
"""What a crf depends on besides its segment's content and settings, for its cache key."""

FULL_AT_FIRST: Final = 0.9
"""How full x264's buffer is before a segment's first frame (its parameter vbv-init)."""

KEPT_FULL: Final = 0.5
"""x264 spends fewer bits than a crf asks for if its buffer would be less full (clip_qscale in its ratecontrol.c)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A segment's crf and the VMAF that it is predicted to reach, which is not the target if a bound of crf is reached."""

    crf: float
    vmaf: float

    def as_dict(self) -> dict[str, float]:
        """Return the rate as plain values, for the manifest and the plan."""
        return {"crf": self.crf, "predicted_vmaf": round(self.vmaf, 2)}


class SegmentRates:
    """The encoder's settings of each segment. Safe between threads; a segment is probed once.

    A crf depends on the segment's content, the settings and the target alone, so it is the same on every machine, for
    any number of workers. `cache` keeps them between renders; its settings are those of the whole video.
    """

    def __init__(
        self, compositor: Compositor, settings: EncoderSettings, *, cache: SegmentCache | None = None
    ) -> None:
        self._compositor, self._settings, self._cache = compositor, settings, cache
        self._rates: dict[FrameRange, Rate] = {}
        self._lock = threading.Lock()

    def known(self, frames: FrameRange) -> bool:
        """Return whether a segment's settings are known without a probe."""
        return self._settings.quality is None or frames in self._rates

    def open(
        self, frames: FrameRange, children: Children, *, threads: int = 1
    ) -> tuple[Rate | None, Opening | None]:
        """Return the rate of a segment, None if the settings are the same for all, and its opening if there is one.

        The caller closes the opening. Raises RenderingError, EncoderError.
        """
        target = self._settings.quality
        if target is None:
            return None, None
        known, opening = self._rates.get(frames) or self._cached(frames), None
        if known is None:
            probe, opening = probe_segment(
                self._compositor, frames, self._settings, children, threads=threads
            )
            known = Rate(*choose_crf(probe, target))
            if self._cache:
                self._cache.put(frames, CachedSegment(json.dumps(asdict(known)).encode()))
        with self._lock:
            self._rates[frames] = known
        return known, opening

    def rate(self, frames: FrameRange) -> Rate | None:
        """Return the rate of a segment, None if the settings are the same for all; errors as in `open`."""
        rate, opening = self.open(frames, Children())
        if opening:
            opening.close()
        return rate

    def settings(self, frames: FrameRange) -> EncoderSettings:
        """Return the settings of a segment; errors as in `open`."""
        rate = self.rate(frames)
        return self._settings if rate is None else with_crf(self._settings, rate.crf)

    def _cached(self, frames: FrameRange) -> Rate | None:
        found = self._cache.get(frames) if self._cache else None
        return Rate(**json.loads(found.data)) if found else None


def zones_of(rates: SegmentRates, segments: Sequence[FrameRange]) -> str:
    """Return the crf of each segment as x264's parameter `zones`; raise RenderingError, EncoderError."""
    zones = ((frames, rates.rate(frames)) for frames in segments)
    return "/".join(f"{frames.start},{frames.stop - 1},crf={rate.crf:g}" for frames, rate in zones if rate)


def is_capped(frame_bytes: Sequence[int], *, fps: Fraction, cap_bits: int, buffer_bits: int) -> bool:
    """Return whether x264 has kept a segment below its crf's quality because of a cap in bits per second.

    `frame_bytes` has the bytes of each frame in the order of decoding. The cap fills a buffer of `buffer_bits`, which the
    frames empty.
    """
    filled = FULL_AT_FIRST * buffer_bits
    for size in frame_bytes:
        filled -= size * 8
        if filled <= KEPT_FULL * buffer_bits:
            return True
        filled = min(buffer_bits, filled + float(cap_bits / fps))
    return False


def with_crf(settings: EncoderSettings, crf: float) -> EncoderSettings:
    """Return settings with a crf in place of the quality."""
    return replace(settings, quality=None, options={**settings.options, "crf": f"{crf:g}"})
