"""Spoken text and its map to the shown text: which spoken characters stand for which shown ones."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

OPENING: Final = "(“¿¡"
CLOSING: Final = ",.!?;:…)”'’"
_JOINED: Final = ",.;:…!?—"


class Said(NamedTuple):
    """Words to be spoken for the shown characters from `start` to `stop`, or a punctuation mark for them.

    `spell` marks letters that are spoken one by one; `phonemes` is their sound in IPA, if the lexicon gives one.
    """

    words: str
    start: int
    stop: int
    spell: bool = False
    phonemes: str = ""


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """A stretch of a spoken text, its characters `at` to `end`, that stands for the shown characters `start` to `stop`."""

    at: int
    end: int
    start: int
    stop: int
    spell: bool = False
    phonemes: str = ""


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text as it is spoken. `parts` are in spoken order and do not overlap; marks between them belong to none."""

    shown: str
    text: str
    parts: tuple[SpokenPart, ...]

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to speak."""
        return not self.parts

    def part_at(self, at: int) -> SpokenPart | None:
        """Return the part that holds a spoken character, or None for a mark or a space."""
        index = bisect_right(self.parts, at, key=lambda part: part.at) - 1
        return self.parts[index] if index >= 0 and at < self.parts[index].end else None


class Writer:
    """Builds a spoken text from its pieces, with one space between words; without `spaced`, only where the text has one."""

    def __init__(self, *, spaced: bool = True) -> None:
        self._spaced = spaced
        self._pieces: list[str] = []
        self._length = 0
        self._last = ""
        self._gap = False
        self._parts: list[SpokenPart] = []

    def gap(self) -> None:
        """Separate what follows from what is written."""
        self._gap = True

    def say(self, pieces: Iterable[Said]) -> None:
        """Append words and marks."""
        for piece in pieces:
            words = " ".join(piece.words.split())
            if not any(character.isalnum() for character in words):
                self._mark(words)
                continue
            if words == "'s" and not self._gap and self._parts and self._parts[-1].end == self._length:
                self._append(words)
                self._parts[-1] = replace(self._parts[-1], end=self._length, stop=piece.stop)
                continue
            joins = self._spaced and (self._last.isalnum() or self._last in CLOSING)
            if self._last and (self._gap or joins):
                self._append(" ")
            at = self._length
            self._append(words)
            self._gap = False
            self._parts.append(
                SpokenPart(at, self._length, piece.start, piece.stop, piece.spell, piece.phonemes)
            )

    def end_block(self) -> None:
        """End a paragraph, a heading or an item with a full stop, if it has no mark of its own."""
        if self._last and (unicodedata.category(self._last)[0] != "P" or self._last in "'’"):
            self._append(".")
        self.gap()

    def _mark(self, mark: str) -> None:
        if (
            not mark
            or (mark in _JOINED and self._last in _JOINED)
            or (not self._last and mark not in OPENING)
        ):
            return  # a mark that ends nothing
        if self._last and (
            (self._gap and mark not in CLOSING) or (self._last in _JOINED and mark in OPENING)
        ):
            self._append(" ")
        if mark not in CLOSING:
            self._gap = self._gap and mark == "—"
        self._append(mark)

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)
        self._last = text[-1]

    def finish(self, shown: str) -> SpokenText:
        """Return the spoken text of a shown one."""
        return SpokenText(shown, "".join(self._pieces), tuple(self._parts))
