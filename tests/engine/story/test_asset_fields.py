"""The table of fields that name files lists all those of the models, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.job import NODE_SECTIONS, OPERATORS_KEYS
from video_pipeline.engine.config.values import LocalPath
from video_pipeline.engine.story import Story, StoryScene, parse_story
from video_pipeline.engine.story.asset_fields import (
    CONFIG_FIELDS,
    PATH,
    SCENE_FIELDS,
    STORY_FIELDS,
    TEXT_FIELDS,
    AssetField,
    config_assets,
    story_assets,
)
from video_pipeline.engine.story.fields import FilePath, FontName
from video_pipeline.engine.story.model import CAPTION_FIELDS

FILES = (FilePath, FontName, LocalPath)


def parts_of(hint: Any) -> Iterator[Any]:
    """Yield a type and its parts: the members of unions, the items of tuples."""
    yield hint
    if hint not in FILES:
        for part in get_args(hint):
            yield from parts_of(part)


def file_fields(model: type[BaseModel]) -> set[tuple[str, ...]]:
    """Return the keys that lead to every field of a model that names a file or a font."""
    found: set[tuple[str, ...]] = set()
    for name, hint in get_type_hints(model, include_extras=True).items():
        for part in parts_of(hint) if name in model.model_fields else ():
            if part in FILES:
                found.add((name,))
            elif isinstance(part, type) and issubclass(part, BaseModel):
                found |= {(name, *inner) for inner in file_fields(part)}
    return found


def keys_of(*fields: AssetField) -> set[tuple[str, ...]]:
    return {(field.key, field.inner) if field.inner else (field.key,) for field in fields}


def test_every_file_of_a_story_is_in_the_table() -> None:
    in_scenes = {("scenes", *keys) for keys in keys_of(*SCENE_FIELDS)}
    assert file_fields(Story) == keys_of(*STORY_FIELDS) | in_scenes
    assert file_fields(StoryScene) == keys_of(*SCENE_FIELDS)


def test_every_file_that_a_text_object_may_name_is_in_the_table() -> None:
    of_captions = [field for field in SCENE_FIELDS if field.key in CAPTION_FIELDS]
    assert {(field.inner, field.kind) for field in TEXT_FIELDS} == {
        (field.key, field.kind) for field in of_captions
    }
    assert {field.key for field in TEXT_FIELDS} == {"text"}


def test_every_file_of_a_job_s_configuration_is_in_the_table() -> None:
    jobs_own = {
        keys
        for keys in file_fields(Config)
        if keys[0] not in NODE_SECTIONS and keys[:2] not in OPERATORS_KEYS
    }
    assert jobs_own == keys_of(*CONFIG_FIELDS)


def test_a_font_is_a_font_and_nothing_else_is() -> None:
    for field in (*STORY_FIELDS, *SCENE_FIELDS, *TEXT_FIELDS, *CONFIG_FIELDS):
        assert (field.kind == "font") == (field.inner or field.key).endswith("font")


def test_an_object_that_holds_a_path_may_be_written_as_the_path() -> None:
    written = {field.key: field.key for field in (*STORY_FIELDS, *SCENE_FIELDS) if field.inner == PATH}
    story = parse_story(
        {
            "title": "T",
            "music": written["music"],
            "grade": written["grade"],
            "scenes": [
                {"scene_id": "a", "video": written["video"], "narration_audio": written["narration_audio"]}
            ],
        }
    )
    assert written.keys() == {"music", "grade", "video", "narration_audio"}
    assert story.music is not None
    assert story.grade is not None
    assert story.scenes is not None
    scene = story.scenes[0]
    assert scene.video is not None
    assert scene.narration_audio is not None
    assert (story.music.path, story.grade.path, scene.video.path) == ("music", "grade", "video")
    assert scene.narration_audio.path == "narration_audio"


def test_each_asset_field_has_its_path_in_the_job_and_its_owner() -> None:
    story: dict[str, Any] = {
        "music": "m.mp3",
        "scenes": [
            {"scene_id": "a", "image": "a.png", "text": "a.ttf"},
            {"scene_id": "b", "video": {"path": "b.mp4"}, "text": {"font": "b.ttf"}},
        ],
    }
    places = list(story_assets(story))
    assert [(place.field, place.value, place.kind) for place in places] == [
        ("scenes[0].image", "a.png", "picture"),
        ("scenes[1].video.path", "b.mp4", "video"),
        ("scenes[1].text.font", "b.ttf", "font"),
        ("music", "m.mp3", "sound"),
    ]
    assert [place.owner[place.entry] for place in places] == [
        "a.png",
        {"path": "b.mp4"},
        {"font": "b.ttf"},
        "m.mp3",
    ]
    assert [place.within for place in places] == ["scenes[0]", "scenes[1]", "scenes[1]", ""]
    places[1].put("c.mp4")
    assert story["scenes"][1]["video"] == {"path": "c.mp4"}
    config = {"audio": {"music": "m.mp3"}, "scenes": {"text_font": "Arial"}, "watermark": {}}
    for written in (config, {"video_pipeline": config}):
        assert [place.field for place in config_assets(written)] == ["audio.music", "scenes.text_font"]


def test_words_for_music_are_no_files_and_paths_of_that_name_are() -> None:
    for word in ("auto", "none"):
        assert list(story_assets({"music": word})) == []
        assert list(story_assets({"music": {"mood": word}})) == []
        assert list(config_assets({"audio": {"music": word}})) == []
        assert [place.value for place in story_assets({"music": {"path": word}})] == [word]
        assert [place.value for place in story_assets({"music": f"./{word}"})] == [f"./{word}"]
        assert [place.value for place in config_assets({"audio": {"music": f"./{word}"}})] == [f"./{word}"]


def test_grades_of_the_package_are_no_files() -> None:
    for word in ("warm", "none"):
        assert list(story_assets({"grade": word})) == []
        assert list(story_assets({"grade": {"name": word}})) == []
        assert list(config_assets({"grade": {"lut": word}})) == []
        assert [place.value for place in config_assets({"grade": {"lut": f"./{word}"}})] == [f"./{word}"]


@pytest.mark.parametrize("wrong", [{"scenes": 7}, {"scenes": [7, None, {"text": [], "video": {}}]}, {}])
def test_data_not_shaped_like_a_story_is_skipped(wrong: dict[str, Any]) -> None:
    assert list(story_assets(wrong)) == []
    for config in ({"watermark": 7}, {"video_pipeline": 7}, {"watermark": {"image": None}}):
        assert list(config_assets(config)) == []
