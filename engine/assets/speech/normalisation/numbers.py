"""Numbers in words, by the rules of Unicode's CLDR (unicode-rbnf)."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

MOST: Final = 10**18
"""Larger numbers are read digit by digit."""

_ENGLISH_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def _engine(language: str) -> Any:
    """Return the rules of a language (ISO 639-1), or None if there are none."""
    from unicode_rbnf import RbnfEngine

    try:
        return RbnfEngine.for_language(language)
    except ValueError:
        return None


def has_number_words(language: str) -> bool:
    """Return whether numbers of a language can be written in words."""
    return _engine(language) is not None


@lru_cache(4096)
def _in_words(number: int, language: str, purpose: str, form: str) -> str:
    from unicode_rbnf import FormatPurpose

    result = _engine(language).format_number(number, FormatPurpose[purpose])
    by_rule: dict[str, str] = result.text_by_ruleset
    text = next((words for name, words in by_rule.items() if form and name.endswith(form)), result.text)
    return text.replace("\u00ad", "")


def cardinal(number: int, language: str = "en", *, form: str = "") -> str:
    """Return a whole number in words; `form` is the end of a CLDR rule's name, such as `feminine`."""
    if abs(number) >= MOST:
        return digits(str(number), language)
    return _in_words(number, language, "CARDINAL", form)


def ordinal(number: int, language: str = "en", *, form: str = "") -> str:
    """Return an ordinal number in words, in English `twenty-first`."""
    if abs(number) >= MOST:
        return digits(str(number), language)
    return _in_words(number, language, "ORDINAL", form)


def year(number: int, language: str = "en") -> str:
    """Return a year in words: in English `nineteen eighty-four`."""
    if language in ("en", "de"):
        return _in_words(number, language, "YEAR", "")
    return cardinal(number, language)


def digits(text: str, language: str = "en") -> str:
    """Return the digits of a text in words, one by one."""
    if language == "en":
        return " ".join(_ENGLISH_DIGITS[int(digit)] for digit in text if digit.isdecimal())
    return " ".join(cardinal(int(digit), language) for digit in text if digit.isdecimal())
