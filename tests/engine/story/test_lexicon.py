"""The pronunciation lexicon: what is allowed, and whose entry wins."""

from __future__ import annotations

import pytest

from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.story.lexicon import merged


@pytest.mark.parametrize("said", ["Shi-vawn", "/ʃɪˈvɔːn/", "/t͡ʃɑ̃/", "gee 8", "/ˈnaɪ.ki/", "/çɪ/", "シ"])
def test_a_word_is_spoken_as_another_spelling_or_as_ipa(said: str) -> None:
    assert parse_story({"title": "t", "content": "c", "lexicon": {"Siobhán": said}}).lexicon == {
        "Siobhán": said
    }
    assert load_config({"tts": {"lexicon": {"Siobhán": said}}}).tts.lexicon == {"Siobhán": said}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("/HELLO/", "'H' is no letter of the International Phonetic Alphabet; allowed: IPA between slashes"),
        ("/he5/", "'5' is no letter of the International Phonetic Alphabet"),
        ("/ˈ./", "with at least one sound"),
        ("/hɛ", "one of them is missing"),
        ("…", "allowed: another spelling with letters or digits, or IPA between slashes"),
        ("a\x00b", "allowed: another spelling"),
        ("", "allowed: another spelling"),
    ],
)
def test_anything_else_is_an_error_that_names_the_word(said: str, why: str) -> None:
    with pytest.raises(StoryError, match=r"lexicon") as in_story:
        parse_story({"title": "t", "content": "c", "lexicon": {"Nike": said}})
    with pytest.raises(ConfigError, match=r"tts\.lexicon") as in_config:
        load_config({"tts": {"lexicon": {"Nike": said}}})
    for error in (in_story, in_config):
        assert why in str(error.value)
        assert "Nike" in str(error.value)
        assert repr(said) in str(error.value)


@pytest.mark.parametrize("word", ["", " ", "…", "a\nb", " a", "x" * 101])
def test_a_word_has_letters_and_no_control_characters(word: str) -> None:
    with pytest.raises(StoryError, match="lexicon"):
        parse_story({"title": "t", "content": "c", "lexicon": {word: "a"}})


def test_the_entry_of_the_story_wins() -> None:
    assert merged({"nike": "a", "Gull": "b"}, {"Nike": "c"}) == {"Gull": "b", "Nike": "c"}
