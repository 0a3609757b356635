"""English amounts: numbers in words, money, units, temperatures and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.english_units import CURRENCIES, MAGNITUDES, PER, UNITS
from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, alternatives, whole
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d{1,3}(?:[\u00a0\u202f\u2009]\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\d.])\.\d+"
SIGN: Final = r"(?P<sign>(?<![\w.)%％‰°℃℉€£¢])[-−+±~≈])?"
TO: Final = r"\s?[-–—−]\s?"
END: Final = r"(?![\w])"
_LOOSE_DOT: Final = r"(?:\.(?=\s+[a-z\d(]|,))?"
"""The dot of an abbreviation that does not end a sentence."""

_SIGNS: Final = {"-": "minus", "−": "minus", "+": "plus", "±": "plus or minus", "~": "about", "≈": "about"}


def plain_number(text: str) -> float:
    """Return the value of a number such as 1,250.50."""
    return float(re.sub(r"[,\s]", "", text))


def _lakhs(number: int) -> str:
    """Return a number that is grouped as in India, in crores and lakhs."""
    said = []
    for size, name in ((10**7, " crore"), (10**5, " lakh"), (1, "")):
        count, number = divmod(number, size)
        if count:
            said.append(numbers.cardinal(count) + name)
    return " ".join(said) or "zero"


def amount(text: str) -> str:
    """Return a number in words: `1,250.5` is `one thousand two hundred fifty point five`."""
    whole_part, _, decimals = re.sub(r"[,\u00a0\u202f\u2009]", "", text).partition(".")
    if re.match(r"\d{1,2}(?:,\d{2})+,\d{3}(?!\d)", text):
        words = _lakhs(int(whole_part))
    elif (len(whole_part) > 1 and whole_part[0] == "0") or (
        len(whole_part) >= 10 and "," not in text and not whole_part.endswith("000")
    ):
        words = numbers.digits(whole_part)
    else:
        words = numbers.cardinal(int(whole_part or 0))
    return f"{words} point {numbers.digits(decimals)}" if decimals else words


def short_number(text: str) -> str:
    """Return the digits of a name, such as those of B52 or Q1: three or four in pairs."""
    if len(text) == 3 and text[0] != "0" and not text.endswith("00"):
        rest = f"oh {numbers.cardinal(int(text[2]))}" if text[1] == "0" else numbers.cardinal(int(text[1:]))
        return f"{numbers.cardinal(int(text[0]))} {rest}"
    if len(text) == 4 and text[0] != "0":
        return year_words(int(text))
    return amount(text) if text[0] != "0" or text == "0" else numbers.digits(text)


def year_words(year: int) -> str:
    """Return a year in words, `nineteen eighty-four`."""
    return numbers.year(year).replace("oh-", "oh ")


def spoken_sign(match: re.Match[str]) -> str:
    """Return the sign of a match in words, with a space after it."""
    sign = match["sign"]
    return f"{_SIGNS[sign]} " if sign else ""


def spoken_range(match: re.Match[str]) -> str:
    """Return `NUMBER` or `NUMBER to NUMBER` of a match with the groups `number` and perhaps `to`."""
    words = amount(match["number"])
    return f"{words} to {amount(match['to'])}" if match["to"] else words


def _is_one(match: re.Match[str]) -> bool:
    return not match["to"] and match["number"] in ("1", "1.0", "1.00")


# Money


def _money(match: re.Match[str]) -> list[Said] | None:
    one, many, cent, cents = CURRENCIES[(match["symbol"] or match["code"]).rstrip(".")]
    number = match["number"]
    sign = "minus " if match["inner"] else spoken_sign(match)
    if match["size"]:
        words = f"{spoken_range(match)} {MAGNITUDES[match['size']]} {many}"
    elif match["to"] or not re.search(r"\.\d\d$", number) or not cent:
        words = f"{spoken_range(match)} {one if _is_one(match) else many}"
    else:
        units, _, hundredths = number.partition(".")
        said = []
        if plain_number(units or "0") or not int(hundredths):
            said.append(f"{amount(units)} {one if plain_number(units) == 1 else many}")
        if int(hundredths):
            said.append(f"{amount(str(int(hundredths)))} {cent if int(hundredths) == 1 else cents}")
        words = " and ".join(said)
    rest = []
    if match["per"]:
        rest = [Said(f"per {PER[match['per']]}", match.start("per"), match.end())]
    start, stop = match.start(), match.start("per") if match["per"] else match.end()
    space = re.search(r"\s", match.string[start:stop])
    if match["size"] and space and " " in words:
        # The magnitude is a word of its own: `$5 | million dollars`.
        at = match.start("size")
        head = f"{sign}{spoken_range(match)}"
        return [Said(head, start, at), Said(f"{MAGNITUDES[match['size']]} {many}", at, stop), *rest]
    return [Said(sign + words, start, stop), *rest]


_SIZE: Final = rf"(?:\s?(?P<size>{alternatives(MAGNITUDES)})\b)?"
PLAIN_SIZE: Final = (
    r"(?:(?P<size>(?<=\d\d)K|k|M|mn|bn|tn|(?<=\.\d)[BT]|\s?(?:hundred|thousand|million|billion|trillion))\b)?"
)
"""Magnitudes of a number that is not money: `4K` and `221B` are names."""

_PER: Final = rf"(?:\s?/\s?(?P<per>{alternatives(PER)})\b)?"
AMOUNT: Final = rf"(?P<number>{NUMBER})(?:{TO}(?P<to>{NUMBER}))?"


def money_rules() -> Iterator[Rule]:
    """Yield the rules for money."""
    symbols = alternatives(symbol for symbol in CURRENCIES if not symbol.isalpha())
    codes = alternatives(symbol for symbol in CURRENCIES if symbol.isalpha())
    second = rf"(?P<number>{NUMBER})(?:{TO}(?:{symbols})?(?P<to>{NUMBER}))?"
    yield Rule.of(
        "money",
        rf"{SIGN}(?:(?P<symbol>{symbols})\s?|(?P<code>{codes})\.?\s?)(?P<inner>[-−](?=[\d.]))?(?:{second}){_SIZE}{_PER}(?!\d|[.,]\d)",
        _money,
    )
    yield Rule.of(
        "money after",
        rf"{SIGN}{AMOUNT}(?P<inner>){_SIZE}\s?(?:(?P<symbol>{symbols})|(?P<code>{codes})\b){_PER}",
        _money,
    )
    yield Rule.of(
        "cents",
        rf"(?P<number>{NUMBER})(?P<to>)?\s?(?:¢|(?P<pence>p)\b(?!\.))",
        lambda match: (
            whole(
                match,
                f"{amount(match['number'])} "
                + ("p" if match["pence"] else "cent" if _is_one(match) else "cents"),
            )
            if not match["pence"] or not match[0][-2].isspace()
            else None
        ),
    )


# Units


def _unit(match: re.Match[str]) -> list[Said]:
    one, many = UNITS[re.sub(r"\s+", " ", match["unit"])]
    name = one if _is_one(match) else many
    if match["per"]:
        name += f" per {PER[match['per']]}"
    return [
        Said(spoken_sign(match) + spoken_range(match), match.start(), match.start("unit")),
        Said(name, match.start("unit"), match.end()),
    ]


def _unit_span(match: re.Match[str]) -> list[Said]:
    """Read a span whose ends both have a unit, `10%-20%`."""
    first, last = UNITS[match["first"]], UNITS[match["unit"]]
    return [
        Said(
            f"{amount(match['number'])} {first[0] if match['number'] == '1' else first[1]}",
            match.start(),
            match.end("first"),
        ),
        Said(
            f"to {amount(match['to'])} {last[0] if match['to'] == '1' else last[1]}",
            match.start("to"),
            match.end(),
        ),
    ]


_DURATION_UNITS: Final = (("h", "hour"), ("m", "minute"), ("s", "second"))


def _time_taken(match: re.Match[str]) -> list[Said] | None:
    """Read a time that something takes, `1h 05m` or `5min 30s`."""
    said = []
    for letter, name in _DURATION_UNITS:
        if match[letter]:
            count = int(match[letter])
            words = f"{numbers.cardinal(count)} {name}{'' if count == 1 else 's'}"
            said.append(Said(words, match.start(letter), match.end(f"{letter}_unit")))
    return said if len(said) > 1 else None


def _temperature(match: re.Match[str]) -> list[Said]:
    name = "degree" if _is_one(match) else "degrees"
    scale = _SCALES.get((match["letter"] or match["sign_of"] or "").upper(), "")
    number = Said(
        spoken_sign(match) + spoken_range(match), match.start(), match.end("to" if match["to"] else "number")
    )
    return [number, Said(name + scale, number.stop, match.end())]


_SCALES: Final = {"C": " Celsius", "℃": " Celsius", "F": " Fahrenheit", "℉": " Fahrenheit"}
_COMPASS: Final = {"N": "north", "S": "south", "E": "east", "W": "west"}


def _angle(match: re.Match[str]) -> list[Said]:
    words = f"{amount(match['degrees'])} degrees"
    if match["minutes"]:
        words += f" {amount(match['minutes'])} minutes"
    if match["seconds"]:
        words += f" {amount(match['seconds'])} seconds"
    if match["side"]:
        words += f" {_COMPASS[match['side']]}"
    return whole(match, words)


def _height(match: re.Match[str]) -> list[Said]:
    feet, inches = match["feet"], match["inches"]
    if not inches:
        return whole(match, f"{amount(feet)} {'foot' if feet == '1' else 'feet'}")
    return whole(match, f"{amount(feet)} foot {amount(inches)}")


def is_quoting(text: str) -> bool:
    """Return whether a quotation is open at the end of a text; a mark after a digit outside of one means inches."""
    quoting = False
    for at, character in enumerate(text):
        if character in '"“”':
            quoting = character == "“" or (not quoting and not text[at - 1 : at].isdigit())
    return quoting


def _inches(match: re.Match[str]) -> list[Said] | None:
    if match["mark"] in '"”' and is_quoting(match.string[: match.start()]):
        return None  # it closes a quotation
    return whole(match, f"{amount(match['number'])} {'inch' if match['number'] == '1' else 'inches'}")


def _sides(match: re.Match[str]) -> list[Said]:
    sides = re.split(r"\s?[x×]\s?", match["sides"])
    calculated = re.match(r"\s?=", match.string[match.end() : match.endpos])
    words = (" times " if calculated else " by ").join(
        short_number(side) if len(side) == 4 and side.isdigit() else amount(side) for side in sides
    )
    if match["unit"]:
        words += f" {UNITS[match['unit']][1]}"
    return whole(match, words)


_LASTS: Final = re.compile(
    r"(?i)\b(?:in|for|wait|waits|waited|hold|pause|rest|after|within|every|lasts|lasted|takes|took|about|only|just|under|over|than)\s$"
)
"""What stands before seconds (`wait 30s`), and not before a decade (`his 30s`)."""


def _decade(match: re.Match[str]) -> list[Said]:
    text = match["year"]
    if re.fullmatch(r"\d\ds", match[0]) and _LASTS.search(match.string[: match.start()]):
        return whole(match, f"{numbers.cardinal(int(text))} seconds")
    words = year_words(int(text)) if len(text) == 4 else numbers.cardinal(int(text))
    if text in ("2000", "3000"):
        words = numbers.cardinal(int(text))
    return whole(match, f"{words[:-1]}ies" if words.endswith("y") else f"{words}s")


def unit_rules() -> Iterator[Rule]:
    """Yield the rules for units, angles, sizes and decades."""
    units = alternatives(UNITS)
    yield Rule.of(
        "duration",
        r"(?:(?P<h>\d+)\s?(?P<h_unit>h(?:rs?)?)\s?)?(?:(?P<m>\d+)\s?(?P<m_unit>m(?:ins?)?)\s?)?"
        r"(?:(?P<s>\d+)\s?(?P<s_unit>s(?:ecs?)?))?(?<=[a-z])(?!\w)",
        _time_taken,
    )
    yield Rule.of("decade", r"['’‘]?(?P<year>\d{3}0|[1-9]0)['’]?s\b", _decade)
    yield Rule.of(
        "angle",
        r"(?P<degrees>\d+(?:\.\d+)?)\s?°\s?(?:(?P<minutes>\d+(?:\.\d+)?)\s?['′’]\s?)?"
        r"(?:(?P<seconds>\d+(?:\.\d+)?)\s?[\"″”]\s?)?(?P<side>[NSEW])\b",
        _angle,
    )
    yield Rule.of(
        "temperature",
        rf"{SIGN}{AMOUNT}\s?(?:°\s?(?P<letter>[CcFf])?|(?P<sign_of>[℃℉])){END}",
        _temperature,
    )
    yield Rule.of(
        "height", r"(?P<feet>\d+)\s?['′’]\s?(?P<inches>\d{1,2}(?:\.\d+)?)\s?(?:[\"″”]|''|’’)?(?!\w)", _height
    )
    yield Rule.of("feet", r"(?P<feet>\d+)′(?P<inches>)?", _height)
    yield Rule.of("height in words", r"(?P<feet>\d+)\s?ft\.?\s(?P<inches>\d{1,2})\s?in\b\.?", _height)
    yield Rule.of("inches", r"(?P<number>\d+(?:\.\d+)?)(?P<mark>[\"″”]|\s?in\.(?=\s[a-z]))(?!\w)", _inches)
    yield Rule.of(
        "size", rf"(?P<sides>(?:{NUMBER})(?:\s?[x×]\s?(?:{NUMBER}))+)(?:\s?(?P<unit>{units}))?{END}", _sides
    )
    yield Rule.of(
        "span of units",
        rf"(?P<number>{NUMBER})\s?(?P<first>{units}){TO}(?P<to>{NUMBER})\s?(?P<unit>{units}){END}",
        _unit_span,
    )
    yield Rule.of("unit", rf"{SIGN}{AMOUNT}\s?(?P<unit>{units}){_PER}{END}{_LOOSE_DOT}", _unit)
