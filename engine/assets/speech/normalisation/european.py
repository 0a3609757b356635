"""German, Spanish, French, Italian and Portuguese, by one set of rules and a record of words for each.

Numbers have a decimal comma, and points or narrow spaces between thousands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.common import (
    AddressWords,
    address_rules,
    markup_rules,
    plain_rules,
)
from video_pipeline.engine.assets.speech.normalisation.counted import counted_gender
from video_pipeline.engine.assets.speech.normalisation.french_words import FRENCH
from video_pipeline.engine.assets.speech.normalisation.german_words import GERMAN
from video_pipeline.engine.assets.speech.normalisation.italian_words import ITALIAN
from video_pipeline.engine.assets.speech.normalisation.language_words import LanguageWords
from video_pipeline.engine.assets.speech.normalisation.portuguese_words import PORTUGUESE
from video_pipeline.engine.assets.speech.normalisation.roman import roman_value
from video_pipeline.engine.assets.speech.normalisation.scanning import (
    LETTER,
    Rule,
    alternatives,
    group,
    whole,
)
from video_pipeline.engine.assets.speech.normalisation.spanish_words import SPANISH
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

_NUMBER: Final = r"(?:\d{1,3}(?:[.\u00a0\u202f\u2009 '’]\d{3})+(?!\d)|\d+)(?:,\d+)?"
_SIGN: Final = r"(?P<sign>(?<![\w.)%°€$£])[-−+])?"
_AMOUNT: Final = rf"(?P<number>{_NUMBER})(?:\s?[-–—]\s?(?P<to>{_NUMBER}))?"

_GERMAN_BEGINNINGS: Final = (
    "Ich|Du|Er|Sie|Es|Wir|Ihr|Der|Die|Das|Den|Dem|Ein|Eine|Einen|Und|Aber|Doch|Dann|Da|Dort|Hier|Als|Wenn|Weil|Dass|"
    "In|Im|Am|Auf|An|Bei|Mit|Nach|Von|Vor|Zu|Zum|Zur|Für|Um|Bis|So|Nun|Jetzt|Was|Wer|Wie|Wo|Man|Mein|Sein|Ihre|Kein|"
    "Auch|Noch|Nur|Schon|Dabei|Danach|Darauf|Später|Damals|Heute"
)
"""Words that begin a sentence and follow no ordinal."""

_DEGREES_FOLLOW: Final = {
    "es": "norte|sur|este|oeste|bajo|sobre|con|pero|en|de|a|al|la|el|y|o|hoy|fuera",
    "it": "nord|sud|est|ovest|sotto|sopra|con|ma|per|in|di|a|al|alla|e|o|oggi|fuori|circa",
    "pt": "norte|sul|leste|oeste|abaixo|acima|com|mas|em|de|a|ao|e|o|hoje|lá",
}
"""Words before which a number with ° is degrees; before others it is an ordinal (`3° posto`)."""

_QUEENS: Final = frozenset(
    {"elisabeth", "élisabeth", "elizabeth", "isabel", "catherine", "margarethe", "beatrix"}
)

LANGUAGES: Final[Mapping[str, LanguageWords]] = {
    words.language: words for words in (GERMAN, SPANISH, FRENCH, ITALIAN, PORTUGUESE)
}


class _Reader:
    """The readings of one language's numbers."""

    def __init__(self, words: LanguageWords) -> None:
        self.words = words
        self.language = words.language

    def whole_number(self, text: str, form: str = "") -> str:
        """Return a row of digits in words; one that begins with 0 is read digit by digit."""
        if (len(text) > 1 and text[0] == "0") or len(text) > 15:
            return numbers.digits(text, self.language)
        if form and self.language == "de":
            form = {"masculine": "cardinal-masculine", "feminine": "cardinal-feminine"}[form]
        return numbers.cardinal(int(text), self.language, form=form)

    def amount(self, text: str, form: str = "") -> str:
        """Return a number such as 1.250,5 in words."""
        head, _, decimals = re.sub(r"[.\s\u00a0\u202f\u2009'’]", "", text).partition(",")
        said = self.whole_number(head, form)
        return (
            f"{said} {self.words.decimal_point} {numbers.digits(decimals, self.language)}"
            if decimals
            else said
        )

    def signed(self, match: re.Match[str], form: str = "") -> str:
        """Return the amount of a match, with its sign and the end of its range."""
        sign = {"-": self.words.minus, "−": self.words.minus, "+": self.words.plus}.get(
            match["sign"] or "", ""
        )
        said = self.amount(match["number"], form)
        if match["to"]:
            said = f"{self.amount(match['number'])} {self.words.to} {self.amount(match['to'], form)}"
        return f"{sign} {said}".strip()

    def is_one(self, match: re.Match[str]) -> bool:
        """Return whether the amount of a match is one."""
        return match["number"] == "1" and not match["to"]

    # Readings of matches

    def unit(self, match: re.Match[str]) -> list[Said]:
        one, many, gender = self.words.units[match["unit"]]
        form = gender if match["unit"] != "%" else ""
        return [
            Said(self.signed(match, form), match.start(), match.start("unit")),
            group(match, "unit", one if self.is_one(match) else many),
        ]

    def temperature(self, match: re.Match[str]) -> list[Said]:
        scale = {"C": " Celsius", "F": " Fahrenheit", None: ""}[match["scale"]]
        return whole(match, f"{self.signed(match)} {self.words.degrees}{scale}")

    def money(self, match: re.Match[str]) -> list[Said]:
        one, many, cent, cents = self.words.currencies[match["symbol"]]
        number = match["number"]
        form = "feminine" if one in ("libra", "livre", "sterlina") else "masculine"
        if match["size"]:
            return whole(
                match, f"{self.large(match)} {many}" if self.language != "fr" else self.elided(match, many)
            )
        head, _, hundredths = number.partition(",")
        if len(hundredths) != 2 or match["to"]:
            return whole(match, f"{self.signed(match, form)} {one if self.is_one(match) else many}")
        said = f"{self.amount(head, form)} {one if head == '1' else many}"
        if int(hundredths):
            count = str(int(hundredths))
            said += f" {self.words.and_} {self.whole_number(count, 'masculine')} {cent if count == '1' else cents}"
        return whole(match, said)

    def large(self, match: re.Match[str]) -> str:
        """Return the amount of a match with its magnitude: `zwei Millionen`."""
        single, several = self.words.magnitudes[match["size"]]
        form = "feminine" if self.language == "de" and single[0].isupper() else "masculine"
        return f"{self.signed(match, form)} {single if self.is_one(match) else several}"

    def elided(self, match: re.Match[str], many: str) -> str:
        """Return a French amount with its magnitude: `deux millions d'euros`."""
        return re.sub(r"\bde (?=[aeiouhéèê])", "d'", f"{self.large(match)} {many}")

    def magnitude(self, match: re.Match[str]) -> list[Said]:
        """Return an amount such as `3 Mio.`; the preposition before what is counted is left to the text."""
        return whole(match, re.sub(r" d[ei]$", "", self.large(match)))

    def unit_range(self, match: re.Match[str]) -> list[Said]:
        """Return an amount whose unit is written twice: `10 %-20 %`."""
        _, many, gender = self.words.units[match["unit"]]
        form = gender if match["unit"] != "%" else ""
        said = f"{self.amount(match['number'])} {self.words.to} {self.amount(match['to'], form)}"
        return [Said(said, match.start(), match.end("to")), Said(many, match.end("to"), match.end())]

    def fraction(self, match: re.Match[str]) -> list[Said] | None:
        """Return a fraction of two numbers or one of Unicode's, after a whole number or alone."""
        if match["sign_of"]:
            parts = unicodedata.normalize("NFKC", match["sign_of"]).split("⁄")
        else:
            parts = [match["above"], match["below"]]
        above, below = map(int, parts)
        before = match["before"]
        if below == 0 or (
            before is None and not match["sign_of"] and above >= below and below not in (2, 3, 4, 8)
        ):
            return None
        count = self.whole_number(before) if before else ""
        if before and (above, below) == (1, 2):
            joint = "" if self.language == "de" else " "
            return whole(match, f"{count}{joint}{self.words.and_half}")
        if below not in self.words.fractions:
            said = f"{self.whole_number(str(above))} {self.words.over} {self.whole_number(str(below))}"
        else:
            one, many = self.words.fractions[below]
            said = one if above == 1 else f"{self.whole_number(str(above), 'masculine')} {many}"
        return whole(match, f"{count} {self.words.and_} {said}" if count else said)

    def score(self, match: re.Match[str]) -> list[Said]:
        joint = {":": self.words.versus}.get(match["mark"], self.words.by)
        return whole(match, f"{self.whole_number(match['one'])} {joint} {self.whole_number(match['other'])}")

    def multiple(self, match: re.Match[str]) -> list[Said]:
        form = "feminine" if self.language in ("es", "pt") else "masculine"
        joint = "" if self.language == "de" else " "
        return whole(match, f"{self.whole_number(match['number'], form)}{joint}{self.words.times}")

    def german_decade(self, match: re.Match[str]) -> list[Said]:
        number = int(match["number"])
        said = numbers.year(number, "de") if 1100 <= number < 2000 else numbers.cardinal(number, "de")
        return whole(match, f"{said}{match['suffix']}")

    def time(self, match: re.Match[str]) -> list[Said] | None:
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        if hour > 24 or minute > 59:
            return None
        feminine = "feminine" if self.language in ("es", "fr", "pt") else ""
        hours = numbers.cardinal(hour, self.language, form=feminine)
        minutes = numbers.cardinal(minute, self.language)
        if self.language == "de":
            hours = "ein" if hour == 1 else hours
            said = f"{hours} Uhr" + (f" {minutes}" if minute else "")
        elif self.language == "fr":
            said = f"{hours} heure{'' if hour == 1 else 's'}" + (f" {minutes}" if minute else "")
        else:
            joint = {"es": " y ", "it": " e ", "pt": " e "}[self.language]
            said = hours + (f"{joint}{minutes}" if minute else " en punto" if self.language == "es" else "")
        return whole(match, said)

    def date(self, match: re.Match[str]) -> list[Said] | None:
        day, month, year = int(match["day"]), int(match["month"]), match["year"]
        if month > 12:
            day, month = month, day
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        if year and len(year) == 2:
            year = ("19" if int(year) > 40 else "20") + year
        name = self.words.months[month - 1]
        said = {
            "de": f"{self.german_day(match, day)} {name}",
            "es": f"{self.day(day)} de {name}",
            "fr": f"{self.day(day)} {name}",
            "it": f"{self.day(day)} {name}",
            "pt": f"{self.day(day)} de {name}",
        }[self.language]
        joint = {"es": " de ", "pt": " de "}.get(self.language, " ")
        return whole(match, said + (f"{joint}{numbers.year(int(year), self.language)}" if year else ""))

    def day(self, day: int) -> str:
        """Return a day of a month; the first is an ordinal, but in Spanish of Spain."""
        if day == 1 and self.language != "es":
            return numbers.ordinal(1, self.language, form="masculine")
        return numbers.cardinal(day, self.language)

    def german_day(self, match: re.Match[str], day: int) -> str:
        """Return a German day: `am 3. Mai` has another ending than `der 3. Mai`."""
        before = match.string[: match.start()]
        dative = re.search(r"(?i)\b(?:am|vom|zum|dem|den|beim|bis)\s$", before)
        nominative = re.search(r"(?i)\b(?:der|die|das)\s$", before)
        return numbers.ordinal(day, "de", form="-n" if dative else "" if nominative else "-r")

    def day_and_month(self, match: re.Match[str]) -> list[Said] | None:
        day = int(match["day"])
        if not 1 <= day <= 31:
            return None
        said = self.german_day(match, day) if self.language == "de" else self.day(day)
        return [Said(said, match.start(), match.end("mark"))]

    def ordinal(self, match: re.Match[str]) -> list[Said]:
        if (
            self.language == "es"
            and match["suffix"].endswith(("er", "o."))
            and int(match["number"]) % 10 in (1, 3)
        ):
            # Before a noun, the ordinals of one and three lose their last letter.
            return whole(
                match, numbers.ordinal(int(match["number"]), "es", form="masculine").removesuffix("o")
            )
        feminine = match["suffix"].endswith(("ª", "re"))
        form = "" if self.language == "de" else "feminine" if feminine else "masculine"
        return whole(match, numbers.ordinal(int(match["number"]), self.language, form=form))

    def german_ordinal(self, match: re.Match[str]) -> list[Said]:
        before = match.string[: match.start()]
        dative = re.search(r"(?i)\b(?:am|im|vom|zum|dem|den|des|beim|einem|zur)\s$", before)
        return whole(match, numbers.ordinal(int(match["number"]), "de", form="-n" if dative else ""))

    def roman(self, match: re.Match[str]) -> list[Said] | None:
        value = roman_value(match["numeral"])
        name = match["name"]
        kind = self.words.before_roman.get(name) or self.words.before_roman.get(name.lower())
        if value is None or kind is None:
            return None
        form = "feminine" if _is_feminine(name) else "masculine"
        if self.language == "de" and kind == "ordinal":
            read = f"{'die' if form == 'feminine' else 'der'} {numbers.ordinal(value, 'de').capitalize()}"
        elif value == 1 and self.language == "fr" and match["name"][0].isupper():
            read = "premier"
        elif kind == "ordinal" or (kind == "regnal" and value <= 10):
            read = numbers.ordinal(value, self.language, form=form)
        else:
            read = numbers.cardinal(value, self.language)
        return [
            group(match, "name", match["name"]),
            Said(read, match.start("numeral"), match.end()),
        ]

    def century(self, match: re.Match[str]) -> list[Said] | None:
        value = roman_value(match["numeral"])
        if value is None:
            return None
        if self.language == "fr":
            form = "feminine" if match["suffix"] in ("re", "ère") else "masculine"
            return whole(match, numbers.ordinal(value, "fr", form=form))
        return [group(match, "numeral", numbers.ordinal(value, self.language, form="masculine"))]

    def short_century(self, match: re.Match[str]) -> list[Said] | None:
        """Return a century such as `sec. XIX`: an ordinal in Italian, a cardinal in Spanish and Portuguese."""
        value = roman_value(match["numeral"])
        if value is None:
            return None
        is_ordinal = self.language == "it" or (self.language == "pt" and value <= 10)
        read = numbers.ordinal(value, self.language, form="masculine") if is_ordinal else ""
        return [
            Said(self.words.century[match["short"]], match.start("short"), match.start("numeral")),
            group(match, "numeral", read or numbers.cardinal(value, self.language)),
        ]

    def abbreviation(self, match: re.Match[str]) -> list[Said] | None:
        short = re.sub(r"\s+", " ", match["short"])
        after = match.string[match.end() : match.endpos]
        ends = re.match(r"[\"”»’)]*\s*$|[\"”»’)]*\s+[\"“«(¿¡]?[A-ZÀ-Þ]", after) is not None
        if short in self.words.never_end:
            if len(short) == 1 and not re.match(r"\s[A-ZÀ-Þ]|\s?\d", after):
                return None
            return whole(match, self.words.never_end[short])
        said = whole(match, self.words.may_end[short])
        return [*said, Said(".", match.end() - 1, match.end())] if ends else said

    def number(self, match: re.Match[str]) -> list[Said]:
        if self.language == "de" and re.fullmatch(r"1[1-9]\d\d", match[0]):
            return whole(match, numbers.year(int(match[0]), "de"))
        last = (match["to"] or match["number"]).replace(".", "")
        gender = counted_gender(self.language, last, match.string[match.end() : match.endpos])
        return whole(match, self.signed(match, gender or ""))

    def digits(self, match: re.Match[str]) -> list[Said]:
        return whole(
            match, ", ".join(numbers.digits(part, self.language) for part in re.findall(r"\d+", match[0]))
        )


def _number_rules(reader: _Reader) -> Iterator[Rule]:
    words = reader.words
    month = rf"(?={'|'.join(rf'(?i:{name})' for name in words.months)})"
    day_mark = {"de": r"\.", "fr": "(?:er)?", "it": "[°º]?", "es": "", "pt": "[°º]?"}[words.language]
    month_joint = {"es": r"\sde\s", "pt": r"\sde\s"}.get(words.language, r"\s?")
    units, money = alternatives(words.units), alternatives(words.currencies)
    size = rf"(?:\s?(?P<size>{alternatives(words.magnitudes)})(?:(?<=')|(?!\w)))?"
    yield Rule.of(
        "date",
        r"(?P<day>\d{1,2})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})(?![\d/])",
        reader.date,
    )
    yield Rule.of("ISO date", r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)", reader.date)
    if words.language == "de":
        yield Rule.of("short date", r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>)(?!\d)", reader.date)
    yield Rule.of(
        "day and month",
        rf"(?P<day>\d{{1,2}})(?P<mark>{day_mark})(?={month_joint}{month})",
        reader.day_and_month,
    )
    time_after = {"de": r"(?:\s?Uhr)?", "fr": "", "es": r"(?:\s?h\b)?", "it": "", "pt": r"(?:\s?h\b)?"}[
        words.language
    ]
    colon = {"fr": r"(?:\s?h\s?|:)", "pt": "[h:]"}.get(words.language, ":")
    if words.language == "de":
        yield Rule.of("time", r"(?P<hour>\d{1,2})\.(?P<minute>\d{2})\sUhr(?!\w)", reader.time)
    if words.language == "it":
        yield Rule.of("time", r"(?<=\b[oO]re\s)(?P<hour>\d{1,2})\.(?P<minute>\d{2})(?![\d.])", reader.time)
    yield Rule.of("time", rf"(?P<hour>\d{{1,2}}){colon}(?P<minute>\d{{2}})(?![\d:]){time_after}", reader.time)
    yield Rule.of(
        "fraction",
        r"(?<![\d/])(?:(?P<before>\d{1,3})\s?(?=[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]|\d+/))?"
        r"(?:(?P<sign_of>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])|(?<!\d\d\d\d)(?P<above>\d{1,2})/(?P<below>\d{1,3})(?![\d/]))",
        reader.fraction,
    )
    yield Rule.of(
        "score",
        r"(?P<one>\d{1,3})(?P<mark>:)(?P<other>\d{1,3})(?![\d:])",
        reader.score,
    )
    yield Rule.of("by", r"(?P<one>\d{1,4})\s?(?P<mark>[x×])\s?(?P<other>\d{1,4})(?![\dx×])", reader.score)
    yield Rule.of("multiple", r"(?P<number>\d{1,4})[x×](?!\w)", reader.multiple)
    if words.language == "de":
        yield Rule.of("decade", r"(?P<number>\d{1,4})(?P<suffix>ern?)(?!\w)", reader.german_decade)
    yield Rule.of(
        "phone after its word",
        r"(?:(?<=[tT]el\.\s)|(?<=teléfono\s)|(?<=telefono\s)|(?<=telefone\s)|(?<=Telefon\s)|(?<=téléphone\s))"
        r"\d[\d\s/.\-]{4,18}\d(?!\d)",
        reader.digits,
    )
    yield Rule.of("phone", r"(?:\+\d{2,3}|0\d{1,4})(?:[\s/\-]\d{2,8}){1,5}(?!\d)", reader.digits)
    yield Rule.of("money before", rf"{_SIGN}(?P<symbol>{money})\s?{_AMOUNT}{size}", reader.money)
    yield Rule.of("money after", rf"{_SIGN}{_AMOUNT}{size}\s?(?P<symbol>{money})(?!\w)", reader.money)
    if words.language in _DEGREES_FOLLOW:
        follow = _DEGREES_FOLLOW[words.language]
        yield Rule.of(
            "ordinal",
            rf"(?P<number>\d{{1,3}})(?P<suffix>°)(?=\s(?!(?:{follow})\b)[a-zà-ÿ]{{3}})",
            reader.ordinal,
        )
    yield Rule.of("temperature", rf"{_SIGN}{_AMOUNT}\s?°\s?(?P<scale>[CF])?(?!\w)", reader.temperature)
    yield Rule.of(
        "unit range",
        rf"(?P<number>{_NUMBER})\s?(?P<unit>{units})\s?[-–—]\s?(?P<to>{_NUMBER})\s?(?P=unit)(?!\w)",
        reader.unit_range,
    )
    yield Rule.of("unit", rf"{_SIGN}{_AMOUNT}\s?(?P<unit>{units})(?!\w)", reader.unit)
    suffix = {
        "de": "(?!)",
        "es": "[ºª°]|\\.[ºª]|er",
        "fr": "ers?|re|ère|es?|ème|nd|nde",
        "it": "[ºª°]|\\.[ºª]",
        "pt": "[ºª°]|\\.[ºª]",
    }[words.language]
    yield Rule.of("ordinal", rf"(?P<number>\d+)(?P<suffix>{suffix})(?!\w)", reader.ordinal)
    if words.language == "de":
        yield Rule.of(
            "German ordinal",
            rf"(?P<number>\d{{1,3}})\.(?=\s(?!(?:{_GERMAN_BEGINNINGS})\b)[A-ZÄÖÜ]?[a-zäöüß])(?<!^)",
            reader.german_ordinal,
        )
        yield Rule.of("German ordinal", r"(?P<number>\d{1,3})\.(?=\s[A-Z]{2,}\b)", reader.german_ordinal)
    yield Rule.of(
        "number sign",
        rf"(?:№|#\s?|[nN]\.?[°º]\s?)(?P<sign>)(?P<number>{_NUMBER})(?P<to>)(?!\w)",
        lambda match: whole(match, f"{words.number_sign} {reader.amount(match['number'])}"),
    )
    yield Rule.of(
        "version",
        r"(?![1-9]\d{0,2}(?:\.\d{3})+(?!\.?\d))\d+(?:\.\d+){2,}",
        lambda match: whole(
            match, f" {words.dot} ".join(reader.whole_number(part) for part in match[0].split("."))
        ),
    )
    if words.short_magnitudes:
        short = alternatives(words.short_magnitudes)
        yield Rule.of("magnitude", rf"{_SIGN}{_AMOUNT}\s?(?P<size>{short})(?!\w)", reader.magnitude)
    yield Rule.of("number", rf"{_SIGN}{_AMOUNT}", reader.number)


def _roman_rules(reader: _Reader) -> Iterator[Rule]:
    names = alternatives(reader.words.before_roman)
    end = r"(?:\.(?=\s+[a-zäöü]|,))?" if reader.language == "de" else ""
    yield Rule.of(
        "Roman numeral", rf"(?P<name>(?i:{names}))\s(?P<numeral>[IVXLCDM]+)(?!\w){end}", reader.roman
    )
    if reader.language == "fr":
        yield Rule.of("century", r"(?P<numeral>[IVX]+)(?P<suffix>ème|ère|er|re|e|ᵉ)(?!\w)", reader.century)
    if reader.words.century:
        shorts = alternatives(reader.words.century)
        yield Rule.of("century", rf"(?P<short>{shorts})\.\s(?P<numeral>[IVX]+)(?!\w)", reader.short_century)
    if reader.language == "it":
        yield Rule.of("century", r"(?P<numeral>[IVX]+)(?=\ssecolo)", reader.century)


def _is_feminine(name: str) -> bool:
    """Return whether a ruler's name is a woman's."""
    last = name.rsplit(maxsplit=1)[-1].lower()
    return last in _QUEENS or (last.endswith("a") and last not in ("papa", "nicola"))


def _german_streets() -> Rule:
    """Return the rule for `Hauptstr.`, whose dot may also end the sentence."""

    def street(match: re.Match[str]) -> list[Said]:
        said = whole(match, f"{match['name']}straße")
        after = match.string[match.end() : match.endpos]
        ends = re.match(r"[\"”»’)]*\s*$|[\"”»’)]*\s+[\"“«(]?[A-ZÄÖÜ]", after) is not None
        return [*said, Said(".", match.end() - 1, match.end())] if ends else said

    return Rule.of("street", rf"(?P<name>{LETTER}+)str\.(?!\w)", street)


def european_rules(words: LanguageWords) -> tuple[Rule, ...]:
    """Return the rules of a language, in the order in which they are tried."""
    reader = _Reader(words)
    addresses = AddressWords(dot=words.dot, at=words.at, number=reader.whole_number)
    shorts = alternatives({**words.never_end, **words.may_end})
    titles = alternatives(words.titles) or "(?!)"
    streets = (_german_streets(),) if words.language == "de" else ()
    return (
        *markup_rules(),
        *address_rules(addresses),
        *_number_rules(reader),
        *_roman_rules(reader),
        *streets,
        Rule.of("abbreviation", rf"(?P<short>{shorts})\.(?!\w)", reader.abbreviation),
        Rule.of(
            "title",
            rf"(?P<short>{titles})(?![\w.])",
            lambda match: whole(match, words.titles[match["short"]]),
        ),
        Rule.of(
            "symbol",
            f"[{re.escape(''.join(words.symbols))}]",
            lambda match: whole(match, words.symbols[match[0]]),
        ),
        *plain_rules(),
    )
