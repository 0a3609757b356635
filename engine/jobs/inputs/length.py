"""Check the length of a job's video and its number of scenes before any asset is made."""

from __future__ import annotations

from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import Story, StoryScene, story_scenes
from video_pipeline.filters.transitions import CUT

CHARACTERS_A_SECOND: Final = 40
"""Characters per second: more than the fastest voice speaks or a caption shows."""


def check_length(story: Story, *, config: Config, node: Node) -> None:
    """Raise StoryError if a story has too many scenes, or if its video is certainly too long.

    `config` is the job's whole configuration. The length is a lower bound, since narration and clips may take
    longer than the story says: the renderer checks the exact one.
    """
    field = "content" if story.scenes is None else "scenes"
    # A scene has at least one character: short texts need not be split.
    if story.scenes is not None or len(story.content) > node.max_scenes:
        count = len(story.scenes if story.scenes is not None else story_scenes(story))
        if count > node.max_scenes:
            raise StoryError(f"field {field!r}: has {count} scenes; node.max_scenes allows {node.max_scenes}")
    seconds = _least_seconds(story, config, enough=node.max_video_seconds)
    if seconds > node.max_video_seconds:
        raise StoryError(
            f"field {field!r}: the video lasts at least {seconds:.0f} s; "
            f"node.max_video_seconds allows {node.max_video_seconds:g}"
        )


def _least_seconds(story: Story, config: Config, *, enough: float) -> float:
    """Return a lower bound of the video's length in seconds, or any number up to `enough` if it is not above that."""
    if story.scenes is None:
        return len(story.content) / CHARACTERS_A_SECOND
    # Most stories are short: one sum over their letters says so, and thousands are checked per second.
    default = config.scenes.default_duration
    letters = sum([len(scene.text) + len(scene.narration or "") for scene in story.scenes])
    bound = letters / CHARACTERS_A_SECOND + sum([scene.duration or default for scene in story.scenes])
    if bound <= enough:
        return bound
    lengths = sum([_least_scene_seconds(scene, config) for scene in story.scenes])
    if lengths <= enough:
        return lengths
    return lengths - sum(_transition_seconds(scene, config) for scene in story.scenes[:-1])


def _least_scene_seconds(scene: StoryScene, config: Config) -> float:
    if scene.duration is not None:
        return scene.duration
    if scene.narration_audio is not None:
        return 0.0  # as long as its sound, which is not read here
    if scene.spoken and config.tts.service != "none":
        return len(scene.spoken) / CHARACTERS_A_SECOND
    if scene.video is not None:
        return 0.0
    return max(config.scenes.default_duration, len(scene.text) / CHARACTERS_A_SECOND)


def _transition_seconds(scene: StoryScene, config: Config) -> float:
    spec = scene.transition
    if (spec.name if spec else config.scenes.transition) == CUT:
        return 0.0
    return spec.duration if spec and spec.duration is not None else config.scenes.transition_duration
