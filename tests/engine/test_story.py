"""Stories: every written form that is taken, and every fault with its file, scene, field and value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import StoryError
from engine.story import Story, StoryProcessor, load_story, parse_story, story_scenes
from engine.story_effects import FadeEffect, KenBurns
from filters.transitions import TRANSITION_NAMES


def one_scene(**fields: Any) -> dict[str, Any]:
    return {"title": "T", "scenes": [{"scene_id": "intro"}, {"scene_id": "s2", **fields}]}


def scene_of(**fields: Any) -> Any:
    scenes = parse_story(one_scene(**fields)).scenes
    assert scenes is not None
    return scenes[1]


def refusal(data: Any) -> str:
    with pytest.raises(StoryError) as caught:
        parse_story(data, where="night.json")
    return str(caught.value)


S2 = "night.json: scenes[1] (scene_id 's2')"
WRONG_SCENES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown field": (
        {"colr": "red"},
        ["'colr'", "unknown key (did you mean 'colour'?)", "known keys: animation"],
    ),
    "unknown field with a capital": ({"Text": "x"}, ["field 'Text'", "unknown key (did you mean 'text'?)"]),
    "text of a wrong type": ({"text": 5}, ["'text'", "got 5", "text in quotes"]),
    "half a surrogate pair": ({"text": "\ud83d"}, ["'text'", "valid Unicode"]),
    "text too long": ({"text": "x" * 5001}, ["'text'", "at most 5000"]),
    "number as text": ({"duration": "5"}, ["'duration'", "got '5'", "a number"]),
    "boolean as a number": ({"duration": True}, ["'duration'", "got True", "a number"]),
    "NaN": ({"duration": float("nan")}, ["'duration'", "got nan", "a finite number"]),
    "infinity": ({"duration": float("inf")}, ["'duration'", "got inf", "a finite number"]),
    "negative duration": ({"duration": -1}, ["'duration'", "got -1", "greater than 0"]),
    "no duration at all": ({"duration": 0}, ["'duration'", "got 0", "greater than 0"]),
    "duration of a day": ({"duration": 86400}, ["'duration'", "got 86400", "less than or equal to 3600"]),
    "an integer without end": ({"duration": 10**5000}, ["'duration'", "bits", "a number"]),
    "unknown transition": ({"transition": "wibble"}, ["'transition'", "got 'wibble'", "wipeleft"]),
    "unknown transition in an object": (
        {"transition": {"name": "wibble"}},
        ["'transition.name'", "wipeleft"],
    ),
    "transition of no length": (
        {"transition": {"name": "fade", "duration": 0}},
        ["'transition.duration'", "got 0"],
    ),
    "transition as a number": ({"transition": 3}, ["'transition'", "got 3", "an object"]),
    "unknown effect": (
        {"effects": ["wobble"]},
        ["'effects.0'", "got 'wobble'", "ken_burns, fade_in, fade_out"],
    ),
    "unknown effect type": ({"effects": [{"type": "wobble"}]}, ["'effects.0'", "'wobble'", "ken_burns"]),
    "effect without a type": ({"effects": [{"zoom": [1, 2]}]}, ["'effects.0'", "None", "ken_burns"]),
    "effects not in a list": ({"effects": "fade_in"}, ["'effects'", "got 'fade_in'", "a list"]),
    "effect as a number": ({"effects": [7]}, ["'effects.0'", "got 7"]),
    "nine effects": ({"effects": ["fade_in"] * 9}, ["'effects'", "at most 8"]),
    "unknown field of an effect": (
        {"effects": [{"type": "ken_burns", "zom": [1, 2]}]},
        ["'effects.0.zom'", "did you mean 'zoom'?"],
    ),
    "zoom out of range": (
        {"effects": [{"type": "ken_burns", "zoom": [1, 99]}]},
        ["'effects.0.zoom.1'", "got 99", "less than or equal to 10"],
    ),
    "zoom of three numbers": (
        {"effects": [{"type": "ken_burns", "zoom": [1, 2, 3]}]},
        ["'effects.0.zoom", "at most 2"],
    ),
    "focus outside": (
        {"effects": [{"type": "ken_burns", "focus": [0.5, 1.5]}]},
        ["'effects.0.focus.1'", "got 1.5", "less than or equal to 1"],
    ),
    "rectangle over the right edge": (
        {
            "effects": [
                {
                    "type": "ken_burns",
                    "start": {"x": 0.5, "y": 0, "width": 0.6},
                    "end": {"x": 0, "y": 0, "width": 1},
                }
            ]
        },
        ["'effects.0.start'", "x + width is 1.1", "inside the picture"],
    ),
    "rectangle over the lower edge": (
        {
            "effects": [
                {
                    "type": "ken_burns",
                    "start": {"x": 0, "y": 0, "width": 1},
                    "end": {"x": 0, "y": 0.75, "width": 0.5, "height": 0.5},
                }
            ]
        },
        ["'effects.0.end'", "y + height is 1.25", "inside the picture"],
    ),
    "rectangle without a width": (
        {"effects": [{"type": "ken_burns", "start": {"x": 0, "y": 0}, "end": {"x": 0, "y": 0, "width": 1}}]},
        ["'effects.0.start.width'", "is missing"],
    ),
    "start without end": (
        {"effects": [{"type": "ken_burns", "start": {"x": 0, "y": 0, "width": 1}}]},
        ["'effects.0'", "both `start` and `end`"],
    ),
    "rectangles and zoom": (
        {
            "effects": [
                {
                    "type": "ken_burns",
                    "zoom": [1, 2],
                    "start": {"x": 0, "y": 0, "width": 1},
                    "end": {"x": 0, "y": 0, "width": 1},
                }
            ]
        },
        ["'effects.0'", "not both"],
    ),
    "unknown easing": (
        {"effects": [{"type": "ken_burns", "easing": "bouncy"}]},
        ["'effects.0.easing'", "'ease_in_out'"],
    ),
    "unknown colour": ({"colour": "blurple"}, ["field 'colour'", "got 'blurple'", "#RRGGBB"]),
    "unknown colour, spelled as in CSS": (
        {"color": "blurple"},
        ["field 'color'", "got 'blurple'", "#RRGGBB"],
    ),
    "colour out of range": ({"colour": "rgb(999, 0, 0)"}, ["'colour'", "rgb(999, 0, 0)", "#RRGGBB"]),
    "colour twice": ({"colour": "red", "color": "blue"}, ["'colour' is given twice", "'color'"]),
    "unknown colour of the stroke": ({"stroke": "blurple"}, ["'stroke'", "got 'blurple'", "#RRGGBB"]),
    "stroke as a number": (
        {"stroke": 0},
        ["'stroke'", "got 0", "true, false, a colour, or an object with width"],
    ),
    "stroke too wide": ({"stroke": {"width": 41}}, ["'stroke.width'", "got 41", "less than or equal to 40"]),
    "unknown position": (
        {"text_position": "left"},
        ["'text_position'", "got 'left'", "'top', 'center' or 'bottom'"],
    ),
    "unknown position, the guide's word": ({"position": "left"}, ["field 'position'", "got 'left'", "'top'"]),
    "unknown fit": ({"fit": "stretch"}, ["'fit'", "got 'stretch'", "'cover'"]),
    "unknown animation": ({"animation": "spin"}, ["'animation'", "got 'spin'", "'slide_up'"]),
    "letters too small": ({"size": 3}, ["'size'", "got 3", "greater than or equal to 8"]),
    "image and video": ({"image": "a.png", "video": "b.mp4"}, ["either an `image` or a `video`"]),
    "image that is no path": ({"image": ["a.png"]}, ["'image'", "got ['a.png']"]),
    "path with a control character": ({"image": "a\nb.png"}, ["'image'", "without control characters"]),
    "clip that ends before it starts": (
        {"video": {"path": "a.mp4", "start": 4, "end": 2}},
        ["'video'", "end 2 is not after start 4"],
    ),
    "clip without a path": ({"video": {"start": 1}}, ["'video.path'", "is missing"]),
    "clip's sound in words": (
        {"video": {"path": "a.mp4", "sound": "yes"}},
        ["'video.sound'", "got 'yes'", "true or false"],
    ),
    "text object of a wrong type": ({"text": {"content": 5}}, ["'text.content'", "got 5"]),
    "text object with a wrong size": ({"text": {"content": "x", "size": 3}}, ["'text.size'", "got 3"]),
    "text object with a wrong colour": (
        {"text": {"color": "blurple"}},
        ["'text.color'", "'blurple'", "#RRGGBB"],
    ),
    "text object with a field of the scene": (
        {"text": {"content": "x", "duration": 3}},
        ["'text'", "unknown key 'duration'", "known keys: animation, box, color"],
    ),
    "size in the scene and its text object": ({"size": 40, "text": {"size": 50}}, ["'size' is given both"]),
    "position in the scene and its text object": (
        {"text_position": "top", "text": {"position": "top"}},
        ["'text_position' is given both"],
    ),
}


@pytest.mark.parametrize("fault", WRONG_SCENES)
def test_a_fault_of_a_scene_names_file_scene_field_value_and_what_is_allowed(fault: str) -> None:
    fields, words = WRONG_SCENES[fault]
    message = refusal(one_scene(**fields))
    assert message.startswith(S2), message
    assert "\n" not in message, "one fault, one line"
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "a/b", "", "-rf", ".hidden", "a b", "a\nb", "é", "x" * 129, "a\\b", "a\0"]
)
def test_an_id_that_could_be_a_path_or_an_option_is_refused(name: str) -> None:
    message = refusal({"title": "T", "scenes": [{"scene_id": name}]})
    assert "field 'scene_id'" in message
    assert "allowed: 1 to 128 letters" in message
    assert "field 'id'" in refusal({"id": name, "title": "T", "content": "x"})


WRONG_STORIES: dict[str, tuple[Any, list[str]]] = {
    "a list": ([], ["night.json: got list", "an object with title"]),
    "null": (None, ["got NoneType"]),
    "text": ("story", ["got str"]),
    "no title": ({"content": "x"}, ["field 'title': is missing"]),
    "empty title": ({"title": "", "content": "x"}, ["field 'title'", "at least 1"]),
    "title over two lines": (
        {"title": "a\nb", "content": "x"},
        ["field 'title'", "without control characters"],
    ),
    "nothing to tell": ({"title": "T"}, ["`content` (a text) or `scenes`"]),
    "blank text": ({"title": "T", "content": " \n "}, ["`content` (a text) or `scenes`"]),
    "zero scenes": ({"title": "T", "scenes": []}, ["field 'scenes'", "got []", "at least 1"]),
    "scenes not in a list": ({"title": "T", "scenes": {"scene_id": "a"}}, ["field 'scenes'", "a list"]),
    "a scene that is text": ({"title": "T", "scenes": ["x"]}, ["scenes[0]", "got 'x'", "an object"]),
    "a scene without id": (
        {"title": "T", "scenes": [{"text": "x"}]},
        ["scenes[0]: field 'scene_id': is missing"],
    ),
    "duplicate ids": (
        {"title": "T", "scenes": [{"scene_id": "a"}, {"scene_id": "b"}, {"scene_id": "a"}]},
        ["scenes[2] (scene_id 'a'): field 'scene_id': got 'a', which scenes[0] has already"],
    ),
    "unknown field": (
        {"title": "T", "content": "x", "titel": "y"},
        ["'titel'", "did you mean 'title'?", "known keys: content"],
    ),
    "a key that is a number": ({"title": "T", "content": "x", 1: 2}, ["keys that are text"]),
    "text too long": ({"title": "T", "content": "x" * 200_001}, ["field 'content'", "at most 200000"]),
    "genre as a number": (
        {"title": "T", "content": "x", "metadata": {"genre": 5}},
        ["'metadata.genre'", "got 5"],
    ),
    "language that is none": (
        {"title": "T", "content": "x", "metadata": {"language": "??"}},
        ["'metadata.language'", "got '??'"],
    ),
    "metadata in a list": ({"title": "T", "content": "x", "metadata": []}, ["'metadata'", "an object"]),
    "NaN in the metadata": (
        {"title": "T", "content": "x", "metadata": {"score": float("nan")}},
        ["'metadata'", "'score'", "nan"],
    ),
    "bytes in the metadata": (
        {"title": "T", "content": "x", "metadata": {"raw": b"x"}},
        ["'metadata'", "'raw'", "lists, objects"],
    ),
    "music louder than loud": (
        {"title": "T", "content": "x", "music": {"path": "a.mp3", "volume": 40}},
        ["'music.volume'", "got 40", "less than or equal to 12"],
    ),
}


@pytest.mark.parametrize("fault", WRONG_STORIES)
def test_a_fault_of_a_story_names_field_value_and_what_is_allowed(fault: str) -> None:
    data, words = WRONG_STORIES[fault]
    message = refusal(data)
    assert message.startswith("night.json: "), message
    for word in words:
        assert word in message


def test_every_fault_has_a_line_and_a_flood_of_them_is_counted() -> None:
    two = refusal({"titel": "T", "scenes": [{"scene_id": "a", "duration": -1}]})
    assert len(two.splitlines()) == 3  # no title, the unknown key, the duration
    flood = refusal({"title": "T", "scenes": [{"scene_id": f"s{n}", "duration": -n} for n in range(100)]})
    assert len(flood.splitlines()) == 13
    assert flood.splitlines()[-1] == "night.json: and 88 more"


def nested(depth: int) -> Any:
    data: Any = []
    for _ in range(depth):
        data = [data]
    return data


def bomb() -> Any:
    data: Any = ["lol"]
    for _ in range(40):
        data = [data] * 10
    return data


HUGE = {
    "deep": lambda: nested(900),
    "bomb": bomb,
    "long": lambda: "x" * 5_000_000,
    "many digits": lambda: 10**20_000,
    "deep inside": lambda: {"a": nested(900)},
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_wrong_value_of_any_size_is_told_in_a_short_line(kind: str) -> None:
    value = HUGE[kind]()
    assert len(refusal({"title": value, "scenes": [{"scene_id": "a"}]})) < 500
    assert len(refusal({"title": "T", "content": "x", "metadata": {"genre": value, "deep": value}})) < 1000


def test_metadata_that_could_not_be_written_again_is_refused() -> None:
    for value in (nested(40), bomb(), "\ud800", {1: 2}, 10**400):
        assert "field 'metadata': key 'extra'" in refusal(
            {"title": "T", "content": "x", "metadata": {"extra": value}}
        )


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "not JSON: Expecting property name"),
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


def test_the_guides_text_object_is_the_scene_s_caption() -> None:
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


def test_what_is_spoken_is_the_narration_or_the_text() -> None:
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
        {"scene_id": "scene_001", "text": "One. Two."}
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


FIELDS = """id title content metadata scenes music scene_id text narration image video duration effects transition
fit text_position position size colour color font stroke shadow box animation type zoom focus start end x y width
height easing name path sound volume genre language blur padding radius ken_burns StrokeSpec <<"""
KEYS = st.sampled_from(FIELDS.split()) | st.text(max_size=4)
WORDS = st.sampled_from(
    ["a", "b", "fade", "cut", "ken_burns", "fade_in", "red", "#fff", "top", "a.png", "en", "cover"]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, 0, 1, 2, -1, 0.5, 60]),
    st.floats(),
    WORDS,
    st.text(st.characters(codec=None, categories=None), max_size=8),
)
JSON_LIKE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
SCENE_LIKE = st.dictionaries(KEYS, JSON_LIKE, max_size=5).flatmap(
    lambda fields: st.one_of(
        st.just(fields), st.just({**fields, "scene_id": "s"}), st.just({"scene_id": "t"})
    )
)


@settings(deadline=None)
@given(
    st.one_of(
        JSON_LIKE,
        st.fixed_dictionaries({"title": st.just("T"), "scenes": st.lists(SCENE_LIKE, max_size=3)}),
        st.fixed_dictionaries(
            {
                "title": WORDS,
                "content": st.text(max_size=60),
                "metadata": st.dictionaries(KEYS, JSON_LIKE, max_size=3),
            }
        ),
    )
)
def test_any_data_is_a_story_or_a_story_error(data: Any) -> None:
    try:
        story = parse_story(data)
    except StoryError as error:
        assert str(error)  # noqa: PT017 - any other exception fails the test
        return
    assert isinstance(story, Story)
    assert parse_story(json.loads(story.model_dump_json())) == story
    assert story.story_id
    assert story_scenes(story)
    assert story.language
    json.dumps(story.model_dump(mode="json"), allow_nan=False).encode()
