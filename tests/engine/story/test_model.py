"""Stories in every accepted form, and files that are not stories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from video_pipeline.engine.api.stages import StoryProcessor
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import load_story, parse_story, story_scenes
from video_pipeline.engine.story.effects import FadeEffect, KenBurns
from video_pipeline.filters.transitions import TRANSITION_NAMES


def one_scene(**fields: Any) -> dict[str, Any]:
    return {"title": "T", "scenes": [{"scene_id": "intro"}, {"scene_id": "s2", **fields}]}


def scene_of(**fields: Any) -> Any:
    scenes = parse_story(one_scene(**fields)).scenes
    assert scenes is not None
    return scenes[1]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "not JSON: line 1, column 2: a key in double quotes"),
        ("a.json", "", "not JSON"),
        ("a.json", "title: T", "not JSON"),
        ("a.json", '{"title": "T", "title": "U", "content": "x"}', "the key 'title' is given twice"),
        (
            "a.json",
            '{"title": "T", "scenes": [{"scene_id": "a", "text": "x", "text": "y"}]}',
            "the key 'text' is given twice",
        ),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"title": ' + "9" * 5000 + "}", "not JSON"),
        ("a.json", b'{"title": "\xff"}', "not UTF-8 text"),
        (
            "a.json",
            '{"title": "T", "content": "x", "scenes": [{"scene_id": "a", "duration": NaN}]}',
            "a finite number",
        ),
        ("a.json", '{"title": "T", "content": "\\ud800"}', "valid Unicode"),
        ("a.yaml", "title: [", "not YAML"),
        ("a.yaml", "title: T\ncontent: x\ntitle: U", "the key 'title' is given twice"),
        ("a.yml", "title: T\ncontent: !!python/object/apply:os.system ['true']", "not YAML"),
        ("a.yaml", "title: !!int ''\ncontent: x", "not YAML"),
        ("a.yaml", "title: 2024-13-45\ncontent: x", "not YAML"),
        ("a.yaml", "title: T\ncontent: x\nscenes: &s [*s]", "scenes[0]"),
        ("a.yaml", "title: T\nscenes: [{scene_id: 1}]", "field 'scene_id': got 1"),
        ("a.yaml", "", "got NoneType"),
        ("a.yaml", "title: 0x" + "f" * 6000 + "\ncontent: x", "field 'title': got an integer of 24000 bits"),
    ],
)
def test_a_file_that_is_not_a_story_is_named(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(StoryError) as caught:
        load_story(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match=r"gone\.json: cannot be read: No such file"):
        load_story(tmp_path / "gone.json")
    with pytest.raises(StoryError, match="cannot be read: Is a directory"):
        load_story(tmp_path)
    with pytest.raises(StoryError, match="cannot be read"):
        load_story("a\0b.json")
    with pytest.raises(StoryError, match="too large; allowed: at most 16777216 bytes"):
        load_story(write(tmp_path, "big.json", b" " * (16 * 1024 * 1024 + 1)))


def test_the_same_story_is_read_from_json_and_yaml(tmp_path: Path) -> None:
    data = {
        "id": "lighthouse",
        "title": "Das Licht – 灯台",
        "content": "He climbed. He rowed.",
        "metadata": {"genre": "mystery", "source": {"page": 3, "tags": ["sea", None, True]}},
        "scenes": [{"scene_id": "a", "text": "Привет", "effects": ["fade_in"]}],
    }
    plain = write(tmp_path, "a.json", json.dumps(data))
    marked = write(tmp_path, "b.json", b"\xef\xbb\xbf" + json.dumps(data, ensure_ascii=False).encode())
    yaml_text = """\
id: lighthouse
title: Das Licht – 灯台
content: He climbed. He rowed.
metadata: &all
  genre: mystery
  source: {page: 3, tags: [sea, null, true]}
scenes:
  - scene_id: a
    text: Привет
    effects: [fade_in]
"""
    assert load_story(plain) == load_story(marked) == load_story(write(tmp_path, "c.YAML", yaml_text))
    assert load_story(plain).metadata.model_extra == {"source": {"page": 3, "tags": ["sea", None, True]}}


def test_yaml_may_share_parts_and_override_them(tmp_path: Path) -> None:
    story = load_story(
        write(
            tmp_path,
            "a.yaml",
            "title: T\nmetadata: {written: 2024-05-01}\nscenes:\n"
            "  - &first {scene_id: a, duration: 3, size: 60}\n  - {<<: *first, scene_id: b, size: 70}\n",
        )
    )
    assert story.scenes is not None
    assert [(s.scene_id, s.duration, s.size) for s in story.scenes] == [("a", 3, 60), ("b", 3, 70)]
    assert story.metadata.model_extra == {"written": "2024-05-01"}


def test_a_text_object_is_the_caption_of_its_scene() -> None:
    scene = scene_of(
        text={
            "content": "Scene 1",
            "position": "center",
            "size": 48,
            "color": "white",
            "font": "Arial-Bold",
            "animation": "fade_in",
            "stroke": {"width": 2, "color": "black"},
        }
    )
    assert (scene.text, scene.text_position, scene.size) == ("Scene 1", "center", 48)
    assert (scene.colour, scene.font, scene.animation) == ("white", "Arial-Bold", "fade_in")
    assert (scene.stroke.width, scene.stroke.colour) == (2, "black")
    assert scene_of(text={}).text == ""


def test_shorthands_stand_for_their_objects() -> None:
    assert scene_of(transition="wipeleft") == scene_of(transition={"name": "wipeleft"})
    assert scene_of(video="a.mp4") == scene_of(video={"path": "a.mp4"})
    assert scene_of(effects=["ken_burns", "fade_out"]).effects == (KenBurns(), FadeEffect(type="fade_out"))
    assert scene_of(position="top", color="red") == scene_of(text_position="top", colour="red")
    assert scene_of(stroke="#fff").stroke.colour == "#fff"
    assert scene_of(box=True).box == scene_of(box={}).box
    assert scene_of(shadow=False).shadow is False
    assert scene_of(shadow=None).shadow is None
    one = parse_story({"title": "T", "content": "x", "music": "a.mp3"}).music
    assert one is not None
    assert (one.path, one.volume) == ("a.mp3", None)


@pytest.mark.parametrize("name", TRANSITION_NAMES)
def test_every_transition_may_be_named(name: str) -> None:
    assert scene_of(transition=name).transition.name == name


@pytest.mark.parametrize(
    "colour", ["white", "#fff", "#FFFFFF", "#FFFFFF80", "rgb(1, 2, 3)", "hsl(120, 50%, 50%)"]
)
def test_colours_are_css_names_and_codes(colour: str) -> None:
    assert scene_of(colour=colour).colour == colour


def test_the_narration_or_else_the_text_is_spoken() -> None:
    assert scene_of(text=" Hello ").spoken == "Hello"
    assert scene_of(text="Hello", narration="Good day").spoken == "Good day"
    assert scene_of(text="Hello", narration="").spoken == ""


def test_a_story_of_only_a_text_gets_scenes_with_ids() -> None:
    story = parse_story(
        {"title": "T", "content": "The keeper climbed the long stairs of the old tower alone. " * 4}
    )
    scenes = story_scenes(story)
    assert [scene.scene_id for scene in scenes] == [f"scene_{n:03d}" for n in range(1, len(scenes) + 1)]
    assert len(scenes) == 4
    assert StoryProcessor().process({"title": "T", "content": "One. Two."}) == [
        {"scene_id": "scene_001", "title": "One. Two", "text": "One. Two."}
    ]


def test_explicit_scenes_win_over_the_text() -> None:
    story = parse_story(
        {"title": "T", "content": "Other words.", "scenes": [{"scene_id": "a", "text": "Mine."}]}
    )
    assert [scene.text for scene in story_scenes(story)] == ["Mine."]


def test_the_story_id_is_given_or_follows_the_content() -> None:
    assert parse_story({"id": "n1", "title": "T", "content": "x"}).story_id == "n1"
    one, same, other = (parse_story({"title": title, "content": "x"}).story_id for title in "TTU")
    assert one == same != other
    assert one.startswith("story-")


def test_the_language_is_given_or_found() -> None:
    def language(**fields: Any) -> str:
        return parse_story({"title": "T", **fields}).language

    assert language(content="x", metadata={"language": "pt-BR"}) == "pt"
    assert language(content="Der alte Wärter stieg noch einmal die Treppe hinauf.") == "de"
    assert language(scenes=[{"scene_id": "a", "narration": "El viejo farero subió las escaleras."}]) == "es"


FULL = {
    "id": "full",
    "title": "T",
    "metadata": {"genre": "mystery", "language": "en", "extra": [1, {"a": None}]},
    "music": {"path": "m.mp3", "volume": -20.0},
    "scenes": [
        {
            "scene_id": "a",
            "text": {"content": "Hi", "color": "red"},
            "narration": "",
            "image": "a.png",
            "duration": 4,
            "effects": [
                {"type": "ken_burns", "zoom": [1, 1.2], "focus": [0.2, 0.3], "easing": "cubic"},
                "fade_in",
            ],
            "transition": {"name": "circleopen", "duration": 0.5},
            "fit": "blur",
            "stroke": False,
            "shadow": True,
            "box": "#00000080",
        },
        {"scene_id": "b", "video": {"path": "v.mp4", "start": 1, "end": 2.5, "sound": False}},
        {
            "scene_id": "c",
            "effects": [
                {
                    "type": "ken_burns",
                    "start": {"x": 0, "y": 0, "width": 1},
                    "end": {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5},
                }
            ],
        },
    ],
}


def test_a_story_survives_the_way_through_json() -> None:
    story = parse_story(FULL)
    assert parse_story(json.loads(story.model_dump_json())) == story
    assert parse_story(story) is story
    assert parse_story(json.loads(json.dumps(story.model_dump(mode="json")))).story_id == story.story_id


@pytest.mark.parametrize("prompt", ["", "x" * 4001, 5])
def test_a_prompt_has_1_to_4000_characters(prompt: object) -> None:
    with pytest.raises(StoryError, match=r"scenes\[0\] \(scene_id 'a'\): field 'image_prompt'"):
        parse_story({"title": "T", "scenes": [{"scene_id": "a", "image_prompt": prompt}]})
