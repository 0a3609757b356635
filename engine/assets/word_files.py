"""Files that say when the words of a recording are heard: Whisper's JSON, SRT, and ASS with or without karaoke tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
_ASS_TAG: Final = re.compile(r"\{([^}]*)\}")
_KARAOKE: Final = re.compile(r"\\[kK][fo]?(\d+)")
_MARKUP: Final = re.compile(r"<[^>]*>")


class WrittenWord(NamedTuple):
    """A word of a file, and when it is heard, in seconds of the recording."""

    text: str
    begins: Seconds
    ends: Seconds


def read_word_file(path: Path, *, duration: Seconds, files: InputFiles) -> tuple[WrittenWord, ...]:
    """Return the words of a file, for a recording that lasts `duration` seconds.

    The words of a line that has only one pair of times share it by their letters. Raises AssetError, naming the file and the
    first wrong word: unreadable, of no known format, without words, words out of order or beyond the recording.
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
        words = tuple(_READERS[content.name](text))
    except (ValueError, TypeError, KeyError) as error:
        raise wrong(f"is no {content.name} file of words: {error}") from error
    if not words:
        raise wrong("has no words")
    before = Fraction(0)
    for number, word in enumerate(words, start=1):
        at = f"word {number} ({word.text!r}) is heard from {float(word.begins):g} s to {float(word.ends):g} s"
        if word.ends < word.begins:
            raise wrong(f"{at}; it must end after it begins")
        if word.begins < before:
            raise wrong(f"{at}, but the word before it begins at {float(before):g} s; words must be in order")
        if word.ends > duration + END_TOLERANCE_S:
            raise wrong(f"{at}, but the recording lasts {float(duration):.2f} s")
        before = word.begins
    return words


def _line_words(text: str, begins: Seconds, ends: Seconds) -> Iterator[WrittenWord]:
    for word in shared_words(words_of(text), begins, ends):
        yield WrittenWord(text[word.start : word.stop], word.begins, word.ends)


def _whisper_words(text: str) -> Iterator[WrittenWord]:
    data = json.loads(text)
    if isinstance(data, list):
        data = {"words": data}
    listed = data.get("words")
    if isinstance(listed, list):
        yield from map(_json_word, listed)
        return
    segments = data.get("segments")
    if not isinstance(segments, list):
        raise ValueError("allowed: `words`, or `segments` with words or a text (as Whisper writes them)")
    for segment in segments:
        if segment.get("words"):
            yield from map(_json_word, segment["words"])
        else:
            yield from _line_words(
                str(segment["text"]), _json_seconds(segment, "start"), _json_seconds(segment, "end")
            )


def _json_word(entry: Any) -> WrittenWord:
    if not isinstance(entry, dict):
        raise ValueError(f"got {entry!r} as a word; allowed: an object with word, start and end")
    text = entry.get("word", entry.get("text"))
    if not isinstance(text, str):
        raise ValueError(f"got {text!r} as a word; allowed: text")
    return WrittenWord(text.strip(), _json_seconds(entry, "start"), _json_seconds(entry, "end"))


def _json_seconds(entry: dict[str, Any], key: str) -> Seconds:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ValueError(f"got {value!r} as {key!r}; allowed: seconds")
    return Fraction(value).limit_denominator(1_000_000)


def _srt_words(text: str) -> Iterator[WrittenWord]:
    cues = list(_SRT_TIMES.finditer(text.replace("\r\n", "\n")))
    body = text.replace("\r\n", "\n")
    for cue, following in zip(cues, [*cues[1:], None], strict=True):
        # The line before the next times is that cue's number.
        lines = body[cue.end() : following.start() if following else len(body)].strip("\n").split("\n")
        if following is not None and lines[-1].strip().isdigit():
            lines.pop()
        numbers = cue.groups()
        yield from _line_words(
            _MARKUP.sub("", " ".join(lines)), _clock_seconds(numbers[:4]), _clock_seconds(numbers[4:])
        )


def _clock_seconds(parts: tuple[str, ...]) -> Seconds:
    hours, minutes, seconds, fraction = parts
    return (int(hours) * 60 + int(minutes)) * 60 + int(seconds) + Fraction(int(fraction), 10 ** len(fraction))


def _ass_words(text: str) -> Iterator[WrittenWord]:
    lines = [
        line.partition(":")[2].split(",", 9) for line in text.splitlines() if line.startswith("Dialogue:")
    ]
    for line in sorted((line for line in lines if len(line) == 10), key=lambda line: _ass_seconds(line[1])):
        begins, ends = _ass_seconds(line[1]), _ass_seconds(line[2])
        body = line[9].replace("\\N", " ").replace("\\n", " ").replace("\\h", " ")
        if not _KARAOKE.search(body):
            yield from _line_words(_ASS_TAG.sub("", body), begins, ends)
            continue
        at = begins
        _, *tagged = _ASS_TAG.split(body)
        for tags, spoken in zip(tagged[::2], tagged[1::2], strict=True):
            lasts = sum((Fraction(int(value), 100) for value in _KARAOKE.findall(tags)), Fraction(0))
            yield from _line_words(spoken, at, at + lasts)
            at += lasts


def _ass_seconds(text: str) -> Seconds:
    match = _ASS_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"got {text!r} as a time; allowed: H:MM:SS.CC")
    return _clock_seconds(match.groups())


_READERS: Final = {"JSON": _whisper_words, "SRT": _srt_words, "ASS": _ass_words}
