"""The effects that a scene may name: camera moves and fades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.story.fields import EasingName, Fraction01, Number, StoryPart


class RectSpec(StoryPart):
    """A rectangle in fractions of the picture; its height follows from the frame's aspect if omitted."""

    x: Fraction01
    y: Fraction01
    width: Annotated[Number, Field(gt=0, le=1)]
    height: Annotated[Number, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.x + self.width > 1 + 1e-9:
            raise ValueError(f"x + width is {self.x + self.width:g}; allowed: at most 1 (inside the picture)")
        if self.height is not None and self.y + self.height > 1 + 1e-9:
            raise ValueError(
                f"y + height is {self.y + self.height:g}; allowed: at most 1 (inside the picture)"
            )
        return self


ZoomNumber = Annotated[Number, Field(ge=1, le=10)]


class KenBurns(StoryPart):
    """A camera move over a still: by two rectangles, or by zoom and focal point."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["type"],
            "anyOf": [
                {"properties": {"start": {"type": "null"}, "end": {"type": "null"}}},
                {
                    "required": ["start", "end"],
                    "properties": {
                        "start": {"type": "object"},
                        "end": {"type": "object"},
                        "zoom": {"type": "null"},
                        "focus": {"type": "null"},
                    },
                },
            ],
        }
    )

    type: Literal["ken_burns"] = "ken_burns"
    zoom: tuple[ZoomNumber, ZoomNumber] | None = Field(None, description="Zoom at the start and at the end.")
    focus: tuple[Fraction01, Fraction01] | None = Field(
        None, description="The point, in fractions of the picture, that keeps its place while zooming."
    )
    start: RectSpec | None = Field(None, description="What is seen at the start.")
    end: RectSpec | None = Field(None, description="What is seen at the end.")
    easing: EasingName = "linear"

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError("a move by rectangles needs both `start` and `end`")
        if self.start is not None and (self.zoom is not None or self.focus is not None):
            raise ValueError("give either `start` and `end`, or `zoom` and `focus`, not both")
        return self


class FadeEffect(StoryPart):
    """A fade of a scene from black or to black."""

    type: Literal["fade_in", "fade_out"]
    duration: Annotated[Number, Field(gt=0, le=30)] | None = Field(None, description="Seconds.")


EFFECT_NAMES = ("ken_burns", "fade_in", "fade_out")


_PLAIN_EFFECTS: dict[str, KenBurns | FadeEffect] = {
    "ken_burns": KenBurns(type="ken_burns"),
    "fade_in": FadeEffect(type="fade_in"),
    "fade_out": FadeEffect(type="fade_out"),
}
"""The effect of each plain name, built once because most scenes name their effects this way."""


def _effect(value: Any) -> Any:
    if isinstance(value, str):
        if value not in EFFECT_NAMES:
            raise ValueError(
                f"unknown effect{closest(value, EFFECT_NAMES)}; allowed: {', '.join(EFFECT_NAMES)}"
            )
        return _PLAIN_EFFECTS[value]
    if isinstance(value, Mapping) and value.get("type") not in EFFECT_NAMES:
        kind = value.get("type")
        hint = closest(kind, EFFECT_NAMES)
        raise ValueError(f"unknown effect type {show(kind)}{hint}; allowed: {', '.join(EFFECT_NAMES)}")
    return value


Effect = Annotated[
    Annotated[KenBurns | FadeEffect, Field(discriminator="type")],
    BeforeValidator(
        _effect, json_schema_input_type=Literal["ken_burns", "fade_in", "fade_out"] | KenBurns | FadeEffect
    ),
]
