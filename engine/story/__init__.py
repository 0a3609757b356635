"""The story format: its model, effects and fields, and the splitting of text into scenes.

The model is imported when it is first used: a client of a render node needs only `asset_fields`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from video_pipeline.engine.common.lazy import importer

if TYPE_CHECKING:
    from video_pipeline.engine.story.model import Story, StoryScene, load_story, parse_story
    from video_pipeline.engine.story.scenes import story_scenes
else:
    _NAMES = ["Story", "StoryScene", "load_story", "parse_story"]
    __getattr__ = importer(__name__, {**dict.fromkeys(_NAMES, ".model"), "story_scenes": ".scenes"})

__all__ = ["Story", "StoryScene", "load_story", "parse_story", "story_scenes"]
