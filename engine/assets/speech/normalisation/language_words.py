"""The words that a language's rules need: how it reads numbers, dates, money, units and abbreviations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Gender = Literal["masculine", "feminine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageWords:
    """The words of a language, for the rules of `european`.

    `units` and `currencies` have the name of one and of several (currencies also those of a hundredth), and a gender;
    `fractions` have the name of one and of several parts by their number, `and_half` a half after a whole number, `over` what
    stands between other numbers of a fraction; `versus` is said in scores, `by` in 3x4, `times` after 2x. Of `magnitudes`, the
    `short_magnitudes` are read without money too. `titles` are abbreviations without a dot, `century` those before a
    Roman numeral.
    `never_end` are abbreviations whose dot ends no sentence, `may_end` those whose dot does before a capital.
    """

    language: str
    months: tuple[str, ...]
    decimal_point: str
    to: str
    minus: str
    plus: str
    percent: str
    degrees: str
    dot: str
    at: str
    and_: str
    number_sign: str
    per: str
    units: Mapping[str, tuple[str, str, Gender]]
    currencies: Mapping[str, tuple[str, str, str, str]]
    magnitudes: Mapping[str, tuple[str, str]]
    never_end: Mapping[str, str]
    may_end: Mapping[str, str]
    before_roman: Mapping[str, str]
    symbols: Mapping[str, str] = field(default_factory=dict)
    feminine_ordinals: bool = False
    versus: str = ""
    by: str = ""
    times: str = ""
    over: str = ""
    and_half: str = ""
    fractions: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    short_magnitudes: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    century: Mapping[str, str] = field(default_factory=dict)
