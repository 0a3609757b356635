"""Plain text split into sentences and scenes, by the rules of its language."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from video_pipeline.engine.story.splitting import (
    SCENE_UNITS,
    block_mark,
    paragraphs,
    sentences,
    split_into_scenes,
    word_units,
)

SENTENCES = {
    "abbreviations": (
        "en",
        "Dr. Smith left the U.S. in Jan. 1990, e.g. by boat. Mr. and Mrs. Jones stayed. It was 3.5 miles away.",
        [
            "Dr. Smith left the U.S. in Jan. 1990, e.g. by boat.",
            "Mr. and Mrs. Jones stayed.",
            "It was 3.5 miles away.",
        ],
    ),
    "quotes": (
        "en",
        '"Is it you?" she asked. He said: "No. Never!" Then he left.',
        ['"Is it you?" she asked.', 'He said: "No. Never!"', "Then he left."],
    ),
    "Spanish": (
        "es",
        "¿Dónde estás? ¡Ven aquí! El Sr. García llegó tarde.",
        ["¿Dónde estás?", "¡Ven aquí!", "El Sr. García llegó tarde."],
    ),
    "German": (
        "de",
        "Er kam am 3. Mai an, d. h. zu spät. Niemand wartete.",
        ["Er kam am 3. Mai an, d. h. zu spät.", "Niemand wartete."],
    ),
    "Hindi": (
        "hi",
        "यह एक कहानी है। वह घर गया। क्या तुम ठीक हो?",
        ["यह एक कहानी है।", "वह घर गया।", "क्या तुम ठीक हो?"],
    ),
    "Japanese": (
        "ja",
        "吾輩は猫である。名前はまだ無い。どこで生れたか？",
        ["吾輩は猫である。", "名前はまだ無い。", "どこで生れたか？"],
    ),
    "Chinese": ("zh", "他走了。没有人知道。", ["他走了。", "没有人知道。"]),
    "Arabic": (
        "ar",
        "هل أنت بخير؟ نعم. ذهب الولد إلى البيت.",
        ["هل أنت بخير؟", "نعم.", "ذهب الولد إلى البيت."],
    ),
    "a language without rules": ("xx", "One is here. Two is there.", ["One is here.", "Two is there."]),
    "paragraphs": (
        "en",
        "A heading\n\n\nThe first line\nof a sentence. Two.\n \n",
        ["A heading", "The first line of a sentence.", "Two."],
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentences_end_by_the_rules_of_the_language(name: str) -> None:
    language, text, expected = SENTENCES[name]
    assert sentences(text, language=language) == expected


def test_an_empty_text_has_no_sentences_and_no_scenes() -> None:
    for text in ("", "\n\n \n", "\u3000"):
        assert sentences(text, language="en") == []
        assert split_into_scenes(text, language="en", limit=5000) == []


THAI = "สวัสดีชาวโลก นี่คือเรื่องราวของเด็กหญิงคนหนึ่งที่ออกเดินทางไปยังดินแดนอันไกลโพ้นเพื่อค้นหาความหมายของชีวิต"
STORY = (
    "For forty years Dr. Elias Smith kept the lighthouse at Gull Point. He never spoke of the storm. One night the "
    "fog lay thick. A boat drifted in, without sails, without oars, without a lantern, turning slowly on the black "
    "water as if somebody were looking for the way, and nobody was in it. Only a map. He climbed the stairs."
)


def test_short_sentences_share_a_scene_and_long_ones_are_broken_at_clauses() -> None:
    scenes = split_into_scenes(STORY, language="en", limit=5000)
    assert scenes == [
        "For forty years Dr. Elias Smith kept the lighthouse at Gull Point.",
        "He never spoke of the storm. One night the fog lay thick.",
        "A boat drifted in, without sails, without oars, without a lantern,",
        "turning slowly on the black water as if somebody were looking for the way, and nobody was in it. "
        "Only a map. He climbed the stairs.",
    ]
    assert all(word_units(scene) <= SCENE_UNITS[1] for scene in scenes)


def test_paragraphs_never_share_a_scene() -> None:
    text = "It was late.\n\nHe ran\nhome. Quickly.\n \n\nThe end."
    assert split_into_scenes(text, language="en", limit=5000) == [
        "It was late.",
        "He ran home. Quickly.",
        "The end.",
    ]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\v", "\f", "\x85", "\u2028"], ids=repr)
def test_lines_end_in_every_way_that_unicode_knows(end: str) -> None:
    text = f"The lamp is lit.{end}{end}The sea is calm.{end}{end}- a rope{end}- a boat"
    expected = ["The lamp is lit.", "The sea is calm.", "- a rope\n- a boat"]
    assert split_into_scenes(text, language="en", limit=5000) == expected
    assert split_into_scenes("One lamp.\u2029Two lamps.", language="en", limit=5000) == [
        "One lamp.",
        "Two lamps.",
    ]


@pytest.mark.parametrize("marks", ["‣‣", "◦◦", "▪▪", "●●", "––", "——", "・・", "①②"])
def test_items_have_many_marks(marks: str) -> None:
    lines = [f"{marks[0]} a rope", f"{marks[1]} a boat"]
    assert split_into_scenes("\n".join(lines), language="en", limit=5000) == ["\n".join(lines)]
    assert [block_mark(line).strip() for line in lines] == list(marks)


def test_letters_and_numbers_in_parentheses_begin_items() -> None:
    for text in ("a) a rope\nb) a boat", "(1) a rope\n(2) a boat"):
        assert split_into_scenes(text, language="en", limit=5000) == [text]
    assert split_into_scenes("He said\n(I know) that.", language="en", limit=5000) == [
        "He said (I know) that."
    ]


def test_items_of_a_list_are_sentences_on_separate_lines() -> None:
    text = "# To bake\nYou need:\n- 2 eggs\n- 1 cup\n  of milk\n\n1. Mix Dr. Smith's eggs. Well.\n2. Bake."
    assert split_into_scenes(text, language="en", limit=5000) == [
        "# To bake\nYou need:\n- 2 eggs\n- 1 cup of milk",
        "1. Mix Dr. Smith's eggs. Well.\n2. Bake.",
    ]
    assert sentences(text, language="en")[-3:] == ["1. Mix Dr. Smith's eggs.", "Well.", "2. Bake."]


@pytest.mark.parametrize("text", ["He came on the\n3. May", "5\n- 3 is 2", "#one of\n#many", "-x and\n- y"])
def test_a_continued_line_is_not_an_item(text: str) -> None:
    assert paragraphs(text) == [[text.replace("\n", " ")]]


def test_a_sentence_without_commas_is_broken_between_words() -> None:
    words = [f"word{n}" for n in range(100)]
    scenes = split_into_scenes(" ".join(words) + ".", language="en", limit=5000)
    assert " ".join(scenes) == " ".join(words) + "."
    assert all(word_units(scene) <= SCENE_UNITS[1] for scene in scenes)


def test_thai_is_broken_between_words_and_never_before_a_vowel_sign() -> None:
    scenes = split_into_scenes(THAI * 6, language="th", limit=5000)
    assert len(scenes) > 8
    assert all(word_units(scene) <= SCENE_UNITS[1] for scene in scenes)
    assert not any(unicodedata.category(scene[0]).startswith("M") for scene in scenes)
    assert scenes[:2] == [
        "สวัสดีชาวโลก นี่คือเรื่องราวของเด็กหญิงคนหนึ่งที่ออกเดินทางไปยัง",
        "ดินแดนอันไกลโพ้นเพื่อค้นหาความหมายของชีวิตสวัสดีชาวโลก",
    ]


def test_japanese_sentences_share_a_scene_without_a_space() -> None:
    assert split_into_scenes("猫である。名前は無い。", language="ja", limit=5000) == [
        "猫である。名前は無い。"
    ]


def test_korean_and_latin_sentences_keep_their_space() -> None:
    assert split_into_scenes("고양이가 갔다. 그리고 잤다.", language="ko", limit=5000) == [
        "고양이가 갔다. 그리고 잤다."
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 5000, 1), ("a" * 12_001, 3), ("e\u0301" * 6000, 3), ("a" + "\u0301" * 20_000, 5)],
)
def test_one_endless_word_is_cut_at_the_limit(text: str, count: int) -> None:
    scenes = split_into_scenes(text, language="en", limit=5000)
    assert "".join(scenes) == text
    assert len(scenes) == count
    assert max(map(len, scenes)) <= 5000


def test_letters_keep_their_accents_when_a_word_is_cut() -> None:
    for scene in split_into_scenes("xe\u0301" * 100, language="en", limit=10):
        assert not scene.startswith("\u0301")


def squeezed(text: str) -> str:
    return "".join(text.split())


ALPHABET = st.characters(codec="utf-8") | st.sampled_from(
    "aA .,;!?\n。、؟।\u200d\u0301👩กาเ漢あ한\u202e\u00a0"
)


@settings(deadline=None)
@given(st.text(ALPHABET, max_size=300), st.sampled_from(["en", "es", "hi", "ja", "ar", "th", "zh", "xx"]))
@example("a. " * 100, "en")
@example("0" * 30 + " " + "0" * 60 + " 0", "en")
@example("\x1c\x1d.\x85\u2028\u2029", "en")
def test_nothing_is_lost_and_no_scene_is_over_the_limit(text: str, language: str) -> None:
    scenes = split_into_scenes(text, language=language, limit=40)
    assert squeezed("".join(scenes)) == squeezed(text)
    assert all(0 < len(scene) <= 40 for scene in scenes)
    assert all(scene == scene.strip() for scene in scenes)


def test_words_are_counted_by_spaces_or_by_letters() -> None:
    assert word_units("one two  three") == 3
    assert word_units("") == 0
    assert word_units("名前はまだ無い") == pytest.approx(1 + 7 / 3)
