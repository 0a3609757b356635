"""The story model: Story and StoryScene define the format; load_story reads its files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from video_pipeline.engine.common.captions import CaptionAnimation, CaptionPosition, CaptionStyle
from video_pipeline.engine.common.grades import GradeWord
from video_pipeline.engine.common.music import MusicWord
from video_pipeline.engine.common.pictures import PictureStyle
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import explain, path_text, plain, show, written_path
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story.cards import EndCardField, TitleCardField
from video_pipeline.engine.story.code_blocks import code_blocks, prose
from video_pipeline.engine.story.effects import Effect
from video_pipeline.engine.story.fields import (
    SCENE_MAX_SECONDS,
    BoxSpec,
    ChapterTitle,
    Colour,
    FilePath,
    FitName,
    FontName,
    Identifier,
    Number,
    SceneFocus,
    ShadowSpec,
    SingleLine,
    StoryPart,
    StrokeSpec,
    Text,
    TransitionName,
    own_names,
    switch,
)
from video_pipeline.engine.story.grade import GradeSpec, grade_source
from video_pipeline.engine.story.language import detect_language
from video_pipeline.engine.story.lexicon import Lexicon
from video_pipeline.engine.story.markdown import plain_text
from video_pipeline.engine.story.motif_field import MotifName
from video_pipeline.engine.story.music import MusicSpec, music_source
from video_pipeline.engine.story.plain_lines import plain_line, plain_lines
from video_pipeline.engine.story.publish import PublishSpec
from video_pipeline.engine.story.reading import not_a_story, read_story
from video_pipeline.engine.story.speakers import (
    SpeakerName,
    Speakers,
)

LookName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]

STORY_MAX_CHARACTERS = 200_000
STORY_MAX_SCENES = 2000


class TransitionSpec(StoryPart):
    """The transition from a scene to the next."""

    name: TransitionName
    duration: Annotated[Number, Field(gt=0, le=30)] | None = Field(None, description="Seconds.")


class VideoSpec(StoryPart):
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


class NarrationSpec(StoryPart):
    """A recorded narration, and a file that says when its words are heard."""

    path: FilePath = Field(description="A sound file, relative to the story file.")
    words: FilePath | None = Field(
        None,
        description="When words are heard: Whisper's JSON, SRT, WebVTT or ASS; estimated from the sound if omitted.",
    )


def _named(key: str, name: Any, model: Any) -> BeforeValidator:
    """Accept a plain string, of the type `name`, as an object with that string under `key`."""
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value,
        json_schema_input_type=name | model | None,
    )


def _switch(model: type[StoryPart]) -> BeforeValidator:
    """Accept `true`, `false` or a colour as a decoration."""
    return BeforeValidator(
        lambda value: switch(value, model()), json_schema_input_type=bool | Colour | model | None
    )


def _colour_or_false(value: Any) -> Any:
    if value is None or value is False or isinstance(value, str):
        return value
    raise ValueError("allowed: a colour, or false")


def _listed(value: Any) -> Any:
    """Accept one name as a list of one."""
    return [value] if isinstance(value, str) else value


Motifs = Annotated[tuple[MotifName, ...], Field(min_length=1, max_length=5)]

SCENE_NAMES: Mapping[str, str] = {"position": "text_position", "color": "colour"}
CAPTION_FIELDS = (
    "style",
    "text_position",
    "size",
    "colour",
    "font",
    "stroke",
    "shadow",
    "box",
    "animation",
    "highlight",
)


class StoryScene(StoryPart):
    """One scene. Only `scene_id` is required; omitted fields follow the configuration."""

    OTHER_NAMES = SCENE_NAMES

    scene_id: Identifier = Field(description="Unique in its story.")
    title: Annotated[ChapterTitle, AfterValidator(plain_line)] | None = Field(
        None, description="Title of the chapter; the scene_id if omitted, '' to continue the chapter before."
    )
    text: Annotated[Text, AfterValidator(plain_lines)] = Field("", description="Words shown as caption.")
    narration: Annotated[Text, AfterValidator(plain_lines)] | None = Field(
        None, description="Words spoken; the text if omitted, '' for silence."
    )
    narration_audio: Annotated[NarrationSpec | None, _named("path", FilePath, NarrationSpec)] = Field(
        None,
        description="A recording of the narration (path or object) instead of a voice; it must say the words.",
    )
    speaker: SpeakerName | None = Field(
        None, description="Who speaks; found from `Name: …` at the beginning of the text if omitted."
    )
    image: FilePath | None = Field(
        None,
        description="A still: JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP, GIF or SVG, relative to the story file.",
    )
    image_prompt: Annotated[str, Field(min_length=1, max_length=4000)] | None = Field(
        None,
        description="What an image service is asked for instead of a prompt made of the words; words to search stock pictures for.",
    )
    video: Annotated[VideoSpec | None, _named("path", FilePath, VideoSpec)] = Field(
        None, description="A clip (path or object) instead of a still."
    )
    motif: Annotated[
        Motifs | None, BeforeValidator(_listed, json_schema_input_type=MotifName | Motifs | None)
    ] = Field(
        None, description="What a drawn picture shows (one motif or several) instead of what the words name."
    )
    picture_style: PictureStyle | None = Field(None, description="Style of a drawn picture, without motifs.")
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = Field(
        None, description="Another number draws the same picture in another way."
    )
    duration: Annotated[Number, Field(gt=0, le=SCENE_MAX_SECONDS)] | None = Field(
        None, description="Seconds; a scene is never shorter than its narration."
    )
    max_still_seconds: Annotated[Number, Field(ge=0, le=SCENE_MAX_SECONDS)] | None = Field(
        None,
        description="Seconds for which one still is shown before a second view, or another part of it; 0: as long as the scene.",
    )
    effects: Annotated[tuple[Effect, ...], Field(max_length=8)] | None = None
    transition: Annotated[TransitionSpec | None, _named("name", TransitionName, TransitionSpec)] = Field(
        None, description="How the scene leads into the next: an xfade name or 'cut'."
    )
    fit: FitName | None = None
    focus: SceneFocus | None = Field(
        None,
        description="What cropping and zooming keep in view: auto (the subject of a picture), center, or a point in fractions of the picture.",
    )
    style: CaptionStyle | None = Field(None, description="How much of the caption is shown at a time.")
    text_position: CaptionPosition | None = Field(None, description="Vertical position of the caption.")
    size: Annotated[Number, Field(ge=8, le=400)] | None = Field(
        None, description="Caption size in px on a 1080 px wide frame."
    )
    colour: Colour | None = None
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
    animation: CaptionAnimation | None = None
    highlight: Annotated[Colour | Literal[False] | None, BeforeValidator(_colour_or_false)] = Field(
        None, description="Colour of the word that is being spoken, or false for none."
    )

    @model_validator(mode="before")
    @classmethod
    def _own_names(cls, data: Any) -> Any:
        """Accept other names, and a text object: {content, position, size, color, font, animation, …}.

        It overrides the parent's validator rather than adding one, because thousands of scenes are validated per second.
        """
        if not isinstance(data, (dict, Mapping)):
            return data
        if data.get("image") is not None and data.get("video") is not None:
            raise ValueError("a scene shows either an `image` or a `video`, not both")
        if isinstance(data.get("text", ""), str) or not isinstance(data["text"], Mapping):
            return data if SCENE_NAMES.keys().isdisjoint(data) else own_names(data, SCENE_NAMES)
        text = own_names(data["text"], SCENE_NAMES)
        flat = own_names({key: value for key, value in data.items() if key != "text"}, SCENE_NAMES)
        flat["text"] = text.pop("content", "")
        for key, value in text.items():
            if key not in CAPTION_FIELDS:
                known = sorted(("content", *CAPTION_FIELDS, *SCENE_NAMES))
                raise ValueError(
                    f"field 'text': unknown key {show(key)}{closest(key, known)}; known keys: {', '.join(known)}"
                )
            if key in flat:
                raise ValueError(f"{key!r} is given both in the scene and in its text object")
            flat[key] = value
        return flat

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the text object to the schema, and the rule that a scene shows one picture."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        body = handler.resolve_ref_schema(schema)
        fields = body["properties"]
        words = {key: value for key, value in fields["text"].items() if key != "description"}
        inside = {key: deepcopy(fields[key]) for key in (*CAPTION_FIELDS, *SCENE_NAMES)}
        text_object = {
            "type": "object",
            "properties": {"content": words, **inside},
            "additionalProperties": False,
            "allOf": [{"not": {"required": [other, own]}} for other, own in SCENE_NAMES.items()],
        }
        fields["text"] = {
            "anyOf": [words, text_object],
            "default": "",
            "description": "Words shown as caption, or an object with the words and their look.",
        }
        in_text = [
            {
                "not": {
                    "required": [key, "text"],
                    "properties": {"text": {"type": "object", "required": [same]}},
                }
            }
            for group in (
                *((key,) for key in CAPTION_FIELDS if key not in SCENE_NAMES.values()),
                *SCENE_NAMES.items(),
            )
            for key in group
            for same in group
        ]
        full = {key: {"not": {"type": "null"}} for key in ("image", "video")}
        body["allOf"] += [*in_text, {"not": {"required": list(full), "properties": full}}]
        return schema

    @property
    def spoken(self) -> str:
        """The words that are spoken."""
        return (self.text if self.narration is None else self.narration).strip()


LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def _check_language(value: str) -> str:
    if not LANGUAGE_TAG.fullmatch(value):
        raise ValueError("allowed: a BCP 47 tag such as 'en' or 'pt-BR'")
    return value


LanguageTag = Annotated[
    str, AfterValidator(_check_language), Field(json_schema_extra={"pattern": f"^{LANGUAGE_TAG.pattern}$"})
]


class StoryMetadata(StoryPart):
    """Metadata of a story; further keys are kept and written to the metadata file."""

    model_config = ConfigDict(extra="allow")

    genre: SingleLine = "general"
    language: LanguageTag | None = Field(
        None, description="BCP 47 tag such as 'en'; detected from the text if omitted."
    )

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        """Check that further keys can be written as JSON."""
        if not isinstance(data, Mapping):
            return data
        kept = dict(data)
        for key, value in data.items():
            if key not in cls.model_fields:
                try:
                    plain(key)
                    kept[key] = plain(value)
                except ValueError as error:
                    raise ValueError(f"key {show(key)}: {error}") from None
        return kept


class Story(StoryPart):
    """A story: a title and either a text or explicit scenes."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["scenes"], "properties": {"scenes": {"type": "array"}}},
                {"required": ["content"], "properties": {"content": {"pattern": r"\S"}}},
            ]
        }
    )

    id: Identifier | None = Field(None, description="Names the job; derived from the content if omitted.")
    title: Annotated[SingleLine, AfterValidator(plain_line)]
    content: Annotated[str, Field(max_length=STORY_MAX_CHARACTERS)] = ""
    metadata: StoryMetadata = StoryMetadata()
    scenes: Annotated[tuple[StoryScene, ...], Field(min_length=1, max_length=STORY_MAX_SCENES)] | None = None
    music: Annotated[
        MusicSpec | None,
        BeforeValidator(music_source, json_schema_input_type=MusicWord | FilePath | MusicSpec | None),
    ] = Field(None, description="auto (synthesised by mood), none, a file, or an object.")
    loop: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether the last scene leads back to the first, for a video that repeats."
    )
    look: LookName | None = Field(
        None, description="A look by its name, or none: values for what neither story nor configuration sets."
    )
    title_card: TitleCardField = Field(
        None, description="Card before the first scene: true, false, text, object."
    )
    end_card: EndCardField = Field(None, description="Card after the last scene: true, false, text, object.")
    grade: Annotated[
        GradeSpec | None,
        BeforeValidator(grade_source, json_schema_input_type=GradeWord | FilePath | GradeSpec | None),
    ] = Field(
        None, description="Colours of pictures and clips: a .cube file, a grade of the package, or none."
    )
    narration_audio: Annotated[NarrationSpec | None, _named("path", FilePath, NarrationSpec)] = Field(
        None,
        description="A recording of all scenes' narrations in order; it is divided among the scenes by their words.",
    )
    lexicon: Lexicon = Field(
        default_factory=dict,
        description="Words, and how they are spoken: another spelling, or IPA between slashes.",
    )
    publish: Annotated[tuple[PublishSpec, ...], Field(max_length=20)] = Field(
        (), description="Where a node publishes the finished video; ignored by `render`."
    )
    speakers: Speakers = Field(
        default_factory=dict,
        description="Who speaks in lines that begin with `Name: …`, in which voice and colour; false: that is no speaker.",
    )

    @model_validator(mode="after")
    def _has_scenes(self) -> Self:
        if self.scenes is None and not self.content.strip():
            raise ValueError("a story needs `content` (a text) or `scenes` (at least one)")
        if self.scenes is None and code_blocks(self.content) and not prose(self.content).strip():
            raise ValueError(
                "`content` has nothing but code between fences, which is neither shown nor spoken"
            )
        scenes = self.scenes or ()
        for index, scene in enumerate(scenes if self.narration_audio is not None else ()):
            if scene.narration_audio is not None:
                raise ValueError(
                    f"scenes[{index}] (scene_id {scene.scene_id!r}): field 'narration_audio': the story has a "
                    "narration_audio for all scenes; give either that or one for each scene"
                )
        if len({scene.scene_id for scene in scenes}) == len(scenes):
            return self
        seen: dict[str, int] = {}
        for index, scene in enumerate(scenes):
            name = scene.scene_id
            if name in seen:
                raise ValueError(
                    f"scenes[{index}] (scene_id {name!r}): field 'scene_id': got {name!r}, which "
                    f"scenes[{seen[name]}] has already; give each scene its own"
                )
            seen[name] = index
        return self

    @property
    def story_id(self) -> str:
        """The story's id, or one derived from its content."""
        if self.id:
            return self.id
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return f"story-{digest[:12]}"

    @property
    def region(self) -> str:
        """The region of the story's language, such as GB, or nothing if it names none."""
        subtags = (self.metadata.language or "").split("-")[1:]
        return next((tag.upper() for tag in subtags if len(tag) == 2 and tag.isalpha()), "")

    @property
    def language(self) -> str:
        """The story's language (ISO 639-1): as given, or detected from its words."""
        if self.metadata.language:
            return self.metadata.language.split("-")[0].lower()
        words = " ".join(
            [plain_text(self.content) if self.content else "", *(scene.spoken for scene in self.scenes or ())]
        ).strip()
        return detect_language(words or self.title)

    @property
    def language_tag(self) -> str:
        """The story's language (BCP 47), with script and region if they are given."""
        return self.metadata.language or self.language


def _placer(data: Any) -> Callable[[ErrorDetails], str]:
    """Return a function that names an error's place: the scene with its id, then the field."""

    def words(detail: ErrorDetails) -> str:
        path = written_path(detail, data, other_names=SCENE_NAMES)
        if len(path) >= 2 and path[0] == "scenes" and isinstance(path[1], int):
            scene = data["scenes"][path[1]]
            name = scene.get("scene_id") if isinstance(scene, Mapping) else None
            head = f"scenes[{path[1]}]" + (f" (scene_id {show(name)})" if isinstance(name, str) else "")
            inner = detail["loc"][2:]
            if isinstance(scene, Mapping) and isinstance(scene.get("text"), Mapping) and inner:
                own = {**detail, "loc": ("content" if inner[0] == "text" else inner[0], *inner[1:])}
                inside = written_path(own, scene["text"], other_names=SCENE_NAMES)  # type: ignore[arg-type]
                if inside and path[2:] in ([], ["text"]):
                    path = [*path[:2], "text", *inside]
            return f"{head}: field {path_text(path[2:])!r}" if path[2:] else head
        return f"field {path_text(path)!r}" if path else ""

    return words


def parse_story(data: Any, *, where: str = "story") -> Story:
    """Return a Story from plain data; raise StoryError with one line for each fault."""
    if isinstance(data, Story):
        return data
    if not isinstance(data, Mapping):
        raise not_a_story(data, where=where)
    try:
        return Story.model_validate(data)
    except ValidationError as error:
        raise StoryError("\n".join(explain(error, Story, where=where, place=_placer(data)))) from error


def load_story(path: str | os.PathLike[str]) -> Story:
    """Read a story from a file: JSON, YAML, Markdown or plain text by its ending; `-` is standard input.

    Relative paths of assets are kept as written; the renderer resolves them against its argument `base`. Raises
    StoryError naming the file, the scene and the field.
    """
    file = Path(path)
    return parse_story(read_story(file), where=str(file))


def place_of(index: int, scene: StoryScene, field: str) -> str:
    """Return a scene's field as errors name it; a negative index is a card's, which no list has."""
    if index < 0:
        return f"field {scene.scene_id!r}"
    return f"scenes[{index}] (scene_id {scene.scene_id!r}): field {field!r}"
