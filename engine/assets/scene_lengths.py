"""How long a scene lasts by its words, picture and narration, and how long one still of it may be shown."""

from __future__ import annotations

from fractions import Fraction

from video_pipeline.engine.assets.models import SceneAssets
from video_pipeline.engine.config import Config
from video_pipeline.engine.story import StoryScene
from video_pipeline.engine.story.splitting import word_units
from video_pipeline.engine.timeline import Footage
from video_pipeline.engine.timing import Seconds, exact_seconds
from video_pipeline.filters.transitions import CUT

READING_WORDS_A_SECOND = Fraction(5, 2)
"""Reading speed of a caption that is not spoken: 150 words a minute."""

SILENT_FACTOR = Fraction(3, 2)
"""The length factor of a scene whose speech failed, so that it can be read (the rule of the original interface)."""


LEAST_STILL_SECONDS = Fraction(1, 2)
"""A shorter limit of a still's time counts as this."""


def scene_transition(scene: StoryScene, config: Config) -> tuple[str, Seconds, bool]:
    """Return the transition from a scene to the next: its name, its seconds, and whether the story gives them."""
    spec = scene.transition
    name = spec.name if spec else config.scenes.transition
    if name == CUT:
        return CUT, Fraction(0), True
    if spec and spec.duration is not None:
        return name, exact_seconds(spec.duration), True
    return name, exact_seconds(config.scenes.transition_duration), False


def own_seconds(scene: StoryScene, assets: SceneAssets | None, config: Config) -> Seconds:
    """Return a scene's length in seconds, before it is extended for its narration."""
    if scene.duration is not None:
        seconds = exact_seconds(scene.duration)
    elif assets is not None and isinstance(assets.picture, Footage) and assets.picture.loops_until is None:
        seconds = assets.picture.duration
    elif assets is not None and assets.narration is not None:
        seconds = Fraction(0)
    else:
        reading = Fraction(word_units(scene.text)) / READING_WORDS_A_SECOND + 1
        seconds = max(exact_seconds(config.scenes.default_duration), reading)
        if assets is not None and isinstance(assets.picture, Footage):
            seconds = max(seconds, assets.picture.duration)  # a moving picture is seen once at least
    return seconds * SILENT_FACTOR if assets is not None and assets.extended else seconds


def most_still_seconds(scene: StoryScene, config: Config) -> Seconds | None:
    """Return the longest time that one still of a scene is shown, None: as long as the scene lasts."""
    seconds = scene.max_still_seconds
    if seconds is None:
        seconds = config.scenes.max_still_seconds
    return max(exact_seconds(seconds), LEAST_STILL_SECONDS) if seconds else None


def outlasts_a_still(
    scene: StoryScene, assets: SceneAssets, config: Config, *, before: StoryScene | None
) -> bool:
    """Return whether a scene lasts longer than one still of it may, so far as it is known without the other scenes.

    `before` is the scene before it, whose transition leads into this one.
    """
    most = most_still_seconds(scene, config)
    if most is None:
        return False
    seconds = own_seconds(scene, assets, config)
    if assets.narration is not None:
        joins = sum(
            (scene_transition(each, config)[1] for each in (before, scene) if each is not None), Fraction(0)
        )
        padding = exact_seconds(config.scenes.narration_padding)
        seconds = max(seconds, assets.narration.duration + padding + joins / 2)
    return seconds > most
