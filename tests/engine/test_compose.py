"""Scenes and assets on the timeline: lengths, words that do not collide, cameras."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from video_pipeline.engine.api.stages import SceneComposer
from video_pipeline.engine.assets.models import SceneAssets, Sound, StoryAssets
from video_pipeline.engine.common.music import EffectName, Score
from video_pipeline.engine.compose import Composition, compose
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timeline import AudioTrack, Footage, Still
from video_pipeline.filters.geometry import Camera, Rect

STILL = Still(Path("a.png"), 1080, 1920, "00")
NTSC = "30000/1001"


def sound(seconds: float | Fraction, name: str = "voice.wav") -> Sound:
    return Sound(Path(name), "11", Fraction(str(seconds)))


def footage(seconds: float, *, start: float = 0) -> Footage:
    return Footage(Path("v.mp4"), 1920, 1080, "22", "mov", Fraction(str(start)), Fraction(str(seconds)))


def composed(
    scenes: list[dict[str, Any]],
    *,
    spoken: list[float | Fraction | None] | None = None,
    pictures: list[Still | Footage] | None = None,
    failed: tuple[int, ...] = (),
    config: dict[str, Any] | None = None,
    music: Sound | None = None,
    score: Score | None = None,
    speech_lufs: float | None = None,
    effects: dict[EffectName, Sound] | None = None,
    voice_over: Sound | None = None,
) -> Composition:
    """Lay scenes out, each as one shot by default; with fewer `spoken` than scenes, only these have assets."""
    config = config or {}
    named = [{"scene_id": f"s{index}", **scene} for index, scene in enumerate(scenes)]
    parsed = parse_story({"title": "T", "scenes": named})
    assets = tuple(
        SceneAssets(
            f"s{index}",
            pictures[index] if pictures else STILL,
            narration=sound(said) if spoken and (said := spoken[index]) is not None else None,
            footage_sound=sound(60, "v.mp4") if pictures and isinstance(pictures[index], Footage) else None,
            extended=index in failed,
        )
        for index in range(len(spoken) if spoken else len(scenes))
    )
    return compose(
        parsed,
        parsed.scenes or (),
        StoryAssets(
            assets,
            music=music,
            score=score,
            speech_lufs=speech_lufs,
            effects=effects or {},
            voice_over=voice_over,
        ),
        config=load_config(
            {**config, "scenes": {"max_still_seconds": 0, **config.get("scenes", {})}}, environ=False
        ),
    )


def seconds_of(composition: Composition) -> list[float]:
    return [float(len(clip.frames) / composition.timeline.fps) for clip in composition.timeline.clips]


def voices(composition: Composition) -> list[AudioTrack]:
    return [track for track in composition.timeline.audio if track.kind == "narration"]


CUTS = {"scenes": {"transition": "cut"}}


def test_a_scene_lasts_as_long_as_its_words_and_their_padding() -> None:
    result = composed([{"text": "a"}, {"text": "b"}], spoken=[2, 4], config=CUTS)
    assert seconds_of(result) == [2.5, 4.5]
    assert [track.at for track in voices(result)] == [Fraction(1, 4), Fraction(5, 2) + Fraction(1, 4)]
    wide = composed(
        [{"text": "a"}], spoken=[2], config={"scenes": {"transition": "cut", "narration_padding": 3}}
    )
    assert seconds_of(wide) == [5.0]


def test_an_explicit_duration_longer_than_the_words_is_kept() -> None:
    result = composed([{"text": "a", "duration": 7}], spoken=[2])
    assert seconds_of(result) == [7.0]
    assert result.warnings == ()


def test_an_explicit_duration_shorter_than_the_words_is_extended_with_a_warning() -> None:
    result = composed([{"text": "a", "duration": 1.5}], spoken=[4], config=CUTS)
    assert seconds_of(result) == [4.5]
    assert result.warnings == (
        "scene 's0': duration 1.5 s is shorter than its narration; the scene lasts 4.50 s",
    )


def test_a_silent_scene_lasts_the_default_or_as_long_as_its_text_takes_to_read() -> None:
    short, long = composed([{"text": "Hello."}, {"text": "word " * 50}], config=CUTS).timeline.clips
    assert len(short.frames) == 5 * 30
    assert len(long.frames) == (50 / 2.5 + 1) * 30


def test_a_scene_lasts_as_long_as_its_clip() -> None:
    result = composed([{"video": "v.mp4"}], pictures=[footage(3.2)], config=CUTS)
    assert seconds_of(result) == [3.2]
    assert seconds_of(composed([{"video": "v.mp4", "duration": 2}], pictures=[footage(3.2)])) == [2.0]


def test_a_scene_whose_speech_failed_is_half_as_long_again() -> None:
    result = composed(
        [{"text": "a"}, {"text": "b", "duration": 4}, {"text": "c"}], failed=(0, 1), config=CUTS
    )
    assert seconds_of(result) == [7.5, 6.0, 5.0]
    assert voices(result) == []


@settings(deadline=None)
@given(
    st.lists(st.fractions(Fraction(1, 10), 6, max_denominator=24000), min_size=1, max_size=5),
    st.floats(0, 2),
    st.floats(0, 3),
    st.sampled_from([24, NTSC, 30, 60]),
    st.data(),
)
def test_narrations_of_neighbouring_scenes_neither_overlap_nor_are_cut_off(
    spoken: list[Fraction], transition: float, padding: float, fps: Any, data: st.DataObject
) -> None:
    durations = [data.draw(st.none() | st.floats(0.5, 8)) for _ in spoken]
    config = {
        "video": {"fps": fps},
        "scenes": {"transition_duration": round(transition, 3), "narration_padding": round(padding, 3)},
    }
    scenes = [{"text": "x"} | ({"duration": round(long, 3)} if long else {}) for long in durations]
    result = composed(scenes, spoken=list(spoken), config=config)
    tracks, timeline = voices(result), result.timeline
    for one, following in pairwise(tracks):
        assert following.at - (one.at + one.duration) >= Fraction(str(round(padding, 3)))
    for track, clip in zip(tracks, timeline.clips, strict=True):
        assert track.at >= clip.frames.start / timeline.fps
        assert track.at + track.duration <= clip.frames.stop / timeline.fps
    assert tracks[-1].at + tracks[-1].duration <= timeline.duration


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 120), st.sampled_from(["fade", "cut", "wipeleft"]), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([0.0, 0.1, 0.5, 2.0]),
)
def test_captions_stand_on_their_own_scene_and_never_on_each_other(
    scenes: list[tuple[int, str, bool]], seconds: float
) -> None:
    written = [
        {
            "text": "x",
            "duration": frames / 30,
            "transition": {"name": name, "duration": 0.2} if given_ else name,
        }
        for frames, name, given_ in scenes
    ]
    try:
        timeline = composed(written, config={"scenes": {"transition_duration": seconds}}).timeline
    except StoryError:
        assume(False)
        return
    assert all(one.frames.stop <= following.frames.start for one, following in pairwise(timeline.captions))
    clips = {clip.scene_id: clip.frames for clip in timeline.clips}
    for caption in timeline.captions:
        assert clips[caption.scene_id].start <= caption.frames.start
        assert caption.frames.stop <= clips[caption.scene_id].stop
        assert len(caption.frames) > 0
    assert timeline.frame_count == sum(map(len, clips.values())) - sum(
        len(transition.frames) for transition in timeline.transitions
    )


def test_the_whole_is_the_scenes_less_their_transitions() -> None:
    result = composed(
        [{"duration": 4}, {"duration": 3, "transition": {"name": "wipeup", "duration": 1}}, {"duration": 5}]
    )
    timeline = result.timeline
    assert timeline.duration == 4 + 3 + 5 - Fraction(1, 2) - 1
    assert [(t.name, t.after, len(t.frames)) for t in timeline.transitions] == [
        ("fade", 0, 15),
        ("wipeup", 1, 30),
    ]


def test_a_transition_of_no_length_is_a_cut() -> None:
    timeline = composed(
        [{"duration": 2}, {"duration": 2}], config={"scenes": {"transition_duration": 0}}
    ).timeline
    assert timeline.transitions == ()
    assert timeline.duration == 4


def test_the_last_scene_leads_nowhere() -> None:
    timeline = composed([{"duration": 2}, {"duration": 2, "transition": "wipeup"}]).timeline
    assert [transition.after for transition in timeline.transitions] == [0]


def test_a_given_transition_longer_than_its_scene_names_the_scenes() -> None:
    with pytest.raises(
        StoryError,
        match=r"scene 's1': field 'transition': the scene lasts 2\.00 s, but 'fade' from scene 's0' takes 3\.00 s",
    ):
        composed([{"duration": 5, "transition": {"name": "fade", "duration": 3}}, {"duration": 2}])


def test_default_transitions_give_way_to_short_scenes_with_a_warning() -> None:
    result = composed([{"duration": 2}, {"duration": 0.5}, {"duration": 2}])
    assert [len(transition.frames) for transition in result.timeline.transitions] == [7, 7]
    assert result.warnings == ("scene 's1' lasts 0.50 s: its default transitions are shortened",)


def cameras(scenes: list[dict[str, Any]], **options: Any) -> list[Camera]:
    found = [clip.camera for clip in composed(scenes, **options).timeline.clips]
    assert None not in found
    return [camera for camera in found if camera]


WHOLE = Rect(0, 0, 1, 1)


def test_ken_burns_zooms_in_and_out_alternately() -> None:
    one, two, three = cameras([{"duration": 4}] * 3)
    assert one.start == WHOLE
    assert one.end.width == pytest.approx(1 / 1.2)  # 5 % a second over 4 seconds
    assert (two.start, two.end) == (one.end, one.start)
    assert three == one


def test_the_zoom_stops_at_its_limit_and_stays_in_the_picture() -> None:
    (camera,) = cameras([{"duration": 60}])
    assert camera.end.width == pytest.approx(1 / 1.35)
    (wide,) = cameras([{"duration": 4}], pictures=[Still(Path("w.png"), 4000, 1000, "00")])
    assert wide.start.height == 1
    assert wide.start.width == pytest.approx((9 / 16) / 4)


def test_the_focus_keeps_its_place_on_the_screen() -> None:
    effect = {"type": "ken_burns", "zoom": [1, 2], "focus": [0.25, 0.75], "easing": "ease_in_out"}
    (camera,) = cameras([{"duration": 4, "effects": [effect]}])
    assert camera.easing == "ease_in_out"
    for rect in (camera.start, camera.end):
        assert (0.25 - rect.x) / rect.width == pytest.approx(0.25)
        assert (0.75 - rect.y) / rect.height == pytest.approx(0.75)
    assert camera.end.width == pytest.approx(0.5)


def test_rectangles_are_widened_to_the_frame_and_kept_inside() -> None:
    effect = {
        "type": "ken_burns",
        "start": {"x": 0.0, "y": 0.0, "width": 0.5},
        "end": {"x": 0.8, "y": 0.8, "width": 0.2, "height": 0.1},
    }
    (camera,) = cameras([{"duration": 4, "effects": [effect]}])
    assert camera.start == Rect(0, 0, 0.5, 0.5)
    assert camera.end == Rect(
        pytest.approx(0.8), pytest.approx(0.75, abs=0.06), pytest.approx(0.2), pytest.approx(0.2)
    )
    assert camera.end.y + camera.end.height <= 1 + 1e-9


@settings(deadline=None)
@given(
    st.fractions(0, 1),
    st.fractions(0, 1),
    st.fractions(Fraction(1, 50), 1),
    st.integers(50, 4000),
    st.integers(50, 4000),
)
def test_any_rectangle_becomes_a_view_of_the_frame_s_aspect_inside_the_picture(
    x: Fraction, y: Fraction, width: Fraction, width_px: int, height_px: int
) -> None:
    width = min(width, 1 - x)
    assume(width > 0.001)
    rect = {"x": float(x), "y": float(y), "width": float(width)}
    effect = {"type": "ken_burns", "start": rect, "end": rect}
    (camera,) = cameras(
        [{"duration": 4, "effects": [effect]}], pictures=[Still(Path("p.png"), width_px, height_px, "00")]
    )
    view = camera.start
    assert view.x >= -1e-9
    assert view.y >= -1e-9
    assert view.x + view.width <= 1 + 1e-9
    assert view.y + view.height <= 1 + 1e-9
    assert view.width * width_px / (view.height * height_px) == pytest.approx(9 / 16)


def test_a_fitted_picture_is_moved_over_as_the_frame_shows_it() -> None:
    (camera,) = cameras([{"duration": 4, "fit": "blur"}], pictures=[Still(Path("w.png"), 4000, 1000, "00")])
    assert camera.start == WHOLE


def test_a_clip_does_not_move_by_itself_and_is_heard() -> None:
    scenes = [{"duration": 2}, {"video": {"path": "v.mp4", "start": 1, "volume": -6}, "duration": 2}]
    result = composed(scenes, pictures=[STILL, footage(3, start=1)], config=CUTS)
    assert result.timeline.clips[1].camera is None
    (track,) = result.timeline.audio
    assert (track.kind, track.at, track.start, track.duration, track.gain_db) == ("footage", 2, 1, 2, -6)


def fades(scenes: list[dict[str, Any]], **options: Any) -> list[tuple[int, int]]:
    clips = composed(scenes, **options).timeline.clips
    return [(clip.fade_in_frames, clip.fade_out_frames) for clip in clips]


def test_by_default_a_video_neither_begins_nor_ends_in_black() -> None:
    assert fades([{"duration": 4}]) == [(0, 0)]
    assert fades([{"duration": 4}] * 3) == [(0, 0)] * 3
    assert fades([{"duration": 4}] * 3, config=CUTS) == [(0, 15), (15, 15), (15, 0)]
    named = {"duration": 4, "effects": ["fade_in", "fade_out"]}
    assert fades([named] * 2) == [(15, 0), (0, 15)]


def test_a_caption_fades_with_its_scene() -> None:
    named = {"duration": 4, "effects": ["fade_in", "fade_out"], "text": "Words"}
    captions = composed([named] * 2).timeline.captions
    assert [(words.fade_in_frames, words.fade_out_frames) for words in captions] == [(15, 0), (0, 15)]
    assert captions[0].frames.start == 0


def test_a_transition_replaces_the_fades_beside_it() -> None:
    assert fades([{"duration": 4, "effects": ["fade_in", "fade_out"]}] * 3) == [(15, 0), (0, 0), (0, 15)]
    assert fades([{"duration": 4, "effects": []}]) == [(0, 0)]
    assert fades([{"duration": 4, "effects": [{"type": "fade_in", "duration": 1}]}]) == [(30, 0)]
    assert fades([{"duration": 0.2, "effects": ["fade_in"]}]) == [(6, 0)]


@pytest.mark.parametrize(
    ("frames", "shares"), [(1, (0, 0)), (2, (0, 0)), (3, (1, 1)), (9, (4, 4)), (30, (14, 14)), (31, (15, 15))]
)
def test_fades_longer_than_a_scene_share_it_and_leave_its_picture_to_be_seen(
    frames: int, shares: tuple[int, int]
) -> None:
    short = {"duration": frames / 30}
    assert fades([{"duration": 4}, short, {"duration": 4}], config=CUTS)[1] == shares
    long_out = {**short, "effects": ["fade_in", {"type": "fade_out", "duration": 1}]}
    fade_in, fade_out = fades([long_out], config=CUTS)[0]
    assert fade_in + fade_out < frames


def test_the_last_picture_is_held_until_a_voice_over_ends() -> None:
    result = composed([{"duration": 2}, {"duration": 2}], voice_over=sound(9.01))
    assert result.timeline.duration == Fraction(271, 30)
    assert len(result.timeline.clips[0].frames) == 60


def test_a_video_longer_than_aimed_at_is_warned_of() -> None:
    result = composed([{"duration": 61}])
    assert result.warnings == ("the video lasts 61.0 s, longer than video.default_duration (60 s)",)


def test_the_scene_composer_passes_the_published_test() -> None:
    composer = SceneComposer({"default_scene_duration": 5.0})
    scenes = composer.compose_scenes(
        [{"scene_id": "scene_001", "text": "Scene 1 text", "duration": 5.0}],
        {"images": {"scene_001": "/tmp/scene1.png"}},
    )
    assert scenes == [
        {
            "scene_id": "scene_001",
            "image_path": "/tmp/scene1.png",
            "duration": 5.0,
            "effects": ["ken_burns", "fade_in", "fade_out"],
            "text": {
                "content": "Scene 1 text",
                "position": "center",
                "size": 90.0,
                "color": "#FFFFFF",
                "font": "Arial-Bold",
                "animation": "pop",
            },
            "transition": "fade",
            "transition_duration": 0.0,
            "start_time": 0.0,
            "end_time": 5.0,
        }
    ]


def test_the_scene_composer_counts_overlaps_and_omits_missing_pictures() -> None:
    composer = SceneComposer({"default_scene_duration": 3.0, "transition_duration": 1.0})
    one, two = composer.compose_scenes(
        [{"scene_id": "a", "text": "x"}, {"scene_id": "b", "image": "b.png"}], {"images": {}}
    )
    assert (one["image_path"], two["image_path"]) == (None, "b.png")
    assert (one["start_time"], one["end_time"]) == (0.0, 3.0)
    assert (two["start_time"], two["end_time"]) == (2.0, 5.0)
    assert (one["transition"], one["transition_duration"]) == ("fade", 1.0)


def test_the_scene_composer_names_wrong_fields() -> None:
    with pytest.raises(StoryError, match=r"scenes\[0\].*'scene_id': is missing"):
        SceneComposer().compose_scenes([{"text": "x"}], {})


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_first_scenes_are_laid_out_as_in_the_whole_video(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 7))
    joins = st.sampled_from([None, "cut", "fade", {"name": "wipeleft", "duration": 0.4}])
    scenes = [
        {"text": f"Words of {index}.", "narration": "", **({"transition": join} if join else {})}
        for index, join in enumerate(data.draw(st.lists(joins, min_size=count, max_size=count)))
    ]
    lengths = st.one_of(st.none(), st.integers(1, 60).map(lambda tenths: Fraction(tenths, 10)))
    spoken = data.draw(st.lists(lengths, min_size=count, max_size=count))
    known = data.draw(st.integers(2, count - 1))
    config = {"scenes": {"narration_padding": 0, "default_duration": 0.5}}
    try:
        whole = composed(scenes, spoken=spoken, config=config).timeline
    except StoryError:
        assume(False)
    first = composed(scenes, spoken=spoken[:known], config=config).timeline
    assert first.clips[:-1] == whole.clips[: known - 1]
    assert first.clips[-1].frames.start == whole.clips[known - 1].frames.start
    assert first.transitions == whole.transitions[: len(first.transitions)]
    assert all(join.after < known - 1 for join in first.transitions)
    settled = first.clips[-2].frames.stop
    segments = [each for each in first.segments() if each.stop <= settled]
    assert segments == [each for each in whole.segments() if each.stop <= settled]
    assert segments[-1].stop == settled
