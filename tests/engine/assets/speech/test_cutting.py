"""Texts cut into pieces that fit: at sentences, else clauses, words, letters."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.assets.speech.cutting import cut_text


def pieces(text: str, limit: int, language: str = "en") -> list[str]:
    places = cut_text(text, language=language, fits=lambda at, end: end - at <= limit)
    return [text[at:end] for at, end in places]


def test_sentences_stay_whole_and_share_a_piece_that_has_room() -> None:
    text = "One is here. Two is here. Three is here."
    assert pieces(text, 100) == [text]
    assert pieces(text, 26) == ["One is here. Two is here.", "Three is here."]
    assert pieces(text, 15) == ["One is here.", "Two is here.", "Three is here."]


def test_a_long_sentence_is_cut_at_a_clause_a_word_or_a_letter() -> None:
    assert pieces("The boat came home, and the lamp was lit.", 30) == [
        "The boat came home,",
        "and the lamp was lit.",
    ]
    assert pieces("The boat came home and the lamp was lit.", 20) == [
        "The boat came home",
        "and the lamp was",
        "lit.",
    ]
    assert pieces("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert pieces("灯台の灯がともった。船が帰った。", 10, "ja") == ["灯台の灯がともった。", "船が帰った。"]


@settings(max_examples=60, deadline=None)
@given(st.text("ab .,!\u3002灯é", max_size=80), st.integers(1, 30))
def test_nothing_but_blanks_is_lost_and_every_piece_fits(text: str, limit: int) -> None:
    places = cut_text(text, language="en", fits=lambda at, end: end - at <= limit)
    assert all(0 < end - at <= limit for at, end in places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    kept = "".join(text[at:end] for at, end in places)
    assert "".join(kept.split()) == "".join(text.split())
