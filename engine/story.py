"""Stories: what comes in. Story and StoryScene are the format; load_story reads JSON and YAML."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine.config import Config, load_config
from engine.errors import StoryError
from engine.story_fields import (
    SCENE_MAX_SECONDS,
    TEXT_MAX_CHARACTERS,
    Animation,
    BoxSpec,
    Colour,
    EasingName,
    FilePath,
    FitName,
    FontName,
    Fraction01,
    Identifier,
    Line,
    Number,
    Part,
    Position,
    ShadowSpec,
    StrokeSpec,
    Text,
    TransitionName,
    switch,
)
from engine.story_text import detect_language, split_into_scenes
from engine.validation import explain

STORY_MAX_CHARACTERS = 200_000
STORY_MAX_SCENES = 2000


class RectSpec(Part):
    """A rectangle in fractions of the picture; its height follows from the frame's aspect where left out."""

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


class KenBurns(Part):
    """A camera move over a still: by two rectangles, or by zoom and focal point."""

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


class FadeEffect(Part):
    """A fade of a scene from black or to black."""

    type: Literal["fade_in", "fade_out"]
    duration: Annotated[Number, Field(gt=0, le=30)] | None = Field(None, description="Seconds.")


EFFECT_NAMES = ("ken_burns", "fade_in", "fade_out")


def _effect(value: Any) -> Any:
    if isinstance(value, str):
        if value not in EFFECT_NAMES:
            raise ValueError(f"unknown effect; allowed: {', '.join(EFFECT_NAMES)}")
        return {"type": value}
    if isinstance(value, Mapping) and value.get("type") not in EFFECT_NAMES:
        raise ValueError(f"unknown effect type {value.get('type')!r}; allowed: {', '.join(EFFECT_NAMES)}")
    return value


Effect = Annotated[
    Annotated[KenBurns | FadeEffect, Field(discriminator="type")],
    BeforeValidator(
        _effect, json_schema_input_type=Literal["ken_burns", "fade_in", "fade_out"] | KenBurns | FadeEffect
    ),
]


class TransitionSpec(Part):
    """How a scene leads into the next."""

    name: TransitionName
    duration: Annotated[Number, Field(gt=0, le=30)] | None = Field(None, description="Seconds.")


class VideoSpec(Part):
    """A clip that a scene shows instead of a still."""

    path: FilePath
    start: Annotated[Number, Field(ge=0)] = Field(0.0, description="Seconds into the clip.")
    end: Annotated[Number, Field(gt=0)] | None = Field(None, description="Seconds into the clip.")
    sound: bool = Field(True, strict=True, description="Whether the clip's own sound is heard.")
    volume: Annotated[Number, Field(ge=-60, le=12)] = Field(0.0, description="dB.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end:g} is not after start {self.start:g}")
        return self


class MusicSpec(Part):
    """Background music."""

    path: FilePath
    volume: Annotated[Number, Field(ge=-60, le=12)] | None = Field(None, description="dB.")


def _named(key: str, model: Any) -> BeforeValidator:
    """Let a plain string stand for an object with that string under `key`."""
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value,
        json_schema_input_type=str | model | None,
    )


def _switch(model: type[Part]) -> BeforeValidator:
    """Let `true`, `false` and a colour stand for a decoration."""
    return BeforeValidator(
        lambda value: switch(value, model()), json_schema_input_type=bool | str | model | None
    )


class StoryScene(Part):
    """One scene. Only `scene_id` is required; what is left out follows the configuration."""

    scene_id: Identifier = Field(description="Unique in its story.")
    text: Text = Field("", description="Words shown as caption.")
    narration: Text | None = Field(None, description="Words spoken; the text where left out, '' for silence.")
    image: FilePath | None = Field(
        None, description="A still: JPEG, PNG or WebP, relative to the story file."
    )
    video: Annotated[VideoSpec | None, _named("path", VideoSpec)] = Field(
        None, description="A clip (path or object) instead of a still."
    )
    duration: Annotated[Number, Field(gt=0, le=SCENE_MAX_SECONDS)] | None = Field(
        None, description="Seconds; a scene is never shorter than its narration."
    )
    effects: Annotated[tuple[Effect, ...], Field(max_length=8)] | None = None
    transition: Annotated[TransitionSpec | None, _named("name", TransitionSpec)] = Field(
        None, description="How the scene leads into the next: an xfade name or 'cut'."
    )
    fit: FitName | None = None
    text_position: Position | None = Field(
        None,
        validation_alias=AliasChoices("text_position", "position"),
        description="Where the caption stands.",
    )
    size: Annotated[Number, Field(ge=8, le=400)] | None = Field(
        None, description="Caption size in px on a 1080 px wide frame."
    )
    colour: Colour | None = Field(None, validation_alias=AliasChoices("colour", "color"))
    font: FontName | None = Field(None, description="Family and weight, or a font file.")
    stroke: Annotated[
        StrokeSpec | Literal[False] | None,
        _switch(StrokeSpec),
    ] = None
    shadow: Annotated[
        ShadowSpec | Literal[False] | None,
        _switch(ShadowSpec),
    ] = None
    box: Annotated[BoxSpec | Literal[False] | None, _switch(BoxSpec)] = None
    animation: Animation | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_object(cls, data: Any) -> Any:
        """Accept the guide's text object: {content, position, size, color, font, animation, …}."""
        if not isinstance(data, Mapping) or not isinstance(data.get("text"), Mapping):
            return data
        text = dict(data["text"])
        flat = {key: value for key, value in data.items() if key != "text"}
        flat["text"] = text.pop("content", "")
        for key, value in text.items():
            if key in flat:
                raise ValueError(f"{key!r} is given both in the scene and in its text object")
            flat[key] = value
        return flat

    @model_validator(mode="after")
    def _one_picture(self) -> Self:
        if self.image is not None and self.video is not None:
            raise ValueError("a scene shows either an `image` or a `video`, not both")
        return self

    @property
    def spoken(self) -> str:
        """The words that are spoken."""
        return (self.text if self.narration is None else self.narration).strip()


class StoryMetadata(Part):
    """What is known of a story; further keys are kept and passed to the metadata file."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    genre: Line = "general"
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = Field(
        None, description="BCP 47 tag such as 'en'; found from the text where left out."
    )


class Story(Part):
    """A story: a title and either a text or explicit scenes."""

    id: Identifier | None = Field(None, description="Names the job; derived from the content where left out.")
    title: Line
    content: Annotated[str, Field(max_length=STORY_MAX_CHARACTERS)] = ""
    metadata: StoryMetadata = StoryMetadata()
    scenes: Annotated[tuple[StoryScene, ...], Field(min_length=1, max_length=STORY_MAX_SCENES)] | None = None
    music: Annotated[MusicSpec | None, _named("path", MusicSpec)] = None

    @model_validator(mode="after")
    def _has_scenes(self) -> Self:
        if self.scenes is None and not self.content.strip():
            raise ValueError("a story needs `content` (a text) or `scenes` (at least one)")
        seen: set[str] = set()
        for scene in self.scenes or ():
            if scene.scene_id in seen:
                raise ValueError(f"scene_id {scene.scene_id!r} is used twice; allowed: one of each")
            seen.add(scene.scene_id)
        return self

    @property
    def story_id(self) -> str:
        """The story's id, or one derived from its content."""
        if self.id:
            return self.id
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return f"story-{digest[:12]}"

    @property
    def language(self) -> str:
        """The story's language (ISO 639-1): as given, or found from its words."""
        if self.metadata.language:
            return self.metadata.language.split("-")[0].lower()
        words = " ".join([self.content, *(scene.spoken for scene in self.scenes or ())]).strip()
        return detect_language(words or self.title)


def _place(data: Any) -> Any:
    """Return a function that says where in a story a location is: the scene by its id, then the field."""

    def words(location: tuple[int | str, ...]) -> str:
        # Names of union members and of functions are pydantic's, not the user's.
        own = [
            part
            for part in location
            if not (isinstance(part, str) and (part[:1].isupper() or "[" in part or part in EFFECT_NAMES))
        ]
        if len(own) >= 2 and own[0] == "scenes" and isinstance(own[1], int):
            scenes = data.get("scenes") if isinstance(data, Mapping) else None
            scene = scenes[own[1]] if isinstance(scenes, list | tuple) and own[1] < len(scenes) else None
            name = scene.get("scene_id") if isinstance(scene, Mapping) else None
            head = f"scenes[{own[1]}]" + (f" (scene_id {name!r})" if isinstance(name, str) else "")
            tail = ".".join(str(part) for part in own[2:])
            return f"{head}: field {tail!r}" if tail else head
        return f"field {'.'.join(str(part) for part in own)!r}" if own else ""

    return words


def parse_story(data: Any, *, where: str = "story") -> Story:
    """Return a Story from plain data; raise StoryError with one line for each fault."""
    if isinstance(data, Story):
        return data
    if not isinstance(data, Mapping):
        raise StoryError(
            f"{where}: got {type(data).__name__}; allowed: an object with title, content, scenes …"
        )
    try:
        return Story.model_validate(data)
    except ValidationError as error:
        raise StoryError("\n".join(explain(error, Story, where=where, place=_place(data)))) from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise ValueError(f"the key {key!r} is given twice in one object")
        data[key] = value
    return data


STORY_FILE_MAX_BYTES = 16 * 1024 * 1024


def load_story(path: str | os.PathLike[str]) -> Story:
    """Read a story from a JSON or YAML file (YAML by its ending .yaml or .yml).

    Relative paths of assets stay as written; see `engine.assets` for what they are relative to. Raises
    StoryError naming the file, the scene and the field.
    """
    file = Path(path)
    try:
        if file.stat().st_size > STORY_FILE_MAX_BYTES:
            raise StoryError(f"{file}: {file.stat().st_size} bytes; allowed: at most {STORY_FILE_MAX_BYTES}")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StoryError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StoryError(f"{file}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    try:
        if file.suffix.lower() in (".yaml", ".yml"):
            data = yaml.safe_load(text)
        else:
            data = json.loads(text, object_pairs_hook=_no_duplicates)
    except yaml.YAMLError as error:
        raise StoryError(f"{file}: not YAML: {error}") from error
    except RecursionError as error:
        raise StoryError(f"{file}: nested too deeply") from error
    except ValueError as error:
        raise StoryError(f"{file}: not JSON: {error}") from error
    return parse_story(data, where=str(file))


def story_scenes(story: Story) -> tuple[StoryScene, ...]:
    """Return a story's scenes: its own, or its text split on sentence ends."""
    if story.scenes is not None:
        return story.scenes
    texts = split_into_scenes(story.content, language=story.language, limit=TEXT_MAX_CHARACTERS)
    return tuple(
        StoryScene(scene_id=f"scene_{number:03d}", text=text) for number, text in enumerate(texts, start=1)
    )


class StoryProcessor:
    """Turns the guide's story dictionary into a list of scene dictionaries."""

    def __init__(self, config: Mapping[str, Any] | Config | None = None) -> None:
        self.config = load_config(config)

    def process(self, story_data: Mapping[str, Any] | Story) -> list[dict[str, Any]]:
        """Return one dictionary a scene, with `scene_id`, `text` and what the story says of it."""
        story = parse_story(story_data)
        return [scene.model_dump(exclude_none=True, mode="json") for scene in story_scenes(story)]
