"""Split plain text into scenes at sentence ends, by the rules of its language (sentencex)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from video_pipeline.engine.story.sentence_ends import is_abbreviated, sentence_pieces

SCENE_UNITS = (9, 26)
"""Words of a scene: sentences are joined up to the first number and split above the second."""

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
_UNSPACED_LETTERS_PER_WORD = 3.0

_LINE = re.compile(r"([^\n\r\v\f\x85\u2028\u2029]*)(\r\n|[\n\r\v\f\x85\u2028\u2029]|\Z)")
"""A line and its end (Unicode, UAX 14). A blank line ends a paragraph, and so does U+2029."""

CLAUSE_END = re.compile(r"[,;:.!?…—–،؛؟।、，。；：！？]['\"”’»)\]」』]*$")
"""The mark at the end of a word that ends a clause or a sentence, or an abbreviation."""

_HEADING = re.compile(r"#{1,6}\s+(?=\S)")
BULLETS = "-*+•‣◦▪●○■□·–—・"
_ITEM = re.compile(
    rf"(?:[{re.escape(BULLETS[:-1])}]\s+|[{BULLETS[-1]}①-⑳]\s*|\d{{1,3}}[.)]\s+|[A-Za-z]\)\s+|\((?:\d{{1,3}}|[A-Za-z])\)\s+)(?=\S)"
)
UNSPOKEN_MARKS = (*BULLETS, *("#" * level for level in range(1, 7)))
"""Marks of headings and lists that are not spoken. The numbers of a list are."""

_BEFORE_A_LIST = (".", "!", "?", ":", ";", ",", "…", "。", "：", "！", "？")
"""A line that begins like an item is one only if the line before ends so; `on the\\n3. of May` is one sentence."""


def word_units(text: str) -> float:
    """Return the length of a text in words; scripts without spaces count three letters as one."""
    unspaced = sum(1 for letter in text if unicodedata.name(letter, "").startswith(_UNSPACED))
    return len(text.split()) + unspaced / _UNSPACED_LETTERS_PER_WORD


def paragraphs(text: str) -> list[list[str]]:
    """Return the paragraphs of a text, which blank lines separate, each as a list of its blocks.

    A heading (`# …`) is a block, and so is each item of a list (`- …`, `1. …`); the rest of a paragraph is one.
    Line breaks inside a block become spaces.
    """
    return [[" ".join(text[start:stop].split()) for start, stop in blocks] for blocks in block_places(text)]


def block_places(text: str) -> list[list[tuple[int, int]]]:
    """Return where the blocks of a text are (see `paragraphs`): the first character of each, and the end of its last."""
    found: list[list[tuple[int, int]]] = []
    blocks: list[tuple[int, int]] = []
    open_block = in_list = False
    for match in _LINE.finditer(text):
        line = match[1].strip()
        if line:
            start = match.start() + match[1].index(line)
            heading = _HEADING.match(line) is not None
            item = _ITEM.match(line) is not None and (
                not open_block or in_list or text.endswith(_BEFORE_A_LIST, 0, blocks[-1][1])
            )
            if open_block and not (heading or item):
                blocks[-1] = (blocks[-1][0], start + len(line))
            else:
                blocks.append((start, start + len(line)))
            open_block, in_list = not heading, item or (in_list and not heading)
        if blocks and (not line or match[2] in ("", "\u2029")):
            found.append(blocks)
            blocks = []
            open_block = in_list = False
    return found


def block_mark(block: str) -> str:
    """Return the mark with which a heading or an item of a list begins, with the space after it, or ''."""
    match = _HEADING.match(block) or _ITEM.match(block)
    return match.group() if match else ""


def sentences(text: str, *, language: str) -> list[str]:
    """Return the sentences of a text, stripped; line breaks inside a sentence become spaces."""
    return [
        part for blocks in paragraphs(text) for block in blocks for part in _sentences_of(block, language)
    ]


def _sentences_of(block: str, language: str) -> list[str]:
    mark = block_mark(block)
    found = [part.strip() for part in sentence_pieces(block[len(mark) :], language=language) if part.strip()]
    return [mark + found[0], *found[1:]] if found else [mark.strip()]


def _clauses(sentence: str, most: float, limit: int) -> Iterator[str]:
    """Break a long sentence repeatedly until each part fits: at the comma nearest its middle, else between words."""
    if word_units(sentence) <= most and len(sentence) <= limit:
        yield sentence
        return
    middle = len(sentence) / 2
    marks = [
        match.end() for match in re.finditer(r"[,;:،؛、，；：—–]\s*", sentence) if match.end() < len(sentence)
    ]
    close = [at for at in marks if len(sentence) / 5 < at < len(sentence) * 4 / 5]
    spaces = [match.end() for match in re.finditer(r"\s+", sentence) if match.end() < len(sentence)]
    unabbreviated = [at for at in spaces if not is_abbreviated(sentence[:at].rstrip())]
    candidates = close or unabbreviated or spaces or _line_breaks(sentence)
    if not candidates:
        yield sentence
        return
    at = min(candidates, key=lambda position: abs(position - middle))
    yield from _clauses(sentence[:at].strip(), most, limit)
    yield from _clauses(sentence[at:].strip(), most, limit)


def split_into_scenes(text: str, *, language: str, limit: int) -> list[str]:
    """Split a text into scenes of readable length, at sentence ends.

    Short sentences of a paragraph share a scene, items of a list on lines of their own; sentences too long for one
    scene are broken at clauses. No piece is longer than `limit` characters.
    """
    return [
        scene for blocks in paragraphs(text) for scene in scenes_of(blocks, language=language, limit=limit)
    ]


def scenes_of(blocks: Sequence[str], *, language: str, limit: int) -> list[str]:
    """Split the blocks of one paragraph into scenes; see `split_into_scenes`."""
    least, most = SCENE_UNITS
    scenes: list[str] = []
    for block in blocks:
        begins = True
        for sentence in _sentences_of(block, language):
            for piece in (p for clause in _clauses(sentence, most, limit) for p in _chunks(clause, limit)):
                gap = "\n" if begins else _gap(scenes[-1])
                begins = False
                joined = f"{scenes[-1]}{gap}{piece}" if scenes else piece
                fits = scenes and len(joined) <= limit and word_units(joined) <= most
                if fits and (word_units(scenes[-1]) < least or word_units(piece) < least / 2):
                    scenes[-1] = joined
                else:
                    scenes.append(piece)
    return scenes


def _line_breaks(text: str) -> list[int]:
    """Return the positions at which an unspaced text may be broken: between words, by ICU's dictionaries."""
    from video_pipeline.filters.typeset.characters import break_units

    at, found = 0, []
    for word, blanks in break_units(text)[:-1]:
        at += len(word) + len(blanks)
        found.append(at)
    return found


def _gap(before: str) -> str:
    """Return the separator of two sentences: none in Chinese and Japanese."""
    last = before[-1]
    wide = unicodedata.east_asian_width(last) in ("W", "F") and unicodedata.category(last)[0] in "LP"
    return "" if wide and not unicodedata.name(last, "").startswith("HANGUL") else " "


def _chunks(text: str, limit: int) -> Iterator[str]:
    """Cut a single long word into pieces of at most `limit` characters, between its letters."""
    if len(text) <= limit:
        yield text
        return
    from video_pipeline.filters.typeset.characters import clusters

    piece = ""
    for cluster in clusters(text):
        if piece and len(piece) + len(cluster) > limit:
            yield piece
            piece = ""
        piece += cluster
        while len(piece) > limit:  # one letter with thousands of combining marks
            yield piece[:limit]
            piece = piece[limit:]
    yield piece
