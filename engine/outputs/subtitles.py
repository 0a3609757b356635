"""Subtitles: turn the words of a timeline into cues, and cues into SRT, WebVTT and a list of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final, NamedTuple

from video_pipeline.engine.common.spoken_words import (
    SpokenWord,
    carried_over,
    moved,
    places,
    shared_words,
    time_at,
    timed_apart,
    words_of,
)
from video_pipeline.engine.story.language import detect_language
from video_pipeline.engine.story.sentence_ends import is_abbreviated
from video_pipeline.engine.story.splitting import CLAUSE_END, sentences
from video_pipeline.engine.timeline import AudioTrack, Timeline
from video_pipeline.engine.timing import Seconds, frame_time
from video_pipeline.filters.typeset.characters import break_units, clusters, columns, sanitise

LINE_COLUMNS: Final = 42
LINES: Final = 2
LEAST_SECONDS: Final = Fraction(1)

_WORD_JOINER: Final = "\u2060"
_INVISIBLE: Final = "\u200b\u2060"
"""A zero width space and a word joiner, which only say where lines may break; some players draw them as boxes."""

# Text that SRT players read as markup: tags, {\an8} and the arrow between times.
_SRT_MARKUP: Final = re.compile(r"(?<=<)(?=[/A-Za-z])|(?<=\{)(?=\\)|(?<=--)(?=>)")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words on the screen from `start` until `stop` in seconds; lines are separated by newlines.

    `words` are those that are heard, by their places in the text; `scene_id` is the scene that they belong to.
    `speaker` says them, if the text itself does not say who. `continued` says that the first one began in the cue before, which had no room for all of it.
    """

    start: Seconds
    stop: Seconds
    text: str
    words: tuple[SpokenWord, ...] = field(default=(), compare=False)
    scene_id: str | None = field(default=None, compare=False)
    speaker: str | None = None
    continued: bool = field(default=False, compare=False)


class _Unit(NamedTuple):
    """Text that stays on one line, and the space or line break after it."""

    text: str
    blanks: str
    columns: int


class _Span(NamedTuple):
    """A text, from when to when it is on the screen, and when its words are heard, if that is known."""

    start: Seconds
    stop: Seconds
    text: str
    words: tuple[SpokenWord, ...] = ()
    scene_id: str | None = None
    spoken: bool = False
    speaker: str | None = None


def cues(timeline: Timeline, *, language: str | None = None, speakers: bool = True) -> tuple[Cue, ...]:
    """Return the cues of a timeline: each scene's narration during its speech, or else its caption.

    Cues are in order, never overlap and end with the video. Each has at most 2 lines of 42 columns (wide
    letters take two), and lasts at least a second if its words do. Cues begin with their first words. `language` (ISO 639-1) decides where
    sentences end; by default it is detected. Without `speakers`, cues do not say who speaks.
    """
    spans = _apart(_spans(timeline), timeline.duration)
    if language is None:
        language = detect_language(" ".join(span.text for span in spans))
    found: list[Cue] = []
    for span in spans:
        timed = [
            ("\n".join(_lines(piece) or ()), start, stop) for piece, start, stop in _timed(span, language)
        ]
        parts = places((text for text, _, _ in timed), span.text)
        last = None
        for (text, start, stop), part in zip(timed, parts, strict=True):
            words = list(_words_in(span, text, part, start, stop)) if span.spoken else []
            continued = bool(words) and words[0][0] == last
            last = words[-1][0] if words else None
            heard = tuple(word for _, word in words)
            speaker = span.speaker if speakers else None
            found.append(Cue(start, stop, text, heard, span.scene_id, speaker, continued))
    return tuple(found)


def _words_in(
    span: _Span, text: str, part: tuple[int, int], start: Seconds, stop: Seconds
) -> Iterator[tuple[int, SpokenWord]]:
    """Yield the words of a cue, each with where it begins in the span's text, of which `part` is the cue's.

    A word that is cut between two cues has its share of the time in each. If no times are known, words share the cue's.
    """
    first, last = part
    shown = [
        (index, first + place)
        for index, (place, _) in enumerate(places(text, span.text[first:last]))
        if not text[index].isspace()
    ]
    whole = [(word.start, word.stop) for word in span.words] or words_of(span.text)
    found = []
    for number, (begin, end) in enumerate(whole):
        inside = [pair for pair in shown if begin <= pair[1] < end] if begin < last and first < end else []
        if inside:
            found.append((number, (inside[0][0], inside[-1][0] + 1), (inside[0][1], inside[-1][1] + 1)))
    if not found:
        return
    shares = shared_words([there for _, there, _ in found], start, stop)
    for (number, (begin, end), (cut, cut_end)), share in zip(found, shares, strict=True):
        begins, ends = share.begins, share.ends
        if span.words:
            word = span.words[number]
            begins = time_at((word,), cut)
            ends = word.ends if cut_end == word.stop else time_at((word,), cut_end)
        begins = min(max(begins, start), stop)
        yield whole[number][0], SpokenWord(begin, end, begins, min(max(ends, begins), stop))


def _timed(span: _Span, language: str) -> Iterator[tuple[list[_Unit], Seconds, Seconds]]:
    """Yield the pieces of a span, and when each begins and ends: with its first word, if that is known."""
    if not span.words:
        pieces = _pieces(span.text, language)
        _join_short(pieces, span.stop - span.start)
        start = span.start
        for piece, seconds in zip(pieces, _shares(pieces, span.stop - span.start), strict=True):
            yield piece, start, start + seconds
            start += seconds
        return
    pieces = _pieces(span.text, language)
    first_units = [place for place, _ in places((unit.text for piece in pieces for unit in piece), span.text)]
    starts = [span.start]
    reached = 0
    for piece in pieces[:-1]:
        reached += len(piece)
        begins = time_at(span.words, first_units[reached])
        starts.append(min(max(begins, starts[-1]), span.stop))
    index = 0
    while index < len(pieces) - 1:
        stop = starts[index + 2] if index + 2 < len(pieces) else span.stop
        short = min(starts[index + 1] - starts[index], stop - starts[index + 1]) < LEAST_SECONDS
        joined = pieces[index] + pieces[index + 1]
        if short and _lines(joined) is not None:
            pieces[index : index + 2] = [joined]
            del starts[index + 1]
        else:
            index += 1
    for piece, start, stop in zip(pieces, starts, [*starts[1:], span.stop], strict=True):
        if start < stop:
            yield piece, start, stop


def to_srt(cues: Sequence[Cue]) -> str:
    """Return cues as SubRip text; the first cue of a speaker's turn begins with the name, such as `Mary: `.

    SRT has no escapes, so an invisible word joiner breaks up text that looks like markup.
    """
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.stop, ',')}\n"
        f"{_SRT_MARKUP.sub(_WORD_JOINER, _lines_of(cue) if cue.speaker in (None, before) else _after_name(cue))}\n"
        for number, (before, cue) in enumerate(
            zip([None, *(cue.speaker for cue in cues)], cues, strict=False), start=1
        )
    ]
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """Return cues as WebVTT text; what a speaker says is a voice span, such as `<v Mary>`."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = _escaped_vtt(_lines_of(cue))
        if cue.speaker is not None:
            text = f"<v {_escaped_vtt(cue.speaker)}>{text}"
        blocks.append(f"{_clock(cue.start, '.')} --> {_clock(cue.stop, '.')}\n{text}\n")
    return "\n".join(blocks)


def word_list(cues: Sequence[Cue]) -> dict[str, Any]:
    """Return the words that are heard, in order: each with its start and end in seconds and its scene."""
    found: list[dict[str, Any]] = []
    for cue in cues:
        for index, word in enumerate(cue.words):
            text = cue.text[word.start : word.stop].replace("\n", "")
            ends = round(float(word.ends), 3)
            if index == 0 and cue.continued:
                found[-1] |= {"word": found[-1]["word"] + text, "end": ends}
            else:
                begins = round(float(word.begins), 3)
                found.append({"word": text, "start": begins, "end": ends, "scene": cue.scene_id})
    return {"words": found}


def cue_lines(text: str) -> list[str]:
    """Return the lines of a cue's text without blank ones and control characters, which would end a cue early."""
    lines = (
        "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs")) for line in text.splitlines()
    )
    return [line.strip() for line in lines if line.strip()]


def _escaped_vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _after_name(cue: Cue) -> str:
    """Return a cue's lines after its speaker's name, which has a line of its own if it has no room otherwise."""
    name = f"{cue.speaker}:"
    lines = cue_lines(cue.text)
    whole = _lines(_units(" ".join([name, *lines])))
    return "\n".join(whole or [name, *lines])


def _lines_of(cue: Cue) -> str:
    return "\n".join(cue_lines(cue.text))


def _clock(seconds: Seconds, point: str) -> str:
    milliseconds = int(seconds * 1000 + Fraction(1, 2))
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _spans(timeline: Timeline) -> list[_Span]:
    narration = [track for track in timeline.audio if track.kind == "narration" and track.text.strip()]
    spoken = {track.scene_id for track in narration}
    spans = [_narrated(track) for track in narration]
    for caption in timeline.captions:
        if caption.scene_id not in spoken:
            start = frame_time(caption.frames.start, timeline.fps)
            stop = frame_time(caption.frames.stop, timeline.fps)
            spans.append(_Span(start, stop, _clean(caption.text), scene_id=caption.scene_id))
    return sorted((span for span in spans if span.text), key=lambda span: span.start)


def _narrated(track: AudioTrack) -> _Span:
    text = _clean(track.text)
    words = carried_over(track.words, track.text, to=text)
    apart = timed_apart(
        [(word.start, word.stop) for word in words], [(word.begins, word.ends) for word in words]
    )
    heard = moved(apart, seconds=track.at)
    return _Span(track.at, track.at + track.duration, text, heard, track.scene_id, True, track.speaker)


def _clean(text: str) -> str:
    return sanitise(text, has_glyph=lambda _: False).replace("\ufffd", "").strip()


def _apart(spans: Sequence[_Span], end: Seconds) -> list[_Span]:
    """Cut spans at the end of the video and where the next starts; one that covers the previous starts at its middle."""
    kept: list[_Span] = []
    for span in spans:
        start, stop = max(span.start, Fraction(0)), min(span.stop, end)
        if kept and start < kept[-1].stop:
            last = kept[-1]
            start = max(start, (last.start + min(last.stop, stop)) / 2)
            kept[-1] = last._replace(stop=min(last.stop, start))
        if start < stop:
            kept.append(span._replace(start=start, stop=stop))
    return kept


def _units(sentence: str) -> list[_Unit]:
    units: list[_Unit] = []
    for word, blanks in break_units(sentence):
        parts = [""]
        for part in clusters(word.translate(dict.fromkeys(map(ord, _INVISIBLE)))):
            if columns(parts[-1] + part) > LINE_COLUMNS:
                parts.append("")
            parts[-1] += part
        units += [_Unit(part, "", columns(part)) for part in parts]
        units[-1] = units[-1]._replace(blanks=" " if blanks.strip(_INVISIBLE) else "")
    return units


def _joined_text(units: Sequence[_Unit]) -> str:
    return "".join(unit.text + unit.blanks for unit in units).replace("\n", " ").strip()


def _width(units: Sequence[_Unit]) -> int:
    return sum(unit.columns + len(unit.blanks) for unit in units) - (len(units[-1].blanks) if units else 0)


def _cut_cost(word: str) -> int:
    """Return what a break after a word inside a sentence costs, in columns: clauses are preferred, abbreviations avoided."""
    if is_abbreviated(word):
        return 2 * LINE_COLUMNS
    return -12 if CLAUSE_END.search(word) else 0


def _lines(units: Sequence[_Unit]) -> list[str] | None:
    """Return one line, or two of similar length, preferably split at a clause; None if two are not enough.

    Two lines of the text stay two lines.
    """
    breaks = [cut for cut, unit in enumerate(units[:-1], start=1) if unit.blanks == "\n"]
    if len(breaks) == 1:
        halves = units[: breaks[0]], units[breaks[0] :]
        if all(_width(half) <= LINE_COLUMNS for half in halves):
            return [_joined_text(half) for half in halves]
    if _width(units) <= LINE_COLUMNS:
        return [_joined_text(units)]
    if _width(units) > LINES * LINE_COLUMNS + 1:
        return None
    best: tuple[float, int] | None = None
    for cut in range(1, len(units)):
        first, second = _width(units[:cut]), _width(units[cut:])
        if max(first, second) <= LINE_COLUMNS:
            badness = abs(first - second) + _cut_cost(units[cut - 1].text)
            best = min(best or (badness, cut), (badness, cut))
    return [_joined_text(units[: best[1]]), _joined_text(units[best[1] :])] if best else None


def _parts(units: Sequence[_Unit]) -> list[Sequence[_Unit]]:
    """Halve a sentence until each part fits, at the clause nearest its middle or else at a word."""
    if _lines(units) is not None:
        return [units]
    total = _width(units)
    reached = accumulate(unit.columns + len(unit.blanks) for unit in units[:-1])
    places = [(cut, columns / total) for cut, columns in enumerate(reached, start=1)]
    places = [place for place in places if not is_abbreviated(units[place[0] - 1].text)] or places
    clauses = [
        (cut, share) for cut, share in places if 0.25 <= share <= 0.75 and _cut_cost(units[cut - 1].text) < 0
    ]
    cut, _ = min(clauses or places, key=lambda place: abs(place[1] - 0.5))
    return [*_parts(units[:cut]), *_parts(units[cut:])]


def _pieces(text: str, language: str) -> list[list[_Unit]]:
    """Cut a text into pieces that each fit one cue."""
    pieces: list[list[_Unit]] = []
    found = sentences(text, language=language)
    for sentence, (_, stop) in zip(found, places(found, text), strict=True):
        parts = [list(part) for part in _parts(_units(sentence))]
        # Scripts with wide letters have no space between sentences.
        last = parts[-1][-1]
        blank = "" if columns(last.text[-1:]) == 2 else " "
        ends_line = "\n" in text[stop : len(text) - len(text[stop:].lstrip())]
        parts[-1][-1] = last._replace(blanks="\n" if ends_line else blank)
        pieces += parts
    return pieces


def _join_short(pieces: list[list[_Unit]], seconds: Seconds) -> None:
    """Join neighbours too short to read if both fit in one cue."""
    least = _weight([unit for piece in pieces for unit in piece]) * LEAST_SECONDS / seconds
    index = 0
    while index < len(pieces) - 1:
        joined = pieces[index] + pieces[index + 1]
        short = min(_weight(pieces[index]), _weight(pieces[index + 1])) < least
        if short and _lines(joined) is not None:
            pieces[index : index + 2] = [joined]
        else:
            index += 1


def _weight(units: Sequence[_Unit]) -> int:
    return max(1, sum(unit.columns for unit in units))


def _shares(pieces: Sequence[Sequence[_Unit]], seconds: Seconds) -> list[Seconds]:
    """Divide time in proportion to letters; no piece gets less than a second if others have more."""
    weights = [_weight(piece) for piece in pieces]
    least = min(LEAST_SECONDS, seconds / max(1, len(pieces)))
    short: set[int] = set()
    while True:
        rest = seconds - least * len(short)
        weight = sum(w for index, w in enumerate(weights) if index not in short)
        more = {index for index, w in enumerate(weights) if index not in short and rest * w < least * weight}
        if not more:
            break
        short |= more
    return [least if index in short else rest * w / weight for index, w in enumerate(weights)]
