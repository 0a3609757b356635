"""Tags and hashtags."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.story.keywords import (
    GENERAL_HASHTAGS,
    MAX_TAGS,
    extract_tags,
    make_hashtags,
)

STORY = (
    "Elara had kept the lighthouse on Marrow Rock for forty years. Every night she climbed the 212 steps and lit the "
    "lamp. One evening a ship answered her signal. Elara followed the ship out over the ice, and the lighthouse burned "
    "alone behind her. Lighthouses don’t forget Elara's voice."
)


def test_tags_are_the_genre_and_the_most_frequent_words_of_the_story() -> None:
    tags = extract_tags(STORY, genre="mystery", title="The Lighthouse Keeper", language="en")
    assert tags[0] == "mystery"
    assert tags[1] == "lighthouse"
    assert {"Elara", "keeper", "ship"} <= set(tags)


def test_stop_words_numbers_possessives_and_plurals_make_no_tags() -> None:
    tags = {tag.casefold() for tag in extract_tags(STORY, genre="mystery", language="en")}
    assert not tags & {"the", "every", "don't", "don’t", "212", "elara's", "lighthouses", "her"}


def test_tags_are_the_same_each_time_and_never_more_than_ten() -> None:
    text = " ".join(f"unusual{chr(97 + i)}word" for i in range(26))
    first = extract_tags(text, genre="drama", language="en")
    assert len(first) == MAX_TAGS
    assert first == extract_tags(text, genre="drama", language="en")
    assert first[1] == "unusualaword", "words that weigh the same keep their order"


def test_a_genre_that_is_also_a_keyword_is_one_tag() -> None:
    tags = extract_tags("A mystery is a Mystery is a MYSTERY.", genre="Mystery", language="en")
    assert tags == ["Mystery"]


def test_the_genre_of_stories_without_one_is_no_tag() -> None:
    assert extract_tags("The lantern.", genre="general", language="en") == ["lantern"]
    assert "#general" not in make_hashtags("general", ["lantern"])


@pytest.mark.parametrize(
    ("language", "text", "tag"),
    [
        ("de", "Der Holzfäller ging in den Wald. Der Wald war still.", "Wald"),
        ("es", "La torre guardaba un secreto. Nadie subía la torre.", "torre"),
        ("ru", "Смотритель зажёг маяк. Маяк горел всю ночь.", "маяк"),
        ("ja", "人間というものを見た。人間は猫を知らない。", "人間"),
        ("hi", "रात में समुद्र बोला। समुद्र ने जवाब दिया।", "समुद्र"),
        ("ar", "أجاب البحر على النداء. كان البحر هادئا.", "البحر"),
        ("th", "เรือแล่นในทะเล ทะเลสงบ ทะเลสวย", "ทะเล"),
    ],
)
def test_the_commonest_word_of_any_language_comes_first(language: str, text: str, tag: str) -> None:
    found = extract_tags(text, genre="general", language=language)
    assert found[0].casefold() == tag.casefold()


def test_hashtags_are_the_genre_the_first_tags_then_the_general_ones() -> None:
    hashtags = make_hashtags(
        "time travel", ["time travel", "clock", "sci-fi", "John", "tea", "cold", "never"]
    )
    assert hashtags == ["#TimeTravel", "#clock", "#SciFi", "#John", "#tea", "#cold", *GENERAL_HASHTAGS]


def test_hashtags_come_once_whatever_their_case() -> None:
    hashtags = make_hashtags("Storytelling", ["Storytelling", "CREATIVE", "creative"])
    assert hashtags == ["#Storytelling", "#CREATIVE", "#shortfilm"]


@given(genre=st.text(min_size=1, max_size=30), tags=st.lists(st.text(max_size=20), max_size=12))
def test_any_words_make_valid_hashtags(genre: str, tags: list[str]) -> None:
    hashtags = make_hashtags(genre, tags)
    assert hashtags[-len(GENERAL_HASHTAGS) :] == list(GENERAL_HASHTAGS) or len(hashtags) > len(
        GENERAL_HASHTAGS
    )
    assert len({hashtag.casefold() for hashtag in hashtags}) == len(hashtags)
    for hashtag in hashtags:
        assert hashtag[0] == "#"
        assert any(c.isalpha() for c in hashtag)
        assert all(c == "_" or c.isdecimal() or unicodedata.category(c)[0] in "LM" for c in hashtag[1:])


@given(text=st.text(max_size=300), language=st.sampled_from(["en", "de", "ja", "xx"]))
def test_any_text_gives_at_most_ten_different_tags(text: str, language: str) -> None:
    tags = extract_tags(text, genre="drama", title=text[:20], language=language)
    assert tags[0] == "drama"
    assert len(tags) <= MAX_TAGS
    assert len({tag.casefold() for tag in tags}) == len(tags)
