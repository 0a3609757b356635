"""Words of a story's lexicon that are spoken nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from video_pipeline.engine.assets.lexicon_use import lexicon_warnings
from video_pipeline.engine.config import Config
from video_pipeline.engine.story import parse_story, story_scenes


def warnings_of(content: str, own: dict[str, str], *, language: str = "en", **tts: Any) -> tuple[str, ...]:
    story = parse_story(
        {"title": "T", "content": content, "lexicon": own, "metadata": {"language": language}}
    )
    return lexicon_warnings(story, story_scenes(story), config=Config().override("tts", **tts))


@pytest.mark.parametrize(
    ("content", "lexicon", "language"),
    [
        ("Nike's shoes cost $5.", {"nike": "nykey", "shoes": "/ʃuːz/"}, "en"),
        ("In New\nYork.", {"New York": "noo york"}, "en"),
        ("A 3.5 mm jack", {"3.5 mm": "headphone"}, "en"),
        ("東京へ行く。", {"東京": "とうきょう"}, "ja"),
        ("No words", {}, "en"),
    ],
)
def test_words_that_are_spoken_are_no_warning(content: str, lexicon: dict[str, str], language: str) -> None:
    assert warnings_of(content, lexicon, language=language) == ()


def test_words_that_no_scene_speaks_are_named() -> None:
    assert warnings_of("The owl flew.", {"owls": "oulz", "owl": "oul", "Siobhán": "/ʃɪˈvɔːn/"}) == (
        "field 'lexicon': 'owls', 'Siobhán': no scene speaks them",
    )
    many = {f"word{n}x": "w" for n in range(12)}
    assert warnings_of("The owl flew.", many)[0].endswith("'word9x' and 2 more: no scene speaks them")


def test_a_word_in_other_capitals_is_explained() -> None:
    assert warnings_of("The nike logo", {"NIKE": "nykey"}) == (
        "field 'lexicon': 'NIKE': no scene speaks it; 'NIKE' is found only as it is written, 'nike' in any capitals",
    )


def test_a_word_inside_a_longer_one_of_the_configuration_is_not_spoken_alone() -> None:
    (warning,) = warnings_of("New York", {"york": "yawk"}, lexicon={"new york": "noo york"})
    assert "'york': no scene speaks it" in warning


def test_the_configurations_lexicon_and_a_silent_video_are_no_warning() -> None:
    assert warnings_of("The owl flew.", {}, lexicon={"cat": "kat"}) == ()
    assert warnings_of("The owl flew.", {"cat": "kat"}, service="none") == ()
