"""VideoGenerationQueue: a queue of VideoJobs with its own workers, for asyncio programs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from video_pipeline.engine.api.configuration import AnyConfig, job_sections, load_any
from video_pipeline.engine.api.tracking import VideoJob, status_fields, submittable_story
from video_pipeline.engine.common.arguments import as_instance, as_seconds, as_str
from video_pipeline.engine.errors import JobConflictError, JobNotFoundError
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.embedded.local_jobs import LocalJobs

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[!-~]{1,128}")


class VideoGenerationQueue:
    """Renders VideoJobs, `max_workers` at once: high before normal before low, first in first out.

    Jobs can be submitted before the workers start. Without `state_path` the queue is deleted with this object. With
    it, the next queue of that folder renders unfinished jobs, and a job submitted again with the same id and
    content is the same job. Thread-safe.
    """

    def __init__(
        self,
        max_workers: int = 4,
        config: AnyConfig = None,
        *,
        state_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.max_workers = max_workers
        self.jobs: dict[str, VideoJob] = {}
        self.active = False
        self._ids: dict[str, str] = {}
        self._temporary = None
        loaded = load_any(config).override("processing", max_concurrent_jobs=max_workers)
        if state_path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="video-pipeline-queue-")
            state_path = self._temporary.name
        self._local = LocalJobs(loaded, state_path=state_path, slots=max_workers)
        self._client = NodeClient(transport=self._local.transport)

    def submit_job(self, job: VideoJob) -> str:
        """Submit a job and return its id.

        Raises StoryError or ConfigError if it can never be rendered, JobConflictError if its id belongs to another job.
        """
        as_instance(job, VideoJob, "job")
        as_str(job.job_id, "job.job_id")
        key = job.job_id if _KEY.fullmatch(job.job_id) else hashlib.sha256(job.job_id.encode()).hexdigest()
        try:
            submitted = self._client.submit(
                submittable_story(job.story_data),
                job_sections(job.config),
                priority=job.priority,
                key=key,
                max_attempts=job.max_attempts,
                base=Path.cwd(),
            )
        except JobConflictError as error:
            raise JobConflictError(f"job {job.job_id}: another job has this id", code=error.code) from error
        self._ids[job.job_id] = submitted.job_id
        self.jobs[job.job_id] = job
        self._refresh(job.job_id)
        logger.info("job %s submitted with priority %s", job.job_id, job.priority)
        return job.job_id

    def get_job_status(self, job_id: str) -> dict[str, Any] | None:
        """Return job_id, status, attempts, error_message, result and more of a job, or None if there is none."""
        return self._refresh(job_id) if as_str(job_id, "job_id") in self._ids else None

    def cancel_job(self, job_id: str) -> bool:
        """Cancel a job; return whether it had not ended."""
        if as_str(job_id, "job_id") not in self._ids:
            return False
        try:
            self._client.cancel(self._ids[job_id])
        except (JobConflictError, JobNotFoundError):
            return False
        return True

    async def wait_for_job(self, job_id: str, timeout: float | None = None) -> dict[str, Any] | None:
        """Wait for a job's end, at most `timeout` seconds, and return its status."""
        seconds = as_seconds(timeout, "timeout")
        if as_str(job_id, "job_id") not in self._ids:
            return None
        await asyncio.to_thread(self._client.wait, self._ids[job_id], seconds)
        return self.get_job_status(job_id)

    async def start_workers(self) -> None:
        """Start the workers."""
        await asyncio.to_thread(self._local.start)
        self.active = True
        logger.info("started %d workers", self.max_workers)

    async def stop_workers(self) -> None:
        """Stop the workers; their jobs are queued again and rendered after the next start."""
        self.active = False
        await asyncio.to_thread(self._local.stop)
        logger.info("all workers stopped")

    def _refresh(self, job_id: str) -> dict[str, Any]:
        fields = status_fields(self._client.status(self._ids[job_id]), job_id=job_id)
        self.jobs[job_id].update(fields)
        return fields

    def close(self) -> None:
        """Stop the workers; without a `state_path`, delete the queue."""
        self._client.close()
        self._local.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
