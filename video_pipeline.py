"""The public API of video-pipeline. Everything here is defined in the package `engine`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.assets.generate import AssetGenerator
from engine.compose import SceneComposer
from engine.config import Config, load_config
from engine.error_handler import ErrorHandler
from engine.errors import (
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
from engine.metadata import MetadataGenerator
from engine.outputs import OutputPaths
from engine.pipeline import RenderResult, render_story
from engine.plan import Event
from engine.story import Story, StoryProcessor, StoryScene, load_story, parse_story
from engine.video_renderer import VideoRenderer

if TYPE_CHECKING:
    from engine.jobs.client.async_client import AsyncNodeClient
    from engine.jobs.client.client import NodeClient
    from engine.jobs.client.guide import AsyncVideoGenerationPipeline, VideoGenerationPipeline
    from engine.jobs.client.guide_jobs import JobTracker, VideoJob
    from engine.jobs.client.guide_queue import VideoGenerationQueue
    from engine.jobs.client.orchestrator import ContentGenerationOrchestrator
    from engine.jobs.model import JobStatus

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

_LAZY = {
    "AsyncNodeClient": "engine.jobs.client.async_client",
    "NodeClient": "engine.jobs.client.client",
    "AsyncVideoGenerationPipeline": "engine.jobs.client.guide",
    "VideoGenerationPipeline": "engine.jobs.client.guide",
    "JobTracker": "engine.jobs.client.guide_jobs",
    "VideoJob": "engine.jobs.client.guide_jobs",
    "VideoGenerationQueue": "engine.jobs.client.guide_queue",
    "JobStatus": "engine.jobs.model",
    "ContentGenerationOrchestrator": "engine.jobs.client.orchestrator",
}
"""What is imported when it is asked for: the job front end brings in asyncio, SQLite and, for nodes, ZeroMQ."""


def __getattr__(name: str) -> Any:
    """Import a name of _LAZY (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return every name, those of _LAZY too."""
    return sorted({*globals(), *_LAZY})
