"""Japanese and Chinese: numbers, dates, times, money, units and telephone numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, alternatives, whole
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

_NUMBER: Final = r"(?:\d{1,3}(?:[,，]\d{3})+(?!\d)|\d+)(?:[.．]\d+)?"
_SIGN: Final = r"(?P<sign>(?<![\dA-Za-z])[-−－])?"
_TO: Final = r"\s?[-–—−〜～~－]\s?"
_AMOUNT: Final = rf"(?P<number>{_NUMBER})(?:{_TO}(?P<to>{_NUMBER}))?"
_SIZE: Final = r"(?P<size>[百千万萬亿億兆]*)"


@dataclass(frozen=True, slots=True, kw_only=True)
class EastAsianWords:
    """How a language reads what is written with digits; `{}` stands for a number, `{a}` and `{b}` for those of a fraction."""

    language: str
    digits: str
    pause: str
    minus: str
    to: str
    percent: str
    fraction: str
    versus: str
    hour: str
    minute: str
    second: str
    zero_minutes: str
    celsius: str
    fahrenheit: str
    degrees: str
    currencies: Mapping[str, str]
    units: Mapping[str, str]
    years_in_digits: bool


JAPANESE: Final = EastAsianWords(
    language="ja",
    digits="ゼロ 一 二 三 四 五 六 七 八 九",
    pause="、",
    minus="マイナス",
    to="から",
    percent="{}パーセント",
    fraction="{b}分の{a}",
    versus="対",
    hour="時",
    minute="分",
    second="秒",
    zero_minutes="",
    celsius="{}度",
    fahrenheit="華氏{}度",
    degrees="{}度",
    currencies={
        "¥": "円",
        "￥": "円",
        "$": "ドル",
        "＄": "ドル",
        "€": "ユーロ",
        "£": "ポンド",
        "₩": "ウォン",
    },
    units={
        "km/h": "時速{}キロメートル",
        "m/s": "秒速{}メートル",
        "km²": "{}平方キロメートル",
        "m²": "{}平方メートル",
        "km": "{}キロメートル",
        "m": "{}メートル",
        "cm": "{}センチメートル",
        "mm": "{}ミリメートル",
        "kg": "{}キログラム",
        "g": "{}グラム",
        "mg": "{}ミリグラム",
        "ml": "{}ミリリットル",
        "mL": "{}ミリリットル",
        "L": "{}リットル",
    },
    years_in_digits=False,
)

CHINESE: Final = EastAsianWords(
    language="zh",
    digits="零 一 二 三 四 五 六 七 八 九",
    pause="，",
    minus="负",
    to="到",
    percent="百分之{}",
    fraction="{b}分之{a}",
    versus="比",
    hour="点",
    minute="分",
    second="秒",
    zero_minutes="零",
    celsius="{}摄氏度",
    fahrenheit="{}华氏度",
    degrees="{}度",
    currencies={"¥": "元", "￥": "元", "$": "美元", "＄": "美元", "€": "欧元", "£": "英镑", "₩": "韩元"},
    units={
        "km/h": "每小时{}公里",
        "m/s": "每秒{}米",
        "km²": "{}平方公里",
        "m²": "{}平方米",
        "km": "{}公里",
        "m": "{}米",
        "cm": "{}厘米",
        "mm": "{}毫米",
        "kg": "{}公斤",
        "g": "{}克",
        "mg": "{}毫克",
        "ml": "{}毫升",
        "mL": "{}毫升",
        "L": "{}升",
    },
    years_in_digits=True,
)

EAST_ASIAN: Final[Mapping[str, EastAsianWords]] = {"ja": JAPANESE, "zh": CHINESE}


class _EastAsianReader:
    def __init__(self, words: EastAsianWords) -> None:
        self.words = words
        self._digits = words.digits.split()

    def in_digits(self, text: str) -> str:
        """Return the digits of a text one by one."""
        return "".join(self._digits[int(digit)] for digit in text if digit.isdecimal())

    def amount(self, text: str) -> str:
        """Return a number in words, `1,250.5`."""
        units, _, decimals = re.sub("[,，]", "", text).replace("．", ".").partition(".")
        if (len(units) > 1 and int(units[0]) == 0) or len(units) > 15:
            said = self.in_digits(units)
        else:
            said = numbers.cardinal(int(units), self.words.language) if int(units) else self._digits[0]
        return f"{said}点{self.in_digits(decimals)}" if decimals else said

    def span(self, match: re.Match[str]) -> str:
        """Return the amount of a match, with its sign and the end of its span."""
        said = (self.words.minus if match["sign"] else "") + self.amount(match["number"])
        return f"{said}{self.words.to}{self.amount(match['to'])}" if match["to"] else said

    def date(self, match: re.Match[str]) -> list[Said] | None:
        month, day = int(match["month"]), int(match["day"])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        year = match["year"]
        said = self.in_digits(year) if self.words.years_in_digits else self.amount(year)
        return whole(match, f"{said}年{self.amount(str(month))}月{self.amount(str(day))}日")

    def year(self, match: re.Match[str]) -> list[Said]:
        return whole(match, self.in_digits(match["year"]))

    def time(self, match: re.Match[str]) -> list[Said] | None:
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
        if hour > 24 or minute > 59 or second > 59:
            return None
        said = self.amount(str(hour)) + self.words.hour
        if minute or second:
            zero = self.words.zero_minutes if minute < 10 else ""
            said += f"{zero if minute else ''}{self.amount(str(minute))}{self.words.minute}"
        if second:
            said += self.amount(str(second)) + self.words.second
        return whole(match, said)

    def phone(self, match: re.Match[str]) -> list[Said]:
        return whole(match, self.words.pause.join(map(self.in_digits, re.findall(r"\d+", match[0]))))

    def money(self, match: re.Match[str]) -> list[Said]:
        return whole(match, self.span(match) + match["size"] + self.words.currencies[match["symbol"]])

    def percent(self, match: re.Match[str]) -> list[Said]:
        if match["first"] and match["to"]:
            first = self.words.percent.format(self.amount(match["number"]))
            last = self.words.percent.format(self.amount(match["to"]))
            return whole(match, f"{first}{self.words.to}{last}")
        minus = self.words.minus if match["sign"] else ""
        said = self.span(match)[len(minus) :]
        return whole(match, minus + self.words.percent.format(said))

    def temperature(self, match: re.Match[str]) -> list[Said]:
        scale = unicodedata.normalize("NFKC", match["scale"])[-1].upper()
        form = {"C": self.words.celsius, "F": self.words.fahrenheit}.get(scale, self.words.degrees)
        return whole(match, form.format(self.span(match)))

    def unit(self, match: re.Match[str]) -> list[Said]:
        return whole(match, self.words.units[match["unit"]].format(self.span(match)))

    def fraction(self, match: re.Match[str]) -> list[Said]:
        form = self.words.fraction
        return whole(match, form.format(a=self.amount(match["above"]), b=self.amount(match["below"])))


def east_asian_rules(language: str) -> Iterator[Rule]:
    """Yield the rules of Japanese (`ja`) or Chinese (`zh`) for what is written with digits or in full width."""
    reader = _EastAsianReader(EAST_ASIAN[language])
    words = reader.words
    money, units = alternatives(words.currencies), alternatives(words.units)
    yield Rule.of(
        "date in digits",
        r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?!\d)",
        reader.date,
    )
    yield Rule.of(
        "telephone",
        r"(?:\+\d{1,3}[-\s])?(?:0\d{1,4}|\d{2,4})[-－]\d{2,4}[-－]\d{3,4}(?![-－]?\d)|\+\d{8,15}(?!\d)"
        r"|0\d{2,3}[-－]\d{7,8}(?!\d)|0\d{9,10}(?!\d)|1[3-9]\d{9}(?!\d)",
        reader.phone,
    )
    if words.years_in_digits:
        yield Rule.of("year", r"(?P<year>(?:1[1-9]|20)\d\d)(?=\s?年(?!前))", reader.year)
        yield Rule.of(
            "two of a measure",
            r"(?<![\d.])[2２](?=\s?(?:[个個只张張本件位次天条條头頭杯瓶座辆輛家种種倍]|小时|公里|分钟))",
            lambda match: whole(match, "两"),
        )
    yield Rule.of(
        "clock",
        r"(?P<hour>\d{1,2})[:：](?P<minute>\d{2})(?:[:：](?P<second>\d{2}))?(?![:：]?\d)",
        reader.time,
    )
    yield Rule.of(
        "score",
        r"(?P<a>\d{1,3})[:：](?P<b>\d{1,3})(?![:：]?\d)",
        lambda match: whole(match, reader.amount(match["a"]) + words.versus + reader.amount(match["b"])),
    )
    yield Rule.of("money", rf"{_SIGN}(?P<symbol>{money})\s?{_AMOUNT}{_SIZE}", reader.money)
    yield Rule.of("money after", rf"{_SIGN}{_AMOUNT}{_SIZE}\s?(?P<symbol>{money})", reader.money)
    yield Rule.of(
        "percent",
        rf"{_SIGN}(?P<number>{_NUMBER})(?P<first>\s?[%％])?(?:{_TO}(?P<to>{_NUMBER}))?(?(to)\s?[%％]|(?(first)|\s?[%％]))",
        reader.percent,
    )
    yield Rule.of(
        "degrees", rf"{_SIGN}{_AMOUNT}\s?(?P<scale>[℃℉]|[°º]\s?[CcFfＣＦ]?)(?![A-Za-z])", reader.temperature
    )
    yield Rule.of("measure", rf"{_SIGN}{_AMOUNT}\s?(?P<unit>{units})(?![A-Za-z\d/²³])", reader.unit)
    yield Rule.of("share", r"(?P<above>\d{1,3})[/／](?P<below>[1-9]\d{0,2})(?![/／\d])", reader.fraction)
    yield Rule.of(
        "row of numbers",
        r"\d+(?:[.．\-－]\d+){2,}",
        lambda match: whole(
            match,
            ("点" if re.search("[.．]", match[0]) else words.pause).join(
                map(reader.amount, re.findall(r"\d+", match[0]))
            ),
        ),
    )
    yield Rule.of(
        "amount",
        rf"(?P<sign>(?<!\w)[-−－])?{_AMOUNT}",
        lambda match: whole(match, reader.span(match)),
    )
    yield Rule.of(
        "letters in full width",
        "[Ａ-Ｚａ-ｚ]+",
        lambda match: whole(match, unicodedata.normalize("NFKC", match[0])),
    )
