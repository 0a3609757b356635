"""The music of a story."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from video_pipeline.engine.common.music import MUSIC_WORDS, MusicMood
from video_pipeline.engine.story.fields import FilePath, Number, StoryPart

SEED_MAX = 2**32 - 1


class MusicSpec(StoryPart):
    """Background music: a file, or a mood for music that is synthesised; `none` is no music."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [key], "properties": {key: {"type": "string"}}} for key in ("path", "mood")
            ]
        }
    )

    path: FilePath | None = None
    mood: MusicMood | None = Field(
        None, description="Mood of synthesised music; auto: by metadata.mood and the genre."
    )
    seed: Annotated[int, Field(ge=0, le=SEED_MAX)] | None = Field(
        None, description="Another number gives other music of the same mood; by the story's id if omitted."
    )
    volume: Annotated[Number, Field(ge=-60, le=12)] | None = Field(None, description="dB.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.mood is None):
            raise ValueError("give either `path` or `mood`")
        return self


def music_source(value: Any) -> Any:
    """Return the music that a text names: a mood, `none`, or a file."""
    if isinstance(value, str):
        return {"mood" if value in MUSIC_WORDS else "path": value}
    return value
