"""Scripts that the packaged fonts lack, and a font to name for each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.fonts import CJK_EXTRA, has_cjk_fonts
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.filters.typeset import FontStack, missing_letters
from video_pipeline.filters.typeset.characters import script_of

SHOWN_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Script:
    """A script by its ISO 15924 code, and a font that has it."""

    code: str
    name: str
    font: str


_TABLE: Final = (
    # Fonts for Japanese and Korean also have Han letters, so theirs are named first.
    Script("Hira", "Hiragana", "Noto Sans JP"),
    Script("Kana", "Katakana", "Noto Sans JP"),
    Script("Hang", "Hangul", "Noto Sans KR"),
    Script("Bopo", "Bopomofo", "Noto Sans TC"),
    Script("Hani", "Han", "Noto Sans SC"),
    Script("Adlm", "Adlam", "Noto Sans Adlam"),
    Script("Bali", "Balinese", "Noto Sans Balinese"),
    Script("Cans", "Canadian Aboriginal", "Noto Sans Canadian Aboriginal"),
    Script("Cham", "Cham", "Noto Sans Cham"),
    Script("Cher", "Cherokee", "Noto Sans Cherokee"),
    Script("Copt", "Coptic", "Noto Sans Coptic"),
    Script("Egyp", "Egyptian hieroglyphs", "Noto Sans Egyptian Hieroglyphs"),
    Script("Goth", "Gothic", "Noto Sans Gothic"),
    Script("Java", "Javanese", "Noto Sans Javanese"),
    Script("Lana", "Tai Tham", "Noto Sans Tai Tham"),
    Script("Lisu", "Lisu", "Noto Sans Lisu"),
    Script("Mong", "Mongolian", "Noto Sans Mongolian"),
    Script("Mtei", "Meetei Mayek", "Noto Sans Meetei Mayek"),
    Script("Nkoo", "N'Ko", "Noto Sans NKo"),
    Script("Olck", "Ol Chiki", "Noto Sans Ol Chiki"),
    Script("Rohg", "Hanifi Rohingya", "Noto Sans Hanifi Rohingya"),
    Script("Runr", "Runic", "Noto Sans Runic"),
    Script("Sund", "Sundanese", "Noto Sans Sundanese"),
    Script("Syrc", "Syriac", "Noto Sans Syriac"),
    Script("Tfng", "Tifinagh", "Noto Sans Tifinagh"),
    Script("Thaa", "Thaana", "Noto Sans Thaana"),
    Script("Tibt", "Tibetan", "Noto Serif Tibetan"),
    Script("Vaii", "Vai", "Noto Sans Vai"),
    Script("Xsux", "Cuneiform", "Noto Sans Cuneiform"),
    Script("Yiii", "Yi", "Noto Sans Yi"),
)
_CJK_CODES: Final = frozenset({"Hira", "Kana", "Hang", "Bopo", "Hani"})
_SCRIPTS: Final = {script.code: script for script in _TABLE}
_SCRIPT_IN_NAME: Final = re.compile(
    r"(.+?) (?:CAPITAL|COMBINING|DIGIT|IDEOGRAM|LETTER|MODIFIER|NUMBER|NUMERAL|SIGN|SMALL|SYLLABLE|SYMBOL|VOWEL)\b"
)


@dataclass(frozen=True, slots=True)
class MissingLetters:
    """The characters of a text that no font has: letters, which belong to a script, and others."""

    letters: tuple[str, ...]
    others: tuple[str, ...]

    def describe(self) -> str:
        """Return the letters, their scripts, and a font that has them."""
        names = dict.fromkeys(map(_name_of, self.letters))
        codes = {code for cluster in self.letters for code in _codes(cluster)}
        font = next((f"such as {script.font}" for script in _SCRIPTS.values() if script.code in codes), "")
        extra = f"install {the_extra(CJK_EXTRA)}, or " if codes & _CJK_CODES and not has_cjk_fonts() else ""
        return (
            f"no font here has {shortened(self.letters)} ({', '.join(names)}); "
            f"{extra}name the file of a font that has them, {font or 'see fonts.google.com/noto'}"
        )


def find_missing(*texts: str, fonts: FontStack) -> MissingLetters:
    """Return the characters of some texts that no face of the fonts has."""
    clusters = dict.fromkeys(cluster for text in texts for cluster in missing_letters(text, fonts))
    letters = tuple(cluster for cluster in clusters if _codes(cluster))
    return MissingLetters(letters, tuple(cluster for cluster in clusters if cluster not in letters))


def shortened(clusters: Sequence[str]) -> str:
    """Return the first of some characters for a message."""
    return f"{' '.join(clusters[:SHOWN_LETTERS])}{' …' if len(clusters) > SHOWN_LETTERS else ''}"


def _codes(cluster: str) -> list[str]:
    return [code for code in map(script_of, cluster) if code is not None]


def _name_of(cluster: str) -> str:
    """Return a letter's script: its name in the table, the beginning of the letter's Unicode name, or its code."""
    code, letter = next((code, letter) for letter in cluster if (code := script_of(letter)) is not None)
    named = _SCRIPT_IN_NAME.match(unicodedata.name(letter, ""))
    if code in _SCRIPTS:
        return _SCRIPTS[code].name
    return named[1].title() if named else code
