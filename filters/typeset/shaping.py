"""Turn characters into glyphs: choose faces, split into runs, shape each run with HarfBuzz."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import uharfbuzz as hb

from video_pipeline.filters.typeset.characters import breakable_parts, clusters, runs_of, script_of
from video_pipeline.filters.typeset.emoji import EMOJI_SELECTOR, is_emoji
from video_pipeline.filters.typeset.face import FontFace, FontStack, ink_extent, load

# Scripts without blanks between words, so each unit of line breaking counts as a word.
UNSPACED_SCRIPTS: Final = frozenset(
    {"Thai", "Laoo", "Khmr", "Mymr", "Hani", "Hira", "Kana", "Bopo", "Lana", "Tale"}
)


class Glyph(NamedTuple):
    """A shaped glyph, in ems, y upwards; `cluster` is the index of its first character in the run's text."""

    glyph_id: int
    cluster: int
    advance: float
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class ShapedRun:
    """Glyphs of one face and one direction, in drawing order from left to right."""

    face: FontFace
    level: int
    start: int
    glyphs: tuple[Glyph, ...]
    width_em: float


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text that stays on one line, and the blanks after it; `word` is the number of the word that it belongs to."""

    text: str
    levels: tuple[int, ...]
    blanks: str
    runs: tuple[ShapedRun, ...]
    blank_runs: tuple[ShapedRun, ...]
    width_em: float
    blank_em: float
    ink_above_em: float
    ink_below_em: float
    word: int


def make_piece(
    text: str,
    levels: tuple[int, ...],
    *,
    blanks: str = "",
    blank_levels: tuple[int, ...] = (),
    word: int,
    fonts: FontStack,
) -> TextPiece:
    """Shape one piece of a paragraph; `levels` has one entry for each character."""
    runs = shape(text, levels, fonts)
    blank_runs = shape(blanks, blank_levels, fonts)
    ink = [ink_extent(run.face, glyph.glyph_id) for run in runs for glyph in run.glyphs]
    return TextPiece(
        text=text,
        levels=levels,
        blanks=blanks,
        runs=runs,
        blank_runs=blank_runs,
        width_em=sum(run.width_em for run in runs),
        blank_em=sum(run.width_em for run in blank_runs),
        ink_above_em=max((above for above, _ in ink), default=0.0),
        ink_below_em=max((below for _, below in ink), default=0.0),
        word=word,
    )


@lru_cache(maxsize=4096)
def shape(text: str, levels: tuple[int, ...], fonts: FontStack) -> tuple[ShapedRun, ...]:
    """Shape `text` into runs of one face, script and level, in logical order."""
    if not text:
        return ()
    parts = clusters(text)
    faces = _choose_faces(parts, fonts)
    scripts = _choose_scripts(parts)
    starts: list[int] = []
    position = 0
    for part in parts:
        starts.append(position)
        position += len(part)
    keys = [(face, script, levels[start]) for face, script, start in zip(faces, scripts, starts, strict=True)]
    runs = []
    for first, last in runs_of(keys):
        face, script, level = keys[first]
        start = starts[first]
        glyphs = _shape_run("".join(parts[first:last]), face, script, bool(level % 2))
        runs.append(ShapedRun(face, level, start, glyphs, sum(glyph.advance for glyph in glyphs)))
    return tuple(runs)


def _shape_run(text: str, face: FontFace, script: str, rtl: bool) -> tuple[Glyph, ...]:
    loaded = load(face)
    buffer = hb.Buffer()
    buffer.add_codepoints([ord(c) for c in text])
    buffer.direction = "rtl" if rtl else "ltr"
    buffer.script = script
    # No language: HarfBuzz would use the machine's locale, on which glyphs may depend.
    hb.shape(loaded.hb_font, buffer)
    em = loaded.upem
    return tuple(
        Glyph(info.codepoint, info.cluster, place.x_advance / em, place.x_offset / em, place.y_offset / em)
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)
    )


def _choose_scripts(parts: list[str]) -> list[str]:
    """Give characters without a script (digits, points, blanks) the one before them, or else the one after them."""
    found = [next((s for s in map(script_of, part) if s), None) for part in parts]
    current = next((s for s in found if s), "Latn")
    scripts = []
    for script in found:
        current = script or current
        scripts.append(current)
    return scripts


def _choose_faces(parts: list[str], fonts: FontStack) -> list[FontFace]:
    faces: list[FontFace] = []
    sticky: FontFace | None = None
    for part in parts:
        shared = script_of(part[0]) is None
        if shared and not is_emoji(part) and sticky is not None and load(sticky).covers(part):
            faces.append(sticky)  # a comma or blank between Arabic words stays in the Arabic face
            continue
        face = _face_for(part, fonts) or fonts.faces[0]
        faces.append(face)
        sticky = None if shared else face
    return faces


@lru_cache(maxsize=16384)
def _face_for(cluster: str, fonts: FontStack) -> FontFace | None:
    if is_emoji(cluster):
        # The colour face is the last one of a stack, unless the first one has colours.
        for face in (fonts.faces[0], *reversed(fonts.faces[1:])):
            if load(face).has_colors and load(face).covers(cluster):
                return face
    if EMOJI_SELECTOR in cluster:
        for face in fonts.faces:
            if load(face).has_variation(cluster[0], EMOJI_SELECTOR) and load(face).covers(cluster):
                return face
    whole = next((face for face in fonts.faces if load(face).covers(cluster)), None)
    return whole or next((face for face in fonts.faces if load(face).covers(cluster[0])), None)


def missing_characters(text: str, fonts: FontStack) -> tuple[str, ...]:
    """Return the clusters of `text` that are drawn with an empty box, each once, in order."""
    parts = dict.fromkeys(part for part in clusters(text) if part != "\n")
    return tuple(part for part in parts if _has_empty_box(part, fonts))


@lru_cache(maxsize=16384)
def _has_empty_box(cluster: str, fonts: FontStack) -> bool:
    """Return whether no face has a cluster, or shaping it gives glyph 0, as for a mark that its letter's face lacks."""
    if _face_for(cluster, fonts) is None:
        return True
    runs = shape(cluster, (0,) * len(cluster), fonts)
    return any(glyph.glyph_id == 0 for run in runs for glyph in run.glyphs)


def split_piece(piece: TextPiece, *, max_em: float, fonts: FontStack) -> list[TextPiece]:
    """Break a piece that is wider than a line where its script allows it, else between clusters into even parts.

    The last part keeps the blanks.
    """
    if piece.width_em <= max_em:
        return [piece]
    by_character = [0.0] * len(piece.text)
    for run in piece.runs:
        for glyph in run.glyphs:
            by_character[run.start + glyph.cluster] += glyph.advance
    parts: list[str] = []
    units = breakable_parts(piece.text)
    even_em = piece.width_em / math.ceil(piece.width_em / max_em) if len(units) == 1 else math.inf
    for unit in units:
        place = sum(map(len, parts))
        fits = sum(by_character[place : place + len(unit)]) <= max_em
        parts += [unit] if fits else clusters(unit)
    result: list[TextPiece] = []
    first = start = 0
    reached = 0.0
    while first < len(parts):
        last, end, width = first, start, 0.0
        goal = (len(result) + 1) * even_em
        while last < len(parts):
            step = sum(by_character[end : end + len(parts[last])])
            if last > first and (width + step > max_em or reached + width + step / 2 > goal):
                break
            width += step
            end += len(parts[last])
            last += 1
        while True:
            is_last = end == len(piece.text)
            part = make_piece(
                piece.text[start:end],
                piece.levels[start:end],
                blanks=piece.blanks if is_last else "",
                blank_levels=piece.levels[-1:] * len(piece.blanks) if is_last else (),
                word=piece.word,
                fonts=fonts,
            )
            if part.width_em <= max_em or last == first + 1:
                break
            last -= 1  # letters at the cut changed to a wider form
            end -= len(parts[last])
        result.append(part)
        reached += sum(by_character[start:end])
        first, start = last, end
    return result
