"""VideoGenerationPipeline: submit stories and get videos, rendered in this process or on a render node."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from video_pipeline.engine.api.configuration import AnyConfig, job_sections, load_any
from video_pipeline.engine.api.tracking import VideoJob, result_of, status_fields, submittable_story
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.job import NODE_SECTIONS
from video_pipeline.engine.config.profiles import layered
from video_pipeline.engine.errors import ConfigError, InputError, JobNotFoundError
from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.client.connect import ConnectOptions, connect_to
from video_pipeline.engine.jobs.client.steps import JobOptions
from video_pipeline.engine.jobs.client.transport import Transport
from video_pipeline.engine.jobs.messages import JobView, Submitted
from video_pipeline.engine.jobs.model import Priority

if TYPE_CHECKING:
    from video_pipeline.engine.jobs.embedded.local_jobs import LocalJobs


class _PipelineBase:
    """The common part of the pipeline and its asyncio twin."""

    def __init__(
        self,
        config: AnyConfig = None,
        *,
        connect: str | None = None,
        state_path: str | os.PathLike[str] | None = None,
        max_workers: int | None = None,
        **options: Unpack[ConnectOptions],
    ) -> None:
        """Open the pipeline. Without `connect`, this process renders and keeps its ledger in `state_path`.

        `config` is a YAML file or a configuration in any accepted shape: nested, by sections, or flat keys.
        `max_workers` jobs are rendered at once; the default is processing.max_concurrent_jobs. The default of
        `state_path` is node.state_path, or the user's state folder. With `connect`, the URL of a render node, the
        sections of `config` that a job may set are sent with each job, and `options` are passed to NodeClient.
        """
        self.config = load_any(config)
        self._jobs: weakref.WeakValueDictionary[str, VideoJob] = weakref.WeakValueDictionary()
        self._local: LocalJobs | None = None
        self._own: dict[str, Any] = {}
        if connect is None:
            if options:
                raise ConfigError(
                    f"{', '.join(options)}: only valid with `connect`, the URL of a render node"
                )
            from video_pipeline.engine.jobs.embedded.local_jobs import LocalJobs

            self._local = LocalJobs(self.config, state_path=state_path, slots=max_workers)
        else:
            if state_path is not None or max_workers is not None:
                raise ConfigError("state_path, max_workers: only valid without `connect`; the node sets them")
            given = self.config.model_dump(mode="json", exclude_unset=True)
            self._own = {key: value for key, value in given.items() if key not in NODE_SECTIONS}
        self._transport: Transport = (
            connect_to(connect or "", **options) if self._local is None else self._local.transport
        )

    def _begin(self) -> None:
        """Start the workers if this process renders."""
        if self._local is not None:
            self._local.start()

    def _end(self) -> None:
        self._transport.close()
        if self._local is not None:
            self._local.stop()

    def _request(
        self, story: Any, story_data: Any, config: Mapping[str, Any] | Config | None
    ) -> tuple[Any, dict[str, Any]]:
        """Return the story and the configuration of a job."""
        if (story is None) == (story_data is None):
            raise InputError("story: give either `story` or `story_data`")
        merged = dict(self._own)
        for section, values in job_sections(config).items():
            before = merged.get(section)
            if isinstance(before, Mapping) and isinstance(values, Mapping):
                merged[section] = layered(before, values) if section == "video" else {**before, **values}
            else:
                merged[section] = values
        return submittable_story(story if story_data is None else story_data), merged

    def _new_job(
        self, story: Any, config: dict[str, Any], priority: Priority, submitted: Submitted, view: JobView
    ) -> VideoJob:
        data = story if isinstance(story, dict) else {}
        job = VideoJob(
            job_id=submitted.job_id,
            story_id=view.story_id,
            story_data=data,
            config=config,
            priority=priority,
            max_attempts=view.max_attempts,
        )
        self._jobs[job.job_id] = job
        self._updated_fields(view)
        return job

    def _updated_fields(self, view: JobView) -> dict[str, Any]:
        """Return the status fields of a job and update its VideoJob."""
        fields = status_fields(view)
        job = self._jobs.get(view.job_id)
        if job is not None:
            job.update(fields)
        return fields


class VideoGenerationPipeline(_PipelineBase):
    """Submits stories and returns their videos. A context manager; every method may be called from any thread.

    Jobs are durable: those still queued when the program ends are rendered by the next pipeline with the same
    state folder, or by its node.
    """

    @property
    def client(self) -> NodeClient:
        """The underlying client, for listing, watching and retrying."""
        return NodeClient(transport=self._transport)

    def submit_job(
        self,
        story: Any = None,
        config: Mapping[str, Any] | Config | None = None,
        priority: Priority = "normal",
        *,
        story_data: Any = None,
        **options: Unpack[JobOptions],
    ) -> VideoJob:
        """Submit a story (a dictionary, a Story, a path, or an upstream generator's object); return its job.

        `config` holds sections for this job alone. For the options see `video_pipeline.engine.jobs.client.steps.JobOptions`.
        """
        self._begin()
        data, merged = self._request(story, story_data, config)
        options.setdefault("base", _base(self._local))
        submitted = self.client.submit(data, merged, priority=priority, **options)
        return self._new_job(data, merged, priority, submitted, self.client.status(submitted.job_id))

    def get_job_status(self, job_id: str) -> dict[str, Any] | None:
        """Return job_id, status, attempts, error_message, result and more of a job, or None if there is none."""
        try:
            return self._updated_fields(self.client.status(job_id))
        except JobNotFoundError:
            return None

    def wait_for_job(self, job_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Wait for a job's end and return its result: video_path, thumbnail_path, metadata, video_info …

        Raises JobError if it failed or was cancelled, TimeoutError after `timeout` seconds.
        """
        self._begin()
        view = self.client.wait(job_id, timeout)
        self._updated_fields(view)
        return result_of(view)

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Cancel a job and return its status; raises JobConflictError if it has ended."""
        return self._updated_fields(self.client.cancel(job_id))

    def close(self) -> None:
        """Stop the workers of this process, or close the connection. Jobs that run are queued again."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncVideoGenerationPipeline(_PipelineBase):
    """VideoGenerationPipeline for asyncio: the same methods, as coroutines."""

    @property
    def client(self) -> AsyncNodeClient:
        """The underlying client, for listing, watching and retrying."""
        return AsyncNodeClient(transport=self._transport)

    async def submit_job(
        self,
        story: Any = None,
        config: Mapping[str, Any] | Config | None = None,
        priority: Priority = "normal",
        *,
        story_data: Any = None,
        **options: Unpack[JobOptions],
    ) -> VideoJob:
        """Submit a story; see VideoGenerationPipeline."""
        await asyncio.to_thread(self._begin)
        data, merged = self._request(story, story_data, config)
        options.setdefault("base", _base(self._local))
        submitted = await self.client.submit(data, merged, priority=priority, **options)
        return self._new_job(data, merged, priority, submitted, await self.client.status(submitted.job_id))

    async def get_job_status(self, job_id: str) -> dict[str, Any] | None:
        """Return the status of a job, or None if there is none; see VideoGenerationPipeline."""
        try:
            return self._updated_fields(await self.client.status(job_id))
        except JobNotFoundError:
            return None

    async def wait_for_job(self, job_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Wait for a job's end and return its result; see VideoGenerationPipeline."""
        await asyncio.to_thread(self._begin)
        view = await self.client.wait(job_id, timeout)
        self._updated_fields(view)
        return result_of(view)

    async def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Cancel a job and return its status; raises JobConflictError if it has ended."""
        return self._updated_fields(await self.client.cancel(job_id))

    async def close(self) -> None:
        """Stop the workers of this process, or close the connection. Jobs that run are queued again."""
        await asyncio.to_thread(self._end)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _base(local: LocalJobs | None) -> Path | None:
    """Return the base of relative paths: the current folder if this process renders, otherwise None."""
    return Path.cwd() if local is not None else None
