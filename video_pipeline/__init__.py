"""The public API of video-pipeline: everything that a program constructs, calls or catches.

Nothing is imported until it is used, so that `import video_pipeline` costs a few milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from video_pipeline.engine import __version__

if TYPE_CHECKING:
    from video_pipeline.engine.assets.generate import AssetGenerator
    from video_pipeline.engine.assets.models import Sound
    from video_pipeline.engine.compose import SceneComposer
    from video_pipeline.engine.config import Config, load_config
    from video_pipeline.engine.error_handler import ErrorHandler
    from video_pipeline.engine.errors import (
        AccessError,
        AssetError,
        CancelledError,
        ConfigError,
        ImageGenerationError,
        InputError,
        JobConflictError,
        JobError,
        JobNotFoundError,
        NodeError,
        PipelineError,
        RenderingError,
        StoryError,
        SubprocessError,
        TTSError,
        UnavailableError,
        UnreachableError,
    )
    from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
    from video_pipeline.engine.jobs.client.client import NodeClient
    from video_pipeline.engine.jobs.client.guide import AsyncVideoGenerationPipeline, VideoGenerationPipeline
    from video_pipeline.engine.jobs.client.guide_jobs import JobTracker, VideoJob
    from video_pipeline.engine.jobs.client.guide_queue import VideoGenerationQueue
    from video_pipeline.engine.jobs.client.orchestrator import ContentGenerationOrchestrator
    from video_pipeline.engine.jobs.model import JobStatus
    from video_pipeline.engine.metadata import MetadataGenerator
    from video_pipeline.engine.outputs import OutputPaths
    from video_pipeline.engine.pipeline import RenderResult, render_story
    from video_pipeline.engine.plan import Event
    from video_pipeline.engine.story import Story, StoryProcessor, StoryScene, load_story, parse_story
    from video_pipeline.engine.video_renderer import VideoRenderer

_WHERE = {
    "assets.generate": ("AssetGenerator",),
    "assets.models": ("Sound",),
    "compose": ("SceneComposer",),
    "config": ("Config", "load_config"),
    "error_handler": ("ErrorHandler",),
    "errors": (
        "AccessError",
        "AssetError",
        "CancelledError",
        "ConfigError",
        "ImageGenerationError",
        "InputError",
        "JobConflictError",
        "JobError",
        "JobNotFoundError",
        "NodeError",
        "PipelineError",
        "RenderingError",
        "StoryError",
        "SubprocessError",
        "TTSError",
        "UnavailableError",
        "UnreachableError",
    ),
    "jobs.client.async_client": ("AsyncNodeClient",),
    "jobs.client.client": ("NodeClient",),
    "jobs.client.guide": ("AsyncVideoGenerationPipeline", "VideoGenerationPipeline"),
    "jobs.client.guide_jobs": ("JobTracker", "VideoJob"),
    "jobs.client.guide_queue": ("VideoGenerationQueue",),
    "jobs.client.orchestrator": ("ContentGenerationOrchestrator",),
    "jobs.model": ("JobStatus",),
    "metadata": ("MetadataGenerator",),
    "outputs": ("OutputPaths",),
    "pipeline": ("RenderResult", "render_story"),
    "plan": ("Event",),
    "story": ("Story", "StoryProcessor", "StoryScene", "load_story", "parse_story"),
    "video_renderer": ("VideoRenderer",),
}
"""Which module of `video_pipeline.engine` defines which public names."""

_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "AccessError",
    "AssetError",
    "AssetGenerator",
    "AsyncNodeClient",
    "AsyncVideoGenerationPipeline",
    "CancelledError",
    "Config",
    "ConfigError",
    "ContentGenerationOrchestrator",
    "ErrorHandler",
    "Event",
    "ImageGenerationError",
    "InputError",
    "JobConflictError",
    "JobError",
    "JobNotFoundError",
    "JobStatus",
    "JobTracker",
    "MetadataGenerator",
    "NodeClient",
    "NodeError",
    "OutputPaths",
    "PipelineError",
    "RenderResult",
    "RenderingError",
    "SceneComposer",
    "Sound",
    "Story",
    "StoryError",
    "StoryProcessor",
    "StoryScene",
    "SubprocessError",
    "TTSError",
    "UnavailableError",
    "UnreachableError",
    "VideoGenerationPipeline",
    "VideoGenerationQueue",
    "VideoJob",
    "VideoRenderer",
    "__version__",
    "load_config",
    "load_story",
    "parse_story",
    "render_story",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"video_pipeline.engine.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return every name, imported or not."""
    return sorted({*globals(), *_MODULES})
