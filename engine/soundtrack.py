"""Tracks of music and sound effects for a timeline, at their levels against the voice."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from video_pipeline.engine.assets.models import StoryAssets
from video_pipeline.engine.common.music import EffectName
from video_pipeline.engine.config import Config
from video_pipeline.engine.story import Story
from video_pipeline.engine.timeline import AudioTrack, Timeline
from video_pipeline.engine.timing import Seconds, frame_time

SCORE_UNDER_SPEECH_DB = 10
"""Gain of synthesised music at the loudness of speech; with the usual music_volume and music_duck it is 16 LU below."""

MOST_SCORE_SHIFT_DB = 12
SCORE_LUFS = -20
"""The loudness of synthesised music, and that of speech if it is not known."""


def music_tracks(
    story: Story, timeline: Timeline, assets: StoryAssets, *, config: Config
) -> Iterator[AudioTrack]:
    """Yield the music, throughout the video, if there is any."""
    if assets.music is None:
        return
    usual = config.audio.music_volume
    volume = story.music.volume if story.music and story.music.volume is not None else usual
    yield AudioTrack(
        kind="music",
        path=assets.music.path,
        sha256=assets.music.sha256,
        at=Fraction(0),
        duration=timeline.duration,
        gain_db=volume - usual + _score_gain_db(assets),  # the mixer adds the usual level
        score=assets.score,
    )


def effect_tracks(timeline: Timeline, assets: StoryAssets, *, config: Config) -> Iterator[AudioTrack]:
    """Yield the sound effects: whooshes in the middle of transitions, clicks at cuts, pops as captions appear."""
    fps, joined = timeline.fps, {transition.after: transition for transition in timeline.transitions}
    speech = SCORE_LUFS if assets.speech_lufs is None else assets.speech_lufs
    gain_db = config.audio.effects_volume + speech - SCORE_LUFS

    def track(name: EffectName, at: Seconds, scene_id: str) -> Iterator[AudioTrack]:
        sound = assets.effects.get(name)
        if sound is not None:
            yield AudioTrack(
                "effect",
                sound.path,
                sound.sha256,
                at,
                sound.duration,
                gain_db=gain_db,
                scene_id=scene_id,
                name=name,
            )

    for index, clip in enumerate(timeline.clips[:-1]):
        if index in joined:
            frames = joined[index].frames
            middle = frame_time(frames.start + frames.stop, fps) / 2
            half = assets.effects["whoosh"].duration / 2 if "whoosh" in assets.effects else Fraction(0)
            yield from track("whoosh", middle - half, clip.scene_id)
        elif clip.scene_id != timeline.clips[index + 1].scene_id:
            yield from track("click", frame_time(clip.frames.stop, fps), clip.scene_id)
    for caption in timeline.captions:
        yield from track("pop", frame_time(caption.frames.start, fps), caption.scene_id)


def _score_gain_db(assets: StoryAssets) -> float:
    """Return the gain that brings synthesised music to the level of this story's voice; 0 for a file."""
    if assets.score is None:
        return 0
    louder = 0.0 if assets.speech_lufs is None else assets.speech_lufs - SCORE_LUFS
    return SCORE_UNDER_SPEECH_DB + max(-MOST_SCORE_SHIFT_DB, min(MOST_SCORE_SHIFT_DB, louder))
