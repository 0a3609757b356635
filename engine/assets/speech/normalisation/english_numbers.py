"""English rules for what is written with digits: dates, times, fractions, phone numbers, plain numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder
from video_pipeline.engine.assets.speech.normalisation.english_amounts import (
    AMOUNT,
    NUMBER,
    PLAIN_SIZE,
    SIGN,
    TO,
    amount,
    is_quoting,
    money_rules,
    short_number,
    spoken_range,
    spoken_sign,
    unit_rules,
    year_words,
)
from video_pipeline.engine.assets.speech.normalisation.english_units import FRACTIONS, MAGNITUDES, UNITS
from video_pipeline.engine.assets.speech.normalisation.english_words import COUNTED, MONTHS, NOUNS_IN_S
from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, alternatives, group, whole
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

_MONTH_OF: Final = {month[:3].lower(): month for month in MONTHS}
_MONTH: Final = rf"(?:{'|'.join(MONTHS)}|Sept|{'|'.join(month[:3] for month in MONTHS)})\b\.?"


# Dates and times


def _day(number: str) -> str:
    return numbers.ordinal(int(number))


def _two_digit_year(text: str) -> int:
    return int(text) if len(text) == 4 else (1900 if int(text) > 40 else 2000) + int(text)


def date_rules(order: DateOrder) -> Iterator[Rule]:
    """Yield the rules for dates; `order` is that of `12/05/2024`."""

    def full(match: re.Match[str], year: str, month: int, day: int) -> list[Said] | None:
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return whole(match, f"{MONTHS[month - 1]} {_day(str(day))}, {year_words(_two_digit_year(year))}")

    def numeric(match: re.Match[str]) -> list[Said] | None:
        first, second, third = int(match["a"]), int(match["b"]), match["year"]
        if order == "ymd" and len(third) == 2:
            return full(match, match["a"].zfill(2), second, int(third))
        month, day = (second, first) if order == "dmy" else (first, second)
        if month > 12:
            month, day = day, month
        return full(match, third, month, day)

    def iso(match: re.Match[str]) -> list[Said] | None:
        return full(match, match["year"], int(match["month"]), int(match["day"]))

    def month_day(match: re.Match[str]) -> list[Said] | None:
        if not 1 <= int(match["day"]) <= 31:
            return None
        said = [
            group(match, "month", _MONTH_OF[match["month"][:3].lower()]),
            Said(_day(match["day"]), match.start("day"), match.end("suffix")),
        ]
        if match["last"]:
            said.append(group(match, "last", f"to {_day(match['last'])}"))
        if match["year"]:
            said += [
                Said(",", match.end("day"), match.end("day")),
                group(match, "year", year_words(int(match["year"]))),
            ]
        return said

    def day_month(match: re.Match[str]) -> list[Said] | None:
        if not 1 <= int(match["day"]) <= 31:
            return None
        before = match.string[max(0, match.start() - 4) : match.start()].lower()
        words = _day(match["day"]) if before.endswith("the ") else f"the {_day(match['day'])}"
        said = [
            Said(words, match.start(), match.end("suffix")),
            group(match, "month", f"of {_MONTH_OF[match['month'][:3].lower()]}"),
        ]
        if match["year"]:
            said.append(group(match, "year", year_words(int(match["year"]))))
        return said

    def short(match: re.Match[str]) -> list[Said] | None:
        first, second = int(match["a"]), int(match["b"])
        month, day = (second, first) if order == "dmy" else (first, second)
        likely = 12 < day <= 31 and day not in (16, 20) and (first, second) not in _KNOWN_PAIRS
        return whole(match, f"{MONTHS[month - 1]} {_day(str(day))}") if likely and 1 <= month <= 12 else None

    yield Rule.of("short date", r"(?P<a>\d{1,2})/(?P<b>\d{1,2})(?![\w/]|\.\d)", short)
    yield Rule.of(
        "ISO date", r"(?P<year>\d{4})[-/.](?P<month>\d{2})[-/.](?P<day>\d{2})(?!\d|[-/]\d)(?=T?)", iso
    )
    yield Rule.of(
        "date in numbers",
        r"(?P<a>\d{1,2})(?P<mark>[/.\-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})(?![\d/]|[.\-]\d)",
        numeric,
    )
    yield Rule.of(
        "month and day",
        rf"(?P<month>{_MONTH})\s(?P<day>\d{{1,2}})(?P<suffix>(?:st|nd|rd|th)?)(?:[-–](?P<last>\d{{1,2}}))?"
        r"(?![\d:%]|[.,]\d|\s?(?:[ap]\.?m|people|men|women))(?:,?\s(?P<year>[12]\d{3})(?![\d,.:]\d|\w))?",
        month_day,
    )
    yield Rule.of(
        "day and month",
        rf"(?P<day>\d{{1,2}})(?P<suffix>(?:st|nd|rd|th)?)\s(?:of\s)?(?P<month>{_MONTH})(?:,?\s(?P<year>[12]\d{{3}})(?![\d,.:]\d|\w))?",
        day_month,
    )


def _clock_words(hour: int, minute: int, *, half_day: bool) -> str:
    if (hour, minute) == (0, 0) and not half_day:
        return "midnight"
    words = numbers.cardinal(hour)
    if minute == 0:
        if half_day:
            return words
        return f"{words} o'clock" if hour <= 12 else f"{words} hundred"
    return f"{words} oh {numbers.cardinal(minute)}" if minute < 10 else f"{words} {numbers.cardinal(minute)}"


_ZONE: Final = r"\(?(?:[ECMP][SD]?T|GMT|UTC|CES?T|BST|IST|JST)\b"
"""A time zone after a time, whose capitals begin no sentence."""


def _time(match: re.Match[str]) -> list[Said] | None:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    if hour > 24 or minute > 59 or (match["second"] and float(match["second"]) >= 60):
        return None
    half = match["half"]
    words = _clock_words(hour, minute, half_day=bool(half) or bool(match["second"]))
    if match["second"]:
        count = match["second"]
        spoken = amount(count if count[0] != "0" else count[1:])
        words += f" and {spoken} second{'' if float(count) == 1 else 's'}"
    said = [Said(words, match.start(), match.start("half") if half else match.end())]
    if half:
        said.append(Said(f"{half[0].upper()}M", match.start("half"), match.end(), spell=True))
        if half.endswith(".") and re.match(
            rf"\s*$|\s+(?!{_ZONE})[\"“(]?[A-Z]", match.string[match.end() : match.endpos]
        ):
            said.append(Said(".", match.end() - 1, match.end()))
    return said


_HALF: Final = r"(?P<half>[AaPp]\.?\s?[Mm](?:\.|\b(?!\.\w)))"


def _time_rules() -> Iterator[Rule]:
    yield Rule.of(
        "time",
        rf"(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}})(?::(?P<second>\d{{2}}(?:\.\d+)?))?(?![\d:])(?:\s?{_HALF})?",
        _time,
    )
    yield Rule.of("hour", rf"(?P<hour>\d{{1,2}})(?P<minute>)?(?P<second>)?\s?{_HALF}", _time)
    yield Rule.of(
        "hours",
        rf"(?P<a>\d{{1,2}}){TO}(?P<b>\d{{1,2}})\s?{_HALF}",
        lambda match: [
            Said(f"{amount(match['a'])} to {amount(match['b'])}", match.start(), match.start("half")),
            Said(f"{match['half'][0].upper()}M", match.start("half"), match.end(), spell=True),
        ],
    )
    yield Rule.of(
        "ratio",
        r"(?P<a>\d{1,3}):(?P<b>\d{1,3})(?![\d:])",
        lambda match: whole(match, f"{amount(match['a'])} to {amount(match['b'])}"),
    )


# Numbers


_DENOMINATORS: Final = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_KNOWN_PAIRS: Final = {
    (24, 7): "twenty-four seven",
    (9, 11): "nine eleven",
    (50, 50): "fifty fifty",
    (20, 20): "twenty twenty",
}


def fraction_words(above: int, below: int) -> str:
    """Return a fraction in words: 3 and 4 are `three quarters`."""
    if (above, below) in _KNOWN_PAIRS:
        return _KNOWN_PAIRS[above, below]
    if below in (10, 100) and above <= below:
        return f"{numbers.cardinal(above)} out of {numbers.cardinal(below)}"
    if not 0 < above < below:
        return f"{numbers.cardinal(above)} over {numbers.cardinal(below)}"
    one, many = _DENOMINATORS.get(below) or (numbers.ordinal(below), f"{numbers.ordinal(below)}s")
    return f"{numbers.cardinal(above)} {one if above == 1 else many}"


_UNIT: Final = rf"(?:\s?(?P<unit>{alternatives(UNITS)}))?"


def _mixed_fraction(match: re.Match[str]) -> list[Said]:
    fraction = match["fraction"]
    if fraction in FRACTIONS:
        words = FRACTIONS[fraction]
    else:
        above, _, below = fraction.partition("/")
        words = fraction_words(int(above), int(below))
    count = match["number"]
    unit = f" {UNITS[match['unit']][1 if count else 0]}" if match["unit"] else ""
    if not count:
        return whole(match, words + unit)
    words = (
        re.sub(r"^one ", "a ", words) if not words.startswith("one eighth") else words.replace("one", "an", 1)
    )
    return whole(match, f"{amount(count)} and {words}{unit}")


def _power(match: re.Match[str]) -> list[Said]:
    written = match["power"] or match["raised"].translate(_SUPERSCRIPTS)
    power = written.strip("{}()").replace("−", "-")
    if power.isalpha():
        return whole(match, f"{amount(match['base'])} to the power of {power}")
    exponent = f"minus {amount(power[1:])}" if power.startswith("-") else amount(power.lstrip("+"))
    base = match["base"]
    words = amount(base) if base[0].isdigit() else base
    short = {"2": "squared", "3": "cubed"}.get(power) if not base[0].isdigit() else None
    return whole(match, f"{words} {short}" if short else f"{words} to the power of {exponent}")


_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


def _phone(match: re.Match[str]) -> list[Said] | None:
    groups = re.findall(r"\+?\d+", match[0])
    if sum(map(len, groups)) < 7:
        return None
    words = ", ".join(("plus " if part[0] == "+" else "") + numbers.digits(part) for part in groups)
    return whole(match, words)


def _named_phone(match: re.Match[str]) -> list[Said]:
    """Read a phone number that ends in a word, `1-800-FLOWERS`."""
    area = match["area"]
    words = (
        f"{numbers.cardinal(int(area[0]))} hundred"
        if area[0] != "0" and area.endswith("00")
        else numbers.digits(area)
    )
    start = "one " if match["trunk"] else ""
    return [
        Said(f"{start}{words},", match.start(), match.end("area")),
        group(match, "word", match["word"].replace("-", " ")),
    ]


def _sequence(match: re.Match[str]) -> list[Said]:
    """Read three or more numbers with hyphens: short ones as they are counted, the groups of an ISBN digit by digit."""
    parts = match[0].split("-")
    counted = max(map(len, parts)) <= 2
    return whole(match, ", ".join(amount(part) if counted else _digits_and_x(part) for part in parts))


def _digits_and_x(part: str) -> str:
    return " ".join(letter if letter == "X" else numbers.digits(letter) for letter in part)


def _inch_fraction(match: re.Match[str]) -> list[Said] | None:
    if match["mark"] in '"”' and is_quoting(match.string[: match.start()]):
        return None  # it closes a quotation
    count = match["number"]
    above, below = map(int, match["fraction"].split("/"))
    words = fraction_words(above, below)
    if count:
        words = re.sub(r"^one (?=half|quarter)", "a ", words)
    return whole(match, f"{amount(count)} and {words} inches" if count else f"{words} inch")


def _years(match: re.Match[str]) -> list[Said] | None:
    first, last = int(match["a"]), match["b"]
    if not 1000 <= first <= 2199 or (len(last) == 4 and int(last) < first):
        return None
    end = year_words(int(last)) if len(last) == 4 else amount(last)
    return whole(match, f"{year_words(first)} to {end}")


def _is_year(match: re.Match[str]) -> bool:
    """Return whether four digits are a year: what follows is not counted by them."""
    number = int(match["number"])
    dated = re.search(
        r"(?i)\b(?:in|since|by|of|from|until|before|after|year)\s$", match.string[: match.start()]
    )
    if not (1000 if dated else 1100) <= number <= 2099 or match["sign"]:
        return False
    found = re.match(r"\s([a-z]+)", match.string[match.end() : match.endpos])
    if not found:
        return True
    word = found[1]
    return word not in COUNTED and (not word.endswith("s") or word in NOUNS_IN_S)


def _number_words(match: re.Match[str]) -> list[Said]:
    number, sign = match["number"], spoken_sign(match)
    if re.fullmatch(r"\d{4}", number) and _is_year(match):
        return whole(match, year_words(int(number)))
    said = Said(sign + amount(number), match.start(), match.end("number"))
    if not match["size"]:
        if re.search(
            r"(?i)\b(?:call|calls|called|dial|dials|dialed|dialled)\s$", match.string[: match.start()]
        ):
            return whole(match, numbers.digits(number))
        return [said]
    size = MAGNITUDES[match["size"].strip()]
    return [Said(f"{said.words} {size}", match.start(), match.end())]


def _scientific(match: re.Match[str]) -> list[Said]:
    power = int(match["power"].replace("−", "-"))
    sign = "minus " if power < 0 else ""
    return whole(
        match, f"{amount(match['number'])} times ten to the power of {sign}{amount(str(abs(power)))}"
    )


def _version_words(match: re.Match[str]) -> list[Said]:
    parts = match["version"].split(".")
    joint = " dot " if len(parts) == 4 else " point "
    words = joint.join(amount(part) for part in parts)
    return whole(match, f"version {words}" if match["v"] else words)


def _digits_rules() -> Iterator[Rule]:
    yield Rule.of(
        "phone",
        r"(?:\+\d{1,3}[\s.\-]?(?:\(?\d{1,4}\)?[\s.\-]?){1,4}\d{2,4}|(?:1[\s.\-])?\(?\d{3}\)?[\s.\-]\d{3}[\s.\-]\d{4}"
        r"|\d{3}-\d{4}|0\d{2,4}[\s\-]\d{3,4}[\s\-]?\d{3,4})(?![\w]|-\d)",
        _phone,
    )
    yield Rule.of(
        "phone number with a word",
        r"(?P<trunk>1[-.\s])?(?P<area>\d{3})[-.](?P<word>[A-Z]{3,}(?:-[A-Z]{2,})*)(?!\w)",
        _named_phone,
    )
    yield Rule.of("sequence", r"\d+(?:-\d+){2,}(?:-X)?(?![\w-])", _sequence)
    yield Rule.of(
        "fraction of an inch",
        r"(?:(?P<number>\d+)[\s\-])?(?P<fraction>\d{1,2}/[1-9]\d?)(?P<mark>[\"″”])",
        _inch_fraction,
    )
    yield Rule.of("version", r"(?P<v>v)?(?P<version>\d+(?:\.\d+){2,})(?![\w])", _version_words)
    yield Rule.of("version", r"(?P<v>v)\.?(?P<version>\d+(?:\.\d+)*)(?![\w])", _version_words)
    yield Rule.of("years", r"(?P<a>\d{4})\s?[-–]\s?(?P<b>\d{4}|\d{2})(?![\w.,]\d|\w)", _years)
    yield Rule.of(
        "short year",
        r"['’‘](?P<year>\d\d)(?![\w'’])",
        lambda match: whole(
            match,
            numbers.digits(match["year"])
            if match["year"][0] == "0"
            else numbers.cardinal(int(match["year"])),
        ),
    )
    yield Rule.of(
        "ordinal",
        r"(?P<number>\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th|ST|ND|RD|TH)\b",
        lambda match: whole(match, numbers.ordinal(int(match["number"].replace(",", "")))),
    )
    yield Rule.of("scientific", rf"(?P<number>{NUMBER})[eE](?P<power>[+\-−]?\d{{1,3}})(?!\w)", _scientific)
    yield Rule.of(
        "power",
        rf"(?P<base>{NUMBER}|\b[A-Za-z])(?:\^(?P<power>\{{?[+\-−]?\d+\}}?|\([+\-−]?\d+\)|(?<=\d\^)[A-Za-z])|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))(?!\w)",
        _power,
    )
    yield Rule.of(
        "fraction",
        rf"(?:(?P<number>\d+)(?:\s|[\u2064\-])?)?(?P<fraction>[{''.join(FRACTIONS)}]){_UNIT}(?!\w)",
        _mixed_fraction,
    )
    yield Rule.of(
        "mixed fraction", rf"(?P<number>\d+)[\s\-](?P<fraction>\d/\d{{1,2}}){_UNIT}(?![\w/])", _mixed_fraction
    )
    yield Rule.of(
        "plain fraction",
        rf"(?P<number>)(?P<fraction>\d{{1,3}}/[1-9]\d{{0,2}}){_UNIT}(?![\w/]|\.\d)",
        _mixed_fraction,
    )
    yield Rule.of(
        "times",
        rf"(?P<number>{NUMBER})x(?!\w)",
        lambda match: whole(match, f"{amount(match['number'])} times"),
    )
    yield Rule.of(
        "hash number",
        rf"#\s?(?P<number>{NUMBER})(?!\w)",
        lambda match: whole(match, f"number {amount(match['number'])}"),
    )
    yield Rule.of(
        "difference",
        rf"(?P<number>{NUMBER})(?P<gap>\s)[-−–]\s(?P<to>{NUMBER})(?=\s?=)",
        lambda match: whole(match, f"{amount(match['number'])} minus {amount(match['to'])}"),
    )
    yield Rule.of(
        "quotient",
        rf"(?P<number>{NUMBER})\s(?P<sign>[/*])\s(?P<to>{NUMBER})(?!\w)",
        lambda match: whole(
            match,
            f"{amount(match['number'])} {'divided by' if match['sign'] == '/' else 'times'} {amount(match['to'])}",
        ),
    )
    yield Rule.of(
        "range",
        rf"{SIGN}{AMOUNT}(?<![a-z])(?!\w|[.,]\d)",
        lambda match: whole(match, spoken_sign(match) + spoken_range(match)) if match["to"] else None,
    )
    yield Rule.of("number", rf"{SIGN}(?P<number>{NUMBER}){PLAIN_SIZE}(?![A-Za-z\d])", _number_words)
    yield Rule.of(
        "number of a word",
        rf"(?P<number>{NUMBER})(?=[A-Za-z])",
        lambda match: whole(
            match, short_number(match["number"]) if match["number"].isdigit() else amount(match["number"])
        ),
    )


def _to_rule() -> Rule:
    """Return the rule for the dash of a range that no other rule has read: `9am–5pm`, `10:30–11:15`."""
    return Rule.of(
        "to",
        r"(?<=[\dmM.%°€£¢])[-–—](?=[\d$€£])|(?<=[a-zA-Z])[-–—](?=[$€£]\d)|(?<=st|nd|rd|th)[-–—](?=\d+(?:st|nd|rd|th)\b)",
        lambda match: whole(match, "to"),
    )


def number_rules(order: DateOrder) -> Iterator[Rule]:
    """Yield the rules for what is written with digits, the most special first."""
    yield from date_rules(order)
    yield from _time_rules()
    yield from money_rules()
    yield from unit_rules()
    yield from _digits_rules()
    yield _to_rule()
