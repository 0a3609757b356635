"""The bit rate of each segment of a video with an average bit rate.

Segments are encoded alone and at the same time, and none meets its rate exactly: a transition at its end may cost
more than its encoder had saved. What earlier segments spent too much or too little, later ones make up for.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from video_pipeline.engine.config.values import parse_bit_rate
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import h264_level
from video_pipeline.engine.render.encoders.x264 import LIBX264
from video_pipeline.engine.timing import FrameRange

AT_ONCE: Final = 4
SHARE_AT_ONCE: Final = 4
"""A segment waits for the sizes of those before it but the last few: four, or a fourth of all if that is more."""

LAST_AT_ONCE: Final = 2
"""Towards the video's end it waits for all but two, since nothing comes later to make up for what they spend."""

STEPS_AN_OCTAVE: Final = 16
"""Rates are rounded to steps, so that a small change in one segment leaves the cached segments after it as they are."""

OCTAVES: Final = (-1.5, 1)
"""How far a segment's rate is below and above the average at most."""

LEARNED: Final = (0.8, 1.25)
"""Bounds of what is learned of the encoder: how many bits it spends for each bit that it was asked for."""

POLL_SECONDS: Final = 0.1


class BitBudget:
    """The settings of each segment, which meet an average bit rate over the whole video. Safe between threads.

    A segment's rate depends on the sizes of certain segments before it alone, so the bytes depend neither on the number
    of workers nor on what is cached. Segments must be begun in their order.
    """

    def __init__(self, segments: Sequence[FrameRange], settings: EncoderSettings) -> None:
        self._average = parse_bit_rate(settings.options["b"])
        self._least, self._most = (self._average * 2**octaves for octaves in OCTAVES)
        if (cap := _cap(settings.options["x264-params"])) is not None:
            self._most = min(self._most, cap)
        self._settings = _with_one_level(settings, round(self._most))
        self._numbers = {frames: number for number, frames in enumerate(segments)}
        self._seconds = [float(len(frames) / settings.fps) for frames in segments]
        self._spent: dict[int, int] = {}
        self._asked: list[int] = []
        self._change = threading.Condition()

    @classmethod
    def of(cls, segments: Sequence[FrameRange], settings: EncoderSettings) -> BitBudget | None:
        """Return the budget of a video, None without an average bit rate and for GPUs.

        What rate a GPU's driver writes into the headers, which all segments must share, is not known.
        """
        return cls(segments, settings) if needs_budget(settings) else None

    def known(self, frames: FrameRange) -> bool:
        """Return whether a segment's settings are known without waiting."""
        with self._change:
            return self._ready(self._numbers[frames])

    def settings(self, frames: FrameRange, check: Callable[[], None] = lambda: None) -> EncoderSettings:
        """Return the settings of a segment, as soon as those that it waits for are encoded.

        `check` is called meanwhile and may raise.
        """
        number = self._numbers[frames]
        with self._change:
            while not self._ready(number):
                self._change.wait(POLL_SECONDS)
                check()
            for other in range(len(self._asked), number + 1):
                self._asked.append(self._rate(other))
            rate = self._asked[number]
        return _with_rate(self._settings, rate)

    def spend(self, frames: FrameRange, data: bytes) -> None:
        """Note a segment's size. It is encoded, or read from the cache."""
        with self._change:
            self._spent[self._numbers[frames]] = 8 * media_bytes(data)
            self._change.notify_all()

    def _known_before(self, number: int) -> int:
        """Return how many segments from the first on have known sizes when a segment begins."""
        count = len(self._seconds)
        most = max(AT_ONCE, count // SHARE_AT_ONCE)
        return max(0, number + 1 - min(most, max(LAST_AT_ONCE, count - number)))

    def _ready(self, number: int) -> bool:
        return all(other in self._spent for other in range(self._known_before(number)))

    def _rate(self, number: int) -> int:
        """Return the bits per second to ask for; the rates of all segments before are known."""
        known = self._known_before(number)
        asked = [self._asked[other] * self._seconds[other] for other in range(number)]
        spent = sum(self._spent[other] for other in range(known))
        learned = min(LEARNED[1], max(LEARNED[0], spent / sum(asked[:known]))) if known else 1.0
        pending = learned * sum(asked[known:])
        left = self._average * sum(self._seconds) - spent - pending
        wanted = left / (learned * sum(self._seconds[number:]))
        octaves = math.log2(min(self._most, max(self._least, wanted)) / self._average)
        rounded = self._average * 2 ** (round(octaves * STEPS_AN_OCTAVE) / STEPS_AN_OCTAVE)
        return round(min(self._most, rounded))


def needs_budget(settings: EncoderSettings) -> bool:
    """Return whether a segment's rate depends on the length of the whole video."""
    return settings.encoder == LIBX264.name and "b" in settings.options


def _with_rate(settings: EncoderSettings, rate: int) -> EncoderSettings:
    return replace(settings, options={**settings.options, "b": str(rate)})


def _with_one_level(settings: EncoderSettings, most: int) -> EncoderSettings:
    """Return settings with the level of the highest rate: x264 chooses it by the rate, and segments share their headers."""
    level = h264_level(_with_rate(settings, most))
    params = f"{settings.options['x264-params']}:level={level}"
    return replace(settings, options={**settings.options, "x264-params": params})


def _cap(x264_params: str) -> int | None:
    """Return the cap on the bit rate in bits per second."""
    found = re.search(r"vbv-maxrate=(\d+)", x264_params)
    return 1000 * int(found[1]) if found else None


def media_bytes(data: bytes) -> int:
    """Return the size of the packets in an MP4: of its `mdat` boxes without their headers."""
    at = total = 0
    while at + 8 <= len(data):
        size, header = int.from_bytes(data[at : at + 4]), 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16]), 16
        if size < header:
            break
        if data[at + 4 : at + 8] == b"mdat":
            total += size - header
        at += size
    return total
