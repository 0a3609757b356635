"""How long scenes last and where they stand: their words, transitions, and cuts on beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from video_pipeline.engine.assets.models import SceneAssets, StoryAssets
from video_pipeline.engine.assets.scene_lengths import own_seconds, scene_transition
from video_pipeline.engine.config import Config
from video_pipeline.engine.on_beat import timings_on_beat
from video_pipeline.engine.placement import Placement, SceneTiming, place_scenes
from video_pipeline.engine.story import StoryScene
from video_pipeline.engine.timing import (
    FrameRange,
    Seconds,
    exact_seconds,
    frame_time,
    frames_ceil,
    frames_round,
)
from video_pipeline.filters.transitions import CUT


@dataclass(frozen=True, slots=True)
class SpeechLead:
    """The pause before a scene's words, and the frames that pause and words need."""

    seconds: Seconds
    needed_frames: int


def speech_lead(
    narration: Seconds, before: int, after: int, *, fps: Fraction, padding: Seconds
) -> SpeechLead:
    # No speech in the middle of a transition, so that two scenes never speak at once.
    lead = padding / 2 + frame_time(before, fps) / 2
    tail = padding / 2 + frame_time(after, fps) / 2
    return SpeechLead(lead, frames_ceil(lead + narration + tail, fps))


def scene_timings(
    scenes: Sequence[StoryScene], assets: Sequence[SceneAssets | None], config: Config
) -> tuple[list[SceneTiming], list[str]]:
    """Return the timing of each scene that has assets, and warnings. Scenes with None are timed without narration."""
    fps = config.video.fps
    padding = exact_seconds(config.scenes.narration_padding)
    transitions = [scene_transition(scene, config) for scene in scenes]
    timings: list[SceneTiming] = []
    warnings: list[str] = []
    before = 0
    for index, (scene, scene_assets) in enumerate(zip(scenes, assets, strict=False)):
        name, seconds, given = transitions[index]
        last = index == len(scenes) - 1 and not config.scenes.loop
        after = 0 if last or name == CUT or not seconds else max(1, frames_round(seconds, fps))
        frames = max(1, frames_round(own_seconds(scene, scene_assets, config), fps))
        if scene_assets is not None and scene_assets.narration is not None:
            lead = speech_lead(scene_assets.narration.duration, before, after, fps=fps, padding=padding)
            if lead.needed_frames > frames:
                if scene.duration is not None:
                    warnings.append(
                        f"scene {scene.scene_id!r}: duration {scene.duration:g} s is shorter than its narration; "
                        f"the scene lasts {float(lead.needed_frames / fps):.2f} s"
                    )
                frames = lead.needed_frames
        timings.append(SceneTiming(scene.scene_id, frames, name, after, given))
        before = after
    return timings, warnings


def _spoken_frames(scenes: Sequence[SceneAssets], placement: Placement, config: Config) -> tuple[int, ...]:
    """Return how many frames each scene lasts until its words end, at least to the middle of the transition after."""
    fps, padding = config.video.fps, exact_seconds(config.scenes.narration_padding)
    found = []
    for index, scene in enumerate(scenes):
        if scene.narration is None:
            found.append(1)
            continue
        before, after = placement.overlaps[index - 1] if index else 0, placement.overlaps[index]
        lead = speech_lead(scene.narration.duration, before, after, fps=fps, padding=padding).seconds
        found.append(frames_ceil(lead + scene.narration.duration + frame_time(after, fps) / 2, fps))
    return tuple(found)


def scene_places(
    scenes: Sequence[StoryScene], assets: StoryAssets, config: Config
) -> tuple[list[SceneTiming], Placement, list[str]]:
    """Return the scenes' timings, their places, cuts on beats if that is asked for, and warnings."""
    fps = config.video.fps
    timings, warnings = scene_timings(scenes, assets.scenes, config)
    placement = _places_with_next(scenes, timings, config)
    if config.scenes.transition_on_beat and assets.score is not None and len(timings) > 1:
        shortest = _spoken_frames(assets.scenes, placement, config)
        timings = timings_on_beat(
            timings, placement, shortest_frames=shortest, beat=assets.score.beat, fps=fps
        )
        placement = _places_with_next(scenes, timings, config)
    elif config.scenes.transition_on_beat and assets.score is None:
        found = "there is no music" if assets.music is None else "the beats of a music file are not known"
        warnings.append(f"scenes.transition_on_beat: {found}, so cuts stay where they are; give music: auto")
    if assets.voice_over is not None:
        missing = frames_ceil(assets.voice_over.duration, fps) - placement.ranges[-1].stop
        if missing > 0:
            # Speech is never cut off: the last picture is held until it ends.
            timings[-1] = replace(timings[-1], frames=timings[-1].frames + missing)
            placement = _places_with_next(scenes, timings, config)
    return timings, placement, warnings


def _places_with_next(
    scenes: Sequence[StoryScene], timings: Sequence[SceneTiming], config: Config
) -> Placement:
    """Return the scenes' places with that of the scene that follows.

    A scene that leads back to the first is as long as the transition to it, which may have been shortened.
    """
    placement = place_scenes([*timings, *_next_timing(scenes, timings, config)], fps=config.video.fps)
    if len(timings) < len(scenes) or len(placement.ranges) == len(timings):
        return placement
    start = placement.ranges[-1].start
    back = FrameRange(start, start + placement.overlaps[-2])
    return replace(placement, ranges=(*placement.ranges[:-1], back))


def _next_timing(
    scenes: Sequence[StoryScene], timings: Sequence[SceneTiming], config: Config
) -> list[SceneTiming]:
    """Return the timing of the scene that follows, if there is one: as long as the transition to it.

    That is the first scene without assets, or the first of all after the last one of a video that repeats.
    """
    frames = timings[-1].transition_frames
    if len(timings) < len(scenes):
        return [SceneTiming(scenes[len(timings)].scene_id, max(1, frames), CUT, 0, True)]
    if config.scenes.loop and frames:
        return [SceneTiming(scenes[0].scene_id, frames, CUT, 0, True)]
    return []
