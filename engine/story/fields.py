"""Value types that stories and the configuration share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from PIL import ImageColor
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from video_pipeline.engine.common.similar import closest
from video_pipeline.filters.geometry import Easing, Fit
from video_pipeline.filters.transitions import TRANSITION_NAMES

CANVAS_MAX_PX = 4096
TEXT_MAX_CHARACTERS = 5000
SCENE_MAX_SECONDS = 3600

FitName = Fit
EasingName = Easing


def parse_colour(value: str) -> tuple[int, int, int, int]:
    """Return (red, green, blue, alpha), 0 to 255, of a CSS colour; raise ValueError saying what is allowed."""
    try:
        red, green, blue, *alpha = ImageColor.getrgb(value)
        bytes((red, green, blue, *alpha))  # Pillow lets rgb(999, 0, 0) pass
    except ValueError:
        raise ValueError(
            f"unknown colour{closest(value, ImageColor.colormap)}; allowed: a CSS name such as 'white', '#RRGGBB', '#RRGGBBAA' or 'rgb(255, 255, 255)'"
        ) from None
    return red, green, blue, alpha[0] if alpha else 255


def _colour(value: str) -> str:
    parse_colour(value)
    return value


def _check_transition(value: str) -> str:
    if value not in TRANSITION_NAMES:
        raise ValueError(
            f"unknown transition{closest(value, TRANSITION_NAMES)}; allowed: {', '.join(TRANSITION_NAMES)}"
        )
    return value


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # the characters of Unicode's category Cc


def _printable(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("allowed: text without control characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("allowed: valid Unicode (it holds half of a surrogate pair)")
    return value


ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _check_identifier(value: str) -> str:
    if not ID_PATTERN.fullmatch(value):
        raise ValueError(
            "allowed: 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or a digit"
        )
    return value


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Fraction01 = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
FocusPoint = tuple[Fraction01, Fraction01]
FOCUS_WORDS = ("auto", "center")


def _check_focus(value: Any) -> Any:
    if isinstance(value, str) and value in FOCUS_WORDS:
        return value
    if isinstance(value, list | tuple) and len(value) == 2:
        return value
    raise ValueError("allowed: auto, center, or [x, y] in fractions of the picture")


SceneFocus = Annotated[
    Literal["auto", "center"] | FocusPoint,
    BeforeValidator(_check_focus, json_schema_input_type=Literal["auto", "center"] | FocusPoint),
]
Colour = Annotated[str, AfterValidator(_colour), Field(min_length=1, max_length=64)]
FontName = Annotated[str, Field(min_length=1, max_length=1024)]
TransitionName = Annotated[
    str, AfterValidator(_check_transition), Field(json_schema_extra={"enum": list(TRANSITION_NAMES)})
]
Identifier = Annotated[
    str, AfterValidator(_check_identifier), Field(json_schema_extra={"pattern": f"^{ID_PATTERN.pattern}$"})
]
PRINTABLE = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}
SingleLine = Annotated[
    str, AfterValidator(_printable), Field(min_length=1, max_length=300, json_schema_extra=PRINTABLE)
]
ChapterTitle = Annotated[str, AfterValidator(_printable), Field(max_length=300, json_schema_extra=PRINTABLE)]
Text = Annotated[str, Field(max_length=TEXT_MAX_CHARACTERS)]
FilePath = Annotated[
    str, AfterValidator(_printable), Field(min_length=1, max_length=4096, json_schema_extra=PRINTABLE)
]


def expand_user(path: str | Path) -> Path:
    """Return a path with a leading ~ replaced by the home folder, or unchanged if there is none."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for an unknown user


def own_names(data: Mapping[Any, Any], other_names: Mapping[str, str]) -> dict[Any, Any]:
    """Return data with alternative spellings replaced by the fields' own names; raise ValueError if both are given."""
    renamed: dict[Any, Any] = {}
    for key, value in data.items():
        name = other_names.get(key, key) if isinstance(key, str) else key
        if name in renamed:
            raise ValueError(f"{name!r} is given twice ({key!r} is another name for it); give only one")
        renamed[name] = value
    return renamed


class StoryPart(BaseModel):
    """A part of a story; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {}
    """Alternative spellings that a user may write, and the field that each one names."""

    @model_validator(mode="before")
    @classmethod
    def _own_names(cls, data: Any) -> Any:
        # (dict, Mapping): testing for dict first avoids the abstract class, which is several times slower.
        if not cls.OTHER_NAMES or not isinstance(data, (dict, Mapping)):
            return data
        if cls.OTHER_NAMES.keys().isdisjoint(data):
            return data
        return own_names(data, cls.OTHER_NAMES)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the alternative spellings to the schema: either may be written, not both."""
        schema = handler(core_schema)
        body = handler.resolve_ref_schema(schema)
        for other, own in cls.OTHER_NAMES.items():
            body["properties"][other] = {
                **deepcopy(body["properties"][own]),
                "description": f"The same as `{own}`.",
            }
            body.setdefault("allOf", []).append({"not": {"required": [other, own]}})
        return schema


COLOUR_NAMES: Mapping[str, str] = {"color": "colour"}


class StrokeSpec(StoryPart):
    """An outline of letters: width in px on a 1080 px wide frame."""

    OTHER_NAMES = COLOUR_NAMES

    width: Annotated[Number, Field(ge=0, le=40)] = 4
    colour: Colour = "#000000C8"


class ShadowSpec(StoryPart):
    """A shadow of letters: offset and blur in px on a 1080 px wide frame."""

    OTHER_NAMES = COLOUR_NAMES

    x: Annotated[Number, Field(ge=-60, le=60)] = 0
    y: Annotated[Number, Field(ge=-60, le=60)] = 3
    blur: Annotated[Number, Field(ge=0, le=60)] = 6
    colour: Colour = "#000000A0"


class BoxSpec(StoryPart):
    """A box behind letters: padding and corner radius in px on a 1080 px wide frame."""

    OTHER_NAMES = COLOUR_NAMES

    colour: Colour = "#000000A0"
    padding: Annotated[Number, Field(ge=0, le=200)] = 24
    radius: Annotated[Number, Field(ge=0, le=200)] = 18


def switch(value: Any, default: StoryPart) -> Any:
    """Expand `true` to a decoration's defaults and a colour to that colour; keep `false`, which means none."""
    if value is True:
        return default
    if isinstance(value, str):
        return {"colour": value}
    if value is None or value is False or isinstance(value, Mapping | StoryPart):
        return value
    names = ", ".join(type(default).model_fields)
    raise ValueError(f"allowed: true, false, a colour, or an object with {names}")
