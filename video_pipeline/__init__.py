"""The public API of video-pipeline: everything that a program constructs, calls or catches.

Nothing is imported until it is used, so that `import video_pipeline` costs a few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from video_pipeline.engine import __version__
from video_pipeline.engine.common.lazy import importer

if TYPE_CHECKING:
    from video_pipeline.engine.api.error_handler import ErrorHandler
    from video_pipeline.engine.api.orchestrator import ContentGenerationOrchestrator
    from video_pipeline.engine.api.pipeline import AsyncVideoGenerationPipeline, VideoGenerationPipeline
    from video_pipeline.engine.api.publishing import (
        AccountPublisher,
        InstagramPublisher,
        Publisher,
        PublishingManager,
    )
    from video_pipeline.engine.api.queue import VideoGenerationQueue
    from video_pipeline.engine.api.stages import (
        AssetGenerator,
        MetadataGenerator,
        SceneComposer,
        StoryProcessor,
    )
    from video_pipeline.engine.api.tracking import JobTracker, VideoJob
    from video_pipeline.engine.api.video_renderer import VideoRenderer
    from video_pipeline.engine.assets.models import Sound
    from video_pipeline.engine.batch import RowResult, render_many
    from video_pipeline.engine.common.open_store import open_store
    from video_pipeline.engine.config import Config, load_config
    from video_pipeline.engine.errors import (
        AccessError,
        AssetError,
        CancelledError,
        ConfigError,
        EncoderError,
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
    from video_pipeline.engine.events import Event
    from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
    from video_pipeline.engine.jobs.client.client import NodeClient
    from video_pipeline.engine.jobs.client.fetching import FetchProgress
    from video_pipeline.engine.jobs.model import JobStatus
    from video_pipeline.engine.outputs.paths import OutputPaths
    from video_pipeline.engine.outputs.video_info import VideoInfo
    from video_pipeline.engine.pipeline import RenderResult, render_story
    from video_pipeline.engine.spread.draw_segment import DrawnSegment, draw_segment
    from video_pipeline.engine.story import Story, StoryScene, load_story, parse_story

_WHERE = {
    "api.stages": ("AssetGenerator", "MetadataGenerator", "SceneComposer", "StoryProcessor"),
    "assets.models": ("Sound",),
    "batch": ("RowResult", "render_many"),
    "common.open_store": ("open_store",),
    "config": ("Config", "load_config"),
    "spread.draw_segment": ("DrawnSegment", "draw_segment"),
    "api.error_handler": ("ErrorHandler",),
    "errors": (
        "AccessError",
        "AssetError",
        "CancelledError",
        "ConfigError",
        "EncoderError",
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
    "jobs.client.fetching": ("FetchProgress",),
    "api.pipeline": ("AsyncVideoGenerationPipeline", "VideoGenerationPipeline"),
    "api.publishing": ("AccountPublisher", "InstagramPublisher", "Publisher", "PublishingManager"),
    "api.tracking": ("JobTracker", "VideoJob"),
    "api.queue": ("VideoGenerationQueue",),
    "api.orchestrator": ("ContentGenerationOrchestrator",),
    "jobs.model": ("JobStatus",),
    "outputs.paths": ("OutputPaths",),
    "outputs.video_info": ("VideoInfo",),
    "pipeline": ("RenderResult", "render_story"),
    "events": ("Event",),
    "story": ("Story", "StoryScene", "load_story", "parse_story"),
    "api.video_renderer": ("VideoRenderer",),
}
"""Which module of `video_pipeline.engine` defines which public names."""

_MODULES = {name: f".engine.{module}" for module, names in _WHERE.items() for name in names}

if not TYPE_CHECKING:  # a type checker that sees it accepts any name
    __getattr__ = importer(__name__, _MODULES)

__all__ = [
    "AccessError",
    "AccountPublisher",
    "AssetError",
    "AssetGenerator",
    "AsyncNodeClient",
    "AsyncVideoGenerationPipeline",
    "CancelledError",
    "Config",
    "ConfigError",
    "ContentGenerationOrchestrator",
    "DrawnSegment",
    "EncoderError",
    "ErrorHandler",
    "Event",
    "FetchProgress",
    "ImageGenerationError",
    "InputError",
    "InstagramPublisher",
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
    "Publisher",
    "PublishingManager",
    "RenderResult",
    "RenderingError",
    "RowResult",
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
    "VideoInfo",
    "VideoJob",
    "VideoRenderer",
    "__version__",
    "draw_segment",
    "load_config",
    "load_story",
    "open_store",
    "parse_story",
    "render_many",
    "render_story",
]


def __dir__() -> list[str]:
    """Return every name, imported or not."""
    return sorted({*globals(), *_MODULES})
