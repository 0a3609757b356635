"""Captions on the timeline: their look, their words and when these are spoken."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_compose import STILL, composed, sound, voices
from video_pipeline.engine.assets.models import SceneAssets, StoryAssets
from video_pipeline.engine.common.spoken_words import SpokenWord
from video_pipeline.engine.compose import compose
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.story import parse_story

TALL: dict[str, Any] = {"video": {"size": [1080, 1920]}}


def style_of(config: dict[str, Any], **scene: Any) -> Any:
    (caption,) = composed([{"text": "x", "duration": 2, **scene}], config=config).timeline.captions
    return caption.style


@pytest.mark.parametrize(
    ("size", "scale"),
    [([1080, 1920], 1), ([540, 960], 0.5), ([1920, 1080], 1), ([2160, 3840], 2), ([1080, 1080], 1)],
)
def test_letters_grow_with_the_frame(size: list[int], scale: float) -> None:
    scene = {
        "size": 60,
        "stroke": {"width": 4},
        "box": {"padding": 20, "radius": 10},
        "shadow": {"x": 2, "y": 4, "blur": 8},
    }
    style = style_of({"video": {"size": size}}, **scene)
    assert style.size_px == 60 * scale
    assert style.stroke_px == 4 * scale
    assert (style.box.padding_px, style.box.radius_px) == (20 * scale, 10 * scale)
    assert (style.shadow.dx_px, style.shadow.dy_px, style.shadow.blur_px) == (2 * scale, 4 * scale, 8 * scale)


def test_the_look_of_a_scene_overrides_the_configuration() -> None:
    config = {
        "captions": {"style": "block"},
        "scenes": {
            "text_size": 30,
            "text_color": "red",
            "text_stroke": {"width": 2},
            "text_box": {"colour": "blue"},
        },
    }
    usual = style_of(config)
    assert (usual.size_px, usual.color, usual.stroke_px) == (30, (255, 0, 0, 255), 2)
    assert usual.box.color == (0, 0, 255, 255)
    assert usual.shadow is not None
    own = style_of(config, size=50, colour="#00FF0080", stroke=False, box=False, shadow=False)
    assert (own.size_px, own.color, own.stroke_px) == (50, (0, 255, 0, 128), 0)
    assert own.box is None
    assert own.shadow is None
    assert style_of({"scenes": {"text_stroke": None, "text_shadow": None}}).shadow is None
    assert style_of(config, stroke=True).stroke_px == 4


def test_a_caption_knows_when_its_words_are_spoken_and_in_which_colour() -> None:
    scenes = [{"text": "One."}, {"text": "Two.", "highlight": "#00f"}, {"text": "Three.", "highlight": False}]
    result = composed(scenes, spoken=[2, 3, None], config={"scenes": {"text_highlight": "#ffd400"}})
    captions, fps = result.timeline.captions, result.timeline.fps
    assert [caption.highlight for caption in captions] == [(255, 212, 0, 255), (0, 0, 255, 255), None]
    assert captions[2].spoken is None
    for caption, track in zip(captions, voices(result), strict=False):
        assert caption.spoken is not None
        assert caption.frames.start <= caption.spoken.start < caption.spoken.stop <= caption.frames.stop
        assert abs(caption.spoken.start - track.at * fps) <= Fraction(1, 2)
        assert abs(caption.spoken.stop - (track.at + track.duration) * fps) <= Fraction(1, 2)
    block = {"captions": {"style": "block"}}
    assert [caption.highlight for caption in composed(scenes[:1], config=block).timeline.captions] == [None]


def test_a_caption_has_its_styles_look_where_neither_scene_nor_configuration_sets_one() -> None:
    tall: dict[str, Any] = {"video": {"size": [1080, 1920]}}
    usual, block, own = composed(
        [
            {"text": "One."},
            {"text": "Two.", "style": "block"},
            {"text": "Three.", "size": 70, "highlight": False},
        ],
        config=tall,
    ).timeline.captions
    assert (usual.shown_as, usual.style.size_px, usual.position, usual.animation) == (
        "phrases",
        90,
        "center",
        "pop",
    )
    assert (usual.highlight, usual.style.shadow) == ((255, 212, 0, 255), None)
    assert (block.shown_as, block.style.size_px, block.position, block.animation) == (
        "block",
        48,
        "bottom",
        "fade_in",
    )
    assert (own.shown_as, own.style.size_px, own.highlight) == ("phrases", 70, None)
    (set_,) = composed(
        [{"text": "x"}],
        config={**tall, "captions": {"style": "karaoke", "platform": "tiktok"}, "scenes": {"text_size": 50}},
    ).timeline.captions
    assert (set_.shown_as, set_.style.size_px, set_.animation, set_.platform) == (
        "karaoke",
        50,
        "none",
        "tiktok",
    )


@pytest.mark.parametrize("size", [[1080, 1080], [1920, 1080], [1080, 1350]])
def test_frames_that_are_not_tall_show_the_whole_text(size: list[int]) -> None:
    (shown,) = composed([{"text": "x"}], config={"video": {"size": size}}).timeline.captions
    assert (shown.shown_as, shown.style.size_px, shown.animation) == ("block", 48, "fade_in")


def test_a_caption_knows_in_which_frames_each_word_is_spoken() -> None:
    heard = (
        SpokenWord(0, 3, Fraction(0), Fraction(1, 2)),
        SpokenWord(4, 8, Fraction(7, 10), Fraction(1)),
        SpokenWord(9, 15, Fraction(3, 2), Fraction(2)),
    )
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a", "text": "He paid $1,250"}]})
    assets = StoryAssets((SceneAssets("a", STILL, sound(2), words=heard, words_by="voice"),))
    timeline = compose(story, story.scenes or (), assets, config=Config()).timeline
    (track,) = timeline.audio
    assert (track.words, track.words_by) == (heard, "voice")
    at = int(track.at * 30) + 1  # 0.25 s are seven and a half frames
    # `He` lasts until `paid` begins, 0.2 s later; after `paid` there is a pause.
    assert [(w.start, w.frames.start - at, w.frames.stop - at) for w in timeline.captions[0].words] == [
        (0, 0, 21),
        (4, 21, 30),
        (9, 45, 60),
    ]


def test_a_caption_that_differs_from_the_narration_has_the_times_of_the_words_that_match() -> None:
    scenes = {"scene_id": "a", "text": "two! four", "narration": "one two six four"}
    heard = (
        SpokenWord(0, 3, Fraction(0), Fraction(1)),
        SpokenWord(4, 7, Fraction(1), Fraction(2)),
        SpokenWord(8, 11, Fraction(2), Fraction(3)),
        SpokenWord(12, 16, Fraction(3), Fraction(4)),
    )
    story = parse_story({"title": "T", "scenes": [scenes]})
    assets = StoryAssets((SceneAssets("a", STILL, sound(4), words=heard),))
    timeline = compose(story, story.scenes or (), assets, config=Config()).timeline
    first, second = timeline.captions[0].words
    assert (first.start, first.stop, second.start, second.stop) == (0, 4, 5, 9)
    assert second.frames.start - first.frames.start == 60


def test_lines_of_other_speakers_have_their_colours_unless_the_scene_has_one() -> None:
    text = "Mary: Where?\nTom: Here."
    speakers = {"Mary": {"colour": "pink"}, "Tom": {"colour": "gold"}}
    scenes = [
        {"scene_id": "a", "text": text, "speaker": "Mary", "colour": "pink"},
        {"scene_id": "b", "text": text, "colour": "red"},
        {"scene_id": "c", "text": text, "highlight": "#00f"},
    ]
    config = load_config(TALL, environ=False)
    story = parse_story({"title": "T", "scenes": scenes, "speakers": speakers})
    assets = StoryAssets(tuple(SceneAssets(scene["scene_id"], STILL) for scene in scenes))
    assert story.scenes is not None
    one, all_red, own = compose(story, story.scenes, assets, config=config).timeline.captions
    gold = (255, 215, 0, 255)
    assert one.style.color == (255, 192, 203, 255)
    assert [(text[part.start : part.stop], part.color) for part in one.colours] == [("Tom: Here.", gold)]
    assert one.highlight not in (None, (255, 212, 0, 255)), "the usual yellow is like gold"
    assert (all_red.style.color, all_red.colours) == ((255, 0, 0, 255), ())
    assert own.highlight == (0, 0, 255, 255)
    assert [part.color for part in own.colours] == [one.style.color, gold]


def test_names_that_are_not_spoken_are_not_words_that_are_heard() -> None:
    text = "Mary: Where?\nTom: Here."
    fields = {"scene_id": "a", "text": text}
    spoken = "Where?\nHere."
    heard = (SpokenWord(0, 6, Fraction(0), Fraction(1, 2)), SpokenWord(7, 12, Fraction(1), Fraction(3, 2)))
    for narration, silent in ((spoken, ["Mary:", "Tom:"]), ("Where? Here.", [])):
        story = parse_story({"title": "T", "scenes": [{**fields, "narration": narration}]})
        own = SceneAssets("a", STILL, narration=sound(2), words=heard)
        assert story.scenes is not None
        made = compose(story, story.scenes, StoryAssets((own,)), config=load_config(TALL, environ=False))
        (caption,) = made.timeline.captions
        assert [text[word.start : word.stop] for word in caption.words] == text.split()
        assert [text[word.start : word.stop] for word in caption.words if word.silent] == silent


def test_a_scene_without_words_has_no_caption() -> None:
    assert (
        composed([{"text": " \n", "narration": "Spoken", "duration": 2}], spoken=[1]).timeline.captions == ()
    )


def test_a_relative_font_file_is_taken_from_the_story_s_folder() -> None:
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a", "text": "x", "font": "f/My.ttf"}]})
    assets = StoryAssets((SceneAssets("a", STILL),))
    timeline = compose(story, story.scenes or (), assets, config=Config(), base=Path("/stories")).timeline
    assert timeline.captions[0].font == "/stories/f/My.ttf"


def test_a_narration_has_the_speaker_whose_name_is_not_spoken() -> None:
    scenes = [
        {"text": "Mary: Where?", "speaker": "Mary"},
        {"text": "Rain fell."},
        {"text": "Mary: Where?\nTom: Here.", "speaker": "Mary"},
        {"text": "Tom: No.", "speaker": "Tom"},
    ]
    named = ["Mary", None, None, "Tom"]
    for config, names in (({}, named), ({"tts": {"speaker_names": True}}, [None] * 4)):
        result = composed(scenes, spoken=[2, 2, 2, 2], config=config)
        assert [track.speaker for track in voices(result)] == names
