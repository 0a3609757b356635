"""hibari's model and dictionary: from spoken text to phonemes, to sound, and to when each word is heard.

The package's own text normalisation is not used: it reads `the book I wrote` as `the book one wrote`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.speech.hibari_sounds import SOUNDS, from_ipa
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenPart, SpokenText
from video_pipeline.engine.assets.speech.onnx_outputs import with_output
from video_pipeline.engine.assets.speech.voiced_words import Timed, VoicedWord, fitting, timed_words

VERSION: Final = 4
"""Increase it when the sound of the same spoken text changes, so that cached narration is not used."""

DURATIONS: Final = "/Clip_output_0"
"""The tensor inside the model that holds the length of each phoneme."""

MAX_PHONEMES: Final = 400
"""Longer sentences are given to the model in parts."""

_SENTENCE: Final = re.compile(r"(?<=[.!?…])[”)]*\s+(?=[“(]?[^\Wa-z])")
_ENDS: Final = (".", "!", "?", "…")


class Engine:
    """The model of a voice, asked for its durations too, and its dictionary."""

    def __init__(self, voice: str) -> None:
        from hibari import Hibari
        from hibari.voices import voice_path

        self._lock = threading.Lock()  # the dictionary loads parts of itself when it first needs them
        path = Path(voice_path(voice))
        try:
            self._model = Hibari(voice=voice, model=with_output(path.read_bytes(), DURATIONS))
        except Exception:  # onnxruntime's errors have no common base; another voice may lack the tensor
            self._model = Hibari(voice=voice, model=str(path))
        self._outputs = [output.name for output in self._model.sess.get_outputs()]
        self.sample_rate: int = self._model.sample_rate

    def speak(self, spoken: SpokenText, *, speed: float) -> tuple[npt.NDArray[np.float64], tuple[Timed, ...]]:
        """Return the sound of a text, and when its words are heard: nothing if the model does not tell."""
        chance = np.random.default_rng(0)
        sounds: list[npt.NDArray[Any]] = []
        timed: list[Timed] = []
        at = 0
        for words in self.sentences(spoken):
            samples, durations = self._sound(words, speed=speed, chance=chance)
            if durations is not None:
                timed += timed_words(
                    words, durations, vocabulary=self._model.vocab, start=at, samples=len(samples)
                )
            sounds.append(samples)
            at += len(samples)
        return np.concatenate(sounds or [np.zeros(0)]).astype(np.float64), tuple(timed)

    def sentences(self, spoken: SpokenText) -> Iterator[Sequence[VoicedWord]]:
        """Yield the words of each sentence, or of each part of one that is too long for the model."""
        with self._lock:
            start = 0
            for stop in (*(match.end() for match in _SENTENCE.finditer(spoken.text)), len(spoken.text)):
                yield from fitting(self._words(spoken, start, stop), limit=MAX_PHONEMES)
                start = stop

    def _words(self, spoken: SpokenText, start: int, stop: int) -> list[VoicedWord]:
        from hibari.g2p.token import Tok

        tokens: list[Any] = []
        at = start
        for part in spoken.parts:
            if not start <= part.at < stop:
                continue
            phonemes = self._own_phonemes(part, spoken.text[part.at : part.end])
            if phonemes is not None:
                tokens += self._tokens(spoken.text, at, part.at)
                space = " " if spoken.text[part.end : part.end + 1] == " " else ""
                tokens.append(Tok(spoken.text[part.at : part.end], "NN", space, phonemes=phonemes, rating=5))
                at = part.end
        tokens += self._tokens(spoken.text, at, stop)
        words = list(_placed(self._model.g2p.phonemize_tokens(tokens), spoken.text, start))
        # The dictionary takes the full stop for a part of `I.` and `A.`; without it the voice does not come to rest.
        mark = spoken.text[start:stop].rstrip(" ”)")[-1:]
        said = "".join(word.phonemes for word in words).rstrip(" ”)")
        if mark in _ENDS and said and said[-1] not in _ENDS:
            words.append(VoicedWord(mark, stop, stop))
        return words

    def _own_phonemes(self, part: SpokenPart, text: str) -> str | None:
        """Return the sound of a part that the dictionary does not decide: of the lexicon, of letters, of SOUNDS."""
        sound: str | None = None
        if part.phonemes:
            sound = from_ipa(part.phonemes)
        elif part.spell:
            sound = self._model.g2p.lexicon.get_NNP(text.removesuffix("'s"))[0]
        if sound is not None:
            return f"{sound}z" if text.endswith("'s") else sound
        return SOUNDS.get(text.casefold())

    def _tokens(self, text: str, start: int, stop: int) -> list[Any]:
        tokens: list[Any] = self._model.g2p.tokenize(text[start:stop].strip())
        if tokens and text[stop - 1 : stop] == " ":
            tokens[-1].whitespace = " "
        return tokens

    def _sound(
        self, words: Sequence[VoicedWord], *, speed: float, chance: Any
    ) -> tuple[npt.NDArray[Any], Any]:
        """Return the sound of words, and the lengths of their phonemes with the pads around them (None if unknown)."""
        from hibari import dsp

        ids = self._model.ids("".join(word.phonemes for word in words).rstrip())
        if len(ids) < 3:
            return np.zeros(0, np.float32), None
        feed = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        found = dict(zip(self._outputs, self._model.sess.run(None, feed), strict=True))
        samples = dsp.synth(*(found[name][0] for name in ("lh", "theta", "ln", "lr", "phi", "f0")), chance)
        durations = found.get(DURATIONS)
        if durations is None or durations.size != len(ids) or durations.sum() <= 0:
            return samples, None
        return samples, durations.ravel()


def _placed(tokens: Sequence[Any], text: str, at: int) -> Iterator[VoicedWord]:
    """Yield the dictionary's tokens as words, with their places in the text."""
    for token in tokens:
        start = text.index(token.text, at)
        at = start + len(token.text)
        letters = [index for index in range(start, at) if text[index].isalnum()]
        place = (letters[0], letters[-1] + 1) if letters else (start, start)
        yield VoicedWord((token.phonemes or "") + (" " if token.whitespace else ""), *place)


@cache
def open_engine(voice: str) -> Engine:
    """Return the engine of a voice, opened once."""
    return Engine(voice)
