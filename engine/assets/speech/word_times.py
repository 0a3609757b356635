"""When shown words are heard: by the times of spoken words that a voice reports, or else by shares and pauses."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenPart, SpokenText
from video_pipeline.engine.common.spoken_words import SpokenWord, timed_apart, words_of

Samples = npt.NDArray[Any]

WORD_TIMES_VERSION: Final = 3
"""Increase it when the same speech gets other word times, so that cached ones are not used."""

PAUSE_LEVEL: Final = 0.02
"""A pause is quieter than this fraction of the speech's peak (-34 dB)."""

PAUSE_SECONDS: Final = 0.08
STEP_SECONDS: Final = 0.01

_WIDE_MARKS: Final = "、。，．；：！？｡､"
_OTHER_MARKS: Final = "،؛؟।"
_SPOKEN_WORD: Final = re.compile(rf"[^\s,.;:!?…—()“”「」『』（）《》〈〉{_WIDE_MARKS}{_OTHER_MARKS}]+")
_MARK: Final = re.compile(
    rf"[,.;:!?…—{_OTHER_MARKS}]+[”)]*(?=\s)|[」』）》〉”]*[…—{_WIDE_MARKS}]+[」』）》〉”]*"
)
_MARK_SECONDS: Final = dict.fromkeys(",，、､،", 0.15) | dict.fromkeys(";:；：؛", 0.25) | {"—": 0.2}
_END_SECONDS: Final = 0.45
_WORD_COST: Final = 0.04
_LETTER_SECONDS: Final = 0.055
FIRST_KANA: Final = "\u3040"
_SYLLABLE_SECONDS: Final = 0.2
_SLOWNESS: Final = 1.16
"""By how much hibari is slower than the lengths of words say (`python -m benchmarks.speech`)."""


class Heard(NamedTuple):
    """Characters `at` to `end` of a spoken text, and when they are heard, in seconds of the sound."""

    at: int
    end: int
    begins: Fraction
    ends: Fraction


def shown_times(spoken: SpokenText, heard: Sequence[Heard]) -> tuple[SpokenWord, ...]:
    """Return when the words of the shown text are heard, in order, without overlap.

    Every word with a letter or a digit has a time, those that the voice told nothing about that of their neighbours;
    other signs have one if they are spoken. Returns nothing if nothing is heard.
    """
    if not heard:
        return ()
    spans = words_of(spoken.shown)
    pieces = sorted(_shown_pieces(spoken, heard, spans))
    kept: list[tuple[int, int]] = []
    times: list[tuple[Fraction, Fraction] | None] = []
    index = 0
    for start, stop in spans:
        while index < len(pieces) and pieces[index][1] <= start:
            index += 1
        last = index
        while last < len(pieces) and pieces[last][0] < stop:
            last += 1
        within = pieces[index:last]
        if within or any(map(str.isalnum, spoken.shown[start:stop])):
            kept.append((start, stop))
            times.append((min(p[2] for p in within), max(p[3] for p in within)) if within else None)
    return timed_apart(kept, times)


def _shown_pieces(
    spoken: SpokenText, heard: Sequence[Heard], spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, Fraction, Fraction]]:
    """Yield the shown words that each spoken part stands for, cut at its edges, and when they are heard."""
    starts, ends = [sound.at for sound in heard], [sound.end for sound in heard]
    stops = [stop for _, stop in spans]
    for part in spoken.parts:
        sounds = heard[bisect_right(ends, part.at) : bisect_left(starts, part.end)]
        first = bisect_right(stops, part.start)
        covered = []
        for start, stop in spans[first:]:
            if start >= part.stop:
                break
            covered.append((max(start, part.start), min(stop, part.stop)))
        if not sounds or not covered:
            continue
        for shown, (at, end) in zip(covered, _spoken_cuts(part, covered, sounds), strict=True):
            yield (*shown, _begins_at(sounds, at), _ends_at(sounds, end))


def _spoken_cuts(
    part: SpokenPart, covered: Sequence[tuple[int, int]], sounds: Sequence[Heard]
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield from where to where in the spoken text each of the shown words of a part is spoken."""
    if part.end - part.at == part.stop - part.start:
        for start, stop in covered:  # character by character
            yield Fraction(part.at + start - part.start), Fraction(part.at + stop - part.start)
        return
    total = sum(stop - start for start, stop in covered)
    reached, number, at = 0, 0, Fraction(part.at)
    for index, (start, stop) in enumerate(covered, start=1):
        reached += stop - start
        end = part.at + Fraction((part.end - part.at) * reached, total)
        left = len(covered) - index
        if left and len(sounds) - number > left:
            # There is a spoken word for each shown one: cut between two of them.
            choices = range(number + 1, len(sounds) - left + 1)
            number = min(choices, key=lambda choice: abs(sounds[choice].at - end))
            end = Fraction(sounds[number].at)
        yield at, end
        at = end


def _begins_at(sounds: Sequence[Heard], place: Fraction) -> Fraction:
    """Return when a place of a spoken text is reached: in the course of a sound, or as the next one begins."""
    for sound in sounds:
        if place < sound.end:
            return _time_within(sound, max(place, Fraction(sound.at)))
    return sounds[-1].ends


def _ends_at(sounds: Sequence[Heard], place: Fraction) -> Fraction:
    """Return when what is before a place of a spoken text ends: in the course of a sound, or with the one before."""
    for sound in reversed(sounds):
        if place > sound.at:
            return _time_within(sound, min(place, Fraction(sound.end)))
    return sounds[0].begins


def _time_within(sound: Heard, place: Fraction) -> Fraction:
    return sound.begins + (sound.ends - sound.begins) * (place - sound.at) / max(1, sound.end - sound.at)


def spoken_word_places(text: str, at: int, end: int) -> list[tuple[int, int]]:
    """Return where the words of a spoken text are between two of its characters."""
    return [(match.start(), match.end()) for match in _SPOKEN_WORD.finditer(text, at, end)]


def marked_times(
    begins: Sequence[tuple[int, int, float]], samples: Samples, rate_hz: int
) -> tuple[Heard, ...]:
    """Return when words are heard whose beginnings a voice told, in seconds of the sound.

    A word ends where the next begins, or at the pause before it. `begins` has each word's place in the spoken text and
    its beginning.
    """
    length = len(samples) / rate_hz
    level = np.abs(samples.astype(np.float64))
    loud = np.flatnonzero(level > PAUSE_LEVEL * max(level.max(initial=0), 1e-9))
    last = (loud[-1] + 1) / rate_hz if loud.size else length
    pauses = _pauses(level, rate_hz)
    found: list[Heard] = []
    for index, (at, end, begin) in enumerate(begins):
        start = min(max(begin, float(found[-1].begins) if found else 0.0), length)
        stop = begins[index + 1][2] if index + 1 < len(begins) else last
        stop = min(max(stop, start), length)
        quiet = [a for a, b in pauses if start < a < stop and b >= stop - PAUSE_SECONDS]
        found.append(
            Heard(at, end, exact_time(start, rate_hz), exact_time(quiet[0] if quiet else stop, rate_hz))
        )
    return tuple(found)


def exact_time(seconds: float | Fraction, rate_hz: int) -> Fraction:
    """Return a time as the nearest sample."""
    return Fraction(round(seconds * rate_hz), rate_hz)


def shared_times(spoken: SpokenText, samples: Samples, rate_hz: int) -> tuple[Heard, ...]:
    """Estimate when the words of a spoken text are heard in its sound.

    Each word gets time by its length; the pauses that are measured in the sound are matched with the punctuation
    marks, in order, so that errors do not add up beyond the next pause.
    """
    words = spoken_word_places(spoken.text, 0, len(spoken.text))
    if not words:
        return ()
    if not len(samples):
        return tuple(Heard(*word, Fraction(0), Fraction(0)) for word in words)
    length = len(samples) / rate_hz
    level = np.abs(samples.astype(np.float64))
    heard = np.flatnonzero(level > PAUSE_LEVEL * max(level.max(), 1e-9))
    first, last = (heard[0] / rate_hz, (heard[-1] + 1) / rate_hz) if heard.size else (0.0, length)
    pauses = [pause for pause in _pauses(level, rate_hz) if first < pause[0] and pause[1] < last]
    marks = [
        (index, _MARK_SECONDS.get(match.group()[0], _END_SECONDS))
        for index, (_, end) in enumerate(words[:-1])
        if (match := _MARK.match(spoken.text, end))
    ]
    lengths = [_spoken_seconds(spoken.text[at:end]) for at, end in words]
    matched = _matched(lengths, marks, pauses, first, last)
    found: list[Heard] = []
    begin, index = first, 0
    for stop_index, pause_start, pause_stop in [*matched, (len(words) - 1, last, last)]:
        group = range(index, stop_index + 1)
        total = sum(lengths[i] for i in group)
        at = begin
        for i in group:
            until = at + lengths[i] / total * (pause_start - begin)
            found.append(
                Heard(
                    *words[i],
                    exact_time(at, rate_hz),
                    exact_time(until, rate_hz),
                )
            )
            at = until
        begin, index = pause_stop, stop_index + 1
    return tuple(found)


def estimated_seconds(spoken: SpokenText) -> Fraction:
    """Estimate how long a spoken text lasts at an ordinary pace, with its pauses."""
    words = sum(_spoken_seconds(match.group()) for match in _SPOKEN_WORD.finditer(spoken.text))
    marks = sum(_MARK_SECONDS.get(match.group()[0], _END_SECONDS) for match in _MARK.finditer(spoken.text))
    return Fraction(round((words + marks) * _SLOWNESS * 1000), 1000)


def _spoken_seconds(word: str) -> float:
    """Estimate the length of a word."""
    letters = [character for character in word if character.isalnum()]
    # In scripts without spaces between words, a sign is a syllable or more.
    signs = sum(character >= FIRST_KANA for character in letters)
    if signs and signs == len(letters):
        return _SYLLABLE_SECONDS * signs
    vowels = len(re.findall(r"(?i)[aeiouyà-ÿ]+", word))
    others = _WORD_COST + _LETTER_SECONDS * (0.5 * (len(letters) - signs) + 1.2 * max(1, vowels))
    return _SYLLABLE_SECONDS * signs + others


def _pauses(level: Samples, rate_hz: int) -> list[tuple[float, float]]:
    """Return the pauses of a sound, in seconds."""
    step = max(1, round(STEP_SECONDS * rate_hz))
    count = len(level) // step
    loudest = level[: count * step].reshape(count, step).max(axis=1) if count else np.zeros(0)
    quiet = np.concatenate([[False], loudest < PAUSE_LEVEL * max(float(level.max(initial=0)), 1e-9), [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8)))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [
        (float(a * step / rate_hz), float(b * step / rate_hz))
        for a, b in pairs
        if (b - a) * step >= PAUSE_SECONDS * rate_hz
    ]


def _matched(
    lengths: Sequence[float],
    marks: Sequence[tuple[int, float]],
    pauses: Sequence[tuple[float, float]],
    first: float,
    last: float,
) -> list[tuple[int, float, float]]:
    """Match marks and pauses in order, so that the words between two pairs are as fast as all others.

    Returns the index of the word before each matched mark, and the pause after it.
    """
    if not marks or not pauses:
        return []
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    paused = np.concatenate([[0.0], np.cumsum([stop - start for start, stop in pauses])])
    pace = (last - first - paused[-1]) / reached[-1]  # seconds a unit of length
    # Where the speech is at each mark and at each pause, both without pauses.
    at_mark = [float(reached[index + 1] * pace) for index, _ in marks]
    at_pause = [float(start - first - paused[number]) for number, (start, _) in enumerate(pauses)]
    cost = np.zeros((len(marks) + 1, len(pauses) + 1))
    cost[1:, 0] = np.cumsum([expected for _, expected in marks])
    cost[0, 1:] = np.cumsum([stop - start for start, stop in pauses])
    for i in range(1, len(marks) + 1):
        for j in range(1, len(pauses) + 1):
            start, stop = pauses[j - 1]
            near = abs(at_mark[i - 1] - at_pause[j - 1])
            cost[i, j] = min(
                cost[i - 1, j - 1] + near,
                cost[i - 1, j] + marks[i - 1][1],
                cost[i, j - 1] + (stop - start),
            )
    found: list[tuple[int, float, float]] = []
    i, j = len(marks), len(pauses)
    while i and j:
        start, stop = pauses[j - 1]
        near = abs(at_mark[i - 1] - at_pause[j - 1])
        if cost[i, j] == cost[i - 1, j - 1] + near:
            found.append((marks[i - 1][0], start, stop))
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + marks[i - 1][1]:
            i -= 1
        else:
            j -= 1
    return found[::-1]
