"""Jobs and events as clients see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from video_pipeline.engine.jobs.messages import EventView, JobView
from video_pipeline.engine.jobs.model import Job, JobEvent

PUBLIC_DETAILS = frozenset({"stage", "percent", "fps", "eta_seconds", "error_type", "retry_in"})
"""What the PUB socket tells of an event: nothing of a job's content, its messages or its paths."""


def moment(seconds: float) -> datetime:
    """Return seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


def job_view(job: Job) -> JobView:
    """Return a job as its owner sees it."""
    return JobView.model_construct(
        job_id=job.job_id,
        story_id=job.story_id,
        status=job.status,
        priority=job.priority,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        created_at=moment(job.created_at),
        scheduled_for=_maybe(job.scheduled_for),
        started_at=_maybe(job.started_at),
        finished_at=_maybe(job.finished_at),
        cancel_requested=job.cancel_requested,
        key=job.key,
        stage=job.stage,
        percent=job.percent,
        fps=job.fps,
        eta_seconds=job.eta_seconds,
        error_type=job.error_type,
        error_message=job.error_message,
        log_tail=job.log_tail,
        result=None if job.result is None else dict(job.result),
    )


def event_view(event: JobEvent, *, public: bool = False) -> EventView:
    """Return an event as its job's owner sees it, or with `public` as everybody may."""
    details: dict[str, Any] = dict(event.details)
    if public:
        details = {key: value for key, value in details.items() if key in PUBLIC_DETAILS}
    return EventView.model_construct(
        seq=event.seq,
        at=moment(event.at),
        job_id=event.job_id,
        kind=event.kind,
        status=event.status,
        attempt=event.attempt,
        details=details,
    )
