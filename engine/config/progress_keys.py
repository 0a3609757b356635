"""The section `progress_bar`: how much of the video is over."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.story.fields import Colour


class ProgressKeys(Section):
    """A bar across the frame that grows with the video."""

    show: bool = Field(
        False,
        description="Whether a bar at the edge shows how much of the video is over; `progress_bar: true` too.",
    )
    position: Literal["top", "bottom"] = Field("bottom", description="Edge of the frame: top or bottom.")
    height: float = Field(10, ge=2, le=48, description="Height in px on a 1080 px wide frame.")
    color: Colour = Field("#FFFFFF", description="Colour of what is over.")
    background: Colour = Field("#00000060", description="Colour of what is left.")
    segmented: bool = Field(
        False, description="Whether the bar has a gap at each cut between scenes, at most 60 of them."
    )


def shown_by_truth(value: Any) -> Any:
    """Accept `true` and `false` as a section that is shown or not."""
    return {"show": value} if isinstance(value, bool) else value


ProgressSection = Annotated[
    ProgressKeys, BeforeValidator(shown_by_truth, json_schema_input_type=bool | ProgressKeys)
]
