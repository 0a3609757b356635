"""What clients ask, step by step: written once, run by the sync and by the asyncio client.

A piece of work that takes more than one request is a generator. It yields what it needs (`Call`: an answer,
`Pause`: a moment, `Show`: something handed to the caller at once) and is sent the answer, or thrown the error.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar, Unpack

from pydantic import ValidationError

from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.errors import InputError, JobConflictError, UnreachableError
from video_pipeline.engine.jobs.client.pack import pack_job, read_parts
from video_pipeline.engine.jobs.messages import (
    REPLIES,
    REQUESTS,
    WAIT_MAX_SECONDS,
    Jobs,
    JobView,
    Message,
    Pong,
    Request,
    Submitted,
)
from video_pipeline.engine.jobs.model import JobStatus, Priority

if TYPE_CHECKING:
    from video_pipeline.engine.story import Story

Answer = TypeVar("Answer")
LIST_PAGE = 100
StoryLike: TypeAlias = "Mapping[str, Any] | Story | str | os.PathLike[str]"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `holds`: seconds for which the node may keep its answer back."""

    request: Request
    parts: tuple[bytes, ...] = ()
    holds: float = 0.0

    @property
    def reply(self) -> type[Message]:
        """The model of its answer."""
        return REPLIES[self.request.VERB]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds, or until there are `news` of the subscription; the answer says whether there are."""

    seconds: float
    news: bool = True


@dataclass(frozen=True, slots=True)
class Show:
    """Something for the caller."""

    value: Any


Steps = Generator[Call | Pause | Show, Any, Answer]


def call(verb: str, *, parts: tuple[bytes, ...] = (), holds: float = 0.0, **fields: Any) -> Call:
    """Return a request, checked before it is sent; raise InputError naming the field."""
    model = REQUESTS[verb]
    try:
        request = model.model_validate({key: value for key, value in fields.items() if value is not None})
    except ValidationError as error:
        raise InputError("\n".join(explain(error, model, where=verb))) from error
    return Call(request, parts, holds)


class JobOptions(TypedDict, total=False):
    """What may be said of a job besides its story, configuration and priority."""

    key: str | None
    """The same key with the same content is the same job; made up where none is given."""
    scheduled_for: datetime | None
    """Not before this time; local time where it has no zone."""
    max_attempts: int | None
    """Attempts in all; the node's processing.retry_attempts where not given."""
    assets: Sequence[str | os.PathLike[str]]
    """Files that the story calls `inline:0`, `inline:1` …"""
    send_assets: bool
    """Whether the local files that story and config name are sent with them."""
    base: Path | None
    """Folder that the relative paths of a story that is data are taken from."""


class SubmitOptions(JobOptions, total=False):
    """What may be said of a job besides its story and configuration."""

    priority: Priority
    """high, normal (default) or low."""


def submit_call(
    story: StoryLike, config: Mapping[str, Any] | None = None, **options: Unpack[SubmitOptions]
) -> Call:
    """Return a submit that carries a key, so that sending it again makes no second job.

    A story may be data, a Story or a file. Raises StoryError or InputError where it or an asset cannot be read.
    """
    parts = read_parts([Path(path) for path in options.get("assets", ())])
    data, settings, sent = pack_job(
        story,
        config or {},
        base=options.get("base"),
        first_part=len(parts),
        send_assets=options.get("send_assets", False),
    )
    when = options.get("scheduled_for")
    return call(
        "submit",
        parts=(*parts, *sent),
        story=data,
        config=settings,
        priority=options.get("priority"),
        key=options.get("key") or secrets.token_hex(16),
        scheduled_for=when.astimezone() if when and when.tzinfo is None else when,
        max_attempts=options.get("max_attempts"),
    )


def one(asking: Call, kind: type[Answer]) -> Steps[Answer]:
    """Ask once; `kind` is the model of the answer."""
    answer: Answer = yield asking
    return answer


def submit_steps(submit: Call) -> Steps[Submitted]:
    """Hand a job in. Assets that are sent with it are held against the node's limits first."""
    if submit.parts:
        pong: Pong = yield call("ping")
        size = sum(map(len, submit.parts))
        if len(submit.parts) > pong.max_parts:
            raise InputError(
                f"assets: {len(submit.parts)} are to be sent; the node takes {pong.max_parts} at most"
            )
        if size > pong.max_message_bytes - 65536:
            raise InputError(
                f"assets: {size} bytes are to be sent; the node takes {pong.max_message_bytes} with the story"
            )
    made: Submitted = yield submit
    return made


def list_steps(status: JobStatus | str | None, *, page: int = LIST_PAGE) -> Steps[None]:
    """Show every job, the latest first, a page at a time."""
    before: str | None = None
    while True:
        answer: Jobs = yield call("list", status=status, limit=page, before=before)
        for job in answer.jobs:
            yield Show(job)
        before = answer.before
        if before is None:
            return


DONE: dict[str, frozenset[JobStatus]] = {
    "cancel": frozenset({JobStatus.CANCELLED}),
    "retry": frozenset({JobStatus.QUEUED, JobStatus.PROCESSING}),
}
"""The states that a verb leads to."""


def changing_steps(verb: str, job_id: str) -> Steps[JobView]:
    """Cancel or retry a job. Where an answer was lost and the request sent twice, the second finds it done."""
    try:
        changed: JobView = yield call(verb, job_id=job_id)
    except JobConflictError as error:
        if error.details.get("sends", 1) < 2:
            raise
        seen: JobView = yield call("status", job_id=job_id)
        if seen.status not in DONE[verb]:
            raise
        return seen
    return changed


def wait_steps(job_id: str, timeout: float | None) -> Steps[JobView]:
    """Ask until the job has ended, or `timeout` seconds are over; return the job as it then is.

    Once the node has answered, its absence is waited out.
    """
    end = None if timeout is None else time.monotonic() + timeout
    view: JobView | None = None
    while True:
        left = WAIT_MAX_SECONDS if end is None else min(WAIT_MAX_SECONDS, max(0.0, end - time.monotonic()))
        try:
            view = yield call("wait", job_id=job_id, timeout=left, holds=left)
        except UnreachableError:
            if view is None:
                raise
        if view is not None and (view.status.is_terminal or (end is not None and time.monotonic() >= end)):
            return view
