"""Jobs and events in the form that clients get."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from video_pipeline.engine.jobs.messages import EventView, JobView, PublicationView
from video_pipeline.engine.jobs.model import Job, JobEvent
from video_pipeline.engine.jobs.node_messages import ListedPublication
from video_pipeline.engine.publish.publication import Publication

PUBLIC_DETAILS = frozenset({"stage", "percent", "fps", "eta_seconds", "error_type", "retry_in", "priority"})
"""Details that are published to every subscriber: none that reveals a job's content, messages or paths."""

_PATH: Final = re.compile(r"(?<![\w.:/-])(?:/[^/\s:'\",;)\]]+){2,}")


def moment(seconds: float) -> datetime:
    """Convert seconds since 1970 to a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _optional_moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


def without_paths(text: str) -> str:
    """Return a text in which each absolute path is only its last part."""
    return _PATH.sub(lambda match: "…/" + match.group().rpartition("/")[2], text)


def publication_view(publication: Publication, *, in_full: bool = True) -> PublicationView:
    """Return a publication in the form that the owner of its job gets; `in_full` as in `job_view`."""
    published, error = publication.published, publication.error
    return PublicationView(
        platform=publication.platform,
        account=publication.account,
        state=str(publication.state),
        due_at=moment(publication.due_at),
        url=published.url if published else None,
        files=dict(published.files) if published else {},
        error=error if in_full or error is None else without_paths(error),
    )


def listed_publication(publication: Publication, *, in_full: bool = True) -> ListedPublication:
    """Return a publication for a list of publications; `in_full` as in `job_view`."""
    return ListedPublication(
        **dict(publication_view(publication, in_full=in_full)),
        number=publication.number,
        title=publication.post.title,
        user=publication.owner,
        job_id=publication.job_id,
    )


def job_view(job: Job, *, in_full: bool = True) -> JobView:
    """Return a job in the form that its owner gets.

    `in_full`: with the log and the server's paths in the error, for local users and operators.
    """
    return JobView.model_construct(
        job_id=job.job_id,
        story_id=job.story_id,
        status=job.status,
        priority=job.priority,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        created_at=moment(job.created_at),
        scheduled_for=_optional_moment(job.scheduled_for),
        started_at=_optional_moment(job.started_at),
        finished_at=_optional_moment(job.finished_at),
        cancel_requested=job.cancel_requested,
        key=job.key,
        stage=job.stage,
        percent=job.percent,
        fps=job.fps,
        eta_seconds=job.eta_seconds,
        error_type=job.error_type,
        error_message=job.error_message if in_full else without_paths(job.error_message or "") or None,
        log_tail=job.log_tail if in_full else (),
        result=None if job.result is None else dict(job.result),
        title=job.title or None,
        user=job.owner,
    )


def event_view(event: JobEvent, *, public: bool = False, in_full: bool = True) -> EventView:
    """Return an event in the form that its job's owner gets, or with `public` the form for every subscriber.

    `in_full` as in `job_view`.
    """
    details: dict[str, Any] = dict(event.details)
    if public:
        details = {key: value for key, value in details.items() if key in PUBLIC_DETAILS}
    if not in_full:
        details = {
            key: without_paths(value) if isinstance(value, str) else value for key, value in details.items()
        }
    return EventView.model_construct(
        seq=event.seq,
        at=moment(event.at),
        job_id=event.job_id,
        kind=event.kind,
        status=event.status,
        attempt=event.attempt,
        details=details,
    )
