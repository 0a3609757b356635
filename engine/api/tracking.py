"""VideoJob, JobTracker, and stories of upstream generators."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from video_pipeline.engine.common.arguments import as_mapping, as_path, as_str, wrong_type
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.errors import InputError, JobError, StoryError
from video_pipeline.engine.jobs.messages import JobView
from video_pipeline.engine.jobs.model import JobStatus, Priority
from video_pipeline.engine.story import Story

STATUS_FIELDS = ("status", "attempts", "error_message", "result")


@dataclass
class VideoJob:
    """A submitted job. `id` is another name of `job_id`.

    `status`, `attempts`, `error_message` and `result` are those of the last status request.
    """

    job_id: str
    story_id: str
    story_data: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    priority: Priority = "normal"
    status: JobStatus = JobStatus.QUEUED
    attempts: int = 0
    max_attempts: int = 3
    error_message: str | None = None
    result: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job_id

    def update(self, status: Mapping[str, Any]) -> None:
        """Update from the result of `get_job_status`; raise InputError naming a field that is wrong or missing."""
        missing = [key for key in STATUS_FIELDS if key not in as_mapping(status, "status")]
        if missing:
            raise InputError(f"status: {', '.join(missing)}: is missing; give what get_job_status returned")
        self.status = _status_of(status["status"])
        self.attempts = status["attempts"]
        self.error_message = status["error_message"]
        self.result = status["result"]


def _status_of(value: Any) -> JobStatus:
    try:
        return JobStatus(value)
    except ValueError:
        allowed = ", ".join(status.value for status in JobStatus)
        raise InputError(f"status: got {show(value)}; allowed: {allowed}") from None


class JobTracker:
    """Keeps jobs by their ids. Thread-safe."""

    def __init__(self, jobs: Iterable[VideoJob] = ()) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, VideoJob] = {}
        if not isinstance(jobs, Iterable) or isinstance(jobs, str | bytes | Mapping):
            raise wrong_type(jobs, "jobs", "a list of VideoJob")
        for job in jobs:
            self.add_job(job)

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: object) -> bool:
        return isinstance(job_id, str) and job_id in self._jobs

    def add_job(self, job: VideoJob) -> None:
        """Keep a job."""
        if not isinstance(
            getattr(job, "job_id", None), str
        ):  # other pipelines have jobs of their own classes
            raise wrong_type(job, "job", "a VideoJob")
        with self._lock:
            self._jobs[job.job_id] = job

    def remove_job(self, job_id: str) -> VideoJob | None:
        """Forget a job and return it."""
        with self._lock:
            return self._jobs.pop(as_str(job_id, "job_id"), None)

    def get_job(self, job_id: str) -> VideoJob | None:
        """Return a job, or None if it was not added."""
        return self._jobs.get(as_str(job_id, "job_id"))

    def get_jobs(self, status: JobStatus | None = None) -> list[VideoJob]:
        """Return all jobs, or those of a status, in the order in which they were added."""
        wanted = None if status is None else _status_of(status)
        with self._lock:
            return [job for job in self._jobs.values() if wanted in (None, job.status)]

    def get_status(self, job_id: str) -> JobStatus | None:
        """Return a job's status, or None if it was not added."""
        job = self.get_job(job_id)
        return job.status if job else None

    def get_statuses(self) -> dict[str, JobStatus]:
        """Return the status of each job."""
        return {job.job_id: job.status for job in self.get_jobs()}

    def counts(self) -> dict[JobStatus, int]:
        """Return how many jobs each status has."""
        found = Counter(job.status for job in self.get_jobs())
        return {status: found[status] for status in JobStatus}

    def update_job(self, job_id: str, status: Mapping[str, Any]) -> None:
        """Update a job from the result of `get_job_status`; do nothing if the job was not added."""
        job = self.get_job(job_id)
        if job is not None:
            job.update(status)


def submittable_story(story: Any) -> dict[str, Any] | Story | os.PathLike[str]:
    """Return a story in a form that can be submitted.

    A mapping, a Story or the path of a story file is passed on unchanged. From any other object, such as an
    upstream generator's story, the attributes named like a story's fields are copied; raises StoryError if it has
    none of them.
    """
    if isinstance(story, Story | os.PathLike):
        return story
    if isinstance(story, str):
        return as_path(story, "story")
    if isinstance(story, Mapping):
        return dict(story)
    if hasattr(story, "model_dump"):
        data = story.model_dump(mode="json", exclude_none=True)
    elif dataclasses.is_dataclass(story) and not isinstance(story, type):
        data = dataclasses.asdict(story)
    else:
        data = {name: getattr(story, name, None) for name in Story.model_fields}
    taken = {name: data[name] for name in Story.model_fields if data.get(name) is not None}
    if isinstance(taken.get("id"), int):
        taken["id"] = str(taken["id"])
    if not taken:
        raise StoryError(
            f"story: got {type(story).__name__}; allowed: an object with title, content, scenes …, or a path"
        )
    return taken


def status_fields(job: JobView, *, job_id: str | None = None) -> dict[str, Any]:
    """Return the fields of a job for `get_job_status`."""
    message = job.error_message
    return {
        "job_id": job_id or job.job_id,
        "status": job.status.value,
        "attempts": job.attempts,
        "error_message": message,
        "result": job.result,
        "story_id": job.story_id,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "error_type": job.error_type,
        "stage": job.stage,
        "percent": job.percent,
        "fps": job.fps,
        "eta_seconds": job.eta_seconds,
    }


def result_of(job: JobView) -> dict[str, Any]:
    """Return the result of an ended job.

    Raises JobError if it failed or was cancelled, TimeoutError if it has not ended.
    """
    if job.status is JobStatus.COMPLETED:
        return dict(job.result or {})
    if not job.status.is_terminal:
        raise TimeoutError(f"job {job.job_id} is still {job.status.value}")
    why = f": {job.error_type}: {job.error_message}" if job.error_message else ""
    raise JobError(
        f"job {job.job_id} was {job.status.value}{why}"
        if job.status is JobStatus.CANCELLED
        else f"job {job.job_id} failed{why}",
        job_id=job.job_id,
        status=job.status.value,
        error_type=job.error_type,
        log_tail=job.log_tail,
    )
