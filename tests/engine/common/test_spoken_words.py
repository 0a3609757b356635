"""Words of a text, where they are, and their times carried over to another text."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.common.spoken_words import (
    SpokenWord,
    carried_over,
    moved,
    places,
    shared_words,
    time_at,
    words_of,
)

TEXT = "One small boat — 🎉 drifted."
WORDS = tuple(
    SpokenWord(start, stop, Fraction(begins), Fraction(begins + 1))
    for (start, stop), begins in zip([(0, 3), (4, 9), (10, 14), (19, 27)], [0, 1, 2, 5], strict=True)
)


def test_pieces_are_found_in_order_and_blanks_do_not_count() -> None:
    assert places(["the", "the end", "!"], "the  the\nend ?!") == [(0, 3), (5, 12), (14, 15)]
    assert places(["x", "b"], "abc") == [(0, 0), (1, 2)]


def test_words_stand_between_blanks_or_where_lines_may_break() -> None:
    assert [TEXT[a:b] for a, b in words_of(TEXT)] == ["One", "small", "boat", "—", "🎉", "drifted."]
    assert ["吾輩は猫である。"[a:b] for a, b in words_of("吾輩は猫である。")] == ["吾輩は", "猫で", "ある。"]
    assert words_of("  ") == []


def test_a_character_is_heard_in_the_course_of_its_word_or_as_the_next_one_begins() -> None:
    assert time_at(WORDS, 0) == 0
    assert time_at(WORDS, 12) == Fraction(5, 2)
    assert time_at(WORDS, 17) == 5
    assert time_at(WORDS, 99) == 6


def test_the_same_text_keeps_its_times_and_another_one_those_of_the_words_that_match() -> None:
    assert carried_over(WORDS, TEXT, to=TEXT) == WORDS
    assert [(w.begins, w.ends) for w in carried_over(WORDS, TEXT, to="One boat drifted!")] == [
        (0, 1),
        (2, 3),
        (5, 6),
    ]
    between = carried_over(WORDS, TEXT, to="One big red boat drifted")
    assert [(w.begins, w.ends) for w in between] == [
        (0, 1),
        (1, Fraction(3, 2)),
        (Fraction(3, 2), 2),
        (2, 3),
        (5, 6),
    ]
    assert carried_over(WORDS, TEXT, to="Something else entirely") == ()
    assert carried_over((), TEXT, to=TEXT) == ()


def test_words_share_a_time_by_their_letters_and_move() -> None:
    words = shared_words([(0, 1), (2, 5)], Fraction(2), Fraction(4))
    assert [(w.begins, w.ends) for w in words] == [(2, Fraction(5, 2)), (Fraction(5, 2), 4)]
    assert moved(words, characters=3, seconds=Fraction(1))[0] == SpokenWord(3, 4, Fraction(3), Fraction(7, 2))


@given(st.text("ab 🎉—猫。\n", max_size=40), st.text("ab 🎉—猫。\n", max_size=40))
def test_any_two_texts_give_words_in_order(text: str, to: str) -> None:
    words = shared_words(words_of(text), Fraction(0), Fraction(9)) if words_of(text) else []
    found = carried_over(words, text, to=to)
    at, begins = 0, Fraction(0)
    for word in found:
        assert at <= word.start < word.stop <= len(to)
        assert begins <= word.begins <= word.ends <= 9
        at, begins = word.stop, word.ends
