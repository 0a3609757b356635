"""Words as phonemes: parts that fit a model, and when the words are heard by the model's durations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

_CLAUSE_ENDS: Final = (",", ";", ":", "—")


class VoicedWord(NamedTuple):
    """Phonemes, and the spoken characters `at` to `end` that they are the sound of; a mark has no characters."""

    phonemes: str
    at: int
    end: int


class Timed(NamedTuple):
    """Spoken characters `at` to `end`, and the samples between which they are heard."""

    at: int
    end: int
    begins: int
    ends: int


def fitting(words: Sequence[VoicedWord], *, limit: int) -> Iterator[Sequence[VoicedWord]]:
    """Halve a sentence until no part has more than `limit` phonemes, at the clause nearest its middle or else between words."""
    length = sum(len(word.phonemes) for word in words)
    if length <= limit or len(words) < 2:
        if words:
            yield words
        return
    reached = np.cumsum([len(word.phonemes) for word in words])
    clauses = [
        cut
        for cut, word in enumerate(words[:-1], start=1)
        if word.phonemes.strip().endswith(_CLAUSE_ENDS) and 0.2 * length < reached[cut - 1] < 0.8 * length
    ]
    cut = min(clauses or range(1, len(words)), key=lambda cut: abs(reached[cut - 1] - length / 2))
    yield from fitting(words[:cut], limit=limit)
    yield from fitting(words[cut:], limit=limit)


def timed_words(
    words: Sequence[VoicedWord], durations: Any, *, vocabulary: Collection[str], start: int, samples: int
) -> Iterator[Timed]:
    """Yield when words are heard in `samples` samples from `start` on.

    `durations` has the length of each phoneme of the vocabulary, and of one pad before and after them, in any unit.
    """
    reached = start + np.concatenate([[0], np.cumsum(durations)]) / durations.sum() * samples
    index = 1  # after the pad at the beginning
    for word in words:
        voiced = sum(phoneme in vocabulary for phoneme in word.phonemes.rstrip())
        if word.end > word.at and voiced:
            yield Timed(word.at, word.end, round(reached[index]), round(reached[index + voiced]))
        index += sum(phoneme in vocabulary for phoneme in word.phonemes)
