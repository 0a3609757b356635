"""Files of words: Whisper's JSON, SRT, ASS; and what is wrong with them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from video_pipeline.engine.assets.word_files import read_word_file
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.errors import AssetError

SRT = "1\r\n00:00:00,500 --> 00:00:01,500\r\n<i>One</i> two\r\n\r\n2\r\n00:00:02,000 --> 00:00:03,000\r\nthree\r\n7\r\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
    "MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,{\\an8}three\n"
    "Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\k20}One {\\kf80}two\n"
)


def words(folder: Path, text: str, *, duration: float = 10) -> list[tuple[str, float, float]]:
    path = folder / "words"
    path.write_text(text, encoding="utf-8")
    found = read_word_file(path, duration=Fraction(duration), files=ANY_FILES)
    return [(word.text, round(float(word.begins), 3), round(float(word.ends), 3)) for word in found]


def whisper(*entries: tuple[str, float, float]) -> str:
    listed = [
        {"word": f" {word}", "start": start, "end": end, "probability": 0.9} for word, start, end in entries
    ]
    return json.dumps({"text": "…", "segments": [{"id": 0, "words": listed}], "language": "en"})


def test_whisper_gives_the_times_of_each_word_in_each_of_its_forms(tmp_path: Path) -> None:
    entries = (("One", 0.5, 0.75), ("two", 0.75, 1.5))
    assert words(tmp_path, whisper(*entries)) == list(entries)
    listed = [{"word": word, "start": start, "end": end} for word, start, end in entries]
    assert words(tmp_path, "\ufeff" + json.dumps(listed)) == list(entries)
    assert words(tmp_path, json.dumps({"words": listed})) == list(entries)
    segments = {"segments": [{"start": 1, "end": 2, "text": " aa bbb "}, {"start": 3, "end": 4, "text": "c"}]}
    assert words(tmp_path, json.dumps(segments)) == [("aa", 1, 1.4), ("bbb", 1.4, 2), ("c", 3, 4)]


def test_the_words_of_a_cue_share_its_time_and_a_last_line_may_be_a_number(tmp_path: Path) -> None:
    assert words(tmp_path, SRT) == [("One", 0.5, 1), ("two", 1, 1.5), ("three", 2, 2.833), ("7", 2.833, 3)]


def test_karaoke_tags_time_the_words_of_a_line_and_lines_are_sorted(tmp_path: Path) -> None:
    assert words(tmp_path, ASS) == [("One", 0.5, 0.7), ("two", 0.7, 1.5), ("three", 2, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no list of words; allowed: ASS, JSON, SRT"),
        ("One two three", "is no list of words; allowed: ASS, JSON, SRT"),
        ("{", "is no list of words; allowed: ASS, JSON, SRT"),
        ('{"words": [', "is no JSON file of words: "),
        ("[playlist]", "is no list of words; allowed: ASS, JSON, SRT"),
        ("[]", "has no words"),
        ("{}", "is no JSON file of words: allowed: `words`, or `segments`"),
        ('{"segments": [{"words": [3]}]}', "is no JSON file of words: got 3 as a word; allowed: an object"),
        (
            '[{"word": "a", "start": "0", "end": 1}]',
            "is no JSON file of words: got '0' as 'start'; allowed: seconds",
        ),
        (
            '[{"word": "a", "start": -1, "end": 1}]',
            "is no JSON file of words: got -1 as 'start'; allowed: seconds",
        ),
        (
            '[{"word": "a", "start": NaN, "end": 1}]',
            "is no JSON file of words: got nan as 'start'; allowed: seconds",
        ),
        (whisper(("a", 1, 0.5)), "word 1 ('a') is heard from 1 s to 0.5 s; it must end after it begins"),
        (
            whisper(("a", 2, 3), ("b", 1, 1.5)),
            "word 2 ('b') is heard from 1 s to 1.5 s, but the word before it begins at 2 s; words must be in order",
        ),
        (whisper(("a", 2, 11)), "word 1 ('a') is heard from 2 s to 11 s, but the recording lasts 10.00 s"),
        (
            ASS.replace("0:00:02.00", "soon"),
            "is no ASS file of words: got 'soon' as a time; allowed: H:MM:SS.CC",
        ),
    ],
)
def test_a_wrong_file_of_words_is_an_error_that_names_the_word(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(AssetError) as caught:
        words(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'words'}: {message}")


def test_other_files_than_text_and_missing_ones_are_errors(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(AssetError, match=r"words: is not UTF-8 \(byte 7\)"):
        read_word_file(tmp_path / "words", duration=Fraction(1), files=ANY_FILES)
    with pytest.raises(AssetError, match="gone: does not exist"):
        read_word_file(tmp_path / "gone", duration=Fraction(1), files=ANY_FILES)
