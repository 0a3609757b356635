"""Spoken text as SSML: sounds and spelling of the lexicon, marks before words, and where each word is in it."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenPart, SpokenText
from video_pipeline.engine.assets.speech.word_times import spoken_word_places

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold."""

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


def escaped(text: str) -> str:
    """Return a text for the content or an attribute of XML."""
    return "".join(_ENTITIES.get(character, character) for character in _FORBIDDEN.sub(" ", text))


@dataclass(frozen=True, slots=True)
class MarkedText:
    """The content of an SSML document, from place `at` of a spoken text on.

    `words` are places in the spoken text. `offsets` has the byte of the content at which each character begins.
    `mark_characters` is how many characters of the content are marks.
    """

    content: str
    at: int
    words: tuple[tuple[int, int], ...]
    offsets: tuple[int, ...]
    mark_characters: int

    def word_at_byte(self, offset: int) -> tuple[int, int] | None:
        """Return the word that begins at or holds a byte of the content, or None."""
        place = self.at + bisect_left(self.offsets, offset)
        return next((word for word in self.words if word[0] <= place < word[1]), None)


def marked_text(spoken: SpokenText, at: int, end: int, *, marks: bool) -> MarkedText:
    """Return the characters `at` to `end` of a spoken text as the content of an SSML document.

    With `marks` there is `<mark name="N"/>` before word number N. What is spelled or has a sound in IPA counts as one
    word, because a mark cannot be inside its element.
    """
    parts = {
        part.at: part
        for part in spoken.parts
        if at <= part.at and part.end <= end and (part.spell or part.phonemes)
    }
    covered = {place for part in parts.values() for place in range(part.at, part.end)}
    words = sorted(
        [(part.at, part.end) for part in parts.values()]
        + [word for word in spoken_word_places(spoken.text, at, end) if word[0] not in covered]
    )
    numbers = {word[0]: number for number, word in enumerate(words)} if marks else {}
    pieces: list[str] = []
    offsets: list[int] = []
    size = mark_characters = 0
    closing: dict[int, str] = {}
    for place in range(at, end):
        mark = f'<mark name="{numbers[place]}"/>' if place in numbers else ""
        before = closing.pop(place, "") + mark
        if place in parts:
            opened, closing[parts[place].end] = _tags(parts[place])
            before += opened
        letter = escaped(spoken.text[place])
        pieces += [before, letter]
        offsets.append(size + len(before.encode()))
        size = offsets[-1] + len(letter.encode())
        mark_characters += len(mark)
    return MarkedText(
        "".join([*pieces, *closing.values()]), at, tuple(words), tuple(offsets), mark_characters
    )


def _tags(part: SpokenPart) -> tuple[str, str]:
    if part.phonemes:
        return f'<phoneme alphabet="ipa" ph="{escaped(part.phonemes)}">', "</phoneme>"
    return '<say-as interpret-as="characters">', "</say-as>"
