"""The results of the asset stage, which the composer reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.timeline import Footage, Still
from video_pipeline.engine.timing import Seconds


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file and its length in seconds."""

    path: Path
    sha256: str
    duration: Seconds


@dataclass(frozen=True, slots=True)
class SceneAssets:
    """A scene's picture and sounds. `extended` marks a scene whose speech failed; it lasts 1.5 times longer."""

    scene_id: str
    picture: Still | Footage
    narration: Sound | None = None
    footage_sound: Sound | None = None
    extended: bool = False


@dataclass(frozen=True, slots=True)
class StoryAssets:
    """The assets of all scenes in order, and those of the whole video: music and voice-over."""

    scenes: tuple[SceneAssets, ...]
    music: Sound | None = None
    voice_over: Sound | None = None
    warnings: tuple[str, ...] = ()
