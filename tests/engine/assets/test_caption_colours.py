"""The colours of captions in which several speak, and of the word being spoken."""

from __future__ import annotations

from itertools import combinations

import pytest

from video_pipeline.engine.assets.caption_colours import (
    LEAST_DISTANCE,
    colour_distance,
    line_colours,
    spoken_colour,
)
from video_pipeline.engine.config.caption_looks import SPOKEN_YELLOW
from video_pipeline.engine.story.fields import parse_colour
from video_pipeline.engine.story.speakers import SPEAKER_COLOURS
from video_pipeline.engine.timeline import CaptionColour

WHITE, PINK, SKY = (parse_colour(name) for name in ("white", "pink", "skyblue"))
SPEAKERS = {"Mary": "pink", "Tom": "skyblue", "Anna": None}
YELLOW = parse_colour(SPOKEN_YELLOW)


def test_each_line_has_its_speakers_colour_up_to_a_blank_line() -> None:
    text = "Mary: Where?\nTom: Here.\nOn the table.\n\nIt was.\nAnna: Oh."
    found = line_colours(text, SPEAKERS, own=PINK, others=WHITE)
    assert [(text[part.start : part.stop], part.color) for part in found] == [
        ("Tom: Here.", SKY),
        ("On the table.", SKY),
        ("It was.", WHITE),
        ("Anna: Oh.", WHITE),
    ]


def test_a_line_before_the_first_speaker_has_the_colour_of_other_captions() -> None:
    assert line_colours("Late.\nTom: Here.", SPEAKERS, own=WHITE, others=WHITE) == (
        CaptionColour(6, 16, SKY),
    )


@pytest.mark.parametrize(
    "colour", ["white", "gold", "yellow", "orange", "red", "black", "#7FDBFF", *SPEAKER_COLOURS]
)
def test_the_spoken_word_is_never_like_the_other_words(colour: str) -> None:
    words = parse_colour(colour)
    assert colour_distance(spoken_colour(YELLOW, [words]), words) >= LEAST_DISTANCE


def test_the_spoken_word_is_yellow_unless_that_is_like_the_words() -> None:
    assert spoken_colour(YELLOW, [WHITE]) == YELLOW
    assert spoken_colour(YELLOW, [parse_colour("gold")]) == WHITE
    assert spoken_colour(YELLOW, [parse_colour("gold"), WHITE]) not in (YELLOW, WHITE)


def test_the_distance_of_colours_is_symmetric_and_of_black_and_white_the_largest() -> None:
    colours = [parse_colour(name) for name in ("black", "white", "gold", "red", "navy")]
    largest = max(combinations(colours, 2), key=lambda pair: colour_distance(*pair))
    assert largest == (colours[0], colours[1])
    assert all(colour_distance(a, b) == colour_distance(b, a) for a, b in combinations(colours, 2))
