"""Cuts on the beats of the music: near, never into speech, and the same video otherwise."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.on_beat import MOST_SECONDS, timings_on_beat
from video_pipeline.engine.placement import Placement, SceneTiming, place_scenes

FPS = Fraction(30)


def cuts(placement: Placement) -> list[int]:
    """Return the frames in which scenes meet: cuts, or the middles of transitions."""
    return [
        frames.stop - overlap + overlap // 2
        for frames, overlap in zip(placement.ranges[:-1], placement.overlaps[:-1], strict=True)
    ]


def timing(index: int, frames: int, overlap: int = 0) -> SceneTiming:
    return SceneTiming(f"s{index}", frames, "fade" if overlap else "cut", overlap, False)


def moved(timings: list[SceneTiming], beat: Fraction, shortest: list[int]) -> tuple[Placement, Placement]:
    placed = place_scenes(timings, fps=FPS)
    after = timings_on_beat(timings, placed, shortest_frames=shortest, beat=beat, fps=FPS)
    return placed, place_scenes(after, fps=FPS)


def test_a_cut_near_a_beat_is_moved_onto_it_and_others_stay() -> None:
    timings = [timing(0, 58), timing(1, 70), timing(2, 60), timing(3, 40)]
    before, after = moved(timings, Fraction(1), [1, 1, 1, 1])
    assert cuts(before) == [58, 128, 188]
    assert cuts(after) == [60, 128, 188]  # the others are 8 frames from a beat, further than 0.15 s
    assert after.ranges[-1].stop == before.ranges[-1].stop


def test_the_middle_of_a_transition_is_on_the_beat() -> None:
    _, after = moved([timing(0, 70, 16), timing(1, 90)], Fraction(2), [1, 1])
    assert cuts(after) == [60]


def test_speech_is_never_cut_for_a_beat() -> None:
    # The beat is two frames before the cut; the scene's words end with it, so the next beat is too far.
    _, after = moved([timing(0, 62), timing(1, 90)], Fraction(1), [62, 1])
    assert cuts(after) == [62]
    _, after = moved([timing(0, 62), timing(1, 90)], Fraction(1), [60, 1])
    assert cuts(after) == [60]


def test_a_scene_that_cannot_be_shorter_goes_along_with_the_one_before() -> None:
    before, after = moved([timing(0, 58), timing(1, 38), timing(2, 70)], Fraction(2), [1, 38, 70])
    assert cuts(after) == [60, 98]
    assert after.ranges[-1].stop == before.ranges[-1].stop + 2


@given(
    lengths=st.lists(
        st.tuples(st.integers(30, 200), st.integers(0, 14), st.integers(0, 30)), min_size=2, max_size=12
    ),
    step=st.integers(4000, 12000),
)
def test_cuts_move_by_at_most_what_is_allowed_and_scenes_keep_their_speech(
    lengths: list[tuple[int, int, int]], step: int
) -> None:
    timings = [timing(index, frames, overlap) for index, (frames, overlap, _) in enumerate(lengths)]
    shortest = [max(1, frames - pause) for frames, _, pause in lengths]
    beat = Fraction(4 * step, 48000)
    before, after = moved(timings, beat, shortest)
    assert after.overlaps == before.overlaps
    for was, is_now in zip(cuts(before), cuts(after), strict=True):
        assert abs(is_now - was) <= MOST_SECONDS * FPS
    for least, frames in zip(shortest, after.ranges, strict=True):
        assert len(frames) >= least
    assert 0 <= after.ranges[-1].stop - before.ranges[-1].stop <= MOST_SECONDS * FPS
    assert all(one.start < other.start for one, other in pairwise(after.ranges))


def test_with_room_every_cut_near_a_beat_is_on_it() -> None:
    beat = Fraction(4 * 7000, 48000)
    timings = [timing(index, 97 + 3 * index) for index in range(12)]
    before, after = moved(timings, beat, [1] * 12)
    for was, is_now in zip(cuts(before), cuts(after), strict=True):
        near = round(was / FPS / beat) * beat * FPS
        if abs(near - was) < 4:
            assert abs(is_now - near) <= Fraction(1, 2)
        else:
            assert is_now == was or abs(is_now - near) <= Fraction(1, 2)
