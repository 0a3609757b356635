"""Music as a loop: chords, bass, a plucked figure and soft drums, chosen by a mood and a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.music.moods import BY_NAME, NOTES, SCALES, Mood
from video_pipeline.engine.assets.music.oscillators import (
    RATE_HZ,
    Wave,
    decay,
    glide,
    hiss,
    oscillate,
    pitch_hz,
    smoothed,
    swell,
)
from video_pipeline.engine.assets.music.reverb import loop_reverb
from video_pipeline.engine.common.music import MoodName, Score

LOOP_FORMAT: Final = 1
"""Increase it when the same mood and seed give other bytes, so that cached music is not used."""

LOOP_LUFS: Final = -20.0
"""About the loudness of every loop; `_levelled` estimates it, ffmpeg's ebur128 measures it in docs/music.md."""

LOOP_SECONDS: Final = (20, 30)
PEAK_MAX: Final = 0.8
HIGHEST_NOTE: Final = 84
"""The highest plucked note (C6): from about 1 kHz on, music would cover the consonants of speech."""

BEATS: Final = 4
STEPS: Final = 16
"""Beats and steps of a bar."""

# By ITU-R BS.1770-5, LUFS = -0.691 + 10 log10(sum of the channels' mean squares); 1.2 dB more because `_levelled`
# weights the highs with a shorter filter.
_MEAN_SQUARE: Final = 0.01546

Pcm = npt.NDArray[np.int16]
"""Sound of shape (samples, 2) at 48 kHz."""


class _Mix:
    """A loop that is being filled; what is placed past its end continues at its beginning."""

    def __init__(self, length: int) -> None:
        self.left = np.zeros(length, np.float32)
        self.right = np.zeros(length, np.float32)
        self.sent = np.zeros(length, np.float32)

    def add(self, wave: Wave, at: int, level: float, *, pan: float = 0.0, send: float = 0.0) -> None:
        """Add a wave from sample `at` on; `pan` is -1 (left) to 1, `send` its share in the reverb."""
        sides = (self.left, level * (1 - max(0.0, pan))), (self.right, level * (1 + min(0.0, pan)))
        for target, gain in (*sides, (self.sent, level * send)):
            if gain:
                self._around(target, wave * np.float32(gain), at % len(target))

    @staticmethod
    def _around(target: Wave, wave: Wave, at: int) -> None:
        while len(wave):
            room = len(target) - at
            part = wave[:room]
            target[at : at + len(part)] += part
            wave, at = wave[room:], 0


def _pick(draw: random.Random, among: Sequence[object]) -> int:
    # `random()` gives the same numbers in every version of Python; `choice` does not promise it.
    return int(draw.random() * len(among))


def _chord(mood: Mood, tonic: int, degree: int, near: list[int]) -> list[int]:
    """Return a chord as MIDI notes, each tone in the octave nearest to the middle of the chord before."""
    scale = SCALES[mood.scale]
    middle = sum(near) // len(near)
    notes = []
    for third in range(4 if mood.seventh else 3):
        octaves, place = divmod(degree + 2 * third, 7)
        pitch = tonic + scale[place] + 12 * octaves
        notes.append(pitch + 12 * round((middle - pitch) / 12))
    # Without two tones a semitone apart, which would beat.
    return sorted(note for note in set(notes) if note - 1 not in notes)


def _bars(tempo: int) -> int:
    """Return how many bars, a multiple of four, are 20 to 30 seconds long."""
    return next(bars for bars in (8, 12, 16) if bars * BEATS * 60 >= LOOP_SECONDS[0] * tempo)


def _held(mix: _Mix, mood: Mood, notes: list[int], at: int, bar: int) -> None:
    length = bar + bar // 3
    for number, note in enumerate(notes):
        level = 0.11 * mood.pad_level / (1 + 0.12 * number)
        for side, factor in ((-1, 0.9982), (1, 1.0019)):
            wave = oscillate(mood.pad, pitch_hz(note) * factor, length, phase=0.37 * number + 0.2 * side)
            wave = swell(wave, attack=bar // 3, release=bar // 2)
            mix.add(wave, at, level, pan=0.75 * side, send=mood.wet)


def _plucked(mood: Mood, note: int) -> Wave:
    length = min(5 * RATE_HZ // 2, round(RATE_HZ * mood.ring_seconds * 5))
    body = oscillate(mood.plucked, pitch_hz(note), length) * decay(length, half_seconds=mood.ring_seconds / 2)
    # A higher partial that dies away first is what makes a tone sound struck.
    ting = oscillate("sine", pitch_hz(note) * 2.002, length) * decay(
        length, half_seconds=mood.ring_seconds / 9
    )
    return swell(body + np.float32(0.35) * ting, attack=240, release=length // 3)


def _bass(mood: Mood, note: int, length: int) -> Wave:
    return swell(
        oscillate("soft", pitch_hz(note), length) * decay(length, half_seconds=length / RATE_HZ / 2),
        attack=700,
        release=min(length // 2, 6000),
    )


def _kick() -> Wave:
    length = RATE_HZ // 3
    return swell(
        glide("sine", 95, 46, length) * decay(length, half_seconds=0.05), attack=150, release=length // 2
    )


def _shaker(seed: int) -> Wave:
    length = RATE_HZ // 9
    noise = hiss(length, seed=seed)
    air = smoothed(noise, 2) - smoothed(noise, 7)
    return swell(air * decay(length, half_seconds=0.02), attack=500, release=length // 2)


def _levelled(left: Wave, right: Wave) -> Pcm:
    """Return both channels at `LOOP_LUFS` as whole numbers, with no constant part, and no peak above `PEAK_MAX`.

    The highs count more, about as in BS.1770: a sum of whole numbers, which is exact in any order.
    """
    total, peak = 0, 1e-9
    centred = []
    for channel in (left, right):
        whole = (channel * np.float32(2**20)).astype(np.int64)
        side = channel - np.float32(int(whole.sum()) / len(whole) / 2**20)
        heard = side + np.float32(0.58) * (side - smoothed(side, 24))
        total += int(((heard * np.float32(2**18)).astype(np.int64) ** 2).sum())
        peak = max(peak, float(np.abs(side).max()))
        centred.append(side)
    # An integer's root is the same everywhere.
    rms = isqrt(total // len(left)) / 2**18
    gain = min(isqrt(round(_MEAN_SQUARE * 10**12)) / 10**6 / max(rms, 1e-6), PEAK_MAX / peak)
    pcm: Pcm = np.rint(np.stack(centred, axis=1) * np.float32(gain * 32767)).astype(np.int16)
    return pcm


def _choices(mood: Mood, seed: int) -> tuple[random.Random, int, int, int]:
    """Return a mood's random numbers after the first ones, the beats a minute, the tonic and a step's samples."""
    draw = random.Random(seed)
    low, high = mood.tempo
    tempo = low + int(draw.random() * (high - low + 1))
    tonic = mood.tonics[_pick(draw, mood.tonics)]
    return draw, tempo, tonic, round(RATE_HZ * 60 / tempo / BEATS)


def score_of(name: MoodName, seed: int) -> Score:
    """Return what is known of a loop without making it."""
    mood = BY_NAME[name]
    _, _, tonic, step = _choices(mood, seed)
    return Score(
        mood=name,
        seed=seed,
        tempo=round(RATE_HZ * 60 / (step * BEATS), 2),
        key=f"{NOTES[tonic % 12]} {mood.scale}",
        beat=Fraction(step * BEATS, RATE_HZ),
    )


def make_loop(name: MoodName, seed: int) -> Pcm:
    """Return 20 to 30 seconds of music that repeat without a seam; the same arguments give the same bytes."""
    mood = BY_NAME[name]
    draw, tempo, tonic, step = _choices(mood, seed)
    degrees = mood.progressions[_pick(draw, mood.progressions)]
    first = mood.figures[_pick(draw, mood.figures)]
    second = mood.figures[_pick(draw, mood.figures)]
    bar, bars = step * STEPS, _bars(tempo)
    mix = _Mix(bars * bar)
    kick, shaker = _kick(), _shaker(seed)
    notes = [48 + tonic, 55 + tonic]
    for number in range(bars):
        at = number * bar
        degree = degrees[number % 4]
        middle = 57 if number % 4 == 0 else sum(notes) // len(notes)
        notes = _chord(mood, 48 + tonic, degree, [middle, 57, 57])
        root = 36 + (tonic + SCALES[mood.scale][degree % 7] + 4) % 12 - 4
        root += 12 if root < 35 else 0
        _held(mix, mood, notes, at, bar)
        # The figure changes in the last bar of four, so that a phrase has an end.
        figure = second if number % 4 == 3 else first
        strokes = [place for place, stroke in enumerate(mood.bass) if stroke != "."]
        for place, until in zip(strokes, [*strokes[1:], STEPS], strict=True):
            wave = _bass(mood, root, (until - place) * step + step // 2)
            mix.add(wave, at + place * step, 0.26 * mood.bass_level)
        tones = [*notes, notes[0] + 12, notes[1] + 12]
        for place, stroke in enumerate(figure):
            if stroke == ".":
                continue
            accent = 1.0 if place % 8 == 0 else 0.72
            level = 0.24 * mood.pluck_level * accent * (0.9 + 0.2 * draw.random())
            note = tones[int(stroke)] + 12 * (mood.octave + 1)
            note -= 12 if note > HIGHEST_NOTE else 0
            pan = 0.35 if place % 4 else -0.35
            wave = _plucked(mood, note)
            mix.add(wave, at + place * step, level, pan=pan, send=mood.wet)
        for pattern, wave, level in ((mood.kick, kick, 0.55), (mood.shaker, shaker, 0.12)):
            for place, stroke in enumerate(pattern):
                if stroke == "x":
                    mix.add(wave, at + place * step, level * mood.drum_level, send=0.06)
    wet_left, wet_right = loop_reverb(mix.sent, feedback=mood.feedback, damping=mood.damping)
    share = np.float32(0.3)
    return _levelled(mix.left + share * wet_left, mix.right + share * wet_right)
