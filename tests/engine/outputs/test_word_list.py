"""The list of words: every letter of the narration once, in order, with times of its own."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.word_times import (
    Heard,
    shared_times,
    shown_times,
    spoken_word_places,
)
from video_pipeline.engine.common.spoken_words import SpokenWord
from video_pipeline.engine.outputs.ass import to_ass
from video_pipeline.engine.outputs.subtitles import Cue, cues, to_srt, word_list
from video_pipeline.engine.timeline import AudioTrack, Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange

RATE_HZ = 8000

TEXTS = [
    ("en", "Pick 10–20 of them, and see example.com/x now."),
    ("en", "Pick — 3 of https://example.com/a?b=c, “now”!"),
    ("en", "See www.a-b.co.uk/p/q?r=s or mail a.b@c-d.org; it’s 5°C – 10^5 m."),
    (
        "en",
        "Go to https://example.com/a/very/long/path/that/goes/on/and/on/until/it/fills/more/than/two/lines/of/"
        "a/cue?x=1&y=2 now.",
    ),
    ("en", "A" * 120 + " end."),
    ("en", "The wo\u200brd is he\u2060re, co\u00adoperate, a\ufeffb now."),
    ("en", "1. One item\n2. Two items\n\n# Ch. IV\n\nHe paid $1,250.50 on 12/05/2024 🎉 — “why?”"),
    ("de", "Er kam um 10:30 Uhr, z. B. am Montag, d. h. am 3. Mai 1985 für 5 €."),
    ("fr", "Il est 8 h 05 et c’est le n° 5 : « Louis XIV », 3,5 km."),
    ("es", "¿Son las 8:30 h? Cuesta 5 € – 10 €, el 3 de mayo de 2024."),
    ("ar", "اختر 5–7 منها، ثم اذهب."),
    ("hi", "राम के पास ५ सेब हैं। फिर वह 10–20 लाया।"),
    ("zh", "我有5个苹果，你有3个。"),
    ("zh", "我有很多苹果，你有一个。"),
    ("ja", "2024年5月12日、東京で3人と会いました。「はい」と言った。"),
    ("th", "ฉันมีแอปเปิ้ล 5–7 ลูกและกล้วย"),
    ("ko", "나는 사과 5–7개를 가지고 있다."),
]


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def made(
    text: str, *, language: str, seconds: Fraction, told: bool = False
) -> tuple[tuple[SpokenWord, ...], tuple[Cue, ...], Timeline]:
    """Return the words, the cues and the timeline of a text that is spoken for so long."""
    spoken = spoken_text(text, language=language)
    count = round(seconds * RATE_HZ)
    sound = np.where(np.arange(count) % (RATE_HZ * 2) < RATE_HZ * 17 // 10, 9000, 0).astype("<i2")
    heard: tuple[Heard, ...] = shared_times(spoken, sound, RATE_HZ)
    if told:  # as a voice does that tells nothing about some words
        found = spoken_word_places(spoken.text, 0, len(spoken.text))
        step = seconds / max(1, len(found))
        heard = tuple(Heard(*place, n * step, (n + 1) * step) for n, place in enumerate(found) if n % 3 != 1)
    words = shown_times(spoken, heard)
    track = AudioTrack(
        "narration", Path("voice.wav"), "", Fraction(0), seconds, scene_id="s", text=text, words=words
    )
    clip = Clip("s", FrameRange(0, round(seconds * 30)), Still(Path("a.png"), 9, 16, ""))
    timeline = Timeline(1080, 1920, Fraction(30), "t", (clip,), audio=(track,))
    return words, cues(timeline, language=language), timeline


def check(text: str, found: tuple[Cue, ...]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = word_list(found)["words"]
    assert letters("".join(word["word"] for word in listed)) == letters(text)
    assert not any("\n" in word["word"] for word in listed)
    times = [(word.begins, word.ends) for cue in found for word in cue.words]
    assert all(begins < ends for begins, ends in times)
    assert all(before[1] <= after[0] for before, after in pairwise(times))
    return listed


@pytest.mark.parametrize("told", [False, True], ids=["by shares", "by some marks"])
@pytest.mark.parametrize(("language", "text"), TEXTS)
def test_every_letter_of_a_narration_is_in_one_word_that_has_a_time(
    language: str, text: str, told: bool
) -> None:
    words, found, timeline = made(text, language=language, seconds=Fraction(12), told=told)
    listed = check(text, found)
    assert all(word["start"] < word["end"] for word in listed)
    assert len(words) == len(listed)
    tags = [int(tag) for tag in re.findall(r"\\k(\d+)\}(?=[^{]*\w)", to_ass(found, timeline))]
    assert len(tags) >= sum(bool(re.search(r"\w", word["word"])) for word in listed)
    assert all(tags)


PIECES = st.sampled_from(
    [piece for _, text in TEXTS for piece in text.split()]
    + ["—", "🎉", "\n", "5–7", "a/b/c-d?e=f", "$5", "½", "n° 5", "z. B.", "\u200b", "'s", "…", "(", "2024年"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["en", "de", "fr", "it", "zh", "ja", "th", "ar", "hi"]),
    st.lists(PIECES, min_size=1, max_size=14),
    st.integers(2, 40),
    st.booleans(),
)
def test_any_pieces_of_any_language_keep_their_letters(
    language: str, pieces: list[str], seconds: int, told: bool
) -> None:
    text = " ".join(pieces)
    words, found, _ = made(text, language=language, seconds=Fraction(seconds), told=told)
    if words:
        check(text, found)


def test_chinese_and_japanese_have_the_words_of_the_word_breaker() -> None:
    for language, text, expected in (
        ("zh", "我有5个苹果，你有3个。", ["我有", "5个", "苹果，", "你有", "3个。"]),
        ("ja", "東京で3人と会いました。", ["東京で", "3人と", "会", "いました。"]),
    ):
        words, found, _ = made(text, language=language, seconds=Fraction(5))
        assert [word["word"] for word in word_list(found)["words"]] == expected
        assert len(words) == len(expected)


def test_a_word_that_lines_or_cues_divide_is_one_word() -> None:
    url = "https://example.com/a/very/long/path/that/goes/on/and/on?x=1"
    _, found, _ = made(f"See {url} now.", language="en", seconds=Fraction(8))
    assert [word["word"] for word in word_list(found)["words"]] == ["See", url, "now."]
    _, found, _ = made("A" * 120 + " end.", language="en", seconds=Fraction(12))
    assert len(found) > 1
    assert all(cue.words for cue in found)
    assert [word["word"] for word in word_list(found)["words"]] == ["A" * 120, "end."]


def test_invisible_characters_divide_no_word_and_are_in_no_subtitle() -> None:
    _, found, _ = made(
        "The wo\u200brd is he\u2060re, co\u00adop, a\ufeffb now.", language="en", seconds=Fraction(5)
    )
    assert "The word is here, coop, ab now." in to_srt(found)
    assert [word["word"] for word in word_list(found)["words"]] == [
        "The", "word", "is", "here,", "coop,", "ab", "now.",
    ]  # fmt: skip
    _, thai, _ = made("ฉัน\u200bมี\u200bแมว", language="th", seconds=Fraction(5))
    assert "ฉันมีแมว" in to_srt(thai)


def test_pauses_in_chinese_are_matched_with_its_punctuation() -> None:
    text = "我有5个苹果，你有3个。"
    spoken = spoken_text(text, language="zh")
    envelope = np.concatenate([np.ones(200), np.zeros(100), np.ones(200)]).astype(np.float32)
    words = shown_times(spoken, shared_times(spoken, envelope, 100))
    comma = next(index for index, word in enumerate(words) if "，" in text[word.start : word.stop])
    assert words[comma].ends == pytest.approx(2, abs=0.05)
    assert words[comma + 1].begins == pytest.approx(3, abs=0.05)
