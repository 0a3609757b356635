"""Build jobs and events as clients see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from video_pipeline.engine.jobs.messages import EventView, JobView
from video_pipeline.engine.jobs.model import EventKind, JobStatus

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def view(job_id: str, status: JobStatus = JobStatus.QUEUED, **fields: Any) -> JobView:
    """Return a job."""
    known = {"story_id": "s", "priority": "normal", "attempts": 0, "max_attempts": 3, "created_at": EPOCH}
    return JobView(job_id=job_id, status=status, **{**known, **fields})


def event(seq: int, job_id: str, kind: EventKind, status: JobStatus, **details: Any) -> EventView:
    """Return an event."""
    return EventView(seq=seq, at=EPOCH, job_id=job_id, kind=kind, status=status, attempt=1, details=details)
