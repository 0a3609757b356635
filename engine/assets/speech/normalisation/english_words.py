"""The words of the English rules: abbreviations, acronyms, elisions, nouns beside years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Where = Literal["anywhere", "before a number", "before a name", "after a name"]


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """What an abbreviation stands for, and where; one that `may_end` ends a sentence if a capital follows its dot."""

    words: str
    where: Where = "anywhere"
    may_end: bool = False
    spell: bool = False


def _each(where: Where, words: Mapping[str, str]) -> dict[str, Abbreviation]:
    return {short: Abbreviation(long, where) for short, long in words.items()}


def _ending(words: Mapping[str, str]) -> dict[str, Abbreviation]:
    return {short: Abbreviation(long, may_end=True) for short, long in words.items()}


MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

DOTTED: Final[Mapping[str, Abbreviation]] = {
    **_each(
        "before a name",
        {
            "Mr": "Mister",
            "Mrs": "Missus",
            "Ms": "Miz",
            "Messrs": "Messieurs",
            "Dr": "Doctor",
            "Prof": "Professor",
            "St": "Saint",
            "Sts": "Saints",
            "Mt": "Mount",
            "Ft": "Fort",
            "Gen": "General",
            "Gov": "Governor",
            "Sen": "Senator",
            "Rep": "Representative",
            "Capt": "Captain",
            "Lt": "Lieutenant",
            "Col": "Colonel",
            "Sgt": "Sergeant",
            "Cmdr": "Commander",
            "Cpl": "Corporal",
            "Maj": "Major",
            "Adm": "Admiral",
            "Rev": "Reverend",
            "Hon": "Honorable",
            "Pres": "President",
            "Supt": "Superintendent",
            "Fr": "Father",
            "Msgr": "Monsignor",
        },
    ),
    **_each(
        "before a number",
        {
            "No": "Number",
            "Nos": "Numbers",
            "no": "number",
            "nos": "numbers",
            "p": "page",
            "pp": "pages",
            "P": "Page",
            "Pp": "Pages",
            "vol": "volume",
            "Vol": "Volume",
            "ch": "chapter",
            "Ch": "Chapter",
            "chap": "chapter",
            "Chap": "Chapter",
            "fig": "figure",
            "Fig": "Figure",
            "figs": "figures",
            "sec": "section",
            "Sec": "Section",
            "art": "article",
            "Art": "Article",
            "op": "opus",
            "Op": "Opus",
            "ver": "version",
            "Ver": "Version",
            "ext": "extension",
            "Ext": "Extension",
            "Apt": "Apartment",
            "apt": "apartment",
            "Ste": "Suite",
            "Rm": "Room",
            "rm": "room",
            "l": "line",
            "ll": "lines",
            "c": "circa",
            "b": "born",
            "d": "died",
        },
    ),
    **_each(
        "anywhere",
        {
            "vs": "versus",
            "Vs": "Versus",
            "approx": "approximately",
            "Approx": "Approximately",
            "ca": "circa",
            "cf": "compare",
            "viz": "namely",
            "est": "established",
            "Est": "Established",
            "feat": "featuring",
            "incl": "including",
            "excl": "excluding",
            "resp": "respectively",
            "min": "minimum",
            "max": "maximum",
            "Max": "Max",
            "INT": "Interior",
            "EXT": "Exterior",
        },
    ),
    **_ending(
        {
            "etc": "et cetera",
            "Jr": "Junior",
            "Sr": "Senior",
            "Inc": "Incorporated",
            "Ltd": "Limited",
            "Corp": "Corporation",
            "Co": "Company",
            "Bros": "Brothers",
            "dept": "department",
            "Dept": "Department",
            "Univ": "University",
            "Govt": "Government",
            "govt": "government",
            "Assn": "Association",
            "Bldg": "Building",
            "Ave": "Avenue",
            "Blvd": "Boulevard",
            "Rd": "Road",
            "Ln": "Lane",
            "Hwy": "Highway",
            "Pkwy": "Parkway",
            "Sq": "Square",
            "Esq": "Esquire",
            "al": "al",
            "ed": "edition",
            "Jan": "January",
            "Feb": "February",
            "Mar": "March",
            "Apr": "April",
            "Jun": "June",
            "Jul": "July",
            "Aug": "August",
            "Sep": "September",
            "Sept": "September",
            "Oct": "October",
            "Nov": "November",
            "Dec": "December",
            "Mon": "Monday",
            "Tue": "Tuesday",
            "Tues": "Tuesday",
            "Wed": "Wednesday",
            "Thu": "Thursday",
            "Thur": "Thursday",
            "Thurs": "Thursday",
            "Fri": "Friday",
        }
    ),
}
"""Abbreviations that end in a dot, without it. Those that are not here keep theirs."""

AFTER_A_NAME: Final[Mapping[str, str]] = {
    "St": "Street",
    "Dr": "Drive",
    "Ct": "Court",
    "Pl": "Place",
    "Mt": "Mountain",
}
"""What these mean after a name, as in `Main St.`; before one, `St.` is a saint."""

MUST_BE_WORDS: Final = frozenset(
    ["no", "art", "est", "ed", "al", "min", "max", "Max", "ext", "Mon", "Dec", "Sun", "Sat"]
)
"""Abbreviations that are also words: at the end of a sentence they are read as the word."""

DOTLESS: Final[Mapping[str, str]] = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Dr": "Doctor",
    "Prof": "Professor",
    "St": "Saint",
    "Mt": "Mount",
}
"""Titles that British English writes without a dot, before a name."""

PLAIN: Final[Mapping[str, str]] = {
    "vs": "versus",
    "etc": "et cetera",
    "aka": "also known as",
    "AKA": "also known as",
    "approx": "approximately",
    "w/": "with",
    "w/o": "without",
    "b/c": "because",
    "c/o": "care of",
    "n/a": "not applicable",
    "N/A": "not applicable",
    "and/or": "and or",
    "he/she": "he or she",
    "she/he": "she or he",
    "s/he": "she or he",
    "his/her": "his or her",
    "him/her": "him or her",
    "&c": "et cetera",
    "et al": "et al",
    "'n'": "and",
    "’n’": "and",
    "‘n’": "and",
    "BTW": "by the way",
    "FYI": "for your information",
    "ASAP": "as soon as possible",
    "IMO": "in my opinion",
    "IMHO": "in my humble opinion",
    "TBD": "to be determined",
    "TBA": "to be announced",
    "km/h": "kilometers per hour",
    "m/s": "meters per second",
    "m/s²": "meters per second squared",
    "C#": "C sharp",
    "F#": "F sharp",
}
"""Words without a dot that are read in full."""

LATIN: Final[Mapping[str, str]] = {
    "e.g": "for example",
    "i.e": "that is",
    "a.k.a": "also known as",
    "R.S.V.P": "R S V P",
}

SPELLED: Final = frozenset(
    [
        "US",
        "UK",
        "EU",
        "UN",
        "IT",
        "TV",
        "PC",
        "AI",
        "ID",
        "DJ",
        "MC",
        "CD",
        "LA",
        "NY",
        "DC",
        "BC",
        "AD",
        "CE",
        "BCE",
        "VP",
        "PM",
        "PR",
        "HR",
        "ER",
        "OR",
        "MD",
        "PhD",
        "QA",
    ]
) - {"OR"}
"""Acronyms that are read letter by letter although a word is written alike."""

ELISIONS: Final[Mapping[str, str]] = {
    "twas": "twas",
    "tis": "tis",
    "twere": "twere",
    "twill": "twill",
    "em": "'em",
    "til": "till",
    "till": "till",
    "cause": "cause",
    "bout": "bout",
    "round": "round",
    "neath": "neath",
    "gainst": "gainst",
    "tween": "tween",
}
"""Words that begin with an apostrophe, and how they are written for the voice."""

NOUNS_IN_S: Final = frozenset(
    [
        "is",
        "was",
        "has",
        "his",
        "this",
        "as",
        "us",
        "its",
        "yes",
        "thus",
        "plus",
        "minus",
        "does",
        "goes",
        "less",
        "across",
        "always",
        "perhaps",
    ]
)
"""Words in -s that are not plurals: a year may stand before them."""

COUNTED: Final = frozenset(
    [
        "people",
        "men",
        "women",
        "children",
        "feet",
        "teeth",
        "sheep",
        "fish",
        "mice",
        "geese",
        "percent",
        "dead",
        "alive",
        "or",
        "more",
        "of",
    ]
)
"""Plurals without -s: a number before them is not a year."""

SYMBOLS: Final[Mapping[str, str]] = {
    "&": "and",
    "@": "at",
    "%": "percent",
    "％": "percent",
    "+": "plus",
    "=": "equals",
    "±": "plus or minus",
    "×": "times",
    "÷": "divided by",
    "≈": "about",
    "≠": "is not equal to",
    "≤": "at most",
    "≥": "at least",
    "√": "square root of",
    "∞": "infinity",
    "π": "pi",
    "°": "degrees",
    "§": "section",
    "№": "number",
    "©": "copyright",
    "→": "to",
    "⇒": "to",
    "²": "squared",
    "³": "cubed",
    "¢": "cents",
}
"""Symbols that are read as a word wherever they stand."""
