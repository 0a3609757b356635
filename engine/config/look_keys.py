"""The section `look`: which look a video has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.values import LocalPath

SHIPPED_LOOKS: Final = ("cinematic", "documentary", "bold", "storybook", "noir", "news")
NO_LOOK: Final = "none"
"""The word for no look: the configuration's own values alone."""


class LookKeys(Section):
    """The look: values for keys that neither the story nor the configuration sets."""

    name: str = Field(
        NO_LOOK,
        min_length=1,
        max_length=4096,
        description=f"{', '.join(SHIPPED_LOOKS)}, a look of `look.folder`, a YAML file, or none.",
    )
    folder: LocalPath | None = Field(
        None, description="Folder of looks of your own, NAME.yaml each.", strict=False
    )


def _by_name(value: Any) -> Any:
    if isinstance(value, str | Path):
        return {"name": str(value)}
    if not isinstance(value, Mapping | LookKeys):
        raise ValueError("give a look's name, a YAML file, or an object with name and folder")
    return value


LookSection = Annotated[LookKeys, BeforeValidator(_by_name, json_schema_input_type=str | LookKeys)]
