"""A pronunciation lexicon: words, and how each is spoken, as another spelling or in IPA."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

LEXICON_MAX_WORDS = 1000
WORD_MAX_CHARACTERS = 100
PRONUNCIATION_MAX_CHARACTERS = 300

IPA_VOWELS: Final = frozenset("aeiouyæøœɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵻ")
IPA_LETTERS: Final = IPA_VOWELS | frozenset(
    "bcdfghjklmnpqrstvwxzçðħŋβɓɕɖɗɟɠɡɢɣɥɦɧɫɬɭɮɰɱɲɳɴɸɹɺɻɽɾʀʁʂʃʄʈʋʍʎʐʑʒʔʕʘʙʛʜʝʟʡʢʣʤʥʦʧʨθχǀǁǂǃʰʲʷˠˤⁿˡ"
)
IPA_SIGNS: Final = frozenset("ˈˌːˑ.‿ |‖˞ʼ")
"""Stress, length, syllables, linking."""

_COMBINING: Final = frozenset(
    "\u0303\u0325\u030a\u032c\u0339\u031c\u031f\u0320\u0308\u033d\u0329\u032f\u0324\u0330\u033c\u032a\u033a\u033b"
    "\u0334\u031d\u031e\u0318\u0319\u031a\u0306\u0361\u035c\u0327\u0301\u0300\u0304\u030b\u030f"
)


def is_ipa(text: str) -> bool:
    """Return whether a pronunciation is written between slashes, as IPA is, and not as another spelling."""
    return len(text) > 1 and text.startswith("/") and text.endswith("/")


def _pronunciation(value: str) -> str:
    if is_ipa(value):
        ipa = unicodedata.normalize("NFD", value[1:-1]).replace("c\u0327", "ç")
        for character in ipa:
            if character not in IPA_LETTERS and character not in IPA_SIGNS and character not in _COMBINING:
                raise ValueError(
                    f"{character!r} is no letter of the International Phonetic Alphabet; allowed: IPA between slashes "
                    "such as '/həˈloʊ/', or another spelling without them"
                )
        if not IPA_LETTERS.intersection(ipa):
            raise ValueError("allowed: IPA between slashes, such as '/həˈloʊ/', with at least one sound")
        return value
    if value.startswith("/") or value.endswith("/"):
        raise ValueError("IPA stands between two slashes, such as '/həˈloʊ/'; one of them is missing")
    if _CONTROL.search(value) or not any(map(str.isalnum, value)):
        raise ValueError("allowed: another spelling with letters or digits, or IPA between slashes")
    return value


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _lexicon_word(value: str) -> str:
    if _CONTROL.search(value) or not any(map(str.isalnum, value)) or value != value.strip():
        raise ValueError(
            f"got {value!r}; allowed as a word: letters and digits, with marks or single blanks inside"
        )
    return value


Word = Annotated[str, AfterValidator(_lexicon_word), Field(min_length=1, max_length=WORD_MAX_CHARACTERS)]
Pronunciation = Annotated[
    str, AfterValidator(_pronunciation), Field(min_length=1, max_length=PRONUNCIATION_MAX_CHARACTERS)
]
Lexicon = Annotated[dict[Word, Pronunciation], Field(max_length=LEXICON_MAX_WORDS)]


def merged(configured: dict[str, Any], own: dict[str, Any]) -> dict[str, str]:
    """Return the entries of a configuration and of a story; the story's win, however they are capitalised."""
    taken = {word.casefold() for word in own}
    return {word: said for word, said in configured.items() if word.casefold() not in taken} | own
