"""Turn a text into placed glyphs: wrap, balance, shrink to fit, align. Lengths are in ems until the size is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final, NamedTuple

from video_pipeline.filters.typeset.characters import (
    MAX_CHARACTERS,
    bidi_levels,
    break_units,
    breakable_parts,
    clusters,
    sanitise,
    script_of,
    visual_order,
)
from video_pipeline.filters.typeset.face import FontFace, FontStack, load
from video_pipeline.filters.typeset.letters import Drawn, LetterBox, WordBox, drawn_clusters, letter_boxes
from video_pipeline.filters.typeset.shaping import (
    UNSPACED_SCRIPTS,
    ShapedRun,
    TextPiece,
    make_piece,
    missing_characters,
    split_piece,
)
from video_pipeline.filters.typeset.style import TextStyle

_ELLIPSIS: Final = "\u2026"
_WHOLE_WORD_SHRINK: Final = (
    0.4  # down to this fraction of the size, a long word shrinks the text before it is broken
)
_WHOLE_PHRASE_SHRINK: Final = 0.85  # the same for a phrase that may be broken, as in Japanese
_MAX_BALANCED_LINES: Final = 12
_MAX_PITCH_EM: Final = 2.2
_LINE_GAP_EM: Final = 0.04  # smallest distance between the ink of two lines
_EPSILON_EM: Final = 1e-6


class PlacedGlyph(NamedTuple):
    """A glyph and its origin on the baseline, in pixels from the layout's top-left corner, y downwards."""

    face: FontFace
    glyph_id: int
    x_px: float
    y_px: float


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line: its text in logical order, left edge, baseline and advance width."""

    text: str
    left_px: float
    baseline_px: float
    width_px: float


@dataclass(frozen=True, slots=True)
class TextLayout:
    """A text at its final size; the layout is as wide as the widest line.

    `words` and `letters` are in logical order, without blanks. `truncated` is true if the text was too long and ends
    in an ellipsis; `missing` lists the clusters that no face covers.
    """

    style: TextStyle
    fonts: FontStack
    size_px: int
    width_px: int
    height_px: int
    line_pitch_px: float
    text_lines: tuple[TextLine, ...]
    words: tuple[WordBox, ...]
    letters: tuple[LetterBox, ...]
    glyphs: tuple[PlacedGlyph, ...]
    truncated: bool
    missing: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The text of each line, in logical order."""
        return tuple(line.text for line in self.text_lines)


class _Paragraph(NamedTuple):
    base_level: int
    pieces: list[TextPiece]


class _Line(NamedTuple):
    paragraph: int
    base_level: int
    pieces: list[TextPiece]

    @property
    def width_em(self) -> float:
        return _width_em(self.pieces)


def layout_text(
    text: str,
    *,
    fonts: FontStack,
    style: TextStyle,
    max_width_px: int,
    max_height_px: int,
    min_size_px: int = 12,
) -> TextLayout:
    """Lay out `text` inside a box: at `style.size_px`, or at the largest size from `min_size_px` up that fits.

    Lines are wrapped at the breaks that Unicode allows, and balanced. A word wider than a line first shrinks the text,
    to two fifths at most, then is broken between clusters. Text that does not fit at the smallest size ends in an
    ellipsis. Stroke, shadow and box do not count. Raises ValueError for limits that are not positive, FontError for a bad font.
    """
    for field, value in (
        ("max_width_px", max_width_px),
        ("max_height_px", max_height_px),
        ("min_size_px", min_size_px),
    ):
        if value < 1:
            raise ValueError(f"{field}: got {value!r}; give a positive number of pixels")
    safe = _safe(text, fonts)
    paragraphs = _paragraphs(safe, fonts)
    fitter = _Fitter(paragraphs, fonts, style, max_width_px, max_height_px)
    size_px = fitter.best_size_px(min(min_size_px, style.size_px))
    lines = fitter.lines_at(size_px)
    pitch_em = _pitch_em(lines, style)
    truncated = len(text) > MAX_CHARACTERS
    allowed = max(1, math.floor(max_height_px / (pitch_em * size_px) + _EPSILON_EM))
    max_em = max_width_px / size_px
    if len(lines) > allowed:
        truncated = True
        lines = [*lines[: allowed - 1], _with_ellipsis(lines[allowed - 1], max_em, fonts)]
    elif truncated and lines:
        lines = [*lines[:-1], _with_ellipsis(lines[-1], max_em, fonts)]
    lines = _balanced(lines, max_em) if not truncated else lines
    return _place_lines(
        lines, fonts, style, size_px, _pitch_em(lines, style), truncated, missing_characters(safe, fonts)
    )


def missing_letters(text: str, fonts: FontStack) -> tuple[str, ...]:
    """Return the clusters of a text that no face covers, each once, in order, without setting the text."""
    return missing_characters(_safe(text, fonts), fonts)


def _safe(text: str, fonts: FontStack) -> str:
    return sanitise(text, has_glyph=lambda c: any(load(face).covers(c) for face in fonts.faces))


def _paragraphs(text: str, fonts: FontStack) -> list[_Paragraph]:
    paragraphs = []
    word = 0
    for paragraph in text.split("\n") if text else []:
        base_level, levels = bidi_levels(paragraph)
        pieces: list[TextPiece] = []
        start = 0
        for unit, blanks in break_units(paragraph):
            middle, end = start + len(unit), start + len(unit) + len(blanks)
            if pieces and not (unit and pieces[-1].text and _same_word(pieces[-1], unit)):
                word += 1
            pieces.append(
                make_piece(
                    unit,
                    levels[start:middle],
                    blanks=blanks,
                    blank_levels=levels[middle:end],
                    word=word,
                    fonts=fonts,
                )
            )
            start = end
        word += 1
        paragraphs.append(_Paragraph(base_level, pieces))
    return paragraphs


def _same_word(before: TextPiece, unit: str) -> bool:
    scripts = {script_of(before.text[-1]), script_of(unit[0]), script_of(before.text[0])}
    return not before.blanks and not scripts & UNSPACED_SCRIPTS


def _width_em(pieces: Sequence[TextPiece]) -> float:
    return sum(p.width_em + p.blank_em for p in pieces) - (pieces[-1].blank_em if pieces else 0.0)


def _fill(pieces: Sequence[TextPiece], max_em: float) -> list[list[TextPiece]]:
    """Put as many pieces as fit on each line."""
    lines: list[list[TextPiece]] = [[]]
    pen = 0.0
    for piece in pieces:
        if lines[-1] and pen + piece.width_em > max_em + _EPSILON_EM:
            lines.append([])
            pen = 0.0
        lines[-1].append(piece)
        pen += piece.width_em + piece.blank_em
    return lines


def _pitch_em(lines: Sequence[_Line], style: TextStyle) -> float:
    """Return the distance of baselines in ems: the style's, or more if the ink of adjacent lines would touch."""
    above = [max((p.ink_above_em for p in line.pieces), default=0.0) for line in lines]
    below = [max((p.ink_below_em for p in line.pieces), default=0.0) for line in lines]
    needed = max((down + up + _LINE_GAP_EM for down, up in zip(below, above[1:], strict=False)), default=0.0)
    return max(style.line_height, min(needed, _MAX_PITCH_EM))


class _Fitter:
    """A search for the lines of each size, and for the largest size whose lines fit the box."""

    def __init__(
        self,
        paragraphs: list[_Paragraph],
        fonts: FontStack,
        style: TextStyle,
        max_width_px: int,
        max_height_px: int,
    ) -> None:
        self.paragraphs = paragraphs
        self.fonts = fonts
        self.style = style
        self.max_width_px = max_width_px
        self.max_height_px = max_height_px
        pieces = [piece for paragraph in paragraphs for piece in paragraph.pieces]
        self.widest_em = max((piece.width_em for piece in pieces), default=0.0)
        whole = (piece.width_em for piece in pieces if len(breakable_parts(piece.text)) == 1)
        self.widest_word_em = max(whole, default=0.0)

    def lines_at(self, size_px: int) -> list[_Line]:
        max_em = self.max_width_px / size_px
        lines = []
        for number, paragraph in enumerate(self.paragraphs):
            pieces = paragraph.pieces
            if self.widest_em > max_em:
                pieces = [q for p in pieces for q in split_piece(p, max_em=max_em, fonts=self.fonts)]
            lines += [_Line(number, paragraph.base_level, line) for line in _fill(pieces, max_em)]
        return lines

    def fits(self, size_px: int) -> bool:
        lines = self.lines_at(size_px)
        height_px = len(lines) * _pitch_em(lines, self.style) * size_px
        width_px = max((line.width_em for line in lines), default=0.0) * size_px
        return height_px <= self.max_height_px + 1e-6 and width_px <= self.max_width_px + 1e-3

    def best_size_px(self, min_size_px: int) -> int:
        high = self.style.size_px
        for widest_em, shrink in (
            (self.widest_word_em, _WHOLE_WORD_SHRINK),
            (self.widest_em, _WHOLE_PHRASE_SHRINK),
        ):
            if widest_em * high > self.max_width_px:
                whole = int(self.max_width_px / widest_em)
                if whole >= max(min_size_px, shrink * high):
                    high = whole
        if self.fits(high):
            return high
        low = min_size_px
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle)
        return low


def _balanced(lines: list[_Line], max_em: float) -> list[_Line]:
    """Make the lines of each paragraph about equally long, without more lines."""
    if not 1 < len(lines) <= _MAX_BALANCED_LINES:
        return lines
    result: list[_Line] = []
    for (paragraph, base_level), group in groupby(lines, key=lambda line: (line.paragraph, line.base_level)):
        filled = [line.pieces for line in group]
        pieces = [piece for line in filled for piece in line]
        for first, last in _even_cuts(pieces, len(filled), max_em):
            result.append(_Line(paragraph, base_level, pieces[first:last]))
    return result


def _even_cuts(pieces: Sequence[TextPiece], count: int, max_em: float) -> list[tuple[int, int]]:
    """Cut pieces into exactly `count` lines of at most `max_em`, with the smallest sum of squared widths.

    That sum is smallest if the lines are equally wide. `count` must be at least that of greedy filling.
    """
    total = len(pieces)
    best = [0.0] + [math.inf] * total  # best[j]: cost of the first j pieces on the lines so far
    choices: list[list[int]] = []
    for _ in range(count):
        reached = [math.inf] * (total + 1)
        choice = [0] * (total + 1)
        for first in range(total):
            if best[first] == math.inf:
                continue
            pen = 0.0
            for last in range(first, total):
                width = pen + pieces[last].width_em
                if last > first and width > max_em + _EPSILON_EM:
                    break
                if best[first] + width * width < reached[last + 1]:
                    reached[last + 1] = best[first] + width * width
                    choice[last + 1] = first
                pen = width + pieces[last].blank_em
        best = reached
        choices.append(choice)
    cuts = [total]
    for choice in reversed(choices):
        cuts.append(choice[cuts[-1]])
    return list(pairwise(reversed(cuts)))


def _with_ellipsis(line: _Line, max_em: float, fonts: FontStack) -> _Line:
    """Cut the line so that an ellipsis fits at its end."""
    pieces = list(line.pieces)
    while pieces:
        last = pieces.pop()
        parts = clusters(last.text)
        # Remove whole words first; cut inside a word only if it is alone on its line.
        for kept in range(len(parts), len(parts) - 1 if pieces else -1, -1):
            text = "".join(parts[:kept])
            if not text and not pieces:
                break
            levels = (*last.levels[: len(text)], line.base_level)
            cut = make_piece(text + _ELLIPSIS, levels, word=last.word, fonts=fonts)
            if text and _width_em([*pieces, cut]) <= max_em + _EPSILON_EM:
                return _Line(line.paragraph, line.base_level, [*pieces, cut])
    word = line.pieces[-1].word if line.pieces else -1
    return _Line(
        line.paragraph, line.base_level, [make_piece(_ELLIPSIS, (line.base_level,), word=word, fonts=fonts)]
    )


def _place_lines(
    lines: list[_Line],
    fonts: FontStack,
    style: TextStyle,
    size_px: int,
    pitch_em: float,
    truncated: bool,
    missing: tuple[str, ...],
) -> TextLayout:
    pitch_px = pitch_em * size_px
    primary = load(fonts.faces[0])
    first_baseline_px = (pitch_px + (primary.ascent - primary.descent) * size_px) / 2
    width_px = math.ceil(max((line.width_em for line in lines), default=0.0) * size_px - 1e-3)
    glyphs: list[PlacedGlyph] = []
    text_lines: list[TextLine] = []
    words: list[WordBox] = []
    letters: list[LetterBox] = []
    for number, line in enumerate(lines):
        line_px = line.width_em * size_px
        left_px = {"left": 0.0, "center": (width_px - line_px) / 2, "right": width_px - line_px}[style.align]
        # Whole pixels keep horizontal stems equally sharp on every line.
        baseline_px = float(round(first_baseline_px + number * pitch_px))
        spans: dict[int, tuple[float, float]] = {}
        drawn: list[dict[int, Drawn]] = [{} for _ in line.pieces]
        pen = left_px
        items = _items(line.pieces)
        for index in visual_order([run.level for run, _ in items]):
            run, piece_index = items[index]
            start = pen
            for glyph in run.glyphs:
                glyphs.append(
                    PlacedGlyph(
                        run.face, glyph.glyph_id, pen + glyph.dx * size_px, baseline_px - glyph.dy * size_px
                    )
                )
                pen += glyph.advance * size_px
            if piece_index is not None:
                drawn[piece_index] |= drawn_clusters(run, left_px=start, size_px=size_px)
                word = line.pieces[piece_index].word
                low, high = spans.get(word, (start, pen))
                spans[word] = (min(low, start), max(high, pen))
        for piece, stretches in zip(line.pieces, drawn, strict=True):
            letters += letter_boxes(piece, stretches, line=number)
        texts: dict[int, str] = {}
        for piece in line.pieces:
            texts[piece.word] = texts.get(piece.word, "") + piece.text
        words += [
            WordBox(word, texts[word], number, low, number * pitch_px, high - low, pitch_px)
            for word, (low, high) in sorted(spans.items())
        ]
        shown = "".join(p.text + p.blanks for p in line.pieces[:-1]) + "".join(
            p.text for p in line.pieces[-1:]
        )
        text_lines.append(TextLine(shown, left_px, baseline_px, line_px))
    return TextLayout(
        style=style,
        fonts=fonts,
        size_px=size_px,
        width_px=width_px,
        height_px=math.ceil(len(lines) * pitch_px - 1e-6),
        line_pitch_px=pitch_px,
        text_lines=tuple(text_lines),
        words=tuple(words),
        letters=tuple(letters),
        glyphs=tuple(glyphs),
        truncated=truncated,
        missing=missing,
    )


def _items(pieces: Sequence[TextPiece]) -> list[tuple[ShapedRun, int | None]]:
    """List a line's runs in logical order, without trailing blanks, each with its piece's number (None: blanks)."""
    items: list[tuple[ShapedRun, int | None]] = []
    for number, piece in enumerate(pieces):
        items += [(run, number) for run in piece.runs]
        if number + 1 < len(pieces):
            items += [(run, None) for run in piece.blank_runs]
    return items
