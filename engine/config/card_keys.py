"""The sections `title_card`, `end_card`, `intro` and `outro`: what a video begins and ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.progress_keys import shown_by_truth
from video_pipeline.engine.config.values import LocalPath
from video_pipeline.engine.story.cards import CARD_SECONDS
from video_pipeline.engine.story.fields import Colour, FontName, TransitionName

LINE_MAX_CHARACTERS: Final = 300
CardLine = Annotated[str, Field(max_length=LINE_MAX_CHARACTERS)]


class EndCardKeys(Section):
    """A drawn card after the last scene."""

    show: bool = Field(
        False, description="Whether there is one; `true` in place of the section too. The story's field wins."
    )
    text: CardLine = Field(
        "{{title}}",
        min_length=1,
        description="Large text: {{title}}, {{author}} and other keys of the story's metadata are replaced.",
    )
    subtitle: CardLine | None = Field(
        None,
        description="Small text below it; null: the story's metadata (subtitle, or series and author), '': none.",
    )
    seconds: float = Field(
        2.5,
        ge=CARD_SECONDS[0],
        le=CARD_SECONDS[1],
        description="Seconds for which it is shown, transitions included.",
    )
    background: Literal["gradient", "plain", "picture"] = Field(
        "picture",
        description="gradient (between two colours), plain (one), or picture (the neighbouring scene's, blurred and dark).",
    )
    background_color: Colour = Field("#141A26", description="Colour of the background, and over a picture.")
    background_end: Colour = Field("#2C3F5E", description="Colour at the bottom of a gradient.")
    text_color: Colour = Field("#FFFFFF", description="Colour of the large text.")
    accent_color: Colour = Field("#FFC98A", description="Colour of the small text and of the ornament.")
    text_font: FontName | None = Field(None, description="Font; null: scenes.text_font.")
    text_size: float = Field(
        104,
        ge=16,
        le=400,
        description="Size of the large text in px on a 1080 px wide frame; a long text shrinks to half of it.",
    )
    ornament: Literal["none", "line", "frame"] = Field(
        "line", description="none, line (between the texts) or frame (around the card)."
    )
    transition: TransitionName | None = Field(
        None, description="Transition to what follows; null: scenes.transition."
    )


class TitleCardKeys(EndCardKeys):
    """A drawn card before the first scene."""

    speak: bool = Field(False, description="Whether the large text is spoken.")
    over: bool = Field(
        False,
        description="Whether the texts stand over the beginning of the first scene, clear of its captions, instead of on a card of their own.",
    )


class BumperKeys(Section):
    """A clip or a picture of the user's, before or after everything else, in its own colours."""

    path: LocalPath | None = Field(
        None,
        description="A video clip or moving picture, with its own sound; the name alone too. null: none.",
        strict=False,
    )
    image: LocalPath | None = Field(None, description="A picture instead of a clip.", strict=False)
    seconds: float = Field(
        2.0, ge=CARD_SECONDS[0], le=CARD_SECONDS[1], description="Seconds for which a picture is shown."
    )
    volume: float = Field(0.0, ge=-60, le=12, description="Gain of the clip's sound in dB.")
    fit: Literal["cover", "contain", "blur"] = Field(
        "cover", description="Fit of another aspect: cover, contain or blur."
    )
    transition: TransitionName | None = Field(
        None, description="Transition to what follows; null: scenes.transition."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.path is not None and self.image is not None:
            raise ValueError("give either `path` or `image`")
        return self


def _by_path(value: Any) -> Any:
    return {"path": str(value)} if isinstance(value, str | Path) else value


TitleCardSection = Annotated[
    TitleCardKeys, BeforeValidator(shown_by_truth, json_schema_input_type=bool | TitleCardKeys)
]
EndCardSection = Annotated[
    EndCardKeys, BeforeValidator(shown_by_truth, json_schema_input_type=bool | EndCardKeys)
]
BumperSection = Annotated[BumperKeys, BeforeValidator(_by_path, json_schema_input_type=str | BumperKeys)]


def whole_section(name: str, value: Any) -> Any:
    """Return a section of which only a word is written, `true` or a file's name, as a mapping of its keys."""
    if name in ("title_card", "end_card", "progress_bar"):
        return shown_by_truth(value)
    return _by_path(value) if name in ("intro", "outro") else value
