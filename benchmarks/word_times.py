"""How far word times are from the voice's own durations: `python -m benchmarks.word_times`.

Ten texts with numbers, dates and dialogue are spoken. The voice's durations are compared with the times of the product
and with two estimates: shares of the spoken form matched with the pauses in the sound (what a voice without
durations gets), and shares of the shown letters (without normalisation).
"""

from __future__ import annotations

import statistics
import tempfile
import time
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from video_pipeline.engine.assets.speech.hibari import HibariNarrator
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import narrate
from video_pipeline.engine.assets.speech.word_times import shared_times, shown_times
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.spoken_words import SpokenWord, shared_words, words_of
from video_pipeline.engine.config.sections import Tts

TEXTS: Final = (
    "For forty years the old keeper kept the lighthouse at Gull Point, and in all that time he never spoke of the storm.",
    "He paid $1,250.50 on 12/05/2024. Why? Nobody knows, said the old man to the young one.",
    "The book I wrote cost $1,250,000. It was 20°C on 12/05/2024. See https://example.com for 10^5 more.",
    '"Is it you?" she asked. "No," he said, "it is only the wind." Then the lamp went out.',
    "In 1984, 3,500 people came by train at 7:30 pm; by 1990 there were 12. The town had shrunk by 99.7%.",
    "Mary: Where is it?\nTom: I don't know. It was here at 5 o'clock, on the 3rd shelf, between No. 7 and No. 8.",
    "Chapter IV\n\nHenry VIII had 6 wives. Two of them, Anne and Catherine, lost their heads; one, Jane, died on October 24, 1537.",
    "Wait... Did you hear that? Something moved! Quick, run: the door, the stairs, the roof. Don't look back!",
    "Bake 2 eggs and 1/2 cup of milk at 180°C for 20 min. It costs $3.50, e.g. in the U.S., and feeds 4.",
    "The map showed a road of 12 km, a river 300 m wide, and a mark beside it. Dr. Smith of Main St. called (555) 123-4567, but nobody answered.",
)  # fmt: skip


def errors(words: Sequence[SpokenWord], true: Sequence[SpokenWord]) -> list[float]:
    """Return how far the beginnings and ends of words are from the true ones, in seconds."""
    known = {word.start: word for word in words}
    return [
        abs(float(getattr(known[word.start], side) - getattr(word, side)))
        for word in true
        if word.start in known
        for side in ("begins", "ends")
    ]


def main() -> None:
    """Print a table of errors, and what speaking and timing cost."""
    voice = HibariNarrator("heart", 1.0, 0.0)
    voice_errors: list[float] = []
    pause_errors: list[float] = []
    letter_errors: list[float] = []
    speaking = timing = seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        cache = ContentCache(Path(folder))
        voice.speak(spoken_text("Warm up.", language="en"), Path(folder) / "warm.wav")
        print(f"{'text':>4} {'words':>5} {'voice':>7} {'pauses':>7} {'letters':>8}  mean error in seconds")
        for number, text in enumerate(TEXTS, start=1):
            spoken = spoken_text(text, language="en")
            target = Path(folder) / "a.wav"
            began = time.process_time()
            heard = voice.speak(spoken, target)
            spoke = time.process_time()
            true = shown_times(spoken, heard)
            timing += time.process_time() - spoke
            speaking += spoke - began
            with wave.open(str(target), "rb") as sound:
                rate_hz, count = sound.getframerate(), sound.getnframes()
                samples = np.frombuffer(sound.readframes(count), "<i2")
            seconds += count / rate_hz
            product = narrate(spoken, language="en", narrator=voice, cache_folder=cache, settings=Tts())
            by_pauses = shown_times(spoken, shared_times(spoken, samples, rate_hz))
            by_letters = shared_words(words_of(text), Fraction(0), Fraction(count, rate_hz))
            found = [errors(words, true) for words in (product.words, by_pauses, by_letters)]
            for kept, new in zip((voice_errors, pause_errors, letter_errors), found, strict=True):
                kept.extend(new)
            means = [statistics.fmean(part) for part in found]
            print(f"{number:4} {len(true):5} {means[0]:7.3f} {means[1]:7.3f} {means[2]:8.3f}")
    for name, of in (("voice", voice_errors), ("pauses", pause_errors), ("letters", letter_errors)):
        ninth = statistics.quantiles(of, n=10)[-1]
        print(f"{name:8} mean {statistics.fmean(of):.3f} s, 90 % below {ninth:.3f} s, most {max(of):.3f} s")
    print(f"CPU for 60 s of speech: {speaking / seconds * 60:.2f} s; word times add {timing / speaking:.1%}")


if __name__ == "__main__":
    main()
