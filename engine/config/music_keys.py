"""The settings of music and sound effects."""

from __future__ import annotations

from typing import get_args

from pydantic import Field

from video_pipeline.engine.common.music import EffectsChoice, MoodChoice, MoodName
from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.values import Music


class MusicKeys(Section):
    """Music and sound effects."""

    music: Music | None = Field(
        None,
        description="Background music, repeated to the video's end: a file, auto (synthesised by mood) or none. A file "
        "called auto is ./auto.",
    )
    music_mood: MoodChoice = Field(
        "auto",
        description=f"Mood of synthesised music: {', '.join(get_args(MoodName))}; auto: by the story's metadata.mood and genre.",
    )
    music_seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Another number gives other music of the same mood; null: by the story's id.",
    )
    music_volume: float = Field(-16.0, ge=-60, le=12, description="Gain of the music in dB.")
    music_duck: float = Field(
        -10.0, ge=-60, le=0, description="Further gain of the music in dB during speech."
    )
    music_fade: float = Field(1.5, ge=0, le=60, description="Seconds of the music's fade-in and fade-out.")
    effects: EffectsChoice = Field(
        "none",
        description="Synthesised sound effects: none, transitions (whooshes, clicks at cuts), captions (pops) or all.",
    )
    effects_volume: float = Field(
        -16.0, ge=-60, le=12, description="Loudness of sound effects' loudest moment against speech, in dB."
    )
