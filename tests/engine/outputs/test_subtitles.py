"""Subtitles are read back by FFmpeg's own demuxers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.common.spoken_words import SpokenWord
from video_pipeline.engine.outputs.subtitles import Cue, cues, to_srt, to_vtt
from video_pipeline.engine.timeline import AudioTrack, Caption, Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import TextStyle
from video_pipeline.filters.typeset.characters import sanitise

FPS = Fraction(30)
LINE_COLUMNS, LINES = 42, 2
"""What players show and guidelines for subtitles allow."""
LONG = (
    "The lighthouse keeper climbed the stairs for the last time, and in the lamp room, where the glass was thick "
    "with salt, he found a letter addressed to nobody at all. He read it twice. Then he lit the lamp."
)
JAPANESE = (
    "吾輩は猫である。名前はまだ無い。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
)
THAI = "สวัสดีชาวโลก นี่คือเรื่องราวของเด็กหญิงคนหนึ่งที่ออกเดินทางไปยังดินแดนอันไกลโพ้นเพื่อค้นหาความหมายของชีวิต"
ARABIC = "عاش حارس منارة وحيد على شاطئ بعيد، وكان يشعل النور كل ليلة للسفن التائهة في البحر الأسود الكبير."


def narrated(
    text: str, *, at: Fraction = Fraction(1, 4), seconds: Fraction = Fraction(8), scene: str = "s0"
) -> AudioTrack:
    return AudioTrack("narration", Path("voice.wav"), "", at, seconds, scene_id=scene, text=text)


def captioned(text: str, start: int, stop: int, *, scene: str = "s0") -> Caption:
    return Caption(scene, text, FrameRange(start, stop), TextStyle(), "Noto Sans")


def timeline(
    *, frames: int = 300, audio: tuple[AudioTrack, ...] = (), captions: tuple[Caption, ...] = ()
) -> Timeline:
    clip = Clip("s0", FrameRange(0, frames), Still(Path("a.png"), 9, 16, ""))
    return Timeline(1080, 1920, FPS, "t", (clip,), captions=captions, audio=audio)


def columns(line: str) -> int:
    """Count columns: 2 for a wide character, 0 for a combining mark. Only for text without joined emoji or flags."""
    marks = ("Mn", "Me", "Cf")
    return sum(
        0 if unicodedata.category(c) in marks else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


def cut(text: str, *, seconds: Fraction = Fraction(60)) -> list[str]:
    """Return the texts of a narration's cues; sentences end only at `. `."""
    return [
        cue.text
        for cue in cues(timeline(frames=3000, audio=(narrated(text, seconds=seconds),)), language="en")
    ]


def words_of(found: tuple[Cue, ...]) -> str:
    return "".join("".join(cue.text.split()) for cue in found)


def demuxed(path: Path) -> list[tuple[Fraction, Fraction, str]]:
    """Return (start, stop, text) of each cue as FFmpeg reads the file."""
    read = []
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.duration is not None and packet.time_base is not None:
                start = packet.pts * packet.time_base
                read.append((start, start + packet.duration * packet.time_base, bytes(packet).decode()))
    return read


def test_no_cue_and_no_line_ends_in_an_abbreviation() -> None:
    text = "the very old keeper of the lighthouse took the bus to Room No. 2 " * 5
    lines = [line for piece in cut(text.strip() + ".") for line in piece.split("\n")]
    assert len(lines) > 5
    assert not any(line.endswith("No.") for line in lines)


def test_narration_is_spread_over_the_time_it_is_spoken() -> None:
    found = cues(timeline(audio=(narrated(LONG),)), language="en")
    assert len(found) > 2
    assert found[0].start == Fraction(1, 4)
    assert found[-1].stop == Fraction(33, 4)
    assert all(before.stop == after.start for before, after in pairwise(found))
    assert words_of(found) == "".join(LONG.split())


def test_time_follows_the_number_of_letters() -> None:
    text = "Twelve words stand in this sentence, which is the longer one. Five are in this one here."
    first, second = cues(timeline(audio=(narrated(text, seconds=Fraction(9)),)), language="en")
    letters = [len("".join(cue.text.split())) for cue in (first, second)]
    assert (first.stop - first.start) / (second.stop - second.start) == pytest.approx(letters[0] / letters[1])


def test_cues_begin_with_their_first_words_if_it_is_known_when_those_are_heard() -> None:
    text = "It cost $1,250,000. Nobody paid.\nThe lamp went out, and the keeper climbed the stairs again."
    spans = [(m.start(), m.end()) for m in re.finditer(r"\S+", text)]
    words = tuple(
        SpokenWord(start, stop, Fraction(begins), Fraction(begins) + Fraction(1, 2))
        for (start, stop), begins in zip(spans, [0, "0.5", 1, 6, "6.5", *range(8, 20)], strict=False)
    )
    track = replace(narrated(text, seconds=Fraction(30)), words=words)
    found = cues(timeline(frames=1000, audio=(track,)), language="en")
    assert [(cue.start, cue.stop, cue.text.split()[0]) for cue in found] == [
        (Fraction(1, 4), Fraction(25, 4), "It"),
        (Fraction(25, 4), Fraction(33, 4), "Nobody"),
        (Fraction(33, 4), Fraction(121, 4), "The"),
    ]


def test_cues_shorter_than_a_second_are_joined_by_the_times_of_their_words() -> None:
    text = "Why? Nobody knows."
    words = (
        SpokenWord(0, 4, Fraction(0), Fraction(1, 2)),
        SpokenWord(5, 11, Fraction(3, 4), Fraction(2)),
        SpokenWord(12, 18, Fraction(2), Fraction(3)),
    )
    track = replace(narrated(text, seconds=Fraction(3)), words=words)
    assert [cue.text for cue in cues(timeline(audio=(track,)), language="en")] == [text]
    later = tuple(replace(word, begins=word.begins * 2, ends=word.ends * 2) for word in words)
    track = replace(narrated(text, seconds=Fraction(6)), words=later)
    assert [cue.text for cue in cues(timeline(audio=(track,)), language="en")] == ["Why?", "Nobody knows."]


def test_narration_hides_the_caption_of_its_scene_and_of_no_other() -> None:
    found = cues(
        timeline(
            audio=(narrated("Spoken words.", seconds=Fraction(2)),),
            captions=(captioned("Shown words.", 0, 90), captioned("Silent scene.", 90, 300, scene="s1")),
        ),
        language="en",
    )
    assert [cue.text for cue in found] == ["Spoken words.", "Silent scene."]
    assert (found[1].start, found[1].stop) == (Fraction(3), Fraction(10))


def test_captions_that_overlap_in_a_transition_do_not_overlap_as_cues() -> None:
    found = cues(
        timeline(captions=(captioned("One.", 0, 160), captioned("Two.", 140, 300, scene="s1"))), language="en"
    )
    assert [(cue.start, cue.stop) for cue in found] == [
        (Fraction(0), Fraction(140, 30)),
        (Fraction(140, 30), Fraction(10)),
    ]


def test_nothing_lasts_past_the_end_of_the_video() -> None:
    found = cues(
        timeline(frames=60, audio=(narrated(LONG, at=Fraction(1), seconds=Fraction(30)),)), language="en"
    )
    assert found[-1].stop == Fraction(2)
    assert words_of(found) == "".join(LONG.split())


def test_a_short_sentence_gets_a_second_if_there_is_time() -> None:
    text = f"Yes. {LONG[:80]}"
    found = cues(timeline(audio=(narrated(text, seconds=Fraction(9)),)), language="en")
    assert min(cue.stop - cue.start for cue in found) >= 1


def test_a_sentence_is_parted_at_its_clauses() -> None:
    first = cues(timeline(audio=(narrated(LONG),)), language="en")[0]
    assert first.text.endswith("in the lamp room,")


@pytest.mark.parametrize(("language", "text"), [("en", LONG), ("ja", JAPANESE), ("th", THAI), ("ar", ARABIC)])
def test_every_script_keeps_its_letters_and_its_line_length(language: str, text: str) -> None:
    found = cues(timeline(audio=(narrated(text),)), language=language)
    assert words_of(found) == "".join(text.split())
    for cue in found:
        lines = cue.text.split("\n")
        assert len(lines) <= LINES
        assert max(map(columns, lines)) <= LINE_COLUMNS


def test_the_language_is_detected_if_it_is_not_given() -> None:
    line = timeline(
        audio=(narrated("Dr. Weber kam z. B. um 3 Uhr. Er ging früh nach Hause, weil es schneite."),)
    )
    assert cues(line) == cues(line, language="de")


LETTERS = "aaaa bbb,. \n<>&-漢字ﾃ가\u0301"
"""Narrow, wide and half-width letters, a mark, markup and blanks: by character their columns are 1, 2 and 0."""


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=LETTERS, min_size=1, max_size=400), frames=st.integers(1, 600))
def test_lines_of_any_words_have_at_most_42_columns_and_cues_two_lines(text: str, frames: int) -> None:
    found = cues(timeline(frames=600, captions=(captioned(text, 600 - frames, 600),)), language="en")
    for cue in found:
        lines = cue.text.split("\n")
        assert 1 <= len(lines) <= LINES
        assert all(0 < columns(line) <= LINE_COLUMNS or not columns(line.strip("\u0301")) for line in lines)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(
        alphabet=st.one_of(st.characters(), st.sampled_from(LETTERS + "ا𝔘")), min_size=1, max_size=400
    ),
    frames=st.integers(1, 600),
)
def test_any_text_gives_cues_that_keep_its_letters_and_never_overlap(text: str, frames: int) -> None:
    whole = timeline(frames=600, captions=(captioned(text, 600 - frames, 600),))
    found = cues(whole, language="en")
    clean = sanitise(text, has_glyph=lambda _: False).replace("\ufffd", "")
    assert words_of(found) == "".join(clean.split())
    assert all(1 <= len(cue.text.split("\n")) <= LINES for cue in found)
    times = [time for cue in found for time in (cue.start, cue.stop)]
    assert times == sorted(times)
    assert all(cue.start < cue.stop for cue in found)
    assert all(0 <= time <= whole.duration for time in times)


A, B = "a" * 42, "b" * 42


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        (A, [A]),
        (A + "a", [f"{A}\na"]),
        ("a" * 20 + " " + "b" * 21, ["a" * 20 + " " + "b" * 21]),
        ("a" * 21 + " " + "b" * 21, ["a" * 21 + "\n" + "b" * 21]),
        (f"{A} {B}", [f"{A}\n{B}"]),
        (f"{A} {B} c", [A, f"{B}\nc"]),
        ("漢" * 21, ["漢" * 21]),
        ("漢" * 22, ["漢" * 11 + "\n" + "漢" * 11]),
        ("a\u0301" * 42, ["a\u0301" * 42]),
        ("a\u0301" * 43, ["a\u0301" * 42 + "\na\u0301"]),
        ("one  two\n three", ["one two three"]),
    ],
    ids=lambda value: str(len(value)),
)
def test_a_line_has_42_columns_and_a_cue_two_lines(text: str, texts: list[str]) -> None:
    assert cut(text) == texts


@pytest.mark.parametrize(
    ("first", "second", "third", "after"),
    [
        # Between the halves that are nearest in length, and a clause's end 10, 12, 14 columns off that.
        ("a" * 15 + ",", "b" * 4, "c" * 21, 1),
        ("a" * 15 + ",", "b" * 5, "c" * 22, 1),
        ("a" * 15 + ",", "b" * 6, "c" * 23, 2),
        ("a" * 21, "b" * 3 + ",", "c" * 16, 2),
        ("a" * 22, "b" * 4 + ",", "c" * 16, 1),
        ("a" * 23, "b" * 5 + ",", "c" * 16, 1),
    ],
)
def test_two_lines_break_at_a_clause_if_that_is_less_than_12_columns_worse(
    first: str, second: str, third: str, after: int
) -> None:
    words = [first, second, third]
    assert cut(" ".join(words)) == [" ".join(words[:after]) + "\n" + " ".join(words[after:])]


@pytest.mark.parametrize(
    "mark", [*",;:…،؛、，；：—–", ",'", ',"', ",”", ",’", ",»", ",)", ",]", ",」", ",』"]
)
def test_lines_break_after_every_mark_that_ends_a_clause(mark: str) -> None:
    assert cut(f"{'a' * 15}{mark} bbbb {'c' * 22}") == [f"{'a' * 15}{mark}\nbbbb {'c' * 22}"]


def test_a_long_sentence_is_halved_at_the_clause_nearest_its_middle_or_else_at_a_word() -> None:
    words = [letter * 9 for letter in "abcdefghijkl"]
    assert cut(" ".join(words)) == [
        " ".join(words[:3]) + "\n" + " ".join(words[3:6]),
        " ".join(words[6:9]) + "\n" + " ".join(words[9:]),
    ]
    clause = [*words[:4], words[4] + ",", *words[5:]]
    assert cut(" ".join(clause))[0].replace("\n", " ") == " ".join(clause[:5])
    early = [*words[:2], words[2] + ",", *words[3:]]  # a quarter of the way: near enough
    assert cut(" ".join(early))[0].replace("\n", " ") == " ".join(early[:3])
    too_early = [words[0], words[1] + ",", *words[2:]]
    assert cut(" ".join(too_early))[0].replace("\n", " ") == " ".join(too_early[:6])


@pytest.mark.parametrize(
    "words",
    [
        ["a" * 28 + ",", *(letter * 9 for letter in "bcdefghi"), "j" * 10],
        [*(letter * 9 for letter in "abcdefgh"), "i" * 8 + ",", "j" * 30],
    ],
)
def test_a_clause_is_looked_for_from_a_quarter_to_three_quarters_of_the_way(words: list[str]) -> None:
    assert len(" ".join(words)) == 120
    after = next(index for index, word in enumerate(words) if word.endswith(",")) + 1
    assert len(" ".join(words[:after]) + " ") in (30, 90)
    found = [text.replace("\n", " ") for text in cut(" ".join(words))]
    assert " ".join(words[:after]) in (found[0], " ".join(found[:-1]))


def test_a_sentence_is_not_split_at_a_clause_near_its_end() -> None:
    words = [*(letter * 9 for letter in "abcdefgh"), "i" * 9 + ",", "j" * 29]
    assert len(" ".join(words[:9]) + " ") == 91
    found = [text.replace("\n", " ") for text in cut(" ".join(words))]
    assert " ".join(words[:9]) != found[0]
    assert found[0] == " ".join(words[:6])


FULL = f"{'a' * 42} {'b' * 41}."
"""A sentence that fills two lines, so that nothing is joined to it."""


@pytest.mark.parametrize(
    ("text", "seconds", "lengths"),
    [
        (f"{FULL} Hi.", 4, [3, 1]),
        (f"{FULL} B", 850, [840, 10]),
        (f"{FULL} Hi.", 2, [1, 1]),
        (f"{FULL} Hi.", 1, [Fraction(1, 2), Fraction(1, 2)]),
        (f"{FULL} {FULL}", 4, [2, 2]),
        (f"{FULL} {'c' * 41}.", 9, [Fraction(9 * 84, 126), Fraction(9 * 42, 126)]),
        (f"{FULL} Hi. {FULL}", 5, [2, 1, 2]),
        (f"{FULL} {'c' * 20}. {FULL}", 189, [84, 21, 84]),
    ],
)
def test_time_is_shared_by_columns_and_none_has_less_than_a_second_while_others_have_more(
    text: str, seconds: int, lengths: list[Fraction]
) -> None:
    track = narrated(text, at=Fraction(0), seconds=Fraction(seconds))
    found = cues(timeline(frames=30 * seconds, audio=(track,)), language="en")
    assert [cue.stop - cue.start for cue in found] == lengths


def test_subtitles_too_short_to_be_read_are_joined_if_both_fit() -> None:
    assert cut("One. Two. Three.", seconds=Fraction(14, 5)) == ["One. Two.", "Three."]
    assert cut("One. Two. Three.", seconds=Fraction(60)) == ["One.", "Two.", "Three."]
    assert cut("One. Two. Three.", seconds=Fraction(1)) == ["One. Two. Three."]
    late = narrated("One. Two. Three.", at=Fraction(50), seconds=Fraction(1))
    assert len(cues(timeline(frames=3000, audio=(late,)), language="en")) == 1


def test_a_short_sentence_is_joined_to_a_long_one_beside_it() -> None:
    long = "c" * 30 + "."
    assert cut(f"Hi. {long}", seconds=Fraction(5)) == [f"Hi. {long}"]
    assert cut(f"Hi. {long}", seconds=Fraction(60)) == ["Hi.", long]
    assert cut(f"{long} {long} Hi.", seconds=Fraction(10)) == [long, f"{long} Hi."]


def test_sentences_of_wide_letters_are_joined_without_a_blank_and_others_with_one() -> None:
    track = narrated("猫だ。犬だ。", at=Fraction(0), seconds=Fraction(1))
    assert [cue.text for cue in cues(timeline(audio=(track,)), language="ja")] == ["猫だ。犬だ。"]
    assert cut("A cat. A dog.", seconds=Fraction(1)) == ["A cat. A dog."]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(0, 100), (60, 160)], [(0, 60), (60, 160)]),
        ([(0, 100), (0, 200)], [(0, 50), (50, 200)]),
        ([(0, 100), (20, 80)], [(0, 40), (40, 80)]),
        ([(0, 100), (50, 100)], [(0, 50), (50, 100)]),
        ([(0, 100), (100, 200)], [(0, 100), (100, 200)]),
        ([(0, 100), (120, 200)], [(0, 100), (120, 200)]),
        ([(0, 100), (10, 40)], [(0, 20), (20, 40)]),
        ([(0, 100), (60, 160), (120, 200)], [(0, 60), (60, 120), (120, 200)]),
        ([(0, 50), (60, 200), (70, 120)], [(0, 50), (60, 90), (90, 120)]),
        ([(250, 400)], [(250, 300)]),
        ([(300, 400)], []),
    ],
)
def test_captions_in_each_other_s_way_share_the_time(
    ranges: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    shown = tuple(captioned("Words.", start, stop, scene=f"s{start}-{stop}") for start, stop in ranges)
    found = cues(timeline(frames=300, captions=shown), language="en")
    assert [(cue.start * 30, cue.stop * 30) for cue in found] == expected


def test_cues_are_in_the_order_of_their_times_whatever_the_order_of_the_scenes() -> None:
    shown = (captioned("Later.", 100, 200, scene="a"), captioned("Sooner.", 0, 100, scene="b"))
    assert [cue.text for cue in cues(timeline(captions=shown), language="en")] == ["Sooner.", "Later."]


def test_only_narration_with_words_is_spoken() -> None:
    music = AudioTrack("music", Path("m.wav"), "", Fraction(0), Fraction(5), scene_id="s0", text="Not these.")
    blank = narrated(" \n ", scene="s0")
    shown = (captioned("These.", 0, 90),)
    found = cues(timeline(audio=(music, blank), captions=shown), language="en")
    assert [cue.text for cue in found] == ["These."]


def test_the_files_are_these_letters() -> None:
    found = (
        Cue(Fraction(0), Fraction(1), "one\ntwo"),
        Cue(Fraction(3661), Fraction(3661_2345, 10_000), "a & b < c > d"),
    )
    assert to_srt(found) == (
        "1\n00:00:00,000 --> 00:00:01,000\none\ntwo\n\n2\n01:01:01,000 --> 01:01:01,235\na & b < c > d\n"
    )
    assert to_vtt(found) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\none\ntwo\n\n"
        "01:01:01.000 --> 01:01:01.235\na &amp; b &lt; c &gt; d\n"
    )


def test_srt_is_read_back_to_the_millisecond(tmp_path: Path) -> None:
    found = cues(timeline(audio=(narrated(LONG),)), language="en")
    path = tmp_path / "a.srt"
    path.write_text(to_srt(found), encoding="utf-8")
    read = demuxed(path)
    assert [text for _, _, text in read] == [cue.text for cue in found]
    for (start, stop, _), cue in zip(read, found, strict=True):
        assert abs(start - cue.start) <= Fraction(1, 2000)
        assert abs(stop - cue.stop) <= Fraction(1, 2000)


def test_vtt_is_read_back_with_its_escapes(tmp_path: Path) -> None:
    found = (Cue(Fraction(1, 3), Fraction(2), "if a < b & b > c\n1 --> 2 <b>"),)
    path = tmp_path / "a.vtt"
    path.write_text(to_vtt(found), encoding="utf-8")
    assert demuxed(path) == [
        (Fraction(333, 1000), Fraction(2), "if a &lt; b &amp; b &gt; c\n1 --&gt; 2 &lt;b&gt;")
    ]


def test_markup_in_a_story_is_words_in_srt(tmp_path: Path) -> None:
    found = (
        Cue(Fraction(0), Fraction(1), "<i>not italic</i> {\\an8}"),
        Cue(Fraction(1), Fraction(2), "a --> b"),
    )
    text = to_srt(found)
    assert "<i>" not in text
    assert "{\\" not in text
    assert text.count("-->") == 2
    path = tmp_path / "a.srt"
    path.write_text(text, encoding="utf-8")
    assert [words.replace("\u2060", "") for _, _, words in demuxed(path)] == [cue.text for cue in found]


@pytest.mark.parametrize(("write", "ending"), [(to_srt, "srt"), (to_vtt, "vtt")])
def test_blank_lines_and_control_characters_never_end_a_cue(
    write: Callable[[Sequence[Cue]], str], ending: str, tmp_path: Path
) -> None:
    found = (Cue(Fraction(0), Fraction(1), "one\n\n \x00\r\ntwo\x07"), Cue(Fraction(1), Fraction(2), "three"))
    path = tmp_path / f"a.{ending}"
    path.write_text(write(found), encoding="utf-8")
    assert [text for _, _, text in demuxed(path)] == ["one\ntwo", "three"]


def test_times_are_rounded_and_hours_are_written() -> None:
    found = (
        Cue(Fraction(2, 3), Fraction(59_9996, 10_000), "a"),
        Cue(Fraction(360_000), Fraction(360_001), "b"),
    )
    assert "00:00:00,667 --> 00:01:00,000\n" in to_srt(found)
    assert "100:00:00.000 --> 100:00:01.000\n" in to_vtt(found)


def test_milliseconds_and_halves_of_surrogates() -> None:
    found = (
        Cue(Fraction(0), Fraction(999, 1000), "a\ud800b"),
        Cue(Fraction(59999, 1000), Fraction(61), "\x00c"),
    )
    assert to_srt(found) == ("1\n00:00:00,000 --> 00:00:00,999\nab\n\n2\n00:00:59,999 --> 00:01:01,000\nc\n")


def test_a_silent_timeline_without_captions_has_empty_files() -> None:
    found = cues(timeline())
    assert found == ()
    assert to_srt(found) == ""
    assert to_vtt(found) == "WEBVTT\n"


def test_two_items_of_a_list_that_share_a_cue_have_a_line_each() -> None:
    assert cut("• oil for the lamp\n• a map", seconds=Fraction(3, 2)) == ["• oil for the lamp\n• a map"]


def test_sentences_of_one_line_that_share_a_cue_stay_on_one_line() -> None:
    assert cut("Oil for the lamp. A map.", seconds=Fraction(3, 2)) == ["Oil for the lamp. A map."]
