"""Divide a scene's caption into phrases: a few words each, shown while they are spoken.

    text, times ──▶ units ──▶ phrases ──▶ captions of their own
                   (a word and    (best cuts)   (text, frames, style, words)
                    what clings
                    to it)

A phrase is a Caption with its own style, so a look may give each one another colour.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final

from video_pipeline.engine.common.spoken_words import places, words_of
from video_pipeline.engine.story.sentence_ends import is_abbreviated
from video_pipeline.engine.story.splitting import CLAUSE_END, sentences
from video_pipeline.engine.timeline import Caption, CaptionWord
from video_pipeline.engine.timing import FrameRange, frames_round
from video_pipeline.filters.typeset.characters import columns, script_of
from video_pipeline.filters.typeset.shaping import UNSPACED_SCRIPTS

MOST_WORDS: Final = 5
BEST_WORDS: Final = 3.5
MOST_COLUMNS: Final = 24
"""Two lines of 90 px within the safe area of a frame 1080 px wide."""

UNSPACED_COLUMNS_A_WORD: Final = 4
"""Columns that count as a word in scripts without blanks: two characters of Chinese."""

SHORT_WORD: Final = 3
"""Letters of a word, such as an article, that reads badly as the last one of a phrase."""

LEAST_SECONDS: Final = 0.7
"""A phrase that is shown for less is hard to read."""

LEAD: Final = Fraction(2, 5)
HOLD: Final = Fraction(1, 2)
"""Seconds for which a phrase is shown before its first word if nothing else is, and after its last one."""

_SENTENCE_MARK: Final = re.compile(r"[.!?…:;][\"'”’»)\]]*\s*\Z")
"""The end of a text that ends with a sentence or before what somebody says."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """What makes a cut into phrases worse; the cut with the least sum is taken."""

    orphan: float = 150
    sentence_inside: float = 45
    clause_inside: float = 14
    pause_inside: float = 25
    no_clause: float = 5
    short_word_last: float = 4
    name_divided: float = 10
    column_over: float = 5
    second_short: float = 25


COST: Final = _Cost()


@dataclass(frozen=True, slots=True)
class _PhraseUnit:
    """A word with the silent marks at its side: its characters, frames, and share of a phrase in words."""

    start: int
    stop: int
    frames: FrameRange
    words: float
    columns: int
    blank_after: bool
    sentence: bool
    clause: bool
    last_is_short: bool
    capital: bool
    abbreviated: bool
    silent: bool


def phrases(caption: Caption, *, fps: Fraction) -> list[Caption]:
    """Return the captions, in order and apart in time, that show a caption's text in its style.

    A word is shown when it is heard; if that is not known, words share the time of the speech, or of the caption if
    there is none, by the columns that they take. A text that has no word is one caption.
    """
    if caption.shown_as == "block":
        return [caption]
    units = _phrase_units(caption)
    if not units:
        return [caption]
    ranges = [(i, i + 1) for i in range(len(units))]
    if caption.shown_as != "word":
        ranges = _best_cuts(units, fps)
    starts = [units[first].frames.start for first, _ in ranges]
    if starts[0] - caption.frames.start <= frames_round(LEAD, fps):
        starts[0] = caption.frames.start
    found: list[Caption] = []
    hold = frames_round(HOLD, fps)
    for number, (first, last) in enumerate(ranges):
        following = starts[number + 1] if number + 1 < len(ranges) else caption.frames.stop
        heard = units[last - 1].frames.stop
        shown = FrameRange(starts[number], max(starts[number], min(heard + hold, following)))
        if len(shown) > 0 and (seen := shown.intersection(caption.frames)):
            found.append(_phrase(caption, units[first:last], seen))
    return found


def _phrase(caption: Caption, units: Sequence[_PhraseUnit], frames: FrameRange) -> Caption:
    start, stop = units[0].start, units[-1].stop
    words: tuple[CaptionWord, ...] = ()
    spoken: FrameRange | None = None
    if caption.spoken is not None:
        words = tuple(CaptionWord(u.start - start, u.stop - start, u.frames, u.silent) for u in units)
        spoken = FrameRange(
            words[0].frames.start, max(words[0].frames.start + 1, *(w.frames.stop for w in words))
        )
    colours = tuple(
        replace(colour, start=max(colour.start, start) - start, stop=min(colour.stop, stop) - start)
        for colour in caption.colours
        if colour.start < stop and start < colour.stop
    )
    whole = caption.frames
    fade_in = caption.fade_in_frames if frames.start < whole.start + caption.fade_in_frames else 0
    fade_out = caption.fade_out_frames if frames.stop > whole.stop - caption.fade_out_frames else 0
    return replace(
        caption,
        text="".join(" " if character.isspace() else character for character in caption.text[start:stop]),
        frames=frames,
        spoken=spoken,
        words=words,
        colours=colours,
        fade_in_frames=fade_in,
        fade_out_frames=fade_out,
        fading=whole if fade_in or fade_out else None,
    )


def _phrase_units(caption: Caption) -> list[_PhraseUnit]:
    """Return the words of a caption with their frames.

    Silent marks cling to the word before them on their line; opening ones, and those that begin a line, to the next.
    """
    text = caption.text
    pieces = _word_places(text)
    times = _piece_times(caption, pieces)
    joined: list[tuple[int, int, FrameRange | None]] = []
    for (start, stop), frames in zip(pieces, times, strict=True):
        opens = bool(joined) and ("\n" in text[joined[-1][1] : start] or _is_opening(text, start, stop))
        clings = (frames is None and not opens) or (joined and joined[-1][2] is None)
        if joined and clings:
            before = joined.pop()
            joined.append((before[0], stop, before[2] or frames))
        else:
            joined.append((start, stop, frames))
    if len(joined) > 1 and joined[-1][2] is None:
        _, stop, _ = joined.pop()
        joined[-1] = (joined[-1][0], stop, joined[-1][2])
    ends = [stop for _, stop in places(sentences(text, language=caption.language), text)]
    silent = [word for word in caption.words if word.silent]
    found = []
    for start, stop, frames in joined:
        if frames is None:
            return []
        word = text[start:stop]
        before_line = "\n" in text[stop : len(text) - len(text[stop:].lstrip())]
        unspaced = script_of(word[-1]) in UNSPACED_SCRIPTS or columns(word[-1]) > 1
        sentence = bisect_right(ends, stop) > bisect_right(ends, start)
        abbreviated = not sentence and is_abbreviated(word)
        letters = [character for character in word if character.isalnum()]
        found.append(
            _PhraseUnit(
                start,
                stop,
                frames,
                columns(word) / UNSPACED_COLUMNS_A_WORD if unspaced else 1.0,
                columns(word),
                text[stop : stop + 1].isspace(),
                sentence or before_line,
                before_line or (CLAUSE_END.search(word) is not None and not abbreviated),
                not unspaced and len(letters) <= SHORT_WORD and not word[-1:].isdigit(),
                word.lstrip("'\"“‘«(").istitle(),
                abbreviated,
                any(name.start < stop and start < name.stop for name in silent),
            )
        )
    return found


def _is_opening(text: str, start: int, stop: int) -> bool:
    """Whether marks between blanks open what follows: brackets, quotation marks, or a dash after a sentence.

    In many languages such a dash begins what somebody says: `Night fell. — Where are you?`
    """
    kinds = {unicodedata.category(character) for character in text[start:stop]}
    if kinds <= {"Ps", "Pi"} or text[start:stop] in ("¿", "¡"):
        return True
    return kinds == {"Pd"} and _SENTENCE_MARK.search(text[:start]) is not None


def _word_places(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text are; parts that no blank divides are one, except in scripts without blanks."""
    found: list[tuple[int, int]] = []
    for start, stop in words_of(text):
        if found and found[-1][1] == start:
            edges = (text[start - 1], text[start])
            before = text[found[-1][0] : start]
            divided = CLAUSE_END.search(before) and not before.rstrip("'\"”’»)]")[-1:].isascii()
            if not divided and not any(
                script_of(edge) in UNSPACED_SCRIPTS or columns(edge) > 1 for edge in edges
            ):
                found[-1] = (found[-1][0], stop)
                continue
        found.append((start, stop))
    return found


def _piece_times(caption: Caption, pieces: Sequence[tuple[int, int]]) -> list[FrameRange | None]:
    """Return the frames of each piece of a caption's text, None for one that takes no time."""
    spans = [
        (start, stop) if any(c.isalnum() for c in caption.text[start:stop]) else None
        for start, stop in pieces
    ]
    if caption.words and caption.spoken is not None:
        starts = [word.start for word in caption.words]
        times: list[FrameRange | None] = []
        for start, stop in pieces:
            heard = caption.words[bisect_left(starts, start) : bisect_left(starts, stop)]
            times.append(FrameRange(heard[0].frames.start, heard[-1].frames.stop) if heard else None)
        return times
    whole = caption.spoken or caption.frames
    weights = [columns(caption.text[span[0] : span[1]]) if span else 0 for span in spans]
    total, reached = max(1, sum(weights)), 0
    shared: list[FrameRange | None] = []
    for weight in weights:
        first = whole.start + len(whole) * reached // total
        reached += weight
        stop = whole.start + len(whole) * reached // total
        shared.append(FrameRange(first, stop) if weight else None)
    return shared


def _best_cuts(units: Sequence[_PhraseUnit], fps: Fraction) -> list[tuple[int, int]]:
    """Return the ranges of units that are phrases, with the least cost in all."""
    count = len(units)
    least = [0.0] + [float("inf")] * count
    cut = [0] * (count + 1)
    for stop in range(1, count + 1):
        words = 0.0
        for start in range(stop - 1, -1, -1):
            words += units[start].words
            if words > MOST_WORDS and start < stop - 1:
                break
            cost = least[start] + _phrase_cost(units, start, stop, words, fps)
            if cost < least[stop]:
                least[stop], cut[stop] = cost, start
    ends = [count]
    while ends[-1]:
        ends.append(cut[ends[-1]])
    return list(pairwise(reversed(ends)))


def _phrase_cost(units: Sequence[_PhraseUnit], start: int, stop: int, words: float, fps: Fraction) -> float:
    inside, last = units[start : stop - 1], units[stop - 1]
    cost = (words - BEST_WORDS) ** 2
    if words < 2 and len(units) > stop - start:
        cost += COST.orphan
    taken = sum(unit.columns + unit.blank_after for unit in inside) + last.columns
    cost += COST.column_over * max(0, taken - MOST_COLUMNS)
    for unit, following in pairwise(units[start:stop]):
        if unit.sentence:
            cost += COST.sentence_inside
        elif unit.clause:
            cost += COST.clause_inside
        if following.frames.start > unit.frames.stop:
            cost += COST.pause_inside
    if stop < len(units):
        if not (last.sentence or last.clause or units[stop].frames.start > last.frames.stop):
            cost += COST.no_clause + (COST.short_word_last if last.last_is_short else 0)
            cost += COST.name_divided if last.abbreviated or (last.capital and units[stop].capital) else 0
        seconds = (units[stop].frames.start - units[start].frames.start) / fps
        cost += COST.second_short * max(0.0, LEAST_SECONDS - float(seconds))
    return cost


def phrases_in(captions: Sequence[Caption], frames: FrameRange | None, *, fps: Fraction) -> Iterator[Caption]:
    """Yield the phrases of captions, those that are seen in `frames` if it is given."""
    for caption in captions:
        if frames is None or caption.frames.intersection(frames):
            for phrase in phrases(caption, fps=fps):
                if frames is None or phrase.frames.intersection(frames):
                    yield phrase
