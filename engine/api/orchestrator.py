"""Generate a story from a prompt and render its video."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from video_pipeline.engine.api.tracking import JobTracker
from video_pipeline.engine.common.arguments import wrong_type

logger = logging.getLogger(__name__)

GENERATES = ("generate", "generate_story")
RENDERS = ("submit_job", "wait_for_job")


class ContentGenerationOrchestrator:
    """Generates a story from a prompt and renders it.

    The story generator has a method `generate(prompt, config)` (or `generate_story`), the pipeline `submit_job`
    and `wait_for_job`; each may be a coroutine or a plain function. Plain functions
    run in a thread, so that they do not block the event loop.
    """

    def __init__(self, story_generator: Any, video_pipeline: Any) -> None:
        if not any(callable(getattr(story_generator, name, None)) for name in GENERATES):
            raise wrong_type(story_generator, "story_generator", f"an object with {' or '.join(GENERATES)}")
        if not all(callable(getattr(video_pipeline, name, None)) for name in RENDERS):
            raise wrong_type(video_pipeline, "video_pipeline", f"an object with {' and '.join(RENDERS)}")
        self.story_generator = story_generator
        self.video_pipeline = video_pipeline
        self.job_tracker = JobTracker()

    async def generate_content(self, prompt: str, config: Any) -> dict[str, Any]:
        """Generate a story and render its video.

        `config` has `story`, `video` and `wait_for_completion` (default true), as attributes or keys.
        Returns {"story", "video"} with the result of the job; without waiting
        {"story", "video_job_id", "status"}.
        """
        logger.info("generating a story for the prompt: %s", prompt)
        generate = getattr(self.story_generator, "generate", None) or self.story_generator.generate_story
        story = await _call_either(generate, prompt, _part(config, "story"))
        logger.info("submitting story %s to the video pipeline", _part(story, "id"))
        job = await _call_either(
            self.video_pipeline.submit_job, story_data=story, config=_part(config, "video")
        )
        self.job_tracker.add_job(job)
        if not _part(config, "wait_for_completion", True):
            return {"story": story, "video_job_id": job.id, "status": "processing"}
        return {"story": story, "video": await _call_either(self.video_pipeline.wait_for_job, job.id)}


def _part(holder: Any, name: str, default: Any = None) -> Any:
    return holder.get(name, default) if isinstance(holder, Mapping) else getattr(holder, name, default)


async def _call_either(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a coroutine or a plain function without blocking the event loop."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **keywords)
    answer = await asyncio.to_thread(function, *arguments, **keywords)
    return await answer if inspect.isawaitable(answer) else answer
