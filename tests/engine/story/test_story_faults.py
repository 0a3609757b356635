"""Every error in a story names its file, scene, field, value and what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import Story, parse_story, story_scenes


def one_scene(**fields: Any) -> dict[str, Any]:
    return {"title": "T", "scenes": [{"scene_id": "intro"}, {"scene_id": "s2", **fields}]}


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
    "half a surrogate pair in a path": ({"image": "\udcff.jpg"}, ["'image'", "valid Unicode"]),
    "text too long": ({"text": "x" * 5001}, ["'text'", "at most 5000"]),
    "number as text": ({"duration": "5"}, ["'duration'", "got '5'", "a number"]),
    "boolean as a number": ({"duration": True}, ["'duration'", "got True", "a number"]),
    "NaN": ({"duration": float("nan")}, ["'duration'", "got nan", "a finite number"]),
    "infinity": ({"duration": float("inf")}, ["'duration'", "got inf", "a finite number"]),
    "negative duration": ({"duration": -1}, ["'duration'", "got -1", "allowed: more than 0, at most 3600"]),
    "no duration at all": ({"duration": 0}, ["'duration'", "got 0", "allowed: more than 0, at most 3600"]),
    "duration of a day": (
        {"duration": 86400},
        ["'duration'", "got 86400", "allowed: more than 0, at most 3600"],
    ),
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
        ["'effects[0]'", "got 'wobble'", "ken_burns, fade_in, fade_out"],
    ),
    "unknown effect type": ({"effects": [{"type": "wobble"}]}, ["'effects[0]'", "'wobble'", "ken_burns"]),
    "effect without a type": ({"effects": [{"zoom": [1, 2]}]}, ["'effects[0]'", "None", "ken_burns"]),
    "effects not in a list": ({"effects": "fade_in"}, ["'effects'", "got 'fade_in'", "a list"]),
    "effect as a number": ({"effects": [7]}, ["'effects[0]'", "got 7"]),
    "nine effects": ({"effects": ["fade_in"] * 9}, ["'effects'", "at most 8"]),
    "unknown field of an effect": (
        {"effects": [{"type": "ken_burns", "zom": [1, 2]}]},
        ["'effects[0].zom'", "did you mean 'zoom'?"],
    ),
    "zoom out of range": (
        {"effects": [{"type": "ken_burns", "zoom": [1, 99]}]},
        ["'effects[0].zoom[1]'", "got 99", "allowed: 1 to 10"],
    ),
    "zoom of three numbers": (
        {"effects": [{"type": "ken_burns", "zoom": [1, 2, 3]}]},
        ["'effects[0].zoom", "at most 2"],
    ),
    "focus outside": (
        {"effects": [{"type": "ken_burns", "focus": [0.5, 1.5]}]},
        ["'effects[0].focus[1]'", "got 1.5", "allowed: 0 to 1"],
    ),
    "focus of a scene in words": (
        {"focus": "left"},
        ["'focus'", "got 'left'", "allowed: auto, center, or [x, y]"],
    ),
    "focus of a scene with one number": ({"focus": [0.5]}, ["'focus'", "allowed: auto, center, or [x, y]"]),
    "focus of a scene outside": ({"focus": [0.5, 1.5]}, ["'focus[1]'", "got 1.5", "allowed: 0 to 1"]),
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
        ["'effects[0].start'", "x + width is 1.1", "inside the picture"],
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
        ["'effects[0].end'", "y + height is 1.25", "inside the picture"],
    ),
    "rectangle without a width": (
        {"effects": [{"type": "ken_burns", "start": {"x": 0, "y": 0}, "end": {"x": 0, "y": 0, "width": 1}}]},
        ["'effects[0].start.width'", "is missing"],
    ),
    "start without end": (
        {"effects": [{"type": "ken_burns", "start": {"x": 0, "y": 0, "width": 1}}]},
        ["'effects[0]'", "both `start` and `end`"],
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
        ["'effects[0]'", "not both"],
    ),
    "unknown easing": (
        {"effects": [{"type": "ken_burns", "easing": "bouncy"}]},
        ["'effects[0].easing'", "'ease_in_out'"],
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
    "stroke too wide": ({"stroke": {"width": 41}}, ["'stroke.width'", "got 41", "allowed: 0 to 40"]),
    "unknown position": (
        {"text_position": "left"},
        ["'text_position'", "got 'left'", "'top', 'center' or 'bottom'"],
    ),
    "unknown position, the guide's word": ({"position": "left"}, ["field 'position'", "got 'left'", "'top'"]),
    "unknown fit": ({"fit": "stretch"}, ["'fit'", "got 'stretch'", "'cover'"]),
    "unknown animation": ({"animation": "spin"}, ["'animation'", "got 'spin'", "'slide_up'"]),
    "highlight of an unknown colour": (
        {"highlight": "blurple"},
        ["field 'highlight'", "got 'blurple'", "#RRGGBB"],
    ),
    "highlight without a colour": (
        {"highlight": True},
        ["field 'highlight'", "got True", "allowed: a colour, or false"],
    ),
    "letters too small": ({"size": 3}, ["'size'", "got 3", "allowed: 8 to 400"]),
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
    "empty title": ({"title": "", "content": "x"}, ["field 'title'", "allowed: 1 to 300 characters"]),
    "title over two lines": (
        {"title": "a\nb", "content": "x"},
        ["field 'title'", "without control characters"],
    ),
    "nothing to tell": ({"title": "T"}, ["`content` (a text) or `scenes`"]),
    "blank text": ({"title": "T", "content": " \n "}, ["`content` (a text) or `scenes`"]),
    "zero scenes": ({"title": "T", "scenes": []}, ["field 'scenes'", "got []", "allowed: 1 to 2000 items"]),
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
    "music of no mood": (
        {"title": "T", "content": "x", "music": {"mood": "tens"}},
        ["'music.mood'", "got 'tens'", "tense"],
    ),
    "music from a file and a mood": (
        {"title": "T", "content": "x", "music": {"path": "a.mp3", "mood": "tense"}},
        ["'music'", "give either `path` or `mood`"],
    ),
    "music without a source": (
        {"title": "T", "content": "x", "music": {"volume": -3}},
        ["'music'", "give either `path` or `mood`"],
    ),
    "music louder than loud": (
        {"title": "T", "content": "x", "music": {"path": "a.mp3", "volume": 40}},
        ["'music.volume'", "got 40", "allowed: -60 to 12"],
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
def test_a_wrong_value_of_any_size_gets_a_short_error(kind: str) -> None:
    value = HUGE[kind]()
    assert len(refusal({"title": value, "scenes": [{"scene_id": "a"}]})) < 500
    assert len(refusal({"title": "T", "content": "x", "metadata": {"genre": value, "deep": value}})) < 1000


def test_metadata_that_could_not_be_written_again_is_refused() -> None:
    for value in (nested(40), bomb(), "\ud800", {1: 2}, 10**400):
        assert "field 'metadata': key 'extra'" in refusal(
            {"title": "T", "content": "x", "metadata": {"extra": value}}
        )


FIELDS = """id title content metadata scenes music scene_id text narration image video duration effects transition
fit text_position position size colour color font stroke shadow box animation highlight type zoom focus start end x y width
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
