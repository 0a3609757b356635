"""The story format: its model, effects and fields, and how a text is split into scenes."""

from __future__ import annotations

from video_pipeline.engine.story.model import Story, StoryScene, load_story, parse_story, story_scenes

__all__ = ["Story", "StoryScene", "load_story", "parse_story", "story_scenes"]
