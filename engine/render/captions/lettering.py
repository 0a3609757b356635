"""The letters of a caption: when each appears, and which parts of a picture show them.

Frames are counted from the caption's first frame, pixels from the picture's top-left corner.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from video_pipeline.engine.common.spoken_words import places
from video_pipeline.engine.timeline import CaptionColour, CaptionWord
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.typeset import Raster, TextLayout
from video_pipeline.filters.typeset.characters import bidi_levels, columns
from video_pipeline.filters.typeset.style import Color

LETTERS_A_SECOND: Final = 20
"""Typing speed of a caption without speech."""

TYPED_SHARE: Final = Fraction(4, 5)
"""Largest part of a caption's time that typing may take; long texts are typed faster."""


@dataclass(frozen=True, slots=True)
class Letter:
    """The columns of a letter on its line, and the frame in which it appears."""

    line: int
    left_px: int
    right_px: int
    first_frame: int


@dataclass(frozen=True, slots=True)
class Word:
    """The columns of a word on its line, and the frames in which it is spoken, exclusive of `stop_frame`.

    `leftward` is true for a word that is read from its right end.
    """

    line: int
    left_px: int
    right_px: int
    first_frame: int
    stop_frame: int
    leftward: bool = False

    def coloured(self, frame: int, *, swept: bool) -> tuple[int, int]:
        """Return the columns in the colour of speech at a frame: the whole word, or what the voice has reached."""
        if frame < self.first_frame or (frame >= self.stop_frame and not swept):
            return self.left_px, self.left_px
        length = self.stop_frame - self.first_frame
        if not swept or frame >= self.stop_frame:
            return self.left_px, self.right_px
        reached = (self.right_px - self.left_px) * (frame + 1 - self.first_frame) // length
        if self.leftward:
            return self.right_px - reached, self.right_px
        return self.left_px, self.left_px + reached


@dataclass(frozen=True, slots=True)
class Lettering:
    """The lines, letters and words of a caption's picture.

    `rows` are the edges of the lines, one more than there are lines. `letters` are in typing order (none: all
    appear at once); `words` are coloured while they are spoken. If `swept`, the colour runs through each word with
    the voice, and stays.
    """

    width_px: int
    rows: tuple[int, ...]
    letters: tuple[Letter, ...] = ()
    words: tuple[Word, ...] = ()
    swept: bool = False


class LetterSheet(NamedTuple):
    """The width of a caption's picture, its offset in the layout, and the edges of its lines."""

    width_px: int
    left_px: int
    rows: tuple[int, ...]


class PicturePart(NamedTuple):
    """A half-open rectangle of a picture; `spoken` is true for a word that is being spoken."""

    left: int
    top: int
    right: int
    bottom: int
    spoken: bool


def typing_frames(letters: int, *, length_frames: int, fps: Fraction) -> FrameRange:
    """Return the frames in which the letters of a caption without speech are typed."""
    steady = round(letters * fps / LETTERS_A_SECOND)
    return FrameRange(0, min(steady, int(length_frames * TYPED_SHARE)))


def lettering(
    layout: TextLayout,
    sheet: LetterSheet,
    *,
    typed: FrameRange | None,
    spoken: FrameRange | None,
    text: str = "",
    words: Sequence[CaptionWord] = (),
) -> Lettering:
    """Return the letters of a layout on its picture, typed during `typed`, its words spoken during `spoken`.

    If it is known when the `words` of the `text` are spoken, letters are typed and words spoken with them. Otherwise
    each letter gets time in proportion to the columns that it takes.
    """
    width = sheet.width_px
    times = [*_with_words(layout, text, words)] if words else None

    def x(value: float) -> int:
        return min(max(round(value) - sheet.left_px, 0), width)

    letters: list[Letter] = []
    if typed is not None:
        firsts = [time.first for time in times or _by_columns(layout, typed)]
        for box, first in zip(layout.letters, firsts, strict=True):
            letters.append(Letter(box.line, x(box.left_px), x(box.right_px), first))
    found: list[Word] = []
    if spoken is not None:
        ranges: dict[int, tuple[int, int]] = {}
        for box, time in zip(layout.letters, times or _by_columns(layout, spoken), strict=True):
            if time.stop > time.start:
                first, last = ranges.get(box.word, (time.start, time.stop))
                ranges[box.word] = (min(first, time.start), max(last, time.stop))
        for word in layout.words:
            if word.index in ranges:
                left, right = x(word.left_px), x(word.left_px + word.width_px)
                leftward = bidi_levels(word.text)[0] % 2 == 1
                found.append(Word(word.line, left, right, *ranges[word.index], leftward))
    return Lettering(width, sheet.rows, tuple(letters), tuple(_widen_words(found, width)))


class _LetterTime(NamedTuple):
    """The frame in which a letter is typed, and the frames in which its word is spoken (none if it is silent)."""

    first: int
    start: int
    stop: int


def _by_columns(layout: TextLayout, span: FrameRange) -> Iterator[_LetterTime]:
    """Yield the times of letters that share a range by the columns that they take."""
    weights = [max(1, columns(letter.text)) for letter in layout.letters]
    total = max(1, sum(weights))
    reached = 0
    for weight in weights:
        first = span.start + len(span) * reached // total
        reached += weight
        yield _LetterTime(first, first, span.start + len(span) * reached // total)


def _with_words(layout: TextLayout, text: str, words: Sequence[CaptionWord]) -> Iterator[_LetterTime]:
    """Yield the times of letters by those of their words. A silent word is typed as the next one begins."""
    letters = places((letter.text for letter in layout.letters), text)
    starts = [word.start for word in words]
    for place, _ in letters:
        index = bisect_right(starts, place) - 1
        if index >= 0 and place < words[index].stop:
            word = words[index]
            share = len(word.frames) * (place - word.start) // (word.stop - word.start)
            stop = word.frames.start if word.silent else word.frames.stop
            yield _LetterTime(word.frames.start + share, word.frames.start, stop)
        else:
            following = words[index + 1].frames.start if index + 1 < len(words) else words[-1].frames.stop
            yield _LetterTime(following, following, following)


def coloured_places(
    layout: TextLayout, sheet: LetterSheet, text: str, colours: Sequence[CaptionColour]
) -> list[tuple[tuple[int, int, int, int], Color]]:
    """Return the words of a layout of the `text` that have other colours: (left, top, right, bottom) and colour."""
    first: dict[int, int] = {}
    for box, (place, _) in zip(
        layout.letters, places((box.text for box in layout.letters), text), strict=True
    ):
        first.setdefault(box.word, place)
    found: list[Word] = []
    own: list[Color | None] = []
    for word in layout.words:
        left = min(max(round(word.left_px) - sheet.left_px, 0), sheet.width_px)
        right = min(max(round(word.left_px + word.width_px) - sheet.left_px, 0), sheet.width_px)
        found.append(Word(word.line, left, right, 0, 0))
        at = first.get(word.index, -1)
        own.append(next((colour.color for colour in colours if colour.start <= at < colour.stop), None))
    return [
        ((word.left_px, sheet.rows[word.line], word.right_px, sheet.rows[word.line + 1]), color)
        for word, color in zip(_widen_words(found, sheet.width_px), own, strict=True)
        if color is not None
    ]


def letter_sheet(layout: TextLayout, raster: Raster) -> LetterSheet:
    """Return where the lines of a layout are on its picture."""
    return LetterSheet(raster.image.width, raster.left_px, _line_edges(layout, raster))


def _line_edges(layout: TextLayout, raster: Raster) -> tuple[int, ...]:
    """Return the edges of a picture's lines: 0, the row with the least ink between each two baselines, the height."""
    alpha = np.asarray(raster.image)[..., 3]
    ink = alpha.sum(axis=1, dtype=np.int64)
    height = len(ink)
    edges = [0]
    for above, below in pairwise(layout.text_lines):
        first, last = (round(line.baseline_px) - raster.top_px for line in (above, below))
        first = min(max(first, edges[-1]), height)
        between = ink[first : max(first, last)]
        edges.append(first + int(between.argmin()) if between.size else first)
    return (*edges, height)


def _widen_words(words: Sequence[Word], width_px: int) -> Iterator[Word]:
    """Widen words to the middle of the blanks beside them, because letters may overhang."""
    for word in words:
        line = [other for other in words if other.line == word.line]
        before = [other.right_px for other in line if other.right_px <= word.left_px]
        after = [other.left_px for other in line if other.left_px >= word.right_px]
        left = (max(before) + word.left_px) // 2 if before else 0
        right = (word.right_px + min(after)) // 2 if after else width_px
        yield replace(word, left_px=left, right_px=right)


def parts_at(text: Lettering, frame: int) -> list[PicturePart]:
    """Return the visible parts of a picture at a frame, without overlap."""
    parts: list[PicturePart] = []
    for line, (top, bottom) in enumerate(pairwise(text.rows)):
        spoken = _joined(word.coloured(frame, swept=text.swept) for word in text.words if word.line == line)
        for left, right in _typed(text, line, frame):
            cuts = sorted({left, right, *(c for part in spoken for c in part if left < c < right)})
            for start, stop in pairwise(cuts):
                within = any(first <= start and stop <= last for first, last in spoken)
                parts.append(PicturePart(start, top, stop, bottom, within))
    return parts


def _joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return stretches of columns in order, without empty ones; those that touch are one."""
    found: list[tuple[int, int]] = []
    for left, right in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if found and left <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], right))
        else:
            found.append((left, right))
    return found


def _typed(text: Lettering, line: int, frame: int) -> list[tuple[int, int]]:
    """Return the column ranges of a line's visible letters, including the blanks between them."""
    letters = sorted(
        (letter for letter in text.letters if letter.line == line), key=lambda letter: letter.left_px
    )
    if not letters:
        # No letters: the whole caption appears at once, or this line is blank while others are typed.
        return [] if text.letters else [(0, text.width_px)]
    stretches: list[tuple[int, int]] = []
    joined = False
    for number, letter in enumerate(letters):
        visible = letter.first_frame <= frame
        if visible:
            left = 0 if number == 0 else letter.left_px
            right = text.width_px if number == len(letters) - 1 else letter.right_px
            if joined:
                left, _ = stretches.pop()
            stretches.append((left, right))
        joined = visible
    return [(left, right) for left, right in stretches if left < right]


__all__ = [
    "LETTERS_A_SECOND",
    "Letter",
    "LetterSheet",
    "Lettering",
    "PicturePart",
    "Word",
    "coloured_places",
    "letter_sheet",
    "lettering",
    "parts_at",
    "typing_frames",
]
