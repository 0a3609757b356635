"""Which motifs the words of a text name, in fifteen languages, without a model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final

UNSPACED: Final = frozenset({"ja", "zh", "th"})
OWN_WEIGHT: Final = 1.0
CLDR_WEIGHT: Final = 0.6
"""A keyword of an emoji stands for less than a word that was chosen for the motif."""
NO_MOTIF: Final = "none"
"""In words.txt: words that name nothing although Unicode's keywords say so, such as the verb "rose"."""
LATE_LOSS: Final = 0.35
"""How much less the last word of a text counts than the first: a sentence opens on what it is about."""
TAIL_MAX: Final = 9
"""Longest ending, in letters, after a stem: longer words are compounds of another thing."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_ARABIC_PREFIX = re.compile(r"^(?:[وف]?(?:ال|بال|كال|لل)|[وفبلك])(?=\w{2})")
_KOREAN_PARTICLE = re.compile(
    r"(?:은|는|이|가|을|를|의|에|에서|에게|으로|로|와|과|도|만|까지|부터|처럼|위에|속에|으로부터|들|들이|들은|들을)$"
)
_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("s", "es"),
    "de": ("e", "en", "er", "ern", "n", "s", "es"),
    "nl": ("en", "s", "e"),
    "fr": ("s", "x", "es"),
    "es": ("s", "es"),
    "pt": ("s", "es"),
    "it": (),
    "pl": ("a", "y", "u", "i", "em", "ie", "ów", "ami", "ach"),
    "ru": ("а", "ы", "у", "и", "ом", "е", "ов", "ами", "ах"),
    "tr": ("ı", "i", "u", "ü", "lar", "ler", "da", "de", "a", "e", "ın", "in"),
}


@dataclass(slots=True)
class _Lexicon:
    exact: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    stems: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    ends: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


def _folded(text: str, language: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    if language == "tr":
        text = text.replace("İ", "i").replace("I", "ı")
    text = text.casefold().replace("ё", "е")
    if language == "ar":
        # Vowel marks are optional in writing, and the forms of alif are confused.
        text = "".join(each for each in text if unicodedata.category(each) != "Mn")
        text = re.sub("[أإآ]", "ا", text)
    return text


@cache
def _lexicon(language: str) -> _Lexicon:
    found = _Lexicon()
    for name, weight in (("words.txt", OWN_WEIGHT), ("cldr.txt", CLDR_WEIGHT)):
        section = ""
        for line in files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif section == language and ": " in line:
                motif, _, words = line.partition(": ")
                for word in words.split():
                    _enter(found, word, motif, weight, language)
    return found


def own_words(language: str) -> dict[str, list[str]]:
    """Return the words that were chosen for each motif in a language, by the motif's name; stems are left out."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in files(__package__).joinpath("words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section == language and ": " in line:
            motif, _, words = line.partition(": ")
            found[motif] = [word for word in words.split() if not word.endswith("-")]
    return found


def _enter(found: _Lexicon, word: str, motif: str, weight: float, language: str) -> None:
    if word.endswith("-"):
        table = found.stems
    elif word.startswith("-"):
        table = found.ends
    else:
        table = found.exact
    key = _folded(word.strip("-"), language).replace("ß", "ss")
    if weight < OWN_WEIGHT and (key in found.exact or key in found.stems):
        return  # a word that was chosen, for a motif or for none, is not a keyword of another
    entry = table.setdefault(key, [])
    if motif != NO_MOTIF and all(motif != name for name, _ in entry):
        entry.append((motif, weight))


def _looked_up(word: str, language: str, lexicon: _Lexicon) -> list[tuple[str, float]]:
    """Return the motifs of one word: of its own form, else of a form without its ending, else of its stem."""
    forms = [word]
    if language == "ar":
        forms.append(_ARABIC_PREFIX.sub("", word))
    elif language == "ko":
        forms.append(_KOREAN_PARTICLE.sub("", word))
    elif language in {"fr", "it"}:
        forms.append(re.split("['’]", word)[-1])
    elif language == "en":
        forms.append(re.sub("['’]s?$", "", word))
    for form in forms:
        if form in lexicon.exact:
            return lexicon.exact[form]
    for form in forms:
        for length in range(len(form), max(1, len(form) - TAIL_MAX) - 1, -1):
            if form[:length] in lexicon.stems:
                return lexicon.stems[form[:length]]
        for start in range(1, len(form) - 2):
            if form[start:] in lexicon.ends:
                return lexicon.ends[form[start:]]
    for form in forms:
        for ending in _ENDINGS.get(language, ()):
            stem = form.removesuffix(ending)
            if stem != form and len(stem) >= 3 and stem in lexicon.exact:
                return lexicon.exact[stem]
    return []


def _inside(text: str, lexicon: _Lexicon) -> list[tuple[int, str, float]]:
    """Return where entries stand in a text without spaces; of overlapping ones, the longest."""
    longest = max((len(word) for word in lexicon.exact), default=0)
    hits, at = [], 0
    while at < len(text):
        for length in range(min(longest, len(text) - at), 0, -1):
            if text[at : at + length] in lexicon.exact:
                hits += [(at, motif, weight) for motif, weight in lexicon.exact[text[at : at + length]]]
                at += length - 1
                break
        at += 1
    return hits


def find_motifs(text: str, *, language: str) -> dict[str, float]:
    """Return the motifs that a text names, by name with a score, best first; ties keep the text's order.

    `language` is a code such as `de` or `pt-BR`; a language without words finds nothing. A word counts about
    1, an earlier one a little more; a motif's score is the sum over its words.
    """
    code = language.replace("_", "-").partition("-")[0].lower()
    lexicon = _lexicon(code)
    folded = _folded(text, code)
    if code in UNSPACED:
        hits = _inside(folded, lexicon)
    else:
        words = [(each.start(), each.group()) for each in _WORD.finditer(folded)]
        hits = [(at, *hit) for at, word in words for hit in _looked_up(word, code, lexicon)]
    scores: dict[str, float] = {}
    for at, motif, weight in hits:
        scores[motif] = scores.get(motif, 0.0) + weight * (1 - LATE_LOSS * at / max(1, len(folded)))
    return dict(sorted(scores.items(), key=lambda item: -item[1]))
