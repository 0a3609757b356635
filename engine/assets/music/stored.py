"""Synthesised sounds as files of the content cache."""

from __future__ import annotations

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.assets.music.moods import find_mood
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.common.music import EffectName, MoodChoice, Score


def _stored(parts: dict[str, Any], make: Callable[[], Any], cache: ContentCache) -> Sound:
    """Return 48 kHz stereo samples (int16) as a WAV file; `make` is called if it is not cached."""

    def write(path: Path) -> None:
        with path.open("wb") as file, wave.open(file, "wb") as sound:
            sound.setnchannels(2)
            sound.setsampwidth(2)
            sound.setframerate(48_000)
            sound.writeframes(make().astype("<i2").tobytes())

    path, _ = cache.get_or_make("music", parts, ".wav", write)
    with wave.open(str(path), "rb") as sound:
        seconds = Fraction(sound.getnframes(), sound.getframerate())
    return Sound(path, file_sha256(path), seconds)


def stored_music(
    choice: MoodChoice, *, words: str | None, genre: str, seed: int, cache: ContentCache
) -> tuple[Sound, Score]:
    """Return music of a mood and what is known of it; `auto` takes the one that suits a story's words or its genre."""
    from video_pipeline.engine.assets.music.loops import LOOP_FORMAT, make_loop, score_of

    name = find_mood(words, genre).name if choice == "auto" else choice
    parts = {"format": LOOP_FORMAT, "mood": name, "seed": seed}
    return _stored(parts, lambda: make_loop(name, seed), cache), score_of(name, seed)


def stored_effect(name: EffectName, *, cache: ContentCache) -> Sound:
    """Return a sound effect."""
    from video_pipeline.engine.assets.music.effects import EFFECTS_FORMAT, make_effect

    return _stored({"format": EFFECTS_FORMAT, "effect": name}, lambda: make_effect(name), cache)
