"""The looks of caption styles, and how a configuration and options choose one."""

from __future__ import annotations

import argparse
from typing import Any, get_args

import pytest

from video_pipeline.engine.cli.options import add_story_options, configuration
from video_pipeline.engine.common.captions import CaptionStyle, CaptionStyleChoice
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.caption_looks import LOOKS
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.config.sections import Scenes
from video_pipeline.engine.errors import ConfigError


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_story_options(parser)
    return parser.parse_args(["story.json", *given])


def test_every_style_has_a_look_whose_values_are_valid_keys_of_scenes() -> None:
    assert tuple(LOOKS) == get_args(CaptionStyle)
    assert get_args(CaptionStyleChoice) == ("auto", *LOOKS)
    for look in LOOKS.values():
        given = {
            key: getattr(value, "model_dump", lambda value=value: value)()
            for key, value in look.scenes.items()
        }
        checked = Scenes.model_validate(given)
        assert {key: getattr(checked, key) for key in look.scenes} == dict(look.scenes)


@pytest.mark.parametrize(
    ("video", "style"),
    [
        ({}, "phrases"),
        ({"proxy": True}, "phrases"),
        ({"default_aspect_ratio": "9:16"}, "phrases"),
        ({"size": [720, 1280]}, "phrases"),
        ({"default_aspect_ratio": "4:5"}, "block"),
        ({"default_aspect_ratio": "1:1"}, "block"),
        ({"default_aspect_ratio": "16:9"}, "block"),
    ],
)
def test_auto_takes_phrases_in_tall_frames(video: dict[str, Any], style: str) -> None:
    assert load_config({"video": video}, environ=False).caption_style == style
    named = load_config({"video": video, "captions": {"style": "word"}}, environ=False)
    assert named.caption_style == "word"


def test_a_key_that_is_set_wins_over_the_style_also_if_it_is_the_default() -> None:
    config = load_config({"scenes": {"text_size": 48, "text_highlight": None}}, environ=False)
    look = config.caption_look()
    assert (look.text_size, look.text_highlight, look.text_animation) == (48, None, "pop")
    assert config.caption_look("block").text_animation == "fade_in"


def test_a_job_chooses_its_style_and_the_nodes_keys_hold() -> None:
    node = load_config({"scenes": {"text_size": 70}}, environ=False)
    job = job_config(node, {"captions": {"style": "karaoke", "platform": "shorts"}})
    assert (job.caption_style, job.captions.platform) == ("karaoke", "shorts")
    assert (job.caption_look().text_size, job.caption_look().text_animation) == (70, "none")


def test_options_choose_style_and_platform() -> None:
    config = configuration(options("--captions", "karaoke", "--platform", "reels"))
    assert (config.caption_style, config.captions.platform) == ("karaoke", "reels")
    with pytest.raises(ConfigError, match=r"captions\.style: got 'karaok'.*karaoke"):
        configuration(options("--captions", "karaok"))
    with pytest.raises(ConfigError, match=r"captions\.platform: got 'snap'.*tiktok"):
        configuration(options("--platform", "snap"))
