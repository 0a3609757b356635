"""Sounds in hibari's alphabet: of words that its dictionary reads wrongly, and from IPA."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

SOUNDS: Final[Mapping[str, str]] = {
    "shh": "ʃː",
    "shhh": "ʃː",
    "ssh": "ʃː",
    "sh": "ʃ",
    "zzz": "zː",
    "bzzz": "bəzː",
    "bzz": "bəz",
    "brr": "bˈɜɹː",
    "brrr": "bˈɜɹː",
    "grr": "ɡˈɜɹː",
    "grrr": "ɡˈɜɹː",
    "tsk": "tˈɪsk",
    "twas": "twʌz",
}

_VOWELS: Final = "AIOQWYaiuæɑɐɒɔəɛɜɪʊʌᵻ"

_FROM_IPA: Final = {
    **{"tʃ": "ʧ", "dʒ": "ʤ", "ts": "ts", "eɪ": "A", "aɪ": "I", "oʊ": "O", "əʊ": "O", "aʊ": "W", "ɔɪ": "Y"},
    **{
        "ɚ": "əɹ",
        "ɝ": "ɜɹ",
        "ɜː": "ɜɹ",
        "ɒ": "ɑ",
        "r": "ɹ",
        "g": "ɡ",
        "e": "ɛ",
        "o": "O",
        "a": "ɑ",
        "y": "i",
        "ʏ": "ɪ",
    },
    **{"ø": "ɜ", "œ": "ɜ", "ɞ": "ɜ", "ɵ": "ə", "ɤ": "ʌ", "ɯ": "u", "ɨ": "ɪ", "ʉ": "u", "ɘ": "ə", "ɶ": "æ"},
    **{
        "ɲ": "nj",
        "ʎ": "lj",
        "ŋ": "ŋ",
        "x": "k",
        "χ": "k",
        "ç": "h",
        "ʁ": "ɹ",
        "ʀ": "ɹ",
        "ɾ": "T",
        "ɫ": "l",
        "ʍ": "w",
    },
    **{
        "β": "v",
        "ɸ": "f",
        "ɣ": "ɡ",
        "q": "k",
        "ɢ": "ɡ",
        "c": "k",
        "ɟ": "ʤ",
        "ɕ": "ʃ",
        "ʑ": "ʒ",
        "ʂ": "ʃ",
        "ʐ": "ʒ",
    },
    **{
        "ɦ": "h",
        "ħ": "h",
        "ʋ": "v",
        "ɻ": "ɹ",
        "ɽ": "ɹ",
        "ɭ": "l",
        "ɬ": "l",
        "ɳ": "n",
        "ɴ": "ŋ",
        "ɱ": "m",
        "ɖ": "d",
        "ʈ": "t",
    },
    **{"ʔ": "t", "ʦ": "ts", "ʣ": "dz", "ʨ": "ʧ", "ʥ": "ʤ", "ɥ": "w", "ɰ": "w", "\u0303": "n"},
}
"""IPA that hibari's American voice was not taught, as the nearest sound that it was."""


def from_ipa(ipa: str) -> str:
    """Return IPA in hibari's alphabet: one letter for a diphthong, and stress before the vowel, not the syllable."""
    ipa = (
        unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç").replace("\u0361", "").replace("\u035c", "")
    )
    sounds, at, stress = "", 0, ""
    while at < len(ipa):
        length = 2 if ipa[at : at + 2] in _FROM_IPA else 1
        sound = _FROM_IPA.get(ipa[at : at + length], ipa[at])
        at += length
        if sound in "ˈˌ":
            stress = sound
        elif sound in _KEPT or sound in _FROM_IPA.values():
            if stress and sound[0] in _VOWELS:
                sounds, stress = sounds + stress, ""
            sounds += sound
    return " ".join(sounds.replace("ɹɹ", "ɹ").split())


_KEPT: Final = frozenset("bdfhijklmnpstuvwzæðŋɐɑɔəɛɜɡɪɹʃʊʌʒθᵻʧʤAIOWYT ")
