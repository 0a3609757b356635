"""The title card and the end card of a story, and the variables of their texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.story.fields import ChapterTitle, Number, SingleLine, StoryPart
from video_pipeline.engine.story.plain_lines import plain_line

CARD_SECONDS: Final = (0.5, 30.0)
"""The shortest and the longest time of a card."""

CardSeconds = Annotated[Number, Field(ge=CARD_SECONDS[0], le=CARD_SECONDS[1])]
CARD_VARIABLE: Final = re.compile(r"\{\{([^{}|]+)(?:\|([^{}]*))?\}\}")


class EndCardSpec(StoryPart):
    """What a story says of its end card."""

    text: SingleLine | None = Field(
        None, description="Large text, with {{title}}, {{author}} and other keys of the metadata."
    )
    subtitle: ChapterTitle | None = Field(None, description="Small text below it; '' for none.")
    seconds: CardSeconds | None = Field(None, description="How long it is shown.")


class TitleCardSpec(EndCardSpec):
    """What a story says of its title card."""

    speak: Annotated[bool, Field(strict=True)] | None = Field(None, description="Whether the text is spoken.")
    over: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether the text stands over the beginning of the first scene."
    )


def _card_source(value: Any) -> Any:
    """Accept `true` and a text as a card."""
    if value is True:
        return {}
    return {"text": value} if isinstance(value, str) else value


TitleCardField = Annotated[
    TitleCardSpec | Literal[False] | None,
    BeforeValidator(_card_source, json_schema_input_type=bool | SingleLine | TitleCardSpec | None),
]
EndCardField = Annotated[
    EndCardSpec | Literal[False] | None,
    BeforeValidator(_card_source, json_schema_input_type=bool | SingleLine | EndCardSpec | None),
]


def card_values(title: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a card's variables: the story's title, and texts and numbers of its metadata."""
    known = {
        name: str(value).strip()
        for name, value in metadata.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    return {**{name: value for name, value in known.items() if value}, "title": title.strip()}


def fill_card(text: str, values: Mapping[str, str]) -> str:
    """Return a card's text with its variables replaced, without marks of Markdown; raise InputError naming one without a value."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1].strip(), match[2]
        if name not in values and default is None:
            raise InputError(
                f"{match[0]} has no value; give metadata.{name} in the story, or write a default: {{{{{name}|…}}}}"
            )
        return values.get(name) or (default or "")

    return plain_line(" ".join(CARD_VARIABLE.sub(value, text).split()))
