"""The rules of every language but English: those of its family, or whole numbers in words and everything else as written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.common import (
    AddressWords,
    address_rules,
    markup_rules,
    other_words,
)
from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder
from video_pipeline.engine.assets.speech.normalisation.east_asian import EAST_ASIAN, east_asian_rules
from video_pipeline.engine.assets.speech.normalisation.european import LANGUAGES, european_rules
from video_pipeline.engine.assets.speech.normalisation.russian_hindi import COUNTING, counting_rules
from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, whole

_DOT_AND_AT: Final[Mapping[str, tuple[str, str]]] = {
    "ar": ("دوت", "آت"),
    "hi": ("डॉट", "एट"),
    "ja": ("ドット", "アット"),
    "ko": ("닷", "골뱅이"),
    "nl": ("punt", "apenstaartje"),
    "pl": ("kropka", "małpa"),
    "ru": ("точка", "собака"),
    "tr": ("nokta", "et"),
    "zh": ("点", "艾特"),
}
"""How an address is spoken; in other languages its marks are left to the voice."""


def other_rules(language: str) -> tuple[Rule, ...]:
    """Return the rules of any other language: whole numbers in words if CLDR has them, everything else as written."""
    dot, at = _DOT_AND_AT.get(language, (".", "@"))
    has_words = numbers.has_number_words(language)

    def number(text: str) -> str:
        return numbers.cardinal(int(text), language) if has_words and len(text) <= 15 else text

    return (
        *markup_rules(),
        *address_rules(AddressWords(dot=dot, at=at, number=number)),
        *(east_asian_rules(language) if language in EAST_ASIAN else ()),
        *(counting_rules(language) if language in COUNTING else ()),
        Rule.of(
            "number",
            r"[$€£¥₹₽₩]?\s?\d+(?:[.,:/\-]\d+)+|[$€£¥₹₽₩]\s?\d+",
            lambda match: whole(match, match[0]),
        ),
        Rule.of("whole number", r"\d+", lambda match: whole(match, number(match[0]))),
        *other_words(),
    )


def rules_of(language: str, order: DateOrder) -> tuple[Rule, ...]:
    """Return the rules of a language that is not English (ISO 639-1)."""
    words = LANGUAGES.get(language)
    return european_rules(words) if words else other_rules(language)
