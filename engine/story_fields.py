"""The kinds of value that a story's scenes and the configuration share."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from PIL import ImageColor
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from filters.fit import Fit
from filters.ken_burns import Easing
from filters.transitions import TRANSITION_NAMES

CANVAS_MAX_PX = 4096
TEXT_MAX_CHARACTERS = 5000
SCENE_MAX_SECONDS = 3600

FitName = Fit
EasingName = Easing
Position = Literal["top", "center", "bottom"]
Animation = Literal["none", "fade_in", "fade", "slide_up"]


def parse_colour(value: str) -> tuple[int, int, int, int]:
    """Return (red, green, blue, alpha), 0 to 255, of a CSS colour; raise ValueError saying what is allowed."""
    try:
        red, green, blue, *alpha = ImageColor.getrgb(value)
    except ValueError:
        raise ValueError(
            "unknown colour; allowed: a CSS name such as 'white', '#RRGGBB', '#RRGGBBAA' or 'rgb(255, 255, 255)'"
        ) from None
    return red, green, blue, alpha[0] if alpha else 255


def _colour(value: str) -> str:
    parse_colour(value)
    return value


def _transition(value: str) -> str:
    if value not in TRANSITION_NAMES:
        raise ValueError(f"unknown transition; allowed: {', '.join(TRANSITION_NAMES)}")
    return value


def _printable(value: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError("allowed: text without control characters")
    return value


ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _identifier(value: str) -> str:
    if not ID_PATTERN.fullmatch(value):
        raise ValueError(
            "allowed: 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or a digit"
        )
    return value


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Fraction01 = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
Colour = Annotated[str, AfterValidator(_colour), Field(min_length=1, max_length=64)]
FontName = Annotated[str, Field(min_length=1, max_length=1024)]
TransitionName = Annotated[
    str, AfterValidator(_transition), Field(json_schema_extra={"enum": list(TRANSITION_NAMES)})
]
Identifier = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": f"^{ID_PATTERN.pattern}$"})
]
Line = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=300)]
Text = Annotated[str, Field(max_length=TEXT_MAX_CHARACTERS)]
FilePath = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=4096)]


class Part(BaseModel):
    """A part of a story; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class StrokeSpec(Part):
    """An outline of letters: width in px on a 1080 px wide frame."""

    width: Annotated[Number, Field(ge=0, le=40)] = 4
    colour: Colour = "#000000C8"


class ShadowSpec(Part):
    """A shadow of letters: offset and blur in px on a 1080 px wide frame."""

    x: Annotated[Number, Field(ge=-60, le=60)] = 0
    y: Annotated[Number, Field(ge=-60, le=60)] = 3
    blur: Annotated[Number, Field(ge=0, le=60)] = 6
    colour: Colour = "#000000A0"


class BoxSpec(Part):
    """A box behind letters: padding and corner radius in px on a 1080 px wide frame."""

    colour: Colour = "#000000A0"
    padding: Annotated[Number, Field(ge=0, le=200)] = 24
    radius: Annotated[Number, Field(ge=0, le=200)] = 18


def switch(value: Any, default: Part) -> Any:
    """Let `true` stand for a decoration's defaults and a colour for that colour; `false` stays: none at all."""
    if value is True:
        return default
    if isinstance(value, str):
        return {"colour": value}
    return value
