"""Scene placement: exact frames and messages, besides the properties in `test_timeline`."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.placement import Placement, SceneTiming, place_scenes
from video_pipeline.engine.timing import FrameRange

FPS = Fraction(30)


def place(*scenes: tuple[int, int, bool]) -> Placement:
    """Place scenes of (frames, frames of the transition into the next, whether the story asks for it)."""
    return place_scenes([timing(f"s{index}", *scene) for index, scene in enumerate(scenes)], fps=FPS)


def timing(name: str, frames: int, transition_frames: int, given: bool) -> SceneTiming:
    return SceneTiming(name, frames, "fade" if transition_frames else "cut", transition_frames, given)


GIVEN, DEFAULT = True, False


@pytest.mark.parametrize(
    ("scenes", "overlaps", "warned"),
    [
        ([(60, 15, GIVEN), (60, 15, DEFAULT), (60, 0, DEFAULT)], [15, 15, 0], []),
        ([(60, 30, DEFAULT), (60, 30, DEFAULT), (60, 0, DEFAULT)], [30, 30, 0], []),
        ([(60, 30, DEFAULT), (59, 30, DEFAULT), (60, 0, DEFAULT)], [29, 29, 0], ["s1"]),
        ([(60, 40, GIVEN), (60, 40, DEFAULT), (60, 0, DEFAULT)], [40, 20, 0], ["s1"]),
        ([(60, 40, DEFAULT), (60, 40, GIVEN), (60, 0, DEFAULT)], [20, 40, 0], ["s1"]),
        ([(60, 60, GIVEN), (60, 40, DEFAULT), (60, 0, DEFAULT)], [60, 0, 0], ["s1"]),
        ([(10, 40, DEFAULT), (60, 0, DEFAULT)], [10, 0], ["s0"]),
        ([(60, 40, DEFAULT), (10, 0, DEFAULT)], [10, 0], ["s1"]),
        ([(60, 5, DEFAULT), (20, 40, DEFAULT), (60, 0, DEFAULT)], [5, 10, 0], ["s1"]),
        ([(5, 30, DEFAULT), (30, 30, DEFAULT), (6, 0, DEFAULT)], [5, 6, 0], ["s0", "s1", "s2"]),
        ([(60, 0, DEFAULT), (60, 0, DEFAULT)], [0, 0], []),
        ([(60, 40, GIVEN)], [0], []),
    ],
)
def test_default_transitions_share_what_a_scene_has_left(
    scenes: list[tuple[int, int, bool]], overlaps: list[int], warned: list[str]
) -> None:
    placement = place(*scenes)
    assert list(placement.overlaps) == overlaps
    assert [warning.split("'")[1] for warning in placement.warnings] == warned
    starts = [frames.start for frames in placement.ranges]
    assert starts == [
        sum(frames for frames, _, _ in scenes[:at]) - sum(overlaps[:at]) for at in range(len(scenes))
    ]
    assert [len(frames) for frames in placement.ranges] == [frames for frames, _, _ in scenes]


@pytest.mark.parametrize(
    "scenes",
    [
        [(60, 61, GIVEN), (90, 0, DEFAULT)],
        [(90, 61, GIVEN), (60, 0, DEFAULT)],
        [(90, 31, GIVEN), (60, 30, GIVEN), (90, 0, DEFAULT)],
        [(90, 61, GIVEN), (60, 30, DEFAULT), (90, 0, DEFAULT)],
        [(90, 30, DEFAULT), (60, 61, GIVEN), (90, 0, DEFAULT)],
    ],
)
def test_a_transition_that_was_asked_for_is_never_shortened(scenes: list[tuple[int, int, bool]]) -> None:
    with pytest.raises(StoryError):
        place(*scenes)


def test_the_warning_says_which_scene_is_how_short() -> None:
    placement = place((60, 15, DEFAULT), (20, 15, DEFAULT), (60, 0, DEFAULT))
    assert placement.warnings == ("scene 's1' lasts 0.67 s: its default transitions are shortened",)
    assert placement.ranges == (FrameRange(0, 60), FrameRange(50, 70), FrameRange(60, 120))


@pytest.mark.parametrize(
    ("scenes", "words"),
    [
        (
            [(30, 45, GIVEN), (90, 0, DEFAULT)],
            "scene 's0': field 'transition': the scene lasts 1.00 s, but 'fade' to scene 's1' takes 1.50 s; "
            "shorten the transition, make the scene longer, or use 'cut'",
        ),
        (
            [(90, 45, GIVEN), (60, 30, GIVEN), (90, 0, DEFAULT)],
            "scene 's1': field 'transition': the scene lasts 2.00 s, but 'fade' from scene 's0' takes 1.50 s and "
            "'fade' to scene 's2' takes 1.00 s; shorten the transitions, make the scene longer, or use 'cut'",
        ),
    ],
)
def test_an_error_gives_every_length_in_seconds(scenes: list[tuple[int, int, bool]], words: str) -> None:
    with pytest.raises(StoryError) as caught:
        place(*scenes)
    assert str(caught.value) == words


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 80), st.booleans()), min_size=1, max_size=8))
def test_overlaps_are_not_negative_nor_longer_than_requested_and_fit_their_scenes(
    scenes: list[tuple[int, int, bool]],
) -> None:
    try:
        overlaps = place(*scenes).overlaps
    except StoryError:
        return
    assert len(overlaps) == len(scenes)
    assert overlaps[-1] == 0
    for (_, wanted, given_), overlap in zip(scenes[:-1], overlaps, strict=False):
        assert 0 <= overlap <= wanted
        assert overlap == wanted or not given_
    for index, (frames, _, _) in enumerate(scenes):
        assert (overlaps[index - 1] if index else 0) + overlaps[index] <= frames
