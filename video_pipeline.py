"""The public API of video-pipeline. Everything here is defined in the package `engine`."""

from __future__ import annotations

from engine import __version__
from engine.assets.generate import AssetGenerator
from engine.compose import SceneComposer
from engine.config import Config, load_config
from engine.error_handler import ErrorHandler
from engine.errors import (
    AssetError,
    CancelledError,
    ConfigError,
    ImageGenerationError,
    InputError,
    PipelineError,
    RenderingError,
    StoryError,
    SubprocessError,
    TTSError,
    UnavailableError,
)
from engine.metadata import MetadataGenerator
from engine.outputs import OutputPaths
from engine.pipeline import RenderResult, render_story
from engine.plan import Event
from engine.story import Story, StoryProcessor, StoryScene, load_story, parse_story
from engine.video_renderer import VideoRenderer

__all__ = [
    "AssetError",
    "AssetGenerator",
    "CancelledError",
    "Config",
    "ConfigError",
    "ErrorHandler",
    "Event",
    "ImageGenerationError",
    "InputError",
    "MetadataGenerator",
    "OutputPaths",
    "PipelineError",
    "RenderResult",
    "RenderingError",
    "SceneComposer",
    "Story",
    "StoryError",
    "StoryProcessor",
    "StoryScene",
    "SubprocessError",
    "TTSError",
    "UnavailableError",
    "VideoRenderer",
    "__version__",
    "load_config",
    "load_story",
    "parse_story",
    "render_story",
]
