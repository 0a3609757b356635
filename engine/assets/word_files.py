"""Files that say when the words of a recording are heard: Whisper's JSON, SRT, WebVTT and ASS, with or without times of words."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, sniff
from video_pipeline.engine.common.input_files import InputFiles, why_not_opened
from video_pipeline.engine.common.spoken_words import shared_words, words_of
from video_pipeline.engine.errors import AssetError
from video_pipeline.engine.timing import Seconds

WORD_FILE_MAX_BYTES: Final = 16 * 2**20

END_TOLERANCE_S: Final = Fraction(1, 2)
"""How far beyond the recording's end a word may end: transcribers round."""

_SRT_TIMES: Final = re.compile(
    r"^(\d+):(\d\d):(\d\d)[,.](\d{1,3})[ \t]*-->[ \t]*(\d+):(\d\d):(\d\d)[,.](\d{1,3}).*$", re.MULTILINE
)
_ASS_TIME: Final = re.compile(r"(\d+):(\d\d):(\d\d)\.(\d\d)")
_SRT_TAG: Final = re.compile(r"\{\\[^}]*\}")
"""A tag of ASS, such as `{\\an8}`, which many SRT files have."""

_ASS_TAG: Final = re.compile(r"\{([^}]*)\}")
_KARAOKE: Final = re.compile(r"\\[kK][fo]?(\d+)")
_VTT_CLOCK: Final = r"(?:(\d+):)?(\d\d):(\d\d)\.(\d{3})"
_VTT_TIMES: Final = re.compile(rf"{_VTT_CLOCK}[ \t]*-->[ \t]*{_VTT_CLOCK}")
_VTT_STAMP: Final = re.compile(rf"<{_VTT_CLOCK}>")
_MARKUP: Final = re.compile(r"<[^>]*>")


OVERLAP_TOLERANCE_S: Final = Fraction(1, 20)
"""An overlap this short is rounding and no reason for a warning."""

EDGE_WORD_S: Final = Fraction(2, 5)
"""The most that a word without times lasts at the beginning or the end of a file, where it has one neighbour only."""


class WrittenWord(NamedTuple):
    """A word of a file, and when it is heard, in seconds of the recording."""

    text: str
    begins: Seconds
    ends: Seconds


class WordFile(NamedTuple):
    """The words of a file, in order and apart in time, and a warning about those that were not."""

    words: tuple[WrittenWord, ...]
    warning: str | None


class _TimedLine(NamedTuple):
    """Words that share a time; an end of it that the file does not tell is None. `cut` says that its end was moved."""

    text: str
    begins: Seconds | None
    ends: Seconds | None
    is_word: bool = False
    cut: bool = False


def read_word_file(path: Path, *, duration: Seconds, files: InputFiles) -> WordFile:
    """Return the words of a file, for a recording that lasts `duration` seconds.

    The words of a line that has only one pair of times share it by their letters; a word of JSON without times has the time
    between its neighbours. What ends after the next line or word begins is cut there, with a warning. Raises
    AssetError, naming the file and the first wrong word: unreadable, of no known format, without words, words out of
    order or beyond the recording.
    """

    def wrong(reason: str) -> AssetError:
        return AssetError(f"{path}: {reason}", path=str(path))

    try:
        with files.open(path) as file:
            if file.size > WORD_FILE_MAX_BYTES:
                raise wrong(f"has {file.size} bytes; allowed: at most {WORD_FILE_MAX_BYTES}")
            data = file.stream.read()
    except OSError as error:
        raise wrong(why_not_opened(error)) from error
    content = sniff(data[:HEAD_BYTES])
    if content is None or "words" not in content.kinds:
        raise wrong(f"is no list of words; allowed: {ALLOWED['words']}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong(f"is not UTF-8 (byte {error.start})") from error
    try:
        lines = [line for line in _READERS[content.name](text) if words_of(line.text)]
        timed = _with_times(lines, duration)
    except (ValueError, TypeError, KeyError) as error:
        raise wrong(f"is no {content.name} file of words: {error}") from error
    if not timed:
        raise wrong("has no words")
    words: list[WrittenWord] = []
    cut: list[str] = []
    for (line, begins, ends), following in zip(timed, [*timed[1:], None], strict=True):
        number = len(words) + 1
        divided = _line_words(line, begins, ends)
        at = f"word {number} ({divided[0].text!r}) is heard from {float(begins):g} s to {float(ends):g} s"
        if ends < begins:
            raise wrong(f"{at}; it must end after it begins")
        if words and begins < words[-1].begins:
            before = float(words[-1].begins)
            raise wrong(f"{at}, but the word before it begins at {before:g} s; words must be in order")
        if ends > duration + END_TOLERANCE_S:
            raise wrong(f"{at}, but the recording lasts {float(duration):.2f} s")
        if following is not None and begins <= following[1] < ends:
            if ends - following[1] > OVERLAP_TOLERANCE_S:
                cut.append(at)
            divided = _line_words(line, begins, following[1])
        elif line.cut:
            cut.append(at)
        words += divided
    if not cut:
        return WordFile(tuple(words), None)
    many = f", and {len(cut) - 1} more like it" if len(cut) > 1 else ""
    return WordFile(
        tuple(words),
        f"{path}: {cut[0]}, after the next begins, and is cut there{many}; times must not overlap",
    )


def _with_times(lines: Sequence[_TimedLine], duration: Seconds) -> list[tuple[_TimedLine, Seconds, Seconds]]:
    """Return lines with their times; those without share the time between their neighbours by their letters."""
    if lines and all(line.begins is None and line.ends is None for line in lines):
        raise ValueError("no word has a time")
    found: list[tuple[_TimedLine, Seconds, Seconds]] = []
    index = 0
    while index < len(lines):
        last = index
        while last + 1 < len(lines) and lines[last].ends is None and lines[last + 1].begins is None:
            last += 1
        run = lines[index : last + 1]
        begins, ends = run[0].begins, run[-1].ends
        edge = EDGE_WORD_S * len(run)
        if ends is None:
            following = lines[last + 1].begins if last + 1 < len(lines) else None
            before = begins if begins is not None else found[-1][2] if found else Fraction(0)
            ends = max(before, following if following is not None else min(before + edge, duration))
        if begins is None:
            begins = min(ends, found[-1][2]) if found else max(Fraction(0), ends - edge)
        if len(run) == 1:
            found.append((run[0], begins, ends))
        else:
            places, at = [], 0
            for line in run:
                places.append((at, at + len(line.text)))
                at += len(line.text)
            shares = shared_words(places, begins, ends)
            found += [(line, share.begins, share.ends) for line, share in zip(run, shares, strict=True)]
        index = last + 1
    return found


def _line_words(line: _TimedLine, begins: Seconds, ends: Seconds) -> list[WrittenWord]:
    if line.is_word:
        return [WrittenWord(line.text.strip(), begins, ends)]
    return [
        WrittenWord(line.text[word.start : word.stop], word.begins, word.ends)
        for word in shared_words(words_of(line.text), begins, ends)
    ]


def _whisper_words(text: str) -> Iterator[_TimedLine]:
    data = json.loads(text)
    if isinstance(data, list):
        data = {"words": data}
    listed = data.get("words")
    if isinstance(listed, list):
        yield from _json_words(listed, 0)
        return
    segments = data.get("segments")
    if not isinstance(segments, list):
        raise ValueError("allowed: `words`, or `segments` with words or a text (as Whisper writes them)")
    count = 0
    for number, segment in enumerate(segments, start=1):
        if not isinstance(segment, dict):
            raise ValueError(f"segment {number}: got {segment!r}; allowed: an object with words or a text")
        where = f"segment {number}"
        entries = segment.get("words")
        if entries and isinstance(entries, list):
            words = list(_json_words(entries, count))
            if words[0].begins is None:
                words[0] = words[0]._replace(begins=_json_seconds(segment, "start", where))
            if words[-1].ends is None:
                words[-1] = words[-1]._replace(ends=_json_seconds(segment, "end", where))
            yield from words
            count += len(entries)
        elif isinstance(segment.get("text"), str):
            begins, ends = _json_seconds(segment, "start", where), _json_seconds(segment, "end", where)
            if begins is None or ends is None:
                raise ValueError(f"{where}: has no {'start' if begins is None else 'end'}")
            yield _TimedLine(segment["text"], begins, ends)
            count += len(words_of(segment["text"]))
        else:
            raise ValueError(
                f"{where}: got {segment.get('text')!r} as 'text'; allowed: text, or a list of words"
            )


def _json_words(entries: Sequence[Any], count: int) -> Iterator[_TimedLine]:
    """Yield the words of a list, of which `count` others are before it in the file."""
    for number, entry in enumerate(entries, start=count + 1):
        if not isinstance(entry, dict):
            raise ValueError(
                f"word {number}: got {entry!r} as a word; allowed: an object with word, start and end"
            )
        text = entry.get("word", entry.get("text"))
        if not isinstance(text, str):
            raise ValueError(f"word {number}: got {text!r} as a word; allowed: text")
        where = f"word {number} ({text.strip()!r})"
        yield _TimedLine(
            text, _json_seconds(entry, "start", where), _json_seconds(entry, "end", where), is_word=True
        )


def _json_seconds(entry: dict[str, Any], key: str, where: str) -> Seconds | None:
    value = entry.get(key)
    if value is None:
        return None  # as whisperx writes numbers, which it cannot align
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ValueError(f"{where}: got {value!r} as {key!r}; allowed: seconds")
    return Fraction(value).limit_denominator(1_000_000)


def _srt_words(text: str) -> Iterator[_TimedLine]:
    cues = list(_SRT_TIMES.finditer(text.replace("\r\n", "\n")))
    body = text.replace("\r\n", "\n")
    for cue, following in zip(cues, [*cues[1:], None], strict=True):
        # The line before the next times is that cue's number.
        lines = body[cue.end() : following.start() if following else len(body)].strip("\n").split("\n")
        if following is not None and lines[-1].strip().isdigit():
            lines.pop()
        numbers = cue.groups()
        yield _TimedLine(
            _SRT_TAG.sub("", _MARKUP.sub("", " ".join(lines))),
            _clock_seconds(numbers[:4]),
            _clock_seconds(numbers[4:]),
        )


def _vtt_words(text: str) -> Iterator[_TimedLine]:
    """Yield the lines of WebVTT's cues, each cut at its timestamps such as `<00:00:01.000>`."""
    for block in re.split(r"\n{2,}", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        index = next((n for n, line in enumerate(lines[:2]) if "-->" in line), None)
        if index is None:
            continue  # the header, a note, a style
        times = _VTT_TIMES.match(lines[index].strip())
        if times is None:
            raise ValueError(f"got {lines[index]!r} as times; allowed: MM:SS.mmm --> MM:SS.mmm")
        numbers = times.groups()
        at, ends = _clock_seconds(numbers[:4]), _clock_seconds(numbers[4:])
        first, *stamped = _VTT_STAMP.split(" ".join(lines[index + 1 :]))
        parts = [(at, first)]
        for place in range(0, len(stamped), 5):
            parts.append((_clock_seconds(tuple(stamped[place : place + 4])), stamped[place + 4]))
        for (begins, said), following in zip(parts, [*parts[1:], None], strict=True):
            until = following[0] if following else ends
            yield _TimedLine(html.unescape(_MARKUP.sub("", said)), begins, until)


def _clock_seconds(parts: Sequence[str | None]) -> Seconds:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return (int(hours) * 60 + int(minutes)) * 60 + int(seconds) + Fraction(int(fraction), 10 ** len(fraction))


def _ass_words(text: str) -> Iterator[_TimedLine]:
    lines = [
        line.partition(":")[2].split(",", 9) for line in text.splitlines() if line.startswith("Dialogue:")
    ]
    whole = sorted((line for line in lines if len(line) == 10), key=lambda line: _ass_seconds(line[1]))
    for line, following in zip(whole, [*whole[1:], None], strict=True):
        begins, ends = _ass_seconds(line[1]), _ass_seconds(line[2])
        body = line[9].replace("\\N", " ").replace("\\n", " ").replace("\\h", " ")
        if not _KARAOKE.search(body):
            yield _TimedLine(_ASS_TAG.sub("", body), begins, ends)
            continue
        at = begins
        limit = max(begins, _ass_seconds(following[1])) if following is not None else None
        _, *tagged = _ASS_TAG.split(body)
        for tags, spoken in zip(tagged[::2], tagged[1::2], strict=True):
            lasts = sum((Fraction(int(value), 100) for value in _KARAOKE.findall(tags)), Fraction(0))
            until = at + lasts
            if limit is None:
                yield _TimedLine(spoken, at, until)
            else:
                cut = until > limit + OVERLAP_TOLERANCE_S
                yield _TimedLine(spoken, min(at, limit), min(until, limit), cut=cut)
            at = until


def _ass_seconds(text: str) -> Seconds:
    match = _ASS_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"got {text!r} as a time; allowed: H:MM:SS.CC")
    return _clock_seconds(match.groups())


_READERS: Final = {"JSON": _whisper_words, "SRT": _srt_words, "ASS": _ass_words, "WebVTT": _vtt_words}
