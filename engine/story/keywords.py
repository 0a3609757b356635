"""Tags and hashtags of a text."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from icu4py.breakers import WordBreaker

MAX_TAGS: Final = 10
TAG_HASHTAGS: Final = 5
GENERAL_HASHTAGS: Final = ("#storytelling", "#shortfilm", "#creative")
NO_GENRE: Final = "general"
"""The default genre, which is never a tag."""

CAPITAL_NOUNS: Final = frozenset({"de", "lb"})
"""Languages that capitalise nouns, so that a capital at a sentence's start is kept."""


@cache
def _stop_words(language: str) -> frozenset[str]:
    import stopwordsiso

    known = stopwordsiso.stopwords(language) if stopwordsiso.has_lang(language) else set()
    return frozenset(word.casefold() for word in known)


def _least_letters(word: str) -> int:
    """Return the minimum length of a keyword in the script of this word."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in word)
    if wide:
        return 2
    return 4 if word.isascii() else 3


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """Yield words and whether each seems to begin a sentence."""
    begins = True
    for part in WordBreaker(text, "en"):
        if part[:1].isalnum():
            yield re.sub(r"['’]s?$", "", part), begins
            begins = False
        elif re.search(r"[.!?…。！？:\n\"“„«]", part):
            begins = True


def _is_keyword(word: str, language: str) -> bool:
    letters = sum(letter.isalpha() for letter in word)
    return (
        letters >= _least_letters(word)
        and word.casefold().replace("’", "'") not in _stop_words(language)
        and not any(letter.isdigit() for letter in word)
        # Words of hiragana alone are mostly grammar.
        and not all("HIRAGANA" in unicodedata.name(letter, "") for letter in word)
    )


def _written(key: str, inside: Counter[str], at_start: Counter[str], language: str) -> str:
    """Return a word in its usual case, without a capital that only marks the start of sentences."""
    if inside:
        return max(inside, key=lambda form: (inside[form], form))
    if at_start and (language in CAPITAL_NOUNS or at_start.total() > 1):
        return max(at_start, key=lambda form: (at_start[form], form))
    return key


def extract_tags(
    text: str, *, genre: str, title: str = "", language: str = "en", limit: int = MAX_TAGS
) -> list[str]:
    """Return the genre and the main words of a text, most important first, at most `limit`.

    A word's weight is its number of occurrences; names (capitals inside a sentence) and words of the title weigh more.
    Stop words (stopwords-iso), numbers and short words are excluded; words that differ only in case are one tag.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    firsts: dict[str, int] = {}
    inside: dict[str, Counter[str]] = defaultdict(Counter)
    at_start: dict[str, Counter[str]] = defaultdict(Counter)
    for index, (word, begins) in enumerate(_words(text)):
        if _is_keyword(word, language):
            key = word.casefold()
            firsts.setdefault(key, index)
            weights[key] += 2 if word[:1].isupper() and not begins else 1
            (at_start if begins else inside)[key][word] += 1
    for word, _ in _words(title):
        if _is_keyword(word, language):
            firsts.setdefault(word.casefold(), -1)
            weights[word.casefold()] += 2
            if language in CAPITAL_NOUNS:
                at_start[word.casefold()][word] += 1
    forms = {key: _written(key, inside[key], at_start[key], language) for key in weights}
    if language == "en":
        _join_plurals(weights, firsts)
        for key in weights:
            # Verbs and adverbs seldom say what a story is about.
            if key.endswith(("ed", "ing", "ly")):
                weights[key] /= 2
    ranked = sorted(weights, key=lambda key: (-weights[key], firsts[key]))
    tags = [] if genre == NO_GENRE else [genre]
    for key in ranked:
        if len(tags) >= limit:
            break
        if key not in {tag.casefold() for tag in tags}:
            tags.append(forms[key])
    return tags[:limit]


def _join_plurals(weights: dict[str, float], firsts: dict[str, int]) -> None:
    """Count an English plural with its singular if a text has both."""
    for plural in sorted(weights):
        for ending in ("s", "es"):
            singular = plural.removesuffix(ending)
            if singular != plural and singular in weights:
                weights[singular] += weights.pop(plural)
                firsts[singular] = min(firsts[singular], firsts.pop(plural))
                break


def _hashtag(words: str) -> str:
    """Join words into one hashtag of letters with their marks, digits and underscores; '' if nothing is left."""
    parts = re.split(r"[\s\-‐–—/]+", unicodedata.normalize("NFC", words))
    cleaned = [
        "".join(c for c in part if c == "_" or unicodedata.category(c)[0] in "LM" or c.isdecimal())
        for part in parts
    ]
    cleaned = [part for part in cleaned if part]
    if len(cleaned) > 1:
        cleaned = [part[:1].upper() + part[1:] for part in cleaned]
    joined = "".join(cleaned)
    # Platforms reject hashtags of digits alone, and a mark needs a letter before it.
    return f"#{joined}" if any(c.isalpha() for c in joined) and joined[0].isalnum() else ""


def make_hashtags(genre: str, tags: Sequence[str]) -> list[str]:
    """Return hashtags of the genre and the first tags, then the general ones, without duplicates (ignoring case)."""
    own = [] if genre == NO_GENRE else [genre]
    candidates = [*map(_hashtag, [*own, *tags[: TAG_HASHTAGS + len(own)]]), *GENERAL_HASHTAGS]
    unique: dict[str, str] = {}
    for hashtag in candidates:
        if hashtag:
            unique.setdefault(hashtag.casefold(), hashtag)
    return list(unique.values())
