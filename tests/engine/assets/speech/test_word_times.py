"""When shown words are heard: from the voice's durations, and from shares and pauses."""

from __future__ import annotations

import statistics
import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.word_times import TEXTS, errors
from video_pipeline.engine.assets.speech.hibari import HibariNarrator
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText
from video_pipeline.engine.assets.speech.service import narrate
from video_pipeline.engine.assets.speech.word_times import Heard, shared_times, shown_times
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.spoken_words import SpokenWord
from video_pipeline.engine.config.sections import Tts

VOICE = HibariNarrator("heart", 1.0, 0.0)


class Mute(HibariNarrator):
    """The same voice, which does not tell when its words are heard."""

    def speak(self, spoken: SpokenText, target: Path) -> tuple[Heard, ...]:
        HibariNarrator.speak(self, spoken, target)
        return ()


def read(path: Path) -> tuple[npt.NDArray[Any], int]:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def spoken(
    text: str, folder: Path, voice: HibariNarrator = VOICE
) -> tuple[tuple[SpokenWord, ...], str | None, Path]:
    made = narrate(
        spoken_text(text, language="en"),
        language="en",
        narrator=voice,
        cache_folder=ContentCache(folder),
        settings=Tts(),
    )
    return made.words, made.words_by, made.sound.path


def test_every_spoken_word_of_the_text_has_its_time_and_silent_ones_have_none(tmp_path: Path) -> None:
    text = "He paid $1,250.50 on 12/05/2024 🎉 — “why?” \n- see example.com"
    words, by, path = spoken(text, tmp_path)
    assert by == "voice"
    shown = [text[word.start : word.stop] for word in words]
    assert shown == ["He", "paid", "$1,250.50", "on", "12/05/2024", "“why?”", "see", "example.com"]
    samples, rate_hz = read(path)
    times = [time for word in words for time in (word.begins, word.ends)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= Fraction(len(samples), rate_hz)
    lengths = {text[word.start : word.stop]: word.ends - word.begins for word in words}
    assert lengths["$1,250.50"] > 8 * lengths["He"]


def test_the_sound_is_silent_between_sentences_and_loud_in_words(tmp_path: Path) -> None:
    for rate, pitch in ((1.0, 0.0), (1.3, 0.0), (0.8, 4.0)):
        words, _, path = spoken(
            "The storm passed. Nobody spoke. Then it rained.", tmp_path, HibariNarrator("heart", rate, pitch)
        )
        samples, rate_hz = read(path)
        level = np.abs(samples.astype(np.float64)) / np.abs(samples.astype(np.float64)).max()
        for before, after in pairwise(words):
            middle = int((before.begins + before.ends) / 2 * rate_hz)
            assert level[middle - rate_hz // 25 : middle + rate_hz // 25].max() > 0.1
            if after.begins - before.ends > Fraction(1, 4):
                pause = int((before.ends + after.begins) / 2 * rate_hz)
                assert level[pause - rate_hz // 100 : pause + rate_hz // 100].max() < 0.05
        assert sum(b.begins - a.ends > Fraction(1, 4) for a, b in pairwise(words)) == 2


def test_the_times_come_from_the_cache_with_the_sound(tmp_path: Path) -> None:
    text = "At 7:30 pm the lamp was lit."
    first, again = spoken(text, tmp_path), spoken(text, tmp_path)
    assert first == again
    assert len(list(tmp_path.rglob("*.wav"))) == 1


def test_a_voice_that_does_not_tell_gets_estimates_near_the_truth(tmp_path: Path) -> None:
    found: list[float] = []
    for text in TEXTS:
        true, _, _ = spoken(text, tmp_path / "true")
        guessed, by, _ = spoken(text, tmp_path / "guess", Mute("heart", 1.0, 0.0))
        assert by == "shares"
        assert [word.start for word in guessed] == [word.start for word in true]
        found += errors(guessed, true)
    assert statistics.fmean(found) < 0.12


@pytest.mark.parametrize("samples", [np.zeros(0, "<i2"), np.zeros(100, "<i2"), np.ones(48000, "<i2")])
def test_estimates_of_silence_or_noise_are_in_order(samples: npt.NDArray[Any]) -> None:
    text = spoken_text("One, two. Three: four!", language="en")
    heard = shared_times(text, samples, 24000)
    assert len(heard) == 4
    times = [time for word in heard for time in (word.begins, word.ends)]
    assert times == sorted(times)
    assert times[-1] <= Fraction(max(1, len(samples)), 24000)


def test_a_piece_for_several_shown_words_is_divided_among_them() -> None:
    text = spoken_text("He left at 5 o'clock", language="en")
    whole = SpokenText(text.shown, "x", (type(text.parts[0])(0, 1, 3, 20),))
    words = shown_times(whole, [Heard(0, 1, Fraction(0), Fraction(3))])
    assert [text.shown[word.start : word.stop] for word in words] == ["He", "left", "at", "5", "o'clock"]
    assert (words[0].begins, words[-1].ends) == (0, 3)
