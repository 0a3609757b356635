"""What services are asked for: prompts, words to search for, sizes."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.picture_setup import picture_request
from video_pipeline.engine.assets.images.prompts import (
    PROMPT_MAX_CHARACTERS,
    nearest_aspect,
    prompt_of,
    searches_of,
    size_for,
)
from video_pipeline.engine.assets.images.stable_diffusion import ASPECTS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import ConfigError


def test_the_prompt_has_style_title_genre_and_the_words_of_the_scene() -> None:
    assert prompt_of(picture_request(scene_title="Out"), Images()) == (
        'Cinematic, detailed, natural light. Illustration for the story "The Lighthouse" (adventure). '
        "Out: A boat leaves the harbour. No letters, captions or frames in the picture."
    )


def test_empty_fields_leave_no_marks_behind() -> None:
    made = prompt_of(picture_request(scene_title=""), Images(prompt_style=""))
    assert made.startswith('Illustration for the story "The Lighthouse" (adventure). A boat leaves')
    general = prompt_of(picture_request(genre="general"), Images())
    assert 'story "The Lighthouse". A boat' in general


def test_a_scenes_own_prompt_replaces_it_and_braces_in_words_stay() -> None:
    assert prompt_of(picture_request(prompt="  A red\n door "), Images()) == "A red door"
    made = prompt_of(picture_request("Set {title} and {x}."), Images(prompt_template="{text}"))
    assert made == "Set {title} and {x}."


def test_a_long_prompt_is_cut_at_a_word() -> None:
    made = prompt_of(picture_request("harbour " * 2000), Images(prompt_template="{text}"))
    assert PROMPT_MAX_CHARACTERS - 8 <= len(made) <= PROMPT_MAX_CHARACTERS
    assert made.endswith("harbour")


@pytest.mark.parametrize("template", ["{text", "{words}", "{text!r}", "}", "{}"])
def test_a_template_that_names_something_else_is_an_error(template: str) -> None:
    with pytest.raises(ConfigError, match=r"images\.prompt_template: .*allowed: text with \{title\}, "):
        load_config({"images": {"prompt_template": template}}, environ=False)


def test_the_main_words_are_searched_for_then_fewer_then_title_and_genre() -> None:
    assert list(searches_of(picture_request())) == [
        "boat leaves harbour", "boat leaves", "boat", "Lighthouse", "adventure",
    ]  # fmt: skip
    assert list(searches_of(picture_request("", genre="general", title=""))) == []
    german = picture_request("Der alte Leuchtturm stand im Nebel.", language="de", title="")
    assert next(iter(searches_of(german))) == "Leuchtturm Nebel alte"


@pytest.mark.parametrize(
    ("frame_px", "aspect"),
    [((1080, 1920), (9, 16)), ((1080, 1350), (4, 5)), ((1920, 1080), (16, 9)), ((500, 2000), (9, 21))],
)
def test_the_nearest_aspect_is_chosen(frame_px: tuple[int, int], aspect: tuple[int, int]) -> None:
    assert nearest_aspect(frame_px, ASPECTS) == aspect


def test_sizes_keep_to_multiples_and_the_longest_aspect() -> None:
    for width, height, megapixels, multiple in product(
        (100, 1080, 3000), (100, 1350, 1920), (0.1, 1, 2.1), (16, 64)
    ):
        made = size_for((width, height), megapixels=megapixels, multiple=multiple)
        assert all(side % multiple == 0 and side > 0 for side in made)
        assert 1 / 3 <= made[0] / made[1] <= 3
        assert 0.6 < made[0] * made[1] / (megapixels * 1e6) < 1.5
