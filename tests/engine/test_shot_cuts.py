"""Where a scene is cut into shots: at ends of clauses, and never in a transition."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.common.spoken_words import SpokenWord, words_of
from video_pipeline.engine.shot_cuts import Pauses, shot_cuts, speech_pauses
from video_pipeline.engine.timing import FrameRange

FPS = Fraction(30)


def cuts(frames: int, *, most: int = 105, before: int = 0, after: int = 0, **pauses: list[int]) -> list[int]:
    return shot_cuts(
        FrameRange(100, 100 + frames),
        most_frames=most,
        before=before,
        after=after,
        pauses=Pauses(**pauses),
        fps=FPS,
    )


def test_without_words_shots_are_of_equal_length() -> None:
    assert cuts(105) == []
    assert cuts(106) == [153]
    assert cuts(300) == [200, 300]


def test_a_cut_is_at_the_end_of_a_clause_near_the_middle_or_else_at_a_word() -> None:
    assert cuts(200, clauses=[205], words=[199, 205]) == [205]
    assert cuts(200, clauses=[110], words=[110, 197, 203]) == [197]


@settings(deadline=None)
@given(
    frames=st.integers(1, 900),
    most=st.integers(15, 200),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
    words=st.lists(st.integers(100, 1000), max_size=40),
    clauses=st.lists(st.integers(100, 1000), max_size=10),
)
def test_shots_are_neither_too_long_nor_cut_in_a_transition(
    frames: int, most: int, before: int, after: int, words: list[int], clauses: list[int]
) -> None:
    found = cuts(frames, most=most, before=before, after=after, words=words, clauses=clauses)
    ends = [100, *found, 100 + frames]
    shots = [stop - start for start, stop in pairwise(ends)]
    assert all(100 + before <= at <= 100 + frames - after for at in found)
    least = min(most // 2, 30)
    if found:
        assert min(shots) >= least
    if not before and not after:
        assert max(shots) <= max(most, 2 * least)


def test_pauses_are_at_marks_and_ends_of_lines_but_not_at_abbreviations() -> None:
    text = "Dr. Smith came home, and\nslept. Then he left"
    words = [
        SpokenWord(start, stop, Fraction(index), Fraction(index + 1))
        for index, (start, stop) in enumerate(words_of(text))
    ]
    found = speech_pauses(text, words, start=Fraction(1), fps=FPS, language="en")
    spoken = [text[word.start : word.stop] for word in words]
    assert list(found.words) == [30 * (index + 1) for index in range(1, len(words))]
    assert [spoken[frame // 30 - 1] for frame in found.clauses] == ["and", "slept.", "Then"]
