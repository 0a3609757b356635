"""When the words of a text are heard."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from fractions import Fraction
from typing import NamedTuple

_INVISIBLE = "\u200b\u00ad"
"""A zero width space and a soft hyphen: lines may break there, but no word ends."""

_DIVIDING = "–—―…"
"""Marks after which a word begins without a blank; no other break inside unbroken text, as in an address, divides it."""

_SEARCHED = 64
"""How many characters ahead a piece of a text is looked for; further away it is another one that looks alike."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a text, its characters `start` to `stop`, and when it is heard, in seconds of the sound."""

    start: int
    stop: int
    begins: Fraction
    ends: Fraction


class SpokenBy(NamedTuple):
    """The speech service and the voice that speak a text."""

    service: str
    voice: str


def places(pieces: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Return where the pieces of a text begin and end in it, in order.

    Blanks do not count, and characters that are in only one of the two are skipped.
    """
    found: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        start = stop = None
        for character in piece:
            if character.isspace():
                continue
            here = text.find(character, at, at + _SEARCHED)
            if here >= 0:
                start, stop = (here if start is None else start), here + 1
                at = stop
        found.append((at if start is None else start, at if stop is None else stop))
    return found


def time_at(words: Sequence[SpokenWord], place: int) -> Fraction:
    """Return when a character of a text is heard: in the course of its word, or as the next word begins."""
    index = bisect_right(words, place, key=lambda word: word.start) - 1
    if index >= 0 and place < words[index].stop:
        word = words[index]
        return word.begins + (word.ends - word.begins) * (place - word.start) / (word.stop - word.start)
    return words[index + 1].begins if index + 1 < len(words) else words[-1].ends


def words_of(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text begin and end: between blanks, and where lines may break in scripts without."""
    units = text.split() if text.isascii() else _units_of(text)
    return [(start, stop) for start, stop in places(units, text) if start < stop]


def _units_of(text: str) -> list[str]:
    """Return the units of line breaking in a text; in scripts with blanks only those and some marks divide words."""
    from video_pipeline.filters.typeset.characters import break_units, columns, script_of
    from video_pipeline.filters.typeset.shaping import UNSPACED_SCRIPTS

    def is_spaced(character: str) -> bool:
        return columns(character) < 2 and script_of(character) not in UNSPACED_SCRIPTS

    units: list[str] = []
    for line in text.splitlines():
        joins = False
        for unit, blanks in break_units(line):
            if not unit.strip():
                joins = False
                continue
            visible = units[-1].rstrip(_INVISIBLE) if units else ""
            if joins and visible and is_spaced(visible[-1]) and is_spaced(unit[0]):
                units[-1] += unit
            else:
                units.append(unit)
            joins = not blanks.strip(_INVISIBLE) and unit.rstrip(_INVISIBLE)[-1:] not in _DIVIDING
    return units


def carried_over(words: Sequence[SpokenWord], text: str, *, to: str) -> tuple[SpokenWord, ...]:
    """Return the words of another text at the times of those that they match in a spoken one.

    Words between two that match share the time between them by their letters. Returns nothing if too few match.
    """
    if not words:
        return ()
    if text == to:
        return tuple(words)
    spans = words_of(to)
    heard = [_letters_of(text[word.start : word.stop]) for word in words]
    shown = [_letters_of(to[start:stop]) for start, stop in spans]
    times: list[tuple[Fraction, Fraction] | None] = [None] * len(spans)
    for block in SequenceMatcher(None, heard, shown, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            word = words[block.a + offset]
            times[block.b + offset] = (word.begins, word.ends)
    if sum(time is not None for time in times) * 2 < len(spans):
        return ()
    found: list[SpokenWord] = []
    index = 0
    while index < len(spans):
        time = times[index]
        if time is not None:
            found.append(SpokenWord(*spans[index], *time))
            index += 1
            continue
        last = next((i for i in range(index, len(spans)) if times[i] is not None), len(spans))
        begins = found[-1].ends if found else words[0].begins
        following = times[last] if last < len(spans) else None
        ends = following[0] if following else words[-1].ends
        found += shared_words(spans[index:last], begins, max(begins, ends))
        index = last
    return tuple(found)


def matching_words(words: Sequence[SpokenWord], text: str, *, to: str) -> tuple[int, int]:
    """Return how many words of another text match those of a spoken one, in order, and how many there are."""
    heard = [_letters_of(text[word.start : word.stop]) for word in words]
    shown = [_letters_of(to[start:stop]) for start, stop in words_of(to)]
    blocks = SequenceMatcher(None, heard, shown, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks), len(shown)


def shared_words(spans: Sequence[tuple[int, int]], begins: Fraction, ends: Fraction) -> list[SpokenWord]:
    """Return words that share a time by their letters."""
    total = sum(stop - start for start, stop in spans)
    found, at = [], begins
    for start, stop in spans:
        until = at + (ends - begins) * (stop - start) / total
        found.append(SpokenWord(start, stop, at, until))
        at = until
    return found


def timed_apart(
    spans: Sequence[tuple[int, int]], times: Sequence[tuple[Fraction, Fraction] | None]
) -> tuple[SpokenWord, ...]:
    """Return words in order and apart in time, each with a length if any of them has one.

    `times` has the beginning and end of each word. A word without (None) gets the time between its neighbours; if there
    is none, or its own time has no length after the word before, it shares that word's by their letters.
    """
    groups: list[tuple[list[tuple[int, int]], Fraction, Fraction]] = []
    waiting: list[tuple[int, int]] = []
    reached = next((time[0] for time in times if time is not None), Fraction(0))
    for span, time in zip(spans, times, strict=True):
        begins, ends = (max(reached, time[0]), time[1]) if time is not None else (reached, reached)
        if groups and waiting and begins > reached:
            groups.append((waiting, reached, begins))
            waiting = []
        waiting = [*waiting, span]
        if ends > begins:
            if groups and len(waiting) > 1:
                groups[-1][0].extend(waiting[:-1])
                waiting = waiting[-1:]
            groups.append((waiting, begins, ends))
            waiting, reached = [], ends
    if groups:
        groups[-1][0].extend(waiting)
    elif waiting:
        groups.append((waiting, reached, reached))
    return tuple(word for members, begins, ends in groups for word in shared_words(members, begins, ends))


def moved(
    words: Iterable[SpokenWord], *, characters: int = 0, seconds: Fraction = Fraction(0)
) -> tuple[SpokenWord, ...]:
    """Return words at places and times that are later by so much."""
    return tuple(
        replace(
            word,
            start=word.start + characters,
            stop=word.stop + characters,
            begins=word.begins + seconds,
            ends=word.ends + seconds,
        )
        for word in words
    )


def _letters_of(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
