"""The boxes of words and letters in a layout, by which animations cut a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from video_pipeline.filters.typeset.characters import clusters
from video_pipeline.filters.typeset.shaping import ShapedRun, TextPiece


@dataclass(frozen=True, slots=True)
class WordBox:
    """The box of a word, or of its part on one line; the parts of a broken word have the same `index`."""

    index: int
    text: str
    line: int
    left_px: float
    top_px: float
    width_px: float
    height_px: float


@dataclass(frozen=True, slots=True)
class LetterBox:
    """The box of one letter (grapheme cluster), as wide as its advance; `word` is the index of its word.

    Letters of a ligature share its width evenly.
    """

    text: str
    word: int
    line: int
    left_px: float
    right_px: float


class Drawn(NamedTuple):
    """The part of a line that a shaped cluster takes, and whether it runs right to left."""

    left_px: float
    right_px: float
    rtl: bool


def drawn_clusters(run: ShapedRun, *, left_px: float, size_px: int) -> dict[int, Drawn]:
    """Return the part of the line of each cluster of a run, by the index of its first character in the piece."""
    rtl = bool(run.level % 2)
    found: dict[int, Drawn] = {}
    pen = left_px
    for glyph in run.glyphs:
        start, pen = pen, pen + glyph.advance * size_px
        key = run.start + glyph.cluster
        before = found.get(key)
        low, high = min(start, pen), max(start, pen)
        found[key] = (
            Drawn(min(before.left_px, low), max(before.right_px, high), rtl)
            if before
            else Drawn(low, high, rtl)
        )
    return found


def letter_boxes(piece: TextPiece, drawn: Mapping[int, Drawn], *, line: int) -> list[LetterBox]:
    """Return the letters of a piece in logical order; those of one cluster share its width evenly."""
    parts = clusters(piece.text)
    starts = list(accumulate((len(part) for part in parts[:-1]), initial=0)) if parts else []
    keys = sorted(drawn)
    boxes: list[LetterBox] = []
    for key, end in zip(keys, [*keys[1:], len(piece.text)], strict=True):
        inside = [number for number, start in enumerate(starts) if key <= start < end]
        left, right, rtl = drawn[key]
        if not inside and boxes:  # the end of a letter that began in the cluster before
            last = boxes[-1]
            low, high = min(last.left_px, left), max(last.right_px, right)
            boxes[-1] = LetterBox(last.text, last.word, line, low, high)
        for order, number in enumerate(inside):
            place = len(inside) - 1 - order if rtl else order
            step = (right - left) / len(inside)
            boxes.append(
                LetterBox(parts[number], piece.word, line, left + place * step, left + (place + 1) * step)
            )
    return boxes
