"""The order of day, month and year in a date such as 12/05/2024."""

from __future__ import annotations

from typing import Final, Literal

DateOrder = Literal["mdy", "dmy", "ymd"]

MONTH_FIRST: Final = frozenset(["US", "PH", "FM", "MH", "PW", "BZ"])
YEAR_FIRST: Final = frozenset(["CN", "JP", "KR", "TW", "HU", "LT", "MN", "SE", "ZA", "CA"])
YEAR_FIRST_LANGUAGES: Final = frozenset(["ja", "zh", "ko", "hu", "lt", "mn", "sv"])


def date_order(given: Literal["auto", "mdy", "dmy", "ymd"], *, language: str, region: str) -> DateOrder:
    """Return the configured order, or the usual one of a language (ISO 639-1) and a region ("" if unknown)."""
    if given != "auto":
        return given
    if region in MONTH_FIRST or (language == "en" and not region):
        return "mdy"
    if region in YEAR_FIRST or (language in YEAR_FIRST_LANGUAGES and not region):
        return "ymd"
    return "dmy"
