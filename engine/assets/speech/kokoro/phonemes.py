"""From spoken text to phonemes, for every language of Kokoro."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from video_pipeline.engine.assets.speech.kokoro.espeak import divided_phonemes, in_kokoro_signs, open_espeak
from video_pipeline.engine.assets.speech.kokoro.japanese import japanese_words
from video_pipeline.engine.assets.speech.kokoro.mandarin import is_chinese, mandarin_words
from video_pipeline.engine.assets.speech.kokoro.voices import KokoroLanguage
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.voiced_words import VoicedWord, fitting

MAX_KOKORO_PHONEMES: Final = 250
"""Longer sentences are given to the model in parts; it takes 510, but speaks faster and faster towards them."""

_MARKS: Final = ',.;:!?…—()“”"¿¡«»、。，！？：；（）「」『』【】《》・।॥'
_PIECE: Final = re.compile(rf"[{re.escape(_MARKS)}]|[^\s{re.escape(_MARKS)}]+")
_MARK_SOUNDS: Final = {
    **{"、": ",", "，": ",", "。": ".", "！": "!", "？": "?", "：": ":", "；": ";", "（": "(", "）": ")"},
    **{
        "「": "“",
        "」": "”",
        "『": "“",
        "』": "”",
        "【": "“",
        "】": "”",
        "《": "“",
        "》": "”",
        "«": "“",
        "»": "”",
    },
    **{"・": " ", "¿": "", "¡": "", "।": ".", "॥": "."},
}
_OPENS: Final = "(“¿¡«（「『【《"
_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?…])[”)»]*\s+(?=[“(«¿¡]*[^\W\d_a-zà-ÿ])|(?<=[。！？])(?=[^」』）》”])|(?<=[।॥])\s*"
)
_ENGLISH: Final = "en-us"


class _Piece(NamedTuple):
    """A word or mark of the text, its characters `at` to `end`."""

    text: str
    at: int
    end: int

    @property
    def is_mark(self) -> bool:
        return len(self.text) == 1 and self.text in _MARKS


def kokoro_sentences(spoken: SpokenText, language: KokoroLanguage) -> Iterator[Sequence[VoicedWord]]:
    """Yield the words of each sentence, or of each part of one that is too long for the model.

    Raises EspeakError if espeak-ng is needed and does not answer.
    """
    start = 0
    for stop in (*(match.end() for match in _SENTENCE_END.finditer(spoken.text)), len(spoken.text)):
        words = _sentence_words(spoken, start, stop, language)
        if any(word.end > word.at for word in words):
            yield from fitting(words, limit=MAX_KOKORO_PHONEMES)
        start = stop


def _sentence_words(spoken: SpokenText, start: int, stop: int, language: KokoroLanguage) -> list[VoicedWord]:
    pieces = [_Piece(m.group(), m.start(), m.end()) for m in _PIECE.finditer(spoken.text, start, stop)]
    found: list[VoicedWord] = []
    for is_mark, group in groupby(pieces, key=lambda piece: piece.is_mark):
        if not is_mark:
            found += _clause(spoken, list(group), language)
            continue
        for piece in group:
            sound = _MARK_SOUNDS.get(piece.text, piece.text)
            if not sound.strip():
                continue
            if piece.text in _OPENS:
                found.append(VoicedWord(sound, piece.end, piece.end))
                continue
            if found:
                found[-1] = found[-1]._replace(phonemes=found[-1].phonemes.rstrip())
            found.append(VoicedWord(f"{sound} ", piece.end, piece.end))
    return found


def _clause(spoken: SpokenText, pieces: Sequence[_Piece], language: KokoroLanguage) -> Iterator[VoicedWord]:
    """Yield the words between two marks: those of the lexicon by their IPA, the others by the language's own reader."""

    def by_lexicon(piece: _Piece) -> str:
        part = spoken.part_at(piece.at)
        return part.phonemes if part is not None and piece.at == part.at and piece.end >= part.end else ""

    for ipa, group in groupby(pieces, key=by_lexicon):
        if ipa:
            for piece in group:
                yield VoicedWord(f"{in_kokoro_signs(ipa).replace('.', '')} ", piece.at, piece.end)
        elif language.espeak:
            yield from _by_espeak(spoken.text, list(group), language.espeak)
        else:
            words = list(group)
            yield from _asian(spoken.text, words[0].at, words[-1].end, language)


def _by_espeak(text: str, pieces: Sequence[_Piece], language: str) -> Iterator[VoicedWord]:
    whole = text[pieces[0].at : pieces[-1].end]
    joint, *alone = open_espeak().phonemes([whole, *(piece.text for piece in pieces)], language=language)
    for piece, phonemes in zip(pieces, divided_phonemes(f"{joint} ", alone), strict=True):
        yield VoicedWord(phonemes, piece.at, piece.end)


def _asian(text: str, start: int, stop: int, language: KokoroLanguage) -> Iterator[VoicedWord]:
    """Yield the words of Chinese or Japanese; Latin words are read by espeak-ng in English."""
    for latin, group in groupby(range(start, stop), key=lambda at: text[at].isascii()):
        places = list(group)
        begin, end = places[0], places[-1] + 1
        if latin:
            words = [
                _Piece(m.group(), begin + m.start(), begin + m.end())
                for m in re.finditer(r"\S+", text[begin:end])
            ]
            if words:
                yield from _by_espeak(text, words, _ENGLISH)
        elif language.code == "ja":
            yield from japanese_words(text[begin:end], begin)
        else:
            for chinese, run in groupby(range(begin, end), key=lambda at: is_chinese(text[at])):
                characters = list(run)
                if chinese:
                    yield from mandarin_words(text[characters[0] : characters[-1] + 1], characters[0])
