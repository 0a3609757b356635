"""Russian and Hindi: numbers, percent, degrees, money, dates and times, in the forms that need no look at the sentence.

Russian has three forms of what is counted (CLDR's plural categories one, few, many). Numbers are in the nominative: the
case that a sentence asks for is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, alternatives, whole
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

Counted = tuple[str, str, str]
"""What is counted, after 1, 2 to 4, and 5 and more (Hindi: the same three times)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingWords:
    """How a language reads amounts; `group` and `point` are patterns of the marks between thousands and before decimals."""

    language: str
    group: str
    group_size: str
    point: str
    decimal_point: str
    minus: str
    to: str
    units: Mapping[str, Counted]
    currencies: Mapping[str, Counted]
    magnitudes: Mapping[str, Counted]
    hour: Counted
    minute: Counted
    months: tuple[str, ...]


def _same(word: str) -> Counted:
    return (word, word, word)


RUSSIAN: Final = CountingWords(
    language="ru",
    group="[ \u00a0\u202f\u2009]",
    group_size="3",
    point="[,.]",
    decimal_point="запятая",
    minus="минус",
    to="",
    units={
        "%": ("процент", "процента", "процентов"),
        "°C": ("градус Цельсия", "градуса Цельсия", "градусов Цельсия"),
        "°": ("градус", "градуса", "градусов"),
        "км/ч": ("километр в час", "километра в час", "километров в час"),
        "км": ("километр", "километра", "километров"),
        "см": ("сантиметр", "сантиметра", "сантиметров"),
        "мм": ("миллиметр", "миллиметра", "миллиметров"),
        "м": ("метр", "метра", "метров"),
        "кг": ("килограмм", "килограмма", "килограммов"),
        "г": ("грамм", "грамма", "граммов"),
        "л": ("литр", "литра", "литров"),
        "мин": ("минута", "минуты", "минут"),
        "руб.": ("рубль", "рубля", "рублей"),
    },
    currencies={
        "₽": ("рубль", "рубля", "рублей"),
        "$": ("доллар", "доллара", "долларов"),
        "€": ("евро", "евро", "евро"),
        "£": ("фунт", "фунта", "фунтов"),
    },
    magnitudes={
        "тыс.": ("тысяча", "тысячи", "тысяч"),
        "млн": ("миллион", "миллиона", "миллионов"),
        "млрд": ("миллиард", "миллиарда", "миллиардов"),
    },
    hour=("час", "часа", "часов"),
    minute=("минута", "минуты", "минут"),
    months=tuple(
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()  # noqa: SIM905
    ),
)

HINDI: Final = CountingWords(
    language="hi",
    group=",",
    group_size="2,3",
    point=r"\.",
    decimal_point="दशमलव",
    minus="माइनस",
    to="से",
    units={
        "%": _same("प्रतिशत"),
        "°C": _same("डिग्री सेल्सियस"),
        "°": _same("डिग्री"),
        "km/h": _same("किलोमीटर प्रति घंटा"),
        "km": _same("किलोमीटर"),
        "किमी": _same("किलोमीटर"),
        "kg": _same("किलोग्राम"),
        "cm": _same("सेंटीमीटर"),
        "m": _same("मीटर"),
    },
    currencies={
        "₹": _same("रुपये"),
        "रु.": _same("रुपये"),
        "$": _same("डॉलर"),
        "€": _same("यूरो"),
        "£": _same("पाउंड"),
    },
    magnitudes={
        "करोड़": _same("करोड़"),
        "लाख": _same("लाख"),
        "हज़ार": _same("हज़ार"),
    },
    hour=_same("बजकर"),
    minute=_same("मिनट"),
    months=tuple(
        "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर".split()  # noqa: SIM905
    ),
)

COUNTING: Final[Mapping[str, CountingWords]] = {words.language: words for words in (RUSSIAN, HINDI)}


def plural_form(number: int) -> int:
    """Return which of the three forms follows a whole number in Russian: 0 after one, 1 after few, 2 after many.

    Source: CLDR, plural rules of ru.
    """
    if number % 10 == 1 and number % 100 != 11:
        return 0
    return 1 if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14) else 2


class _Counting:
    """The readings of one language's amounts."""

    def __init__(self, words: CountingWords) -> None:
        self.words = words
        self.feminine = {words.minute[0], "тысяча", "минута"}

    def plain(self, text: str) -> tuple[int, str]:
        """Return the whole part of a written number, and its decimals."""
        head, _, decimals = re.sub(self.words.point, "|", re.sub(self.words.group, "", text)).partition("|")
        return int(head), decimals

    def said(self, text: str, form: str = "") -> str:
        whole_part, decimals = self.plain(text)
        language = self.words.language
        read = numbers.cardinal(whole_part, language, form=form)
        if decimals:
            read += f" {self.words.decimal_point} {numbers.digits(decimals, language)}"
        return read

    def counted(self, text: str, names: Counted) -> str:
        """Return a number with what it counts: `двадцать один рубль`; after decimals, the form of few."""
        whole_part, decimals = self.plain(text)
        is_feminine = self.words.language == "ru" and names[0] in self.feminine
        return f"{self.said(text, 'feminine' if is_feminine else '')} {names[1 if decimals else plural_form(whole_part)]}"

    def amount(self, match: re.Match[str], names: Counted) -> str:
        minus = f"{self.words.minus} " if match["sign"] else ""
        if match["to"]:
            return f"{minus}{self.said(match['number'])}{self._to()}{self.counted(match['to'], names)}"
        return f"{minus}{self.counted(match['number'], names)}"

    def _to(self) -> str:
        return f" {self.words.to} " if self.words.to else " "

    def money(self, match: re.Match[str]) -> list[Said]:
        names = self.words.currencies[match["symbol"]]
        if match["size"]:
            large = self.amount(match, self.words.magnitudes[match["size"]])
            return whole(match, f"{large} {names[2]}")
        return whole(match, self.amount(match, names))

    def unit(self, match: re.Match[str]) -> list[Said]:
        return whole(match, self.amount(match, self.words.units[match["unit"]]))

    def magnitude(self, match: re.Match[str]) -> list[Said]:
        return whole(match, self.amount(match, self.words.magnitudes[match["size"]]))

    def time(self, match: re.Match[str]) -> list[Said] | None:
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 24 or minute > 59:
            return None
        said = self.counted(str(hour), self.words.hour)
        if minute:
            said += f" {self.counted(str(minute), self.words.minute)}"
        elif self.words.language == "hi":
            said = f"{numbers.cardinal(hour, 'hi')} बजे"
        return whole(match, said)

    def date(self, match: re.Match[str]) -> list[Said] | None:
        """Return a date in figures, day before month: `двенадцатое мая две тысячи двадцать четвертого года`."""
        day, month, year = (int(match[part]) for part in ("day", "month", "year"))
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return whole(match, match[0])
        name = self.words.months[month - 1]
        if self.words.language == "ru":
            said = numbers.ordinal(year, "ru", form="masculine-genitive")
            return whole(match, f"{numbers.ordinal(day, 'ru', form='neuter')} {name} {said} года")
        return whole(match, f"{numbers.cardinal(day, 'hi')} {name} {numbers.cardinal(year, 'hi')}")

    def day(self, match: re.Match[str]) -> list[Said] | None:
        day = int(match["day"])
        if not 1 <= day <= 31:
            return None
        return [Said(numbers.ordinal(day, "ru", form="neuter"), match.start(), match.end())]

    def number(self, match: re.Match[str]) -> list[Said]:
        if len(match["number"]) > 1 and match["number"][0] == "0" and match["number"].isdigit():
            return whole(match, numbers.digits(match["number"], self.words.language))
        minus = f"{self.words.minus} " if match["sign"] else ""
        to = f"{self._to()}{self.said(match['to'])}" if match["to"] else ""
        return whole(match, f"{minus}{self.said(match['number'])}{to}")


def counting_rules(language: str) -> Iterator[Rule]:
    """Yield the rules for amounts of Russian or Hindi, in the order in which they are tried."""
    words = COUNTING[language]
    reader = _Counting(words)
    number = rf"(?:\d{{1,3}}(?:{words.group}\d{{{words.group_size}}})+(?!\d)|\d{{1,15}})(?:{words.point}\d{{1,9}})?"
    sign = r"(?P<sign>(?<![\w%)])[-−])?"
    amount = rf"{sign}(?P<number>{number})(?:\s?[-–—]\s?(?P<to>{number}))?"
    money, units, sizes = map(alternatives, (words.currencies, words.units, words.magnitudes))
    size = rf"(?:\s?(?P<size>{sizes})(?!\w))?"
    months = alternatives(words.months)
    yield Rule.of(
        "date",
        r"(?P<day>\d{1,2})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4})(?![\d/])",
        reader.date,
    )
    yield Rule.of("ISO date", r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?![\d-])", reader.date)
    if language == "ru":
        yield Rule.of("day", rf"(?P<day>\d{{1,2}})(?=\s(?:{months})(?!\w))", reader.day)
        yield Rule.of(
            "number sign",
            r"№\s?(?P<number>\d{1,15})(?![\d/]|[.,]\d)",
            lambda match: whole(match, f"номер {reader.said(match['number'])}"),
        )
        yield Rule.of("number with ending", r"\d+-[а-яё]{1,3}(?!\w)", lambda match: whole(match, match[0]))
    after = r"(?:\sबजे)?" if language == "hi" else ""
    yield Rule.of("time", rf"(?<![\d:])(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}})(?![\d:]){after}", reader.time)
    yield Rule.of("money before", rf"(?P<symbol>{money})\s?{amount}{size}", reader.money)
    yield Rule.of("money after", rf"{amount}{size}\s?(?P<symbol>{money})(?!\w)", reader.money)
    yield Rule.of("magnitude", rf"{amount}\s?(?P<size>{sizes})(?!\w)", reader.magnitude)
    yield Rule.of("unit", rf"{amount}\s?(?P<unit>{units})(?!\w)", reader.unit)
    yield Rule.of("number", rf"{amount}(?![\d/:])", reader.number)
