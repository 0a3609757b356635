"""Sanitise characters, split them into clusters, and find their scripts and directions, before shaping."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final

import uharfbuzz as hb
from bidi import get_display
from icu4py.breakers import CharacterBreaker, LineBreaker

MAX_CHARACTERS: Final = 20_000
"""Longest text that is set, more than a frame can show; the rest is cut off first."""

_MAX_CLUSTER: Final = 24  # the longest emoji sequences have 10 code points
_MAX_MARKS: Final = 5  # Hebrew with points and accents needs 4

_NEWLINES: Final = re.compile("\r\n?|[\v\f\u2028\u2029]")
_BLANKS: Final = re.compile("\t")
# Soft hyphens, explicit directions (the first strong character sets the base direction), deprecated format
# characters, byte order marks, annotations, language tags.
_DROPPED: Final = re.compile("[\u00ad\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0001]")
_CONTROLS: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# No script gives a meaning to three invisible characters in a row; more only cost time.
_INVISIBLE_RUN: Final = re.compile(
    "([\u034f\u061c\u180b-\u180f\u200b-\u200f\u2060-\u2065]{3})[\u034f\u061c\u180b-\u180f\u200b-\u200f\u2060-\u2065]+"
)
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_BREAKING_BLANKS: Final = (
    " \u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u200b\u205f\u3000"
)
_LEVELS: Final = re.compile(r"\n    levels: \[\n(.*?)\n    \]", re.DOTALL)

# A fixed locale gives equal results on every machine.
_LOCALE: Final = "en"
# Japanese and Chinese break between phrases or words, Korean at blanks (CSS: word-break: auto-phrase and keep-all).
_PHRASE_LOCALE: Final = "ja-u-lw-phrase"
_KANA_AND_HAN: Final = "\u3041-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED_EAST_ASIAN: Final = re.compile(f"[{_KANA_AND_HAN}]")
_EAST_ASIAN: Final = re.compile(f"[{_KANA_AND_HAN}\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff]")


def sanitise(text: str, *, has_glyph: Callable[[str], bool]) -> str:
    """Return `text` with only drawable characters and newlines, without any that control a renderer.

    Control characters become their pictures (U+2400 block) if `has_glyph` is true for these, otherwise U+FFFD, as do
    lone surrogates; tabs become spaces; direction overrides are removed; long runs of marks and joiners are cut.
    """
    text = _NEWLINES.sub("\n", text[:MAX_CHARACTERS])
    text = _BLANKS.sub(" ", text)
    text = _DROPPED.sub("", text)
    text = _INVISIBLE_RUN.sub(r"\1", text)
    text = _CONTROLS.sub(lambda match: _picture_of(match.group(), has_glyph), text)
    if not text.isascii():
        text = "".join(map(_thin_cluster, clusters(text)))
    return "\n".join(line.strip(_BREAKING_BLANKS) for line in text.split("\n")).strip("\n")


def _picture_of(control: str, has_glyph: Callable[[str], bool]) -> str:
    code = ord(control)
    picture = chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
    return picture if has_glyph(picture) else "\ufffd"


def _thin_cluster(cluster: str) -> str:
    if len(cluster) <= _MAX_MARKS:
        return cluster
    kept: list[str] = []
    marks = 0
    for character in cluster[:_MAX_CLUSTER]:
        if unicodedata.category(character) in ("Mn", "Me") and not 0xFE00 <= ord(character) <= 0xFE0F:
            marks += 1
            if marks > _MAX_MARKS:
                continue
        kept.append(character)
    return "".join(kept)


def clusters(text: str) -> list[str]:
    """Split into grapheme clusters (UAX #29), which readers see as one character each."""
    return list(text) if text.isascii() else list(CharacterBreaker(text, _LOCALE))


def break_units(paragraph: str) -> list[tuple[str, str]]:
    """Split at good line breaks into (word, blanks after).

    These are the breaks of UAX #14, with dictionaries for Thai, Lao, Khmer and Burmese, but Chinese, Japanese and Korean
    words stay whole.
    """
    units = list(LineBreaker(paragraph, _LOCALE))
    if _EAST_ASIAN.search(paragraph):
        # The phrases' own breaks are less strict: one may be before a long vowel's mark.
        phrases = LineBreaker(paragraph, _PHRASE_LOCALE)
        good = sorted({*accumulate(map(len, units))}.intersection(accumulate(map(len, phrases))))
        units = [paragraph[start:end] for start, end in pairwise([0, *good])]
    split = []
    for unit in units:
        word = unit.rstrip(_BREAKING_BLANKS)
        split.append((word, unit[len(word) :]))
    return split


def breakable_parts(word: str) -> list[str]:
    """Split a word at the breaks that its script allows in it, as Chinese and Japanese do; usually there are none."""
    return list(LineBreaker(word, _LOCALE)) if _UNSPACED_EAST_ASIAN.search(word) else [word]


@lru_cache(maxsize=8192)
def script_of(character: str) -> str | None:
    """Return the ISO 15924 script of a character, or None if several scripts share it."""
    buffer = hb.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    script: str | None = buffer.script
    return script


def bidi_levels(paragraph: str) -> tuple[int, tuple[int, ...]]:
    """Return the base level and each character's embedding level (UAX #9); odd levels run right to left."""
    if not _RIGHT_TO_LEFT.search(paragraph):
        return 0, (0,) * len(paragraph)
    # The library returns levels only in its debug report: one for each byte of UTF-8, under a heading that a text
    # cannot fake, because its own newlines are escaped there.
    report = _LEVELS.search(get_display(paragraph, debug=True))
    if report is None:
        raise RuntimeError("python-bidi: the output of get_display(debug=True) has no levels")
    by_byte = [int(number) for number in re.findall(r"\d+", report.group(1))]
    starts = accumulate((len(c.encode()) for c in paragraph[:-1]), initial=0)
    levels = tuple(by_byte[start] for start in starts)
    return _base_level(paragraph), levels


def _base_level(paragraph: str) -> int:
    for character in paragraph:
        kind = unicodedata.bidirectional(character)
        if kind == "L":
            return 0
        if kind in ("R", "AL"):
            return 1
    return 0


def visual_order(levels: Sequence[int]) -> list[int]:
    """Return the indices of `levels` in drawing order from left to right (UAX #9, rule L2)."""
    order = list(range(len(levels)))
    odd = [level for level in levels if level % 2]
    if not odd:
        return order
    for threshold in range(max(levels), min(odd) - 1, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= threshold:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = max(end, start + 1)
    return order


def runs_of(keys: Sequence[object]) -> list[tuple[int, int]]:
    """Return the half-open ranges of consecutive equal keys."""
    cuts = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    return list(pairwise(cuts)) if keys else []


def columns(text: str) -> int:
    """Return the columns that a text takes in a fixed grid: two for a wide letter, none for a mark."""
    return sum(
        2 if any(unicodedata.east_asian_width(c) in "WF" for c in part) else 1 for part in clusters(text)
    )
