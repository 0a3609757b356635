"""VideoRenderer: render composed scene dictionaries into a finished video."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from video_pipeline.engine.api.configuration import AnyConfig, load_any
from video_pipeline.engine.assets.sound import probe_sound
from video_pipeline.engine.common.arguments import as_mappings, as_path
from video_pipeline.engine.errors import AssetError, StoryError
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.story import Story, parse_story
from video_pipeline.filters.transitions import CUT

PLACED_KEYS = ("start_time", "end_time")
"""Keys of a composed scene that are ignored: the timeline is computed again."""


def story_from_scenes(scenes: Sequence[Mapping[str, Any]], *, title: str) -> Story:
    """Return composed scenes as a story; raise StoryError naming the scene and the field."""
    converted = []
    for number, scene in enumerate(as_mappings(scenes, "scenes"), start=1):
        data = {key: value for key, value in scene.items() if key not in PLACED_KEYS}
        data.setdefault("scene_id", f"scene_{number:03d}")
        image = data.pop("image_path", None)
        if image is not None:
            data["image"] = str(image)
        name, seconds = data.get("transition", CUT), data.pop("transition_duration", None)
        if isinstance(name, str):
            data["transition"] = {"name": name, "duration": seconds} if seconds and name != CUT else name
        data.setdefault("effects", [])
        data.setdefault("narration", "")
        converted.append(data)
    return parse_story({"title": title, "scenes": converted}, where="scenes")


class VideoRenderer:
    """Renders composed scenes into a video."""

    def __init__(self, config: AnyConfig = None) -> None:
        self.config = load_any(config)

    def render_video(
        self,
        scenes: Sequence[Mapping[str, Any]],
        output_path: str | os.PathLike[str],
        audio_path: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Render scenes into `output_path` and return `status`, `output_path` and `video_info`.

        Each scene has `image_path` (without it, or if it is unusable and fallbacks are on, a picture is drawn),
        `duration` in seconds, and optionally `effects`, `text`, `transition` and `transition_duration`; without a
        transition it is followed by a cut. `audio_path` is mixed under the whole video; if it is longer than the
        scenes, the last scene is held. Raises StoryError for wrong scenes, and RenderingError.
        """
        output = as_path(output_path, "output_path")
        story = story_from_scenes(scenes, title=output.stem or "video")
        sound = None
        if audio_path is not None:
            try:
                sound = probe_sound(as_path(audio_path, "audio_path"))
            except AssetError as error:
                raise StoryError(f"audio_path: {error}") from error
        result = render_story(story, output, config=self.config, voice_over=sound)
        return {
            "status": "success",
            "output_path": str(result.outputs.video),
            "video_info": result.info.as_dict(),
            "thumbnail_path": str(result.outputs.thumbnail),
            "warnings": list(result.warnings),
        }
