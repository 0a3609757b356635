"""The language of a text, by the letters and words in it (py3langid)."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any, Final

SPOKEN_LANGUAGES: Final = frozenset(["de", "en", "es", "fr", "hi", "it", "ja", "pt", "zh"])
"""Languages with an offline voice or rules of their own for numbers and dates."""

RARE_LANGUAGES: Final = frozenset(
    ("an", "br", "eo", "fo", "fy", "gd", "ht", "ku", "la", "lb", "lg", "ln", "mg", "nn", "oc", "om", "qu", "sa", "se", "vo", "wa")
)  # fmt: skip
"""Languages that are found in texts of others with foreign names and words more often than in their own."""

SPOKEN_WEIGHT: Final = 2.0
"""A language of SPOKEN_LANGUAGES is preferred unless another one is more than so many times as likely."""

LEAST_LETTERS: Final = 20
READ_CHARACTERS: Final = 4000

_NO_WORDS: Final = re.compile(
    r"[\ufe00-\ufe0f]|\S+://\S+|www\.\S+|\S+@\S+|[#@]\w+|[\w.-]+\.[a-z]{2,}/\S*", re.IGNORECASE
)
_SYLLABIC: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_modelpath(MODEL_DIR / MODEL_FILE, norm_probs=True)
    # Two letters: ISO 639-1, as fonts, voices and services name languages.
    identifier.set_languages(
        code for code in identifier.labels if len(code) == 2 and code not in RARE_LANGUAGES
    )
    return identifier


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language; 'en' if it is too short to tell.

    Words in other letters than most do not count, nor do addresses, digits, emoji and punctuation. Languages that can be
    spoken are preferred.
    """
    text = _words_alone(text[:READ_CHARACTERS])
    letters = sum(map(str.isalpha, text))
    if not letters or (text.isascii() and letters < LEAST_LETTERS):
        return "en"
    words = _in_main_letters(text).split()
    plain = [word for word in words if word.isascii()]
    if 2 * len(plain) >= len(words) and _ranked(plain)[0] == "en":
        return "en"  # accents are in names and foreign words
    language, probability = _ranked(words)
    return "en" if probability < 0.5 and text.isascii() else language


def _words_alone(text: str) -> str:
    """Return a text's letters, with apostrophes as in ASCII; addresses are left out, and all else is a blank."""
    return "".join(
        character if unicodedata.category(character)[0] in "LM" or character == "'" else " "
        for character in _NO_WORDS.sub(" ", text).replace("’", "'")
    )


def _ranked(words: list[str]) -> tuple[str, float]:
    """Return the most likely language of words, and how likely it is."""
    found = dict(_identifier().rank(" ".join(words)))
    best = max(found, key=lambda code: found[code] * (SPOKEN_WEIGHT if code in SPOKEN_LANGUAGES else 1))
    return best, found[best]


def _in_main_letters(text: str) -> str:
    """Return a text without its Latin letters if most letters are others, and without the others if most are Latin.

    A Chinese, Japanese or Korean letter counts as three, because it takes as many letters to write.
    """
    names = [unicodedata.name(character, "") if character.isalpha() else "" for character in text]
    latin = sum(name.startswith("LATIN") for name in names)
    others = sum(3 if name.startswith(_SYLLABIC) else 1 for name in names if name) - latin
    return "".join(
        " " if name and name.startswith("LATIN") != (latin >= others) else character
        for character, name in zip(text, names, strict=True)
    )
