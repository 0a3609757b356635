"""Split plain text into scenes at sentence ends, by the rules of its language (sentencex)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

import sentencex

SCENE_UNITS = (9, 26)
"""A scene's words: sentences are joined up to the first number and broken above the second."""

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
_UNSPACED_LETTERS_PER_WORD = 3.0


def word_units(text: str) -> float:
    """Return the length of a text in words; scripts without spaces count three letters as one."""
    unspaced = sum(1 for letter in text if unicodedata.name(letter, "").startswith(_UNSPACED))
    return len(text.split()) + unspaced / _UNSPACED_LETTERS_PER_WORD


@cache
def _language_identifier() -> object:
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_modelpath(MODEL_DIR / MODEL_FILE, norm_probs=True)


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language; 'en' if it is too short to tell."""
    letters = sum(character.isalpha() for character in text)
    if letters < 20 and text.isascii():
        return "en"
    language, probability = _language_identifier().classify(text[:4000])  # type: ignore[attr-defined]
    if probability < 0.5 and text.isascii():
        return "en"
    return str(language)


def sentences(text: str, *, language: str) -> list[str]:
    """Return the sentences of a text, stripped; line breaks inside a sentence become spaces."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        flat = " ".join(paragraph.split())
        if flat:
            found += [part.strip() for part in sentencex.segment(language, flat) if part.strip()]
    return found


def _clauses(sentence: str, most: float, limit: int) -> Iterator[str]:
    """Break a long sentence repeatedly until each part fits: at the comma nearest its middle, else between words."""
    if word_units(sentence) <= most and len(sentence) <= limit:
        yield sentence
        return
    middle = len(sentence) / 2
    marks = [
        match.end() for match in re.finditer(r"[,;:،؛、，；：—–]\s*", sentence) if match.end() < len(sentence)
    ]
    close = [at for at in marks if len(sentence) / 5 < at < len(sentence) * 4 / 5]
    spaces = [match.end() for match in re.finditer(r"\s+", sentence) if match.end() < len(sentence)]
    candidates = close or spaces or _line_breaks(sentence)
    if not candidates:
        yield sentence
        return
    at = min(candidates, key=lambda position: abs(position - middle))
    yield from _clauses(sentence[:at].strip(), most, limit)
    yield from _clauses(sentence[at:].strip(), most, limit)


def split_into_scenes(text: str, *, language: str, limit: int) -> list[str]:
    """Split a text into scenes of readable length, at sentence ends.

    Short sentences share a scene; sentences too long for one scene are broken at clauses. No
    piece is longer than `limit` characters.
    """
    least, most = SCENE_UNITS
    pieces: list[str] = []
    for sentence in sentences(text, language=language):
        pieces += [piece for clause in _clauses(sentence, most, limit) for piece in _chunks(clause, limit)]
    scenes: list[str] = []
    for piece in pieces:
        joined = f"{scenes[-1]}{_gap(scenes[-1])}{piece}" if scenes else piece
        fits = scenes and len(joined) <= limit and word_units(joined) <= most
        if fits and (word_units(scenes[-1]) < least or word_units(piece) < least / 2):
            scenes[-1] = joined
        else:
            scenes.append(piece)
    return scenes


def _line_breaks(text: str) -> list[int]:
    """Return the positions at which an unspaced text may be broken: between words, by ICU's dictionaries."""
    from video_pipeline.filters.typeset.characters import break_units

    at, found = 0, []
    for word, blanks in break_units(text)[:-1]:
        at += len(word) + len(blanks)
        found.append(at)
    return found


def _gap(before: str) -> str:
    """Return the separator of two sentences: none in Chinese and Japanese."""
    last = before[-1]
    wide = unicodedata.east_asian_width(last) in ("W", "F") and unicodedata.category(last)[0] in "LP"
    return "" if wide and not unicodedata.name(last, "").startswith("HANGUL") else " "


def _chunks(text: str, limit: int) -> Iterator[str]:
    """Cut a single long word into pieces of at most `limit` characters, between its letters."""
    if len(text) <= limit:
        yield text
        return
    from video_pipeline.filters.typeset.characters import clusters

    piece = ""
    for cluster in clusters(text):
        if piece and len(piece) + len(cluster) > limit:
            yield piece
            piece = ""
        piece += cluster
        while len(piece) > limit:  # one letter with thousands of combining marks
            yield piece[:limit]
            piece = piece[limit:]
    yield piece
