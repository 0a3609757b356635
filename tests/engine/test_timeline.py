"""The frames of scenes on the timeline, and the cuts between its segments."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.placement import Placement, SceneTiming, place_scenes
from video_pipeline.engine.timeline import (
    MAX_SEGMENT_SECONDS,
    AudioTrack,
    Caption,
    Clip,
    Footage,
    Still,
    Timeline,
    Transition,
)
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, Rect
from video_pipeline.filters.text import TextStyle

FPS = Fraction(30)
STILL = Still(Path("a.png"), 1080, 1920, "")


def timing(name: str, frames: int, transition_frames: int, *, given: bool = True) -> SceneTiming:
    transition = "fade" if transition_frames else "cut"
    return SceneTiming(name, frames, transition, transition_frames, given)


def timeline_of(timings: list[SceneTiming], placement: Placement, *, fps: Fraction = FPS) -> Timeline:
    clips = tuple(
        Clip(timing.scene_id, frames, STILL) for timing, frames in zip(timings, placement.ranges, strict=True)
    )
    transitions = tuple(
        Transition(timing.transition, index, FrameRange(frames.stop - overlap, frames.stop))
        for index, (timing, frames, overlap) in enumerate(
            zip(timings, placement.ranges, placement.overlaps, strict=True)
        )
        if overlap
    )
    return Timeline(1080, 1920, fps, "t", clips, transitions)


@st.composite
def fitting(draw: st.DrawFn) -> list[SceneTiming]:
    """Return scenes that hold the transitions at their ends."""
    overlaps = [*draw(st.lists(st.integers(0, 40), max_size=8)), 0]
    timings = []
    for index, after in enumerate(overlaps):
        before = overlaps[index - 1] if index else 0
        frames = max(1, before + after + draw(st.integers(0, 700)))
        timings.append(timing(f"s{index}", frames, after))
    return timings


@st.composite
def any_timings(draw: st.DrawFn) -> list[SceneTiming]:
    count = draw(st.integers(1, 8))
    return [
        timing(
            f"s{index}",
            draw(st.integers(1, 60)),
            draw(st.integers(0, 40)) if index < count - 1 else 0,
            given=draw(st.booleans()),
        )
        for index in range(count)
    ]


def test_the_last_part_is_divided_further_on_request() -> None:
    timings = [timing("a", 60, 0), timing("b", 120, 0)]
    timeline = timeline_of(timings, place_scenes(timings, fps=FPS))
    assert [len(one) for one in timeline.segments(max_frames=60)] == [60, 60, 60]
    assert [len(one) for one in timeline.segments(max_frames=60, tapered=True)] == [60, 60, 30, 15, 15]


@pytest.mark.parametrize(
    ("length", "parts"),
    [
        (60, [60]),
        (61, [41, 20]),
        (105, [60, 45]),
        (120, [60, 60]),
        (121, [50, 51, 20]),
        (150, [60, 60, 30]),
    ],
)
def test_a_scene_that_ends_with_a_transition_has_its_shortest_part_last(
    length: int, parts: list[int]
) -> None:
    timings = [timing("a", length, 15), timing("b", 15 + 60, 0)]
    timeline = timeline_of(timings, place_scenes(timings, fps=FPS))
    assert [len(one) for one in timeline.segments(max_frames=60)] == [*parts, 60]


@settings(deadline=None)
@given(fitting())
def test_the_whole_is_the_sum_of_the_scenes_less_the_overlaps(timings: list[SceneTiming]) -> None:
    placement = place_scenes(timings, fps=FPS)
    assert placement.overlaps == tuple(timing.transition_frames for timing in timings)
    assert placement.ranges[0].start == 0
    assert placement.ranges[-1].stop == sum(timing.frames for timing in timings) - sum(placement.overlaps)
    assert [len(frames) for frames in placement.ranges] == [timing.frames for timing in timings]
    assert not placement.warnings


@settings(deadline=None)
@given(any_timings())
def test_neighbours_share_their_transition_and_no_frame_shows_three_clips(timings: list[SceneTiming]) -> None:
    try:
        placement = place_scenes(timings, fps=FPS)
    except StoryError as error:
        assert any(repr(timing.scene_id) in str(error) for timing in timings)  # noqa: PT017
        return
    for (one, following), overlap in zip(pairwise(placement.ranges), placement.overlaps, strict=False):
        assert one.stop - following.start == overlap
    total = placement.ranges[-1].stop
    for frame in range(total):
        assert 1 <= sum(frames.start <= frame < frames.stop for frames in placement.ranges) <= 2


@settings(deadline=None)
@given(any_timings())
def test_only_default_transitions_are_shortened_each_with_a_warning(timings: list[SceneTiming]) -> None:
    try:
        placement = place_scenes(timings, fps=FPS)
    except StoryError:
        return
    for timing_, overlap in zip(timings[:-1], placement.overlaps, strict=False):
        if timing_.transition_given:
            assert overlap == timing_.transition_frames
        assert overlap <= timing_.transition_frames
    changed = any(
        overlap != timing_.transition_frames
        for timing_, overlap in zip(timings[:-1], placement.overlaps, strict=False)
    )
    assert changed == bool(placement.warnings)


def test_a_transition_longer_than_its_scene_is_an_error_that_names_the_scenes() -> None:
    timings = [timing("opening", 90, 60), timing("middle", 45, 0), timing("end", 60, 0)]
    with pytest.raises(StoryError) as caught:
        place_scenes(timings, fps=FPS)
    assert str(caught.value) == (
        "scene 'middle': field 'transition': the scene lasts 1.50 s, but 'fade' from scene 'opening' takes 2.00 s; "
        "shorten the transition, make the scene longer, or use 'cut'"
    )


def test_two_transitions_that_together_are_longer_than_their_scene_are_both_named() -> None:
    timings = [timing("a", 90, 30), timing("b", 45, 30), timing("c", 90, 0)]
    with pytest.raises(
        StoryError,
        match=r"scene 'b': .*from scene 'a' takes 1\.00 s and .* to scene 'c' takes 1\.00 s; shorten",
    ):
        place_scenes(timings, fps=FPS)


def test_default_transitions_make_room_and_the_warning_names_the_scene() -> None:
    timings = [timing("a", 90, 15, given=False), timing("flash", 20, 15, given=False), timing("c", 90, 0)]
    placement = place_scenes(timings, fps=FPS)
    assert placement.overlaps == (10, 10, 0)
    assert placement.warnings == ("scene 'flash' lasts 0.67 s: its default transitions are shortened",)


def test_a_given_transition_keeps_its_length_beside_a_default_one() -> None:
    timings = [timing("a", 90, 15), timing("flash", 20, 15, given=False), timing("c", 90, 0)]
    assert place_scenes(timings, fps=FPS).overlaps == (15, 5, 0)


def whole_inside_one(transition: Transition, segments: tuple[FrameRange, ...]) -> bool:
    return any(
        segment.start <= transition.frames.start and transition.frames.stop <= segment.stop
        for segment in segments
    )


def ends(timeline: Timeline) -> list[int]:
    """Return the first frame after each clip and its transition."""
    return [clip.frames.stop for clip in timeline.clips]


@settings(deadline=None)
@given(fitting(), st.one_of(st.none(), st.integers(1, 300)), st.booleans())
@example([timing("a", 30, 30), timing("b", 90, 0)], None, True)  # the first scene is all transition
@example([timing("a", 1000, 30), timing("b", 60, 30), timing("c", 1, 0)], 7, False)
@example([timing("a", 60, 30), timing("b", 60, 0)], 60, True)  # its last scene begins with one
def test_segments_cover_every_frame_once_in_order_and_cut_no_transition(
    timings: list[SceneTiming], max_frames: int | None, tapered: bool
) -> None:
    try:
        timeline = timeline_of(timings, place_scenes(timings, fps=FPS))
    except StoryError:
        return
    segments = timeline.segments(max_frames=max_frames, tapered=tapered)
    assert segments[0].start == 0
    assert segments[-1].stop == timeline.frame_count
    assert all(one.stop == following.start for one, following in pairwise(segments))
    assert all(len(segment) > 0 for segment in segments)
    assert all(whole_inside_one(transition, segments) for transition in timeline.transitions)
    assert set(ends(timeline)) <= {segment.stop for segment in segments}


@settings(deadline=None)
@given(fitting())
def test_the_cuts_of_a_scene_do_not_depend_on_what_follows_it(timings: list[SceneTiming]) -> None:
    timeline = timeline_of(timings, place_scenes(timings, fps=FPS))
    longer = [*timings[:-1], timing("last", timings[-1].frames, 5), timing("added", 400, 0)]
    if longer[-2].frames < 5 + (timings[-2].transition_frames if len(timings) > 1 else 0):
        return
    more = timeline_of(longer, place_scenes(longer, fps=FPS))
    kept = max(ends(timeline)[:-1], default=0)
    assert [cut for cut in timeline.segments() if cut.stop <= kept] == [
        cut for cut in more.segments() if cut.stop <= kept
    ]


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(60)])
def test_a_long_scene_is_cut_into_equal_parts_of_at_most_eight_seconds(fps: Fraction) -> None:
    timings = [timing("long", round(100 * fps), 0)]
    segments = timeline_of(timings, place_scenes(timings, fps=fps), fps=fps).segments()
    lengths = {len(segment) for segment in segments}
    assert len(segments) >= 13
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= 8 * fps


@settings(deadline=None)
@given(fitting())
def test_chapters_are_one_a_scene_and_cover_everything(timings: list[SceneTiming]) -> None:
    timeline = timeline_of(timings, place_scenes(timings, fps=FPS))
    chapters = list(timeline.chapters())
    assert [name for _, name in chapters] == [timing.scene_id for timing in timings]
    assert chapters[0][0].start == 0
    assert chapters[-1][0].stop == timeline.frame_count
    assert all(one.stop == following.start for (one, _), (following, _) in pairwise(chapters))
    assert [frames.start for frames, _ in chapters] == [clip.frames.start for clip in timeline.clips]


def test_a_transition_is_found_by_the_clip_it_leaves() -> None:
    timings = [timing("a", 60, 15), timing("b", 60, 0), timing("c", 60, 0)]
    timeline = timeline_of(timings, place_scenes(timings, fps=FPS))
    first = timeline.transition_after(0)
    assert first is not None
    assert first.frames == FrameRange(45, 60)
    assert timeline.transition_after(1) is None
    assert timeline.duration == Fraction(165, 30)


def of(*scenes: tuple[int, int], fps: Fraction = FPS) -> Timeline:
    """Return a timeline of scenes of (frames, frames of the transition into the next)."""
    timings = [timing(f"s{index}", frames, after) for index, (frames, after) in enumerate(scenes)]
    return timeline_of(timings, place_scenes(timings, fps=fps), fps=fps)


def pairs(ranges: Iterable[FrameRange]) -> list[tuple[int, int]]:
    return [(frames.start, frames.stop) for frames in ranges]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((0, 150), [(0, 45, 0, False), (45, 60, 0, True), (60, 90, 1, False), (90, 105, 1, True), (105, 150, 2, False)]),
        ((50, 95), [(50, 60, 0, True), (60, 90, 1, False), (90, 95, 1, True)]),
        ((0, 45), [(0, 45, 0, False)]),
        ((44, 46), [(44, 45, 0, False), (45, 46, 0, True)]),
        ((60, 61), [(60, 61, 1, False)]),
        ((149, 150), [(149, 150, 2, False)]),
        ((45, 45), []),
    ],
)  # fmt: skip
def test_a_range_is_parted_into_clips_alone_and_transitions(
    frames: tuple[int, int], expected: list[tuple[int, int, int, bool]]
) -> None:
    line = of((60, 15), (60, 15), (60, 0))
    found = [
        (seen.start, seen.stop, index, join is not None)
        for seen, index, join in line.stretches(FrameRange(*frames))
    ]
    assert found == expected
    for _, index, join in line.stretches(FrameRange(*frames)):
        assert join is None or join is line.transition_after(index)


def test_a_clip_that_is_all_transition_is_never_alone() -> None:
    found = list(of((30, 15), (30, 15), (30, 0)).stretches(FrameRange(0, 60)))
    assert [(seen.start, seen.stop, index, join is not None) for seen, index, join in found] == [
        (0, 15, 0, False),
        (15, 30, 0, True),
        (30, 45, 1, True),
        (45, 60, 2, False),
    ]


def test_cuts_have_no_transition() -> None:
    line = of((30, 0), (30, 0))
    assert [(seen.start, index, join) for seen, index, join in line.stretches(FrameRange(0, 60))] == [
        (0, 0, None),
        (30, 1, None),
    ]


@pytest.mark.parametrize(
    ("scenes", "options", "cuts"),
    [
        ([(60, 0)], {"max_frames": 60}, [(0, 60)]),
        ([(61, 0)], {"max_frames": 60}, [(0, 31), (31, 61)]),
        ([(59, 0)], {"max_frames": 60, "tapered": True}, [(0, 29), (29, 44), (44, 59)]),
        ([(29, 0)], {"max_frames": 60, "tapered": True}, [(0, 29)]),
        ([(30, 0)], {"max_frames": 60, "tapered": True}, [(0, 15), (15, 22), (22, 30)]),
        ([(60, 0), (20, 0)], {"max_frames": 60, "tapered": True}, [(0, 60), (60, 80)]),
        ([(60, 0), (60, 0)], {"max_frames": 60, "tapered": True}, [(0, 60), (60, 90), (90, 105), (105, 120)]),
        ([(60, 15), (60, 0)], {"max_frames": 60}, [(0, 60), (60, 105)]),
        ([(75, 15), (60, 0)], {"max_frames": 60}, [(0, 55), (55, 75), (75, 120)]),
        ([(100, 30), (60, 0)], {"max_frames": 60}, [(0, 60), (60, 100), (100, 130)]),
        ([(120, 60), (90, 0)], {"max_frames": 60}, [(0, 60), (60, 120), (120, 150)]),
        ([(30, 0)], {"max_frames": 61, "tapered": True}, [(0, 15), (15, 22), (22, 30)]),
        ([(1, 0), (1, 0), (1, 0)], {"max_frames": 1}, [(0, 1), (1, 2), (2, 3)]),
        ([(3, 0)], {"max_frames": 1}, [(0, 1), (1, 2), (2, 3)]),
        ([(240, 0)], {}, [(0, 240)]),
        ([(241, 0)], {}, [(0, 121), (121, 241)]),
    ],
)
def test_segments_are_cut_here(
    scenes: list[tuple[int, int]], options: dict[str, Any], cuts: list[tuple[int, int]]
) -> None:
    assert pairs(of(*scenes).segments(**options)) == cuts


def test_a_segment_lasts_eight_seconds_at_any_rate() -> None:
    assert MAX_SEGMENT_SECONDS == 8
    assert pairs(of((191, 0), fps=Fraction(24000, 1001)).segments()) == [(0, 191)]
    assert pairs(of((192, 0), fps=Fraction(24000, 1001)).segments()) == [(0, 96), (96, 192)]
    assert len(of((30, 0), fps=Fraction(1, 100)).segments()) == 30, "at least a frame"


def test_a_chapter_ends_when_the_next_begins() -> None:
    assert [
        (frames.start, frames.stop, name) for frames, name in of((60, 15), (60, 0), (30, 0)).chapters()
    ] == [
        (0, 45, "s0"),
        (45, 105, "s1"),
        (105, 135, "s2"),
    ]


def test_a_clip_without_a_camera_shows_the_largest_part_that_fills_the_canvas() -> None:
    wide = Still(Path("a.png"), 2000, 1000, "")

    def camera_of(**options: Any) -> Camera:
        return Clip("a", FrameRange(0, 9), wide, **options).effective_camera(1.0)

    half, whole = Rect(0.25, 0, 0.5, 1), Rect(0, 0, 1, 1)
    assert camera_of() == camera_of(fit="cover") == Camera(half, half)
    assert camera_of(fit="contain") == camera_of(fit="blur") == Camera(whole, whole)
    moving = Camera(half, whole, "cubic")
    assert camera_of(camera=moving) == moving


def test_the_defaults_are_plain() -> None:
    clip = Clip("a", FrameRange(0, 9), STILL)
    assert (clip.fit, clip.camera, clip.fade_in_frames, clip.fade_out_frames) == ("cover", None, 0, 0)
    assert STILL.demuxer == "png_pipe"
    footage = Footage(Path("a.mp4"), 2, 2, "", "mov", Fraction(0), Fraction(1))
    assert (footage.color_matrix, footage.pixels_px, footage.chroma_grid_px) == (None, None, (2, 2))
    assert (footage.last_frame, footage.stream_index, footage.changes_size, footage.seekable) == (
        None,
        None,
        False,
        True,
    )
    caption = Caption("a", "x", FrameRange(0, 9), TextStyle(), "Noto Sans")
    assert (caption.position, caption.animation, caption.highlight, caption.spoken) == (
        "bottom",
        "fade_in",
        None,
        None,
    )
    track = AudioTrack("music", Path("a.mp3"), "", Fraction(0), Fraction(1))
    assert (track.start, track.gain_db, track.scene_id, track.text) == (0, 0, None, "")
    line = of((30, 0))
    assert (line.captions, line.audio, line.watermark) == ((), (), None)
    assert line.frame_count == 30
    assert line.duration == 1


def test_a_timeline_does_not_change() -> None:
    for value, name in ((of((30, 0)), "fps"), (STILL, "path"), (Clip("a", FrameRange(0, 9), STILL), "fit")):
        with pytest.raises(AttributeError):
            setattr(value, name, None)


def test_a_picture_is_the_user_s_own_file_and_a_clip_begins_at_zero_unless_they_say_otherwise() -> None:
    picture = Still(Path("/a.png"), 4, 4, "hash")
    clip = Footage(Path("/c.mp4"), 640, 360, "hash", "mp4", Fraction(0), Fraction(9))
    assert (picture.is_copy, picture.pictures, picture.demuxer) == (False, 1, "png_pipe")
    assert (clip.ffmpeg_zero, clip.stream_index, clip.last_frame) == (0, None, None)
