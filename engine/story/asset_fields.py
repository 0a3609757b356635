"""The fields of a job that name files: in the story, its scenes and the configuration.

This module imports little, so that clients need not import the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from video_pipeline.engine.common.grades import GRADE_WORDS
from video_pipeline.engine.common.music import MUSIC_WORDS

AssetKind = Literal["picture", "video", "sound", "font", "words", "lut"]

FONT_SUFFIXES: Final = (".ttf", ".otf", ".ttc", ".otc")

PATH: Final = "path"
"""An object that holds only this key may be written as the file name alone."""

DRAWN_PICTURE: Final = "a drawn picture is shown instead"
SPOKEN_INSTEAD: Final = "the words are spoken by the configured voice instead"
SHARED_TIMES: Final = "the times of the words are estimated"
NO_MUSIC: Final = "there is no music"
NO_GRADE: Final = "the colours are not graded"
NO_WATERMARK: Final = "there is no watermark"
NO_BUMPER: Final = "the video is without it"
DEFAULT_FONT: Final = "the default font is used instead"


@dataclass(frozen=True, slots=True)
class AssetField:
    """A field that names a file, or with `inner` an object that holds one under that key.

    `instead` is the end of the warning if the field is left out because its file is unusable. `words` are values that
    are no files; in an object under PATH they are.
    """

    key: str
    kind: AssetKind
    instead: str
    inner: str = ""
    words: tuple[str, ...] = ()


NARRATION_FIELDS: Final = (
    AssetField("narration_audio", "sound", SPOKEN_INSTEAD, PATH),
    AssetField("narration_audio", "words", SHARED_TIMES, "words"),
)
STORY_FIELDS: Final = (
    AssetField("music", "sound", NO_MUSIC, PATH, MUSIC_WORDS),
    AssetField("grade", "lut", NO_GRADE, PATH, GRADE_WORDS),
    *NARRATION_FIELDS,
)
SCENE_FIELDS: Final = (
    *NARRATION_FIELDS,
    AssetField("image", "picture", DRAWN_PICTURE),
    AssetField("video", "video", DRAWN_PICTURE, PATH),
    AssetField("font", "font", DEFAULT_FONT),
)
TEXT_FIELDS: Final = (AssetField("text", "font", DEFAULT_FONT, "font"),)
"""Fields of a caption that a scene may give inside its text object; the model moves them to the scene."""
CONFIG_FIELDS: Final = (
    AssetField("watermark", "picture", NO_WATERMARK, "image"),
    AssetField("grade", "lut", NO_GRADE, "lut", GRADE_WORDS),
    AssetField("audio", "sound", NO_MUSIC, "music", MUSIC_WORDS),
    AssetField("scenes", "font", DEFAULT_FONT, "text_font"),
    AssetField("title_card", "font", DEFAULT_FONT, "text_font"),
    AssetField("end_card", "font", DEFAULT_FONT, "text_font"),
    AssetField("intro", "video", NO_BUMPER, PATH),
    AssetField("intro", "picture", NO_BUMPER, "image"),
    AssetField("outro", "video", NO_BUMPER, PATH),
    AssetField("outro", "picture", NO_BUMPER, "image"),
)


@dataclass(frozen=True, slots=True)
class AssetPlace:
    """A place in plain data that names a file or a font: `holder[key]`. `field` is its path in the job.

    `owner[entry]` is the object that contains it, such as a scene's `video`; `within` is the owner's path if it
    is a scene. `instead` is that of its AssetField.
    """

    holder: dict[str, Any]
    key: str
    field: str
    kind: AssetKind
    owner: dict[str, Any]
    entry: str
    instead: str
    within: str = ""

    @property
    def value(self) -> Any:
        """The value at this place. In unchecked data it need not be text."""
        return self.holder[self.key]

    def put(self, value: str) -> None:
        """Replace the value at this place."""
        self.holder[self.key] = value


def story_assets(story: Mapping[str, Any]) -> Iterator[AssetPlace]:
    """Yield every place in a story that names a file or a font. Parts that are not shaped like a story are skipped."""
    scenes = story.get("scenes")
    for number, scene in enumerate(scenes if isinstance(scenes, list | tuple) else ()):
        if isinstance(scene, dict):
            yield from _places(scene, (*SCENE_FIELDS, *TEXT_FIELDS), f"scenes[{number}]")
    yield from _places(story, STORY_FIELDS)


def config_assets(config: Mapping[str, Any]) -> Iterator[AssetPlace]:
    """Yield every place in a job's configuration that names a file or a font; see `story_assets`."""
    sections = config.get("video_pipeline", config)
    if isinstance(sections, dict):
        yield from _places(sections, CONFIG_FIELDS)


def _places(data: Any, fields: tuple[AssetField, ...], within: str = "") -> Iterator[AssetPlace]:
    for field in fields:
        holder, key = data, field.key
        value = holder.get(key)
        if field.inner and isinstance(value, dict):
            holder, key = value, field.inner
            value = holder.get(key)
        elif field.inner not in ("", PATH):
            continue
        is_word = value in field.words and (holder is data or field.inner != PATH)
        if value is not None and not is_word:
            names = (within, field.key, key if holder is not data else "")
            name = ".".join(filter(None, names))
            yield AssetPlace(holder, key, name, field.kind, data, field.key, field.instead, within)


def is_font_file(name: str) -> bool:
    """Return whether a font name is a file; otherwise it is a family."""
    return name.lower().endswith(FONT_SUFFIXES)
