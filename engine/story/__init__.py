"""The story format: its model, effects and fields, and how a text is split into scenes.

The model is imported when it is first used: a client of a render node needs only `asset_fields`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video_pipeline.engine.story.model import Story, StoryScene, load_story, parse_story, story_scenes

__all__ = ["Story", "StoryScene", "load_story", "parse_story", "story_scenes"]


def __getattr__(name: str) -> Any:
    """Import a name of the model when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module("video_pipeline.engine.story.model"), name)
    globals()[name] = value
    return value
