"""Where sentences end, and where they do not."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets.speech.cutting import cut_text
from video_pipeline.engine.story.sentence_ends import is_abbreviated, sentence_pieces
from video_pipeline.engine.story.splitting import sentences, split_into_scenes


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "See Fig. 3 and vol. 2 in Room No. 2."),
        ("en", "It is approx. 5 km to Ft. Worth."),
        ("en", "Read Ch. 4, pp. 3-5, Ext. 22, Apt. 3."),
        ("en", "Then came Dr. Who and Mr. He."),
        ("fr", "Le chap. 2 de M. Dupont."),
        ("it", "Il sig. Rossi abita al n. 5."),
        ("pt", "O Sr. Silva mora no n. 5."),
        ("ru", "Дом на ул. Ленина, д. 5."),
    ],
)
def test_an_abbreviation_before_a_number_or_a_name_ends_no_sentence(language: str, text: str) -> None:
    assert sentences(text, language=language) == [text]
    assert cut_text(text, language=language, fits=lambda start, stop: stop - start <= len(text)) == (
        (0, len(text)),
    )


@pytest.mark.parametrize("text", ["He lives on Elm Dr. She left.", "Is it vol. 2? Yes. 5 came."])
def test_a_sentence_that_ends_still_ends(text: str) -> None:
    pieces = sentence_pieces(text, language="en")
    assert len(pieces) > 1
    assert "".join(pieces) == text


def test_no_scene_ends_in_an_abbreviation() -> None:
    text = "The very old keeper of the lighthouse took the bus to Room No. 2 " * 6
    scenes = split_into_scenes(text.strip() + ".", language="en", limit=70)
    assert len(scenes) > 3
    assert not any(scene.endswith("No.") for scene in scenes)


def test_a_dot_after_a_word_is_an_abbreviation_and_an_ellipsis_is_not() -> None:
    assert is_abbreviated("No.")
    assert not is_abbreviated("wait...")
    assert not is_abbreviated("wait,")
    assert not is_abbreviated(".")
