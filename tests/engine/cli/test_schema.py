"""The published JSON Schemas accept exactly the input that the engine accepts, in every form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.paths import ROOT
from video_pipeline.engine.cli.schema import config_schema, config_table, story_schema
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import parse_story

EXAMPLES = sorted(
    path for path in (ROOT / "examples").rglob("*") if path.suffix in (".json", ".yaml", ".yml")
)
STORY = jsonschema.Draft202012Validator(story_schema())
CONFIG = jsonschema.Draft202012Validator(config_schema())


def scene(**fields: Any) -> dict[str, Any]:
    return {"title": "T", "scenes": [{"scene_id": "a", **fields}]}


def effect(**fields: Any) -> dict[str, Any]:
    return scene(effects=[{"type": "ken_burns", **fields}])


WHOLE = {"x": 0, "y": 0, "width": 1}

ACCEPTED: dict[str, Any] = {
    "only a text": {"title": "T", "content": "One. Two."},
    "text and null scenes": {"title": "T", "content": "One.", "scenes": None, "id": None, "music": None},
    "metadata of one's own": {
        "title": "T",
        "content": "x",
        "metadata": {"genre": "noir", "k": [1, {"a": None}]},
    },
    "a language": {"title": "T", "content": "x", "metadata": {"language": "pt-BR"}},
    "music by path": {"title": "T", "content": "x", "music": "m.mp3"},
    "synthesised music": {"title": "T", "content": "x", "music": "auto"},
    "music of a mood": {"title": "T", "content": "x", "music": {"mood": "tense", "seed": 4, "volume": -20}},
    "music with a level": {"title": "T", "content": "x", "music": {"path": "m.mp3", "volume": -20}},
    "a bare scene": scene(),
    "null for what is left out": scene(
        narration=None, image=None, video=None, duration=None, effects=None, stroke=None
    ),
    "transition as text": scene(transition="wipeleft"),
    "a cut": scene(transition="cut"),
    "transition as object": scene(transition={"name": "circleopen", "duration": 0.5}),
    "effects as text": scene(effects=["ken_burns", "fade_in", "fade_out"]),
    "no effects": scene(effects=[]),
    "effects as objects": scene(effects=[{"type": "ken_burns"}, {"type": "fade_in", "duration": 1}]),
    "zoom and focus": effect(zoom=[1, 1.3], focus=[0.2, 0.8], easing="ease_in_out"),
    "focus in words": scene(focus="center"),
    "focus at a point": scene(focus=[0, 0.5]),
    "rectangles": effect(start=WHOLE, end={"x": 0.2, "y": 0.2, "width": 0.5, "height": 0.5}),
    "video as text": scene(video="v.mp4"),
    "video as object": scene(video={"path": "v.mp4", "start": 1, "end": 2, "sound": False, "volume": -6}),
    "image with null video": scene(image="a.png", video=None),
    "decorations on": scene(stroke=True, shadow=True, box=True),
    "decorations off": scene(stroke=False, shadow=False, box=False),
    "decorations by colour": scene(stroke="#fff", shadow="black", box="#00000080"),
    "decorations as objects": scene(
        stroke={"width": 2, "colour": "red"}, shadow={"x": 1, "color": "red"}, box={"padding": 4}
    ),
    "words that light up": scene(text="x", animation="typewriter", highlight="#ffd400"),
    "words that do not": scene(text={"content": "x", "animation": "pop", "highlight": False}),
    "the guide's spelling": scene(text="x", position="top", color="white"),
    "our spelling": scene(text="x", text_position="top", colour="white"),
    "the guide's text object": scene(
        text={
            "content": "x",
            "position": "bottom",
            "size": 48,
            "color": "white",
            "font": "Arial-Bold",
            "animation": "fade_in",
        }
    ),
    "our text object": scene(
        text={"content": "x", "text_position": "top", "colour": "red", "stroke": False, "box": True}
    ),
    "a text object of looks only": scene(text={"size": 60}),
    "text object beside other fields": scene(text={"content": "x", "size": 48}, colour="red", position="top"),
}

REFUSED: dict[str, Any] = {
    "a list": [],
    "no title": {"content": "x"},
    "nothing to tell": {"title": "T"},
    "blank text": {"title": "T", "content": " \n"},
    "null scenes alone": {"title": "T", "scenes": None},
    "zero scenes": {"title": "T", "scenes": []},
    "unknown field": {"title": "T", "content": "x", "titel": "T"},
    "title over two lines": {"title": "a\nb", "content": "x"},
    "null genre": {"title": "T", "content": "x", "metadata": {"genre": None}},
    "unknown scene field": scene(colr="red"),
    "no scene id": {"title": "T", "scenes": [{"text": "x"}]},
    "an id like a path": {"title": "T", "scenes": [{"scene_id": "../x"}]},
    "null text": scene(text=None),
    "negative duration": scene(duration=-1),
    "duration as text": scene(duration="5"),
    "duration as a boolean": scene(duration=True),
    "unknown transition": scene(transition="wibble"),
    "unknown transition object": scene(transition={"name": "wibble"}),
    "transition without a name": scene(transition={"duration": 1}),
    "unknown effect": scene(effects=["wobble"]),
    "effect without a type": scene(effects=[{"zoom": [1, 2]}]),
    "effects as text": scene(effects="fade_in"),
    "nine effects": scene(effects=["fade_in"] * 9),
    "one zoom": effect(zoom=[1]),
    "three zooms": effect(zoom=[1, 2, 3]),
    "zoom as text": effect(zoom=["1", "2"]),
    "focus outside": effect(focus=[0.5, 2]),
    "focus of a scene in other words": scene(focus="left"),
    "focus of a scene outside": scene(focus=[0.5, 2]),
    "focus of a scene with three numbers": scene(focus=[0.5, 0.5, 0.5]),
    "rectangle without width": effect(start={"x": 0, "y": 0}, end=WHOLE),
    "start without end": effect(start=WHOLE),
    "rectangles and zoom": effect(start=WHOLE, end=WHOLE, zoom=[1, 2]),
    "image and video": scene(image="a.png", video="v.mp4"),
    "clip without a path": scene(video={"start": 1}),
    "clip with empty path": scene(video=""),
    "sound in words": scene(video={"path": "v.mp4", "sound": "yes"}),
    "stroke as a number": scene(stroke=1),
    "stroke zero": scene(stroke=0),
    "stroke too wide": scene(stroke={"width": 400}),
    "highlight without a colour": scene(highlight=True),
    "colour and color": scene(colour="red", color="red"),
    "position twice": scene(text_position="top", position="top"),
    "stroke with colour and color": scene(stroke={"colour": "red", "color": "red"}),
    "unknown position": scene(position="left"),
    "text object with a scene's field": scene(text={"content": "x", "duration": 3}),
    "text object without text": scene(text={"content": None}),
    "text object with a wrong position": scene(text={"position": "left"}),
    "text object with colour and color": scene(text={"colour": "red", "color": "red"}),
    "size in both": scene(size=48, text={"content": "x", "size": 48}),
    "position in both, by its two names": scene(position="top", text={"text_position": "top"}),
    "colour in both, by its two names": scene(colour="red", text={"color": "red"}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_schema_accepts_what_the_engine_accepts(name: str) -> None:
    parse_story(ACCEPTED[name])
    assert not [error.message for error in STORY.iter_errors(ACCEPTED[name])]


@pytest.mark.parametrize("name", REFUSED)
def test_the_schema_refuses_what_the_engine_refuses(name: str) -> None:
    with pytest.raises(StoryError):
        parse_story(REFUSED[name])
    assert not STORY.is_valid(REFUSED[name])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    if "video_pipeline" in data:
        CONFIG.validate(data)
    else:
        parse_story(data)
        STORY.validate(data)


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("schema", [story_schema(), config_schema()], ids=["story", "config"])
def test_the_schemas_are_valid_and_name_their_draft(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema


def test_a_story_that_was_read_and_written_again_is_valid() -> None:
    for data in ACCEPTED.values():
        STORY.validate(json.loads(parse_story(data).model_dump_json()))


def test_the_original_configuration_is_valid() -> None:
    guide = yaml.safe_load((ROOT / "tests/support/guide_config.yaml").read_text(encoding="utf-8"))
    CONFIG.validate(guide)


@pytest.mark.parametrize(
    "sections",
    [
        {"video": {"fps": "30000/1001", "bitrate": "8M", "size": [1080, 1920]}},
        {"video": {"fps": 25, "bitrate": 8000000, "crf": None}},
        {"scenes": {"text_stroke": None, "text_box": {"color": "red"}, "transition": "cut"}},
        {"audio": {"music": "music.mp3"}},
        {"audio": {"music": "auto", "music_mood": "tense", "music_seed": 4}},
        {},
    ],
)
def test_a_configuration_that_the_engine_takes_the_schema_takes(sections: dict[str, Any]) -> None:
    Config.model_validate(sections)
    CONFIG.validate({"video_pipeline": sections})


@pytest.mark.parametrize(
    "sections",
    [
        {"vidoe": {}},
        {"video": {"fpss": 30}},
        {"video": {"codec": "h265"}},
        {"video": {"bitrate": "fast"}},
        {"video": {"size": [1080]}},
        {"scenes": {"transition": "wibble"}},
        {"tts": {"speech_rate": 9}},
    ],
)
def test_a_configuration_that_the_engine_refuses_the_schema_refuses(sections: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Config.model_validate(sections)
    assert not CONFIG.is_valid({"video_pipeline": sections})


def test_the_table_has_a_row_with_a_meaning_for_every_key() -> None:
    rows = config_table().splitlines()[2:]
    keys = {row.split("`")[1] for row in rows}
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    for section, model in sections.items():
        assert model is not None
        for name in model.model_fields:
            assert any(key == f"{section}.{name}" or key.startswith(f"{section}.{name}.") for key in keys)
    assert all(row.split("|")[3].strip() not in ("", "None") for row in rows)
    assert {
        "notifications.webhooks.NAME.allow_private",
        "notifications.alerts.emails.NAME.security",
        "publishing.accounts.webhook.NAME.secret_file",
    } <= keys
    assert "| `publishing.accounts.folder.NAME.path` | required |" in config_table()
