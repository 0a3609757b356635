"""Cut a spoken text into pieces that a service takes: at sentence ends, else at clauses, words, letters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from video_pipeline.engine.story.sentence_ends import sentence_pieces

_CLAUSE: Final = re.compile(r"[,;:—、，；：]\s*")
_SPACE: Final = re.compile(r"\s+")

Fits = Callable[[int, int], bool]
"""Whether a service takes the characters from one place of a text to another."""


def cut_text(text: str, *, language: str, fits: Fits) -> tuple[tuple[int, int], ...]:
    """Return the places of a text's pieces, in order, each as long as `fits` allows and without blanks around it.

    A piece is one character long at least, whether it fits or not.
    """
    found: list[tuple[int, int]] = []
    for at, end in _sentence_places(text, language):
        for start, stop in _sentence_pieces(text, at, end, fits):
            if found and fits(found[-1][0], stop):
                found[-1] = (found[-1][0], stop)
            else:
                found.append((start, stop))
    return tuple(found)


def _sentence_places(text: str, language: str) -> Iterator[tuple[int, int]]:
    at = 0
    for sentence in sentence_pieces(text, language=language):
        stripped = sentence.strip()
        if not stripped:
            continue
        start = text.index(stripped, at)
        at = start + len(stripped)
        yield start, at


def _sentence_pieces(text: str, at: int, end: int, fits: Fits) -> Iterator[tuple[int, int]]:
    """Yield the pieces of one sentence, each the longest that fits up to a clause, a word, or else a letter."""
    while at < end:
        if fits(at, end):
            yield at, end
            return
        low, high = at + 1, end  # what fits is a beginning, so the longest is found by halving
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(at, middle) else (low, middle - 1)
        stop = low
        for mark in (_CLAUSE, _SPACE):
            ends = [match.end() for match in mark.finditer(text, at, stop) if match.end() > at + 1]
            if ends and (mark is _SPACE or ends[-1] - at > (stop - at) / 3):
                stop = ends[-1]
                break
        piece = text[at:stop].rstrip()
        yield at, at + len(piece)
        at = stop
        while at < end and text[at].isspace():
            at += 1
