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
    found = read_word_file(path, duration=Fraction(duration), files=ANY_FILES).words
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


def test_tags_of_ass_in_an_srt_file_are_no_words(tmp_path: Path) -> None:
    text = SRT.replace("<i>One</i> two", "{\\an8}One {\\i1}two{\\i0}")
    assert words(tmp_path, text) == words(tmp_path, SRT)


def test_karaoke_tags_time_the_words_of_a_line_and_lines_are_sorted(tmp_path: Path) -> None:
    assert words(tmp_path, ASS) == [("One", 0.5, 0.7), ("two", 0.7, 1.5), ("three", 2, 3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ([("One", 0.5, 1), ("5", None, None), ("two", 2, 3)], [("One", 0.5, 1), ("5", 1, 2), ("two", 2, 3)]),
        (
            [("One", 0, 1), ("5", None, None), ("$10", None, None), ("two", 3, 4)],
            [("One", 0, 1), ("5", 1, 1.5), ("$10", 1.5, 3), ("two", 3, 4)],
        ),
        (
            [("5", None, None), ("two", 2, 3), ("7", None, None)],
            [("5", 1.6, 2), ("two", 2, 3), ("7", 3, 3.4)],
        ),
        ([("a", 0, None), ("b", None, 2), ("c", None, 3)], [("a", 0, 1), ("b", 1, 2), ("c", 2, 3)]),
        ([("a", 0, 2), ("5", None, None), ("b", 2, 3)], [("a", 0, 2), ("5", 2, 2), ("b", 2, 3)]),
    ],
)
def test_a_word_without_times_has_the_time_between_its_neighbours(
    tmp_path: Path,
    text: list[tuple[str, float | None, float | None]],
    expected: list[tuple[str, float, float]],
) -> None:
    entries = [
        {"word": word} | {key: at for key, at in (("start", start), ("end", end)) if at is not None}
        for word, start, end in text
    ]
    assert words(tmp_path, json.dumps(entries)) == expected
    nulls = [{"word": word, "start": start, "end": end} for word, start, end in text]
    assert words(tmp_path, json.dumps({"segments": [{"start": 1.6, "end": 3.4, "words": nulls}]})) == expected


def test_what_ends_after_the_next_begins_is_cut_there_with_a_warning(tmp_path: Path) -> None:
    times = "00:00:00{0}100 --> 00:00:02{0}000\nThe lamp\n\n{1}00:00:01{0}000 --> 00:00:03{0}000\nis lit\n"
    line = "Dialogue: 0,0:00:0{},0:00:0{},Default,,0,0,0,,{}\n"
    head = ASS.split("Dialogue", maxsplit=1)[0]
    overlapping = [
        "1\n" + times.format(",", "2\n"),
        head + line.format("0.10", "2.00", "The lamp") + line.format("1.00", "3.00", "is lit"),
        json.dumps(
            {
                "segments": [
                    {"start": 0.1, "end": 2, "text": "The lamp"},
                    {"start": 1, "end": 3, "text": "is lit"},
                ]
            }
        ),
    ]
    for text in overlapping:
        found = words(tmp_path, text)
        assert [word for word, _, _ in found] == ["The", "lamp", "is", "lit"]
        assert found[0][1] == 0.1
        assert found[1][2] == found[2][1] == 1
        read = read_word_file(tmp_path / "words", duration=Fraction(9), files=ANY_FILES)
        assert read.warning == (
            f"{tmp_path / 'words'}: word 1 ('The') is heard from 0.1 s to 2 s, after the next begins, and is cut there; "
            "times must not overlap"
        )
    karaoke = line.format("0.00", "2.00", "{\\k50}The {\\k100}lamp {\\k50}was") + line.format(
        "1.00", "2.00", "lit"
    )
    assert words(tmp_path, head + karaoke) == [
        ("The", 0, 0.5), ("lamp", 0.5, 1), ("was", 1, 1), ("lit", 1, 2),
    ]  # fmt: skip
    listed = whisper(("The", 0, 1), ("lamp", 0.5, 2), ("is", 1.98, 3))
    assert words(tmp_path, listed) == [("The", 0, 0.5), ("lamp", 0.5, 1.98), ("is", 1.98, 3)]
    warning = read_word_file(tmp_path / "words", duration=Fraction(9), files=ANY_FILES).warning
    assert warning is not None
    assert "more like it" not in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no list of words; allowed: ASS, JSON, SRT, WebVTT"),
        ("One two three", "is no list of words; allowed: ASS, JSON, SRT, WebVTT"),
        ("{", "is no list of words; allowed: ASS, JSON, SRT, WebVTT"),
        ('{"words": [', "is no JSON file of words: "),
        ("[playlist]", "is no list of words; allowed: ASS, JSON, SRT, WebVTT"),
        ("[]", "has no words"),
        (SRT.replace("<i>One</i> two", "\u200b").replace("three\r\n7", "\u200b"), "has no words"),
        ("{}", "is no JSON file of words: allowed: `words`, or `segments`"),
        (
            '{"segments": [{"words": [3]}]}',
            "is no JSON file of words: word 1: got 3 as a word; allowed: an object",
        ),
        (
            '[{"word": "a", "start": "0", "end": 1}]',
            "is no JSON file of words: word 1 ('a'): got '0' as 'start'; allowed: seconds",
        ),
        (
            '[{"word": "a", "start": -1, "end": 1}]',
            "is no JSON file of words: word 1 ('a'): got -1 as 'start'; allowed: seconds",
        ),
        (
            '[{"word": "a", "start": NaN, "end": 1}]',
            "is no JSON file of words: word 1 ('a'): got nan as 'start'; allowed: seconds",
        ),
        (
            '{"segments": [{"words": [{"word": "a", "start": 0, "end": 1}]}, {"words": [{"word": "b", "end": true}]}]}',
            "is no JSON file of words: word 2 ('b'): got True as 'end'; allowed: seconds",
        ),
        ('[{"word": "a"}, {"word": "b"}]', "is no JSON file of words: no word has a time"),
        ('{"segments": [3]}', "is no JSON file of words: segment 1: got 3; allowed: an object"),
        (
            '{"segments": [{"start": 0, "end": 1}]}',
            "is no JSON file of words: segment 1: got None as 'text'; allowed: text, or a list of words",
        ),
        ('{"segments": [{"start": 0, "text": "a"}]}', "is no JSON file of words: segment 1: has no end"),
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


def test_webvtt_times_words_by_its_timestamps_or_by_its_cues(tmp_path: Path) -> None:
    text = (
        "\ufeffWEBVTT - a title\r\n\r\nNOTE made --\r\n\r\nfirst\r\n00:00.500 --> 00:01.500 align:start\r\n"
        "<v Mary><c>One</c> <00:00:00.700><c>R&amp;B</c>\r\n\r\n00:00:02.000 --> 00:00:03.000\r\nto\r\nus\r\n"
    )
    expected = [("One", 0.5, 0.7), ("R&B", 0.7, 1.5), ("to", 2, 2.5), ("us", 2.5, 3)]
    assert words(tmp_path, text) == expected


def test_wrong_times_in_webvtt_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"is no WebVTT file of words: got '1 --> 2' as times"):
        words(tmp_path, "WEBVTT\n\n1 --> 2\nOne\n")
