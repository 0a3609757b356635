"""Where a scene with one still is cut into shots: at ends of clauses, so that no still is shown for too long."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from video_pipeline.engine.common.spoken_words import SpokenWord, places
from video_pipeline.engine.story.splitting import CLAUSE_END, sentences
from video_pipeline.engine.timing import FrameRange, Seconds, frames_round

LEAST_SHOT_SECONDS: Final = 1
"""No shot is shorter, unless a still may be shown for less than two of them."""

OFF_EVEN: Final = Fraction(2, 5)
"""How far a clause's end may be from an even cut, as a part of an even shot, if it makes one shot more necessary."""


class Pauses(NamedTuple):
    """The frames at which words of a scene begin: those after the end of a clause, and all."""

    clauses: Sequence[int] = ()
    words: Sequence[int] = ()


def speech_pauses(
    text: str, words: Sequence[SpokenWord], *, start: Seconds, fps: Fraction, language: str
) -> Pauses:
    """Return where a scene may be cut by its words, of which the sound begins at `start` on the timeline."""
    ends = [stop for _, stop in places(sentences(text, language=language), text)] if words else []
    clauses: list[int] = []
    every: list[int] = []
    for word, following in pairwise(words):
        frame = frames_round(start + following.begins, fps)
        every.append(frame)
        said = text[word.start : following.start]
        is_sentence = any(word.stop <= end <= following.start for end in ends)
        is_marked = CLAUSE_END.search(said.rstrip()) is not None
        abbreviated = said.rstrip().endswith(".") and not is_sentence
        if "\n" in said or is_sentence or (is_marked and not abbreviated):
            clauses.append(frame)
    return Pauses(clauses, every)


def shot_cuts(
    frames: FrameRange, *, most_frames: int, before: int, after: int, pauses: Pauses, fps: Fraction
) -> list[int]:
    """Return the frames at which the later shots of a scene begin; none is longer than `most_frames` if that can be.

    No cut is in the first `before` or last `after` frames, in which the scene is in a transition or fades.
    """
    least = max(1, min(most_frames // 2, int(LEAST_SHOT_SECONDS * fps)))
    cuts: list[int] = []
    start = frames.start
    while (left := frames.stop - start) > most_frames:
        lowest = max(start + least, frames.start + before + least // 2)
        highest = min(max(start + most_frames, lowest), frames.stop - max(least, after + least // 2))
        if lowest > highest:
            break
        parts = -(-left // most_frames)
        even = min(max(start + left // parts, lowest), highest)
        off = int(left * OFF_EVEN / parts)
        # A cut before `enough` makes one shot more necessary.
        enough = max(lowest, frames.stop - (parts - 1) * most_frames)
        choices = (
            (pauses.clauses, enough, highest),
            (pauses.clauses, max(lowest, even - off), min(highest, even + off)),
            (pauses.words, enough, highest),
        )
        found = [[at for at in given if low <= at <= high] for given, low, high in choices]
        near = next(filter(None, found), [even])
        start = min(near, key=lambda at: abs(at - even))
        cuts.append(start)
    return cuts
