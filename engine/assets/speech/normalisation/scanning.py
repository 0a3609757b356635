"""Read a text from left to right by a table of rules: each says what the characters that it matches sound like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said, Writer

Read = Callable[[re.Match[str]], Iterable[Said] | None]

_MARKS: Final = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0dff\u0e00-\u109f\u1780-\u17ff\u200b-\u200d\u2060\u00ad\ufeff"
"""Accents, vowel signs and invisible characters, which are part of the word that they follow."""

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u2060\u00ad\ufeff"))

LETTER: Final = r"[^\W\d_¹²³⁰-₉¼-¾⅐-↉①-⓿❶-➓]"
"""A letter; not a small or a circled digit."""

_PART: Final = rf"{LETTER}(?:{LETTER}|[{_MARKS}])*"

WORD: Final = re.compile(rf"{_PART}(?:['’ʼ\-‐‑]{_PART})*(?:(?<=in)['’](?!\w))?")
"""A word, with hyphens and apostrophes inside it (`mother-in-law`, `o'clock`, `goin'`)."""

LETTERS: Final = re.compile(_PART)
"""A row of letters."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to read some text: what it looks like, and a function that returns what is said for a match.

    The function returns None if the match is something else after all; then the next rule is tried.
    """

    name: str
    pattern: re.Pattern[str]
    read: Read

    @classmethod
    def of(cls, name: str, pattern: str, read: Read, *, flags: int = 0) -> Rule:
        """Return a rule with its pattern compiled."""
        return cls(name, re.compile(pattern, flags), read)


def alternatives(words: Iterable[str]) -> str:
    """Return a pattern for any of some words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def as_written(match: re.Match[str]) -> list[Said]:
    """Return what a rule matched, as it is written, without invisible characters."""
    return whole(match, match[0].translate(_INVISIBLE))


def whole(match: re.Match[str], words: str, *, spell: bool = False) -> list[Said]:
    """Return one piece for everything that a rule matched."""
    return [Said(words, match.start(), match.end(), spell)]


def group(match: re.Match[str], name: str | int, words: str, *, spell: bool = False) -> Said:
    """Return a piece for one group of a match."""
    return Said(words, match.start(name), match.end(name), spell)


def scan(text: str, start: int, stop: int, *, rules: Sequence[Rule], writer: Writer) -> None:
    """Write what the characters `start` to `stop` of a text sound like. The last of the rules must match anything."""
    at = start
    while at < stop:
        if text[at].isspace():
            writer.gap()
            at += 1
            continue
        for rule in rules:
            match = rule.pattern.match(text, at, stop)
            if match is None or match.end() == at:
                continue
            said = rule.read(match)
            if said is not None:
                writer.say(said)
                at = match.end()
                break
        else:
            at += 1
