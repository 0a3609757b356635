"""Where sentences end: by sentencex, except after an abbreviation that belongs to what follows (`No. 2`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import sentencex

_BEFORE_A_NUMBER: Final[Mapping[str, str]] = {
    "en": "No Nos no nos Vol vol Vols vols Ch ch Chap chap Fig fig Figs figs P p Pp pp Sec sec Art art Op op Ver ver"
    " Ext ext Apt apt Rm rm Ste approx Approx ca c",
    "de": "Nr Nrn Bd Kap Abb S Abs Art ca",
    "fr": "n no nos p pp vol chap fig art env",
    "es": "n núm Núm p pág Pág págs vol cap fig art aprox",
    "it": "n N p pag Pag pagg vol cap fig art ca",
    "pt": "n N p pág Pág págs vol cap fig art aprox",
    "ru": "д кв стр гл рис ст п",
}
"""Abbreviations that belong to a number after them, by language (ISO 639-1)."""

_BEFORE_A_NAME: Final[Mapping[str, str]] = {
    "en": "Mr Mrs Ms Messrs Dr Prof Ft Mt Gen Gov Sen Rep Capt Lt Col Sgt Cmdr Cpl Maj Adm Rev Hon vs",
    "de": "Hr Fr Dr Prof St",
    "fr": "M MM Mme Mlle Dr Pr St Ste",
    "es": "Sr Sra Srta Sres Dr Dra D Dña Ud",
    "it": "Sig sig Sigg Dott dott Prof prof Avv Ing",
    "pt": "Sr Sra Dr Dra Prof Profa",
    "ru": "ул им г-н г-жа проф",
}
"""Titles and the like, which belong to a name after them."""

_LAST_WORD: Final = re.compile(r"(?<![\w.])([\w-]+)\.\s*$")
_ADDRESS: Final = re.compile(r"\b[A-Z]\w+\sDr\.\s*$")


def _belongs_to_next(before: str, after: str, language: str) -> bool:
    match = _LAST_WORD.search(before)
    if match is None:
        return False
    word = match[1]
    if after[:1].isdigit() and word in _BEFORE_A_NUMBER.get(language, "").split():
        return True
    named = word in _BEFORE_A_NAME.get(language, "").split() and after[:1].isupper()
    return named and not (language == "en" and _ADDRESS.search(before))


def sentence_pieces(text: str, *, language: str) -> list[str]:
    """Return the sentences of one block, with the blanks between them; an abbreviation before a number or name ends none."""
    found: list[str] = []
    for piece in sentencex.segment(language, text):
        if found and _belongs_to_next(found[-1], piece.lstrip(), language):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def is_abbreviated(word: str) -> bool:
    """Return whether a word inside a sentence ends in the dot of an abbreviation, and so in no clause."""
    return len(word) > 1 and word.endswith(".") and word[-2] != "."
