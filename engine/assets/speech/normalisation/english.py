"""English: abbreviations, Roman numerals, acronyms and symbols, around the rules for numbers."""

from __future__ import annotations

import re
from typing import Final

from video_pipeline.engine.assets.speech.normalisation import numbers
from video_pipeline.engine.assets.speech.normalisation.common import (
    AddressWords,
    address_rules,
    markup_rules,
    plain_rules,
)
from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder
from video_pipeline.engine.assets.speech.normalisation.english_amounts import short_number
from video_pipeline.engine.assets.speech.normalisation.english_names import NUMBERED, REGNAL, RULERS
from video_pipeline.engine.assets.speech.normalisation.english_numbers import number_rules
from video_pipeline.engine.assets.speech.normalisation.english_words import (
    AFTER_A_NAME,
    DOTLESS,
    DOTTED,
    ELISIONS,
    LATIN,
    MUST_BE_WORDS,
    PLAIN,
    SPELLED,
    SYMBOLS,
)
from video_pipeline.engine.assets.speech.normalisation.roman import roman_value
from video_pipeline.engine.assets.speech.normalisation.scanning import (
    LETTER,
    Rule,
    alternatives,
    group,
    whole,
)
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_COMPASS_POINTS: Final = {"NE": "Northeast", "NW": "Northwest", "SE": "Southeast", "SW": "Southwest"}
_WORD_BEFORE: Final = re.compile(r"([^\W_]+(?:['’][^\W_]+)*)\.?\s+$")


def _before(match: re.Match[str]) -> tuple[str, bool]:
    """Return the word before a match, and whether it begins a sentence."""
    head = match.string[: match.start()]
    found = _WORD_BEFORE.search(head)
    if not found:
        return "", True
    return found[1], re.search(r"(?:^|[.!?…\n][\"”’)]*\s+|[\"“(]\s*)$", head[: found.start()]) is not None


def _after(match: re.Match[str]) -> str:
    return match.string[match.end() : match.endpos]


_DETERMINERS: Final = frozenset(
    ["the", "a", "an", "my", "your", "his", "her", "our", "their", "this", "that"]
)


def _abbreviation(match: re.Match[str]) -> list[Said] | None:
    short = match["short"]
    known = DOTTED[short]
    after, (before, begins) = _after(match), _before(match)
    name_before = (before[:1].isupper() and not begins) or re.fullmatch(
        r"\d+(?:st|nd|rd|th)", before
    ) is not None
    name_after = re.match(r"\s+[\"“]?[A-Z]", after) is not None
    ends = (
        not re.match(r"\s+[NS]?[EWNS]\b", after)
        and re.match(r"[\"”’)]*\s*$|[\"”’)]*\s+[\"“(]?[A-Z]", after) is not None
    )
    words = known.words
    if known.where == "before a name":
        if short in AFTER_A_NAME and (not name_after or (name_before and short in ("St", "Ct", "Pl"))):
            if before.lower() in _DETERMINERS or not before:
                return whole(match, words) if short == "Dr" else None
            if not before[:1].isupper() and not name_before and not re.match(r"\s*[,.;]", after):
                return None
            words = AFTER_A_NAME[short]
            return [*whole(match, words), *_stop(match, ends)]
        if not name_after:
            return None
        return whole(match, words)
    if known.where == "before a number":
        if not re.match(r"\s?[#\d]|\s(?:[IVXLC]{2,}|[VX])\b", after):
            return None
        return whole(match, words)
    if ends and short in MUST_BE_WORDS:
        return None
    if short == "ed" and not re.match(r"\d", before):
        return None
    return [*whole(match, words), *_stop(match, (ends and known.may_end) or not after.strip())]


def _stop(match: re.Match[str], ends: bool) -> list[Said]:
    return [Said(".", match.end() - 1, match.end())] if ends else []


def _initials(match: re.Match[str]) -> list[Said]:
    """Return letters with dots, spelled: `U.S.`, `Ph.D.`; the last dot may end the sentence too."""
    after = _after(match)
    ends = not after.strip(' "”’)') or re.match(
        r"[\"”’)]*\s+(?:The|He|She|It|They|We|You|I|But|And|A|An|In|On|At|If|So|No|Yes|This|That|Then|There|When|What|Why|How|Mr|Mrs|Ms|Dr|My|His|Her|Our|Their)\b",
        after,
    )
    letters = re.sub(r"[.\s]", "", match[0])
    return [*whole(match, letters, spell=True), *_stop(match, bool(ends))]


def _latin(match: re.Match[str]) -> list[Said]:
    return whole(match, LATIN[match["short"]])


def _roman_number(match: re.Match[str]) -> list[Said] | None:
    """Read a Roman numeral by the word before it: `Chapter IV`, `Henry VIII`, but not `the book I wrote`."""
    numeral = match["numeral"]
    value = roman_value(numeral)
    before, begins = _before(match)
    after = _after(match)
    if value is None or not before:
        return None
    if numeral == "I":
        return _roman_one(match, before, after)
    if before in REGNAL or before in RULERS:
        return whole(match, f"the {numbers.ordinal(value)}")
    if before.lower() in NUMBERED or (
        len(numeral) > 1 and numeral not in _WORDS and before[:1].isupper() and not begins
    ):
        return whole(match, numbers.cardinal(value))
    return None


_WORDS: Final = frozenset(
    [
        "MIX",
        "CIVIC",
        "DIM",
        "LID",
        "MILD",
        "MM",
        "CC",
        "CD",
        "DC",
        "MD",
        "DM",
        "MC",
        "CV",
        "LCD",
        "XL",
        "XX",
        "XXX",
        "DI",
        "IV",
        "CI",
        "CM",
        "LI",
        "DIV",
        "MI",
        "LI",
    ]
)
_VERB: Final = re.compile(r"\s+(?:was|is|had|ruled|reigned|died|became|and\s+[IVX]+|of\s)")
_PUNCTUATION: Final = re.compile(r"\s*(?:[.,;:!?)”\"—–]|['’]s\b|$)")


def _roman_one(match: re.Match[str], before: str, after: str) -> list[Said] | None:
    """Read `I` as a number only where it cannot be the pronoun."""
    head = match.string[: match.start()]
    ends = _PUNCTUATION.match(after) is not None and re.match(r"\s*['’](?!s\b)", after) is None
    if before in REGNAL:
        titled = re.search(rf"\b(?:{'|'.join(RULERS)})\s+(?:[A-Z]\w+\s+)?{before}\s+$", head) is not None
        return (
            whole(match, "the first")
            if titled or (ends and not head.endswith(", ")) or _VERB.match(after)
            else None
        )
    if before.lower() not in NUMBERED or head.rstrip().endswith(","):
        return None
    article = re.search(
        rf"(?i)\b(?:the|a|an|this|that|each|every|my|your|his|her|our|their|any|no|what|which)\s+(?:\w+\s+)?{before}\s+$",
        head,
    )
    if ends:
        return whole(match, "one")
    if (
        article is None
        and before[:1].isupper()
        and re.match(r"\s+(?:of|begins|ends|is|was|and|to|in)\b|\s+[A-Z]", after)
    ):
        return whole(match, "one")
    return None


def _century(match: re.Match[str]) -> list[Said] | None:
    value = roman_value(match["numeral"])
    return None if value is None else whole(match, numbers.ordinal(value))


def _heading_numeral(match: re.Match[str]) -> list[Said] | None:
    value = roman_value(match["numeral"])
    return None if value is None else whole(match, numbers.cardinal(value))


def _letters_and_digits(match: re.Match[str]) -> list[Said]:
    """Read a name such as B2B, MP3, F-16 or COVID-19: short capitals letter by letter, digits as a short number."""
    said = []
    for part in re.finditer(rf"\d+(?:\.\d+)?|{LETTER}+", match[0]):
        words, start = part[0], match.start() + part.start()
        if words[0].isdigit():
            number = (
                short_number(words)
                if words.isdigit()
                else " point ".join(map(numbers.cardinal, map(int, words.split("."))))
            )
            said.append(Said(number, start, start + len(words)))
        else:
            spell = words.isupper() and (len(words) <= 3 or words in SPELLED)
            said.append(Said(words, start, start + len(words), spell))
    return said


def _acronym(match: re.Match[str]) -> list[Said] | None:
    """Spell an acronym that is also a word, unless everything around it is in capitals."""
    short = match["short"]
    if short not in SPELLED:
        return None
    around = re.findall(r"[^\W\d_]{2,}", match.string[max(0, match.start() - 40) : match.end() + 40])
    others = [word for word in around if word not in SPELLED]
    if others and all(word.isupper() for word in others):
        return None
    return whole(match, short, spell=True)


_SHORT: Final = (
    "Mon|Tues|Tue|Wed|Thurs|Thur|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
)
_LONG: Final = {"May": "May", "Sat": "Saturday", "Sun": "Sunday"}


def _span(match: re.Match[str]) -> list[Said]:
    """Read a span of days or months, `Mon-Fri`."""
    first, last = (_LONG.get(match[name]) or DOTTED[match[name]].words for name in ("first", "last"))
    return [
        Said(first, match.start(), match.end("first")),
        Said(f"to {last}", match.start("last"), match.end()),
    ]


def _and(match: re.Match[str]) -> list[Said]:
    return [
        group(match, "first", match["first"], spell=True),
        Said("and", match.end("first"), match.start("second")),
        group(match, "second", match["second"], spell=True),
    ]


def _elision(match: re.Match[str]) -> list[Said]:
    words = ELISIONS[match["word"].lower()]
    return whole(match, words.capitalize() if match["word"][0].isupper() else words)


def _symbol(match: re.Match[str]) -> list[Said]:
    return whole(match, SYMBOLS[match[0]])


def _comparison(match: re.Match[str]) -> list[Said]:
    return whole(match, {"<": "is less than", ">": "is greater than", "~": "about"}[match[0]])


def english_rules(order: DateOrder) -> tuple[Rule, ...]:
    """Return the rules of English, in the order in which they are tried; `order` is that of dates such as 12/05/2024."""
    addresses = AddressWords(dot="dot", at="at", number=short_number)
    numeral = r"(?P<numeral>[IVXLCDM]+)"
    return (
        *markup_rules(),
        *address_rules(addresses),
        Rule.of("span", rf"(?P<first>{_SHORT})\.?[-–](?P<last>{_SHORT})\b(?:\.(?!\s*$))?", _span),
        *number_rules(order),
        Rule.of("Latin", rf"(?P<short>{alternatives(LATIN)})\.?(?!\w),?", _latin),
        Rule.of(
            "initials",
            r"(?:[A-Za-z]\.){2,}(?!\w)|Ph\.\s?D\.?(?!\w)|[A-Z](?:\.[A-Z])+(?!\w)|[B-HJ-Z]\.(?=\s[A-Z])|[A-Z]\.(?=\s[a-z])|A\.(?=\s[A-Z]\.|\s[A-Z][a-z]+\s[A-Z])|I\.(?=\s[A-Z]\.)",
            _initials,
        ),
        Rule.of(
            "compass point",
            r"(?<=[a-z.]\s)(?P<point>[NS][EW])(?!\w)",
            lambda match: whole(match, _COMPASS_POINTS[match["point"]]),
        ),
        Rule.of("abbreviation", rf"(?P<short>{alternatives(DOTTED)})\.", _abbreviation),
        Rule.of(
            "plain",
            rf"(?P<short>{alternatives(PLAIN)})(?![\w'’/])",
            lambda match: whole(match, PLAIN[match["short"]]),
        ),
        Rule.of(
            "title",
            rf"(?P<short>{alternatives(DOTLESS)})(?=\s[A-Z])",
            lambda match: whole(match, DOTLESS[match["short"]]),
        ),
        Rule.of("century", r"(?P<numeral>[IVX]+)(?:st|nd|rd|th)\b", _century),
        Rule.of("numeral after a name", rf"{numeral}(?![\w])(?!\.[A-Z])", _roman_number),
        Rule.of(
            "numeral",
            r"(?P<numeral>I{2,3}|IV|VI{1,3}|IX|XI{1,3}|XI?V|XVI{0,3}|XIX)(?=[.):]\s)",
            _heading_numeral,
        ),
        Rule.of("letters and letters", r"(?P<first>[A-Z]{1,3})\s?&\s?(?P<second>[A-Z]{1,3})(?!\w)", _and),
        Rule.of("acronym", r"(?P<short>[A-Z][A-Za-z]*[A-Z])(?!\w)", _acronym),
        Rule.of(
            "letters and digits",
            r"(?!\w+-\d{2,4}s\b)(?=[^\W_]*-?\d)(?=[\d-]*[^\W\d_])[A-Za-z]+(?:-?\d+(?:\.\d+)?[A-Za-z]*)+(?:-\d+)?(?!\w)|[A-Z](?:\d+[A-Z]?)+(?:-[A-Z]\d)*(?!\w)",
            _letters_and_digits,
        ),
        Rule.of("possessive", r"(?<=\w)['’]s(?!\w)", lambda match: whole(match, "'s")),
        Rule.of("elision", rf"['’‘](?P<word>(?i:{alternatives(ELISIONS)}))(?!['’]?\w)", _elision),
        Rule.of("comparison", r"(?<=[\w)\s])[<>](?=\s?[\w(])|~(?=\d)", _comparison),
        Rule.of(
            "subscript", "[₀-₉]+", lambda match: whole(match, short_number(match[0].translate(_SUBSCRIPTS)))
        ),
        Rule.of("footnote", "(?<=[^\\W\\d])[⁰-⁹¹]+", lambda match: []),
        Rule.of("symbol", f"[{re.escape(''.join(SYMBOLS))}]", _symbol),
        *plain_rules(),
    )
