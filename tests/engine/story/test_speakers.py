"""Who speaks: dialogues are found, labels, times and addresses are not, and each line of a speaker is a scene."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import parse_story, story_scenes
from video_pipeline.engine.story.fields import parse_colour
from video_pipeline.engine.story.speakers import SPEAKER_COLOURS, name_places


def said(content: str, **fields: Any) -> list[tuple[str | None, str]]:
    story = parse_story({"title": "T", "content": content, "metadata": {"language": "en"}, **fields})
    return [(scene.speaker, scene.text) for scene in story_scenes(story)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "INT. KITCHEN - DAY\n\nMary: Where is it?\nTom: I don't know.",
            [(None, "INT. KITCHEN - DAY"), ("Mary", "Mary: Where is it?"), ("Tom", "Tom: I don't know.")],
        ),
        (
            "Mary: Where is it?\n\nShe looked.\n\nMary: Here.",
            [("Mary", "Mary: Where is it?"), (None, "She looked."), ("Mary", "Mary: Here.")],
        ),
        (
            "**Mary:** It must be here.\nOn the table.\n**Tom**: Oh!",
            [("Mary", "Mary: It must be here. On the table."), ("Tom", "Tom: Oh!")],
        ),
        (
            "MARY (whispering): Hush!\nMr. O'Neil: “Why?”",
            [("MARY", "MARY (whispering): Hush!"), ("Mr. O'Neil", "Mr. O'Neil: “Why?”")],
        ),
        (
            "Captain of the Guard: Halt!\nOld Man: 3 coins?",
            [("Captain of the Guard", "Captain of the Guard: Halt!"), ("Old Man", "Old Man: 3 coins?")],
        ),
        (
            "María José: ¿Dónde?\nÉlise: …Là.",
            [("María José", "María José: ¿Dónde?"), ("Élise", "Élise: …Là.")],
        ),
        (
            "花子：どこですか。\n太郎：知りません。",
            [("花子", "花子：どこですか。"), ("太郎", "太郎：知りません。")],
        ),
        ("Анна: Где он?\nИван: Не знаю.", [("Анна", "Анна: Где он?"), ("Иван", "Иван: Не знаю.")]),
    ],
)
def test_each_line_of_a_dialogue_is_its_speakers(
    content: str, expected: list[tuple[str | None, str]]
) -> None:
    assert said(content) == expected


@pytest.mark.parametrize(
    "content",
    [
        "Note: This is text.\nWarning: So is this.",
        "Ingredients: Flour.\nMethod: Mix.",
        "Day 1: We ran.\nDay 2: We hid.",
        "Monday: Rain.\nTuesday: Sun.",
        "Rome: the eternal city.\nParis: the city of light.",
        "10:30 We left.\n11:45 We came.",
        "https://example.com/a\nhttp: that is a scheme.",
        "Mary: Where is it?",
        "Hinweis: Das ist Text.\nAchtung: Das auch.",
        "He said: Go!\nShe said: No!",
        "- Mary: One.\n- Tom: Two.",
        "注意：これは本文。\n例：これも。",
    ],
)
def test_labels_times_addresses_and_single_lines_stay_text(content: str) -> None:
    assert {speaker for speaker, _ in said(content)} == {None}


def test_a_declared_name_is_a_speaker_on_one_line_and_however_it_is_capitalised() -> None:
    assert said("Robot 7: beep.", speakers={"Robot 7": {}}) == [("Robot 7", "Robot 7: beep.")]
    assert said("NOTE: Listen.", speakers={"Note": {"colour": "gold"}}) == [("Note", "NOTE: Listen.")]


def test_a_name_declared_as_false_is_no_speaker() -> None:
    content = "Rome: It is eternal.\nTom: Indeed.\nTom: Yes."
    assert {speaker for speaker, _ in said(content)} == {"Rome", "Tom"}
    assert {speaker for speaker, _ in said(content, speakers={"Rome": False})} == {None, "Tom"}


def test_a_long_line_is_several_scenes_of_its_speaker() -> None:
    long = " ".join(["I have looked for it in every room of this old house since early in the morning."] * 3)
    found = said(f"Mary: {long}\nTom: Oh.")
    assert [speaker for speaker, _ in found] == ["Mary"] * 3 + ["Tom"]


def test_explicit_scenes_have_speakers_and_no_marks_of_markdown() -> None:
    scenes = [
        {"scene_id": "a", "text": "**Mary:** Where is [it](https://x.y)?\n# Here _now_"},
        {"scene_id": "b", "text": "Tom: Is a * b, 2*3*4, snake_case_x, {\\b1}"},
        {"scene_id": "c", "text": "Quiet.", "speaker": "Anna"},
        {"scene_id": "d", "text": "Quiet.", "narration": "**So** quiet."},
    ]
    found = story_scenes(parse_story({"title": "T", "scenes": scenes}))
    assert [scene.speaker for scene in found] == ["Mary", "Tom", "Anna", None]
    assert found[0].text == "Mary: Where is it?\nHere now"
    assert found[1].text == "Tom: Is a * b, 2*3*4, snake_case_x, {\\b1}"
    assert found[3].narration == "So quiet."


@pytest.mark.parametrize(
    ("speakers", "message"),
    [
        ({"Ma:ry": {}}, "allowed as a speaker's name: what stands before the colon, on one line"),
        ({"Mary": {"colour": "goldd"}}, "unknown colour.*'gold'"),
        ({"Mary": {"voise": "x"}}, "voise.*known"),
        ({"x" * 41: {}}, "40"),
    ],
)
def test_wrong_speakers_are_explained(speakers: dict[str, Any], message: str) -> None:
    with pytest.raises(StoryError, match=message):
        parse_story({"title": "T", "content": "x", "speakers": speakers})


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2)."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (value / 255 for value in parse_colour(colour)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_palette_is_light_on_the_stroke_and_its_colours_differ() -> None:
    assert min((luminance(colour) + 0.05) / 0.05 for colour in SPEAKER_COLOURS) >= 10
    for one, other in combinations([*SPEAKER_COLOURS, "#FFFFFF"], 2):
        pairs = zip(parse_colour(one), parse_colour(other), strict=True)
        assert sum(abs(a - b) for a, b in pairs) >= 75, (one, other)


def test_the_places_of_names_are_those_before_what_is_said() -> None:
    text = "It was late.\nMary (low): Where?\n**Tom:** Here.\nAnna: Oh."
    found = name_places(text, ("Mary", "Tom"))
    assert [text[start:stop] for start, stop in found] == ["Mary (low): ", "**Tom:** "]
