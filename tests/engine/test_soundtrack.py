"""Music, sound effects and cuts on beats on the timeline."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.engine.test_compose import STILL, composed, seconds_of, sound, voices
from video_pipeline.engine.assets.models import SceneAssets, Sound, StoryAssets
from video_pipeline.engine.common.music import EffectName, Score
from video_pipeline.engine.compose import compose
from video_pipeline.engine.config import Config
from video_pipeline.engine.story import parse_story


def test_music_is_heard_throughout_at_its_level() -> None:
    music = sound(10, "m.mp3")
    (track,) = composed([{"duration": 3}, {"duration": 3}], music=music).timeline.audio
    assert (track.kind, track.at, track.duration, track.gain_db) == ("music", 0, Fraction(11, 2), 0)
    story = {
        "title": "T",
        "scenes": [{"scene_id": "a", "duration": 2}],
        "music": {"path": "m.mp3", "volume": -10},
    }
    parsed = parse_story(story)
    assets = StoryAssets((SceneAssets("a", STILL),), music=music)
    (loud,) = compose(parsed, parsed.scenes or (), assets, config=Config()).timeline.audio
    assert loud.gain_db == 6  # over the usual -16 dB


def test_synthesised_music_is_lifted_to_the_level_of_speech() -> None:
    score = Score("calm", 1, 60.0, "C major", Fraction(1))
    (track,) = composed([{"duration": 3}], music=sound(10, "m.mp3"), score=score).timeline.audio
    assert (track.gain_db, track.score) == (10, score)
    for speech, gain in ((-22.5, 7.5), (-16, 14), (-60, -2)):
        quieter = composed([{"duration": 3}], music=sound(10, "m.mp3"), score=score, speech_lufs=speech)
        assert quieter.timeline.audio[0].gain_db == gain
        assert (
            composed([{"duration": 3}], music=sound(10, "m.mp3"), speech_lufs=speech)
            .timeline.audio[0]
            .gain_db
            == 0
        )


def test_effects_are_at_transitions_cuts_and_captions_at_their_level() -> None:
    effects: dict[EffectName, Sound] = {
        "whoosh": sound(Fraction(7, 10), "w.wav"),
        "pop": sound(Fraction(1, 8), "p.wav"),
        "click": sound(Fraction(1, 20), "c.wav"),
    }
    scenes: list[dict[str, Any]] = [
        {"duration": 2, "text": "One."},
        {"duration": 2, "transition": "cut"},
        {"duration": 2},
    ]
    timeline = composed(scenes, effects=effects, speech_lufs=-22.0).timeline
    (transition,) = timeline.transitions
    whoosh, click, pop = timeline.audio
    middle = Fraction(transition.frames.start + transition.frames.stop, 60)
    assert (whoosh.kind, whoosh.name, whoosh.at + whoosh.duration / 2) == ("effect", "whoosh", middle)
    assert (click.name, click.at) == ("click", Fraction(timeline.clips[1].frames.stop, 30))
    assert (pop.name, pop.at, pop.scene_id) == ("pop", Fraction(timeline.captions[0].frames.start, 30), "s0")
    assert {track.gain_db for track in timeline.audio} == {-18}
    assert composed(scenes).timeline.audio == ()


ON_BEAT = {"scenes": {"transition_on_beat": True}}


def test_cuts_captions_chapters_and_speech_follow_the_beat() -> None:
    score = Score("calm", 1, 60.0, "C major", Fraction(1))
    scenes = [
        {"text": "One.", "title": "A"},
        {"text": "Two.", "title": "B"},
        {"text": "Three.", "title": "C"},
    ]
    spoken: list[float | Fraction | None] = [2.43, 3.5, 2.0]
    plain = composed(scenes, spoken=spoken, music=sound(10, "m.mp3"), score=score)
    result = composed(scenes, spoken=spoken, music=sound(10, "m.mp3"), score=score, config=ON_BEAT)
    middles = [transition.frames.start + 7 for transition in result.timeline.transitions]
    assert middles == [90, 210]
    assert [transition.frames.start + 7 for transition in plain.timeline.transitions] != middles
    for clip, caption, voice in zip(
        result.timeline.clips, result.timeline.captions, voices(result), strict=True
    ):
        assert clip.frames.start <= caption.frames.start < caption.frames.stop <= clip.frames.stop
        assert voice.at + voice.duration <= Fraction(caption.frames.stop, 30)
    assert [chapter.start for chapter, _ in result.timeline.chapters()] == [
        clip.frames.start for clip in result.timeline.clips
    ]
    assert result.warnings == ()


@pytest.mark.parametrize("music", [None, "m.mp3"])
def test_without_known_beats_cuts_stay_and_one_warning_says_why(music: str | None) -> None:
    known = sound(10, music) if music else None
    scenes = [{"duration": 2}, {"duration": 3}, {"duration": 2}]
    result = composed(scenes, music=known, config=ON_BEAT)
    (warning,) = result.warnings
    assert warning.startswith("scenes.transition_on_beat: ")
    assert ("music file" in warning) == (music is not None)
    assert seconds_of(result) == seconds_of(composed(scenes, music=known))
