"""The operations of a client as generators, shared by the blocking and the asyncio client.

An operation yields steps: `Call` (send a request and wait for its reply), `Begin` and `Finish` (the same in two),
`InThread` (use the disk), `Pause` (wait) and `Show` (a value for the caller). The client sends the result of each step
into the generator, or throws the error.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from pydantic import BaseModel, ValidationError

from video_pipeline.engine.common.arguments import as_instance, as_mapping, as_path, as_seconds, wrong_type
from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.errors import InputError, JobConflictError, UnreachableError
from video_pipeline.engine.jobs.client.pack import JobConfig, StoryLike, pack_job, read_parts
from video_pipeline.engine.jobs.messages import (
    WAIT_MAX_SECONDS,
    Jobs,
    JobView,
    Message,
    Pong,
    Submitted,
)
from video_pipeline.engine.jobs.model import JobStatus, Priority
from video_pipeline.engine.jobs.verbs import REPLIES, REQUESTS, Request

Answer = TypeVar("Answer")
LIST_PAGE = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `holds`: seconds for which the node may delay its reply."""

    request: Request
    parts: tuple[bytes, ...] = ()
    holds: float = 0.0

    @property
    def reply(self) -> type[Message]:
        """The model of its reply."""
        return REPLIES[self.request.VERB]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait some seconds, with `news` only until the subscription has events; the result is whether it has."""

    seconds: float
    news: bool = True


@dataclass(frozen=True, slots=True)
class Show:
    """A value for the caller."""

    value: Any


@dataclass(frozen=True, slots=True)
class Begin:
    """Send a request; the result is the future of its reply."""

    call: Call


@dataclass(frozen=True, slots=True)
class Finish:
    """Wait for a reply; it is the result."""

    future: Future[Message]


@dataclass(frozen=True, slots=True)
class InThread:
    """Call a function that uses the disk, outside the event loop if there is one; its result is the result."""

    function: Callable[[], Any]


Step = Call | Begin | Finish | InThread | Pause | Show
Steps = Generator[Step, Any, Answer]


def call(verb: str, *, parts: tuple[bytes, ...] = (), holds: float = 0.0, **fields: Any) -> Call:
    """Return a checked request; raise InputError naming the field that is wrong."""
    model = REQUESTS[verb]
    try:
        request = model.model_validate({key: value for key, value in fields.items() if value is not None})
    except ValidationError as error:
        raise InputError("\n".join(explain(error, model, where=verb))) from error
    return Call(request, parts, holds)


class JobOptions(TypedDict, total=False):
    """Options of a job besides its story, configuration and priority."""

    key: str | None
    """Idempotency key: the same key with the same content is the same job; default: a random one."""
    scheduled_for: datetime | None
    """Do not start before this time; local time if it has no zone."""
    max_attempts: int | None
    """Most attempts; default: the node's processing.retry_attempts."""
    assets: Sequence[str | os.PathLike[str]]
    """Files to send, which the story names `inline:0`, `inline:1` …"""
    send_assets: bool
    """Whether to send the local files that story and config name."""
    base: str | os.PathLike[str] | None
    """Folder that relative paths refer to, if the story is data."""


class SubmitOptions(JobOptions, total=False):
    """Options of a job besides its story and configuration."""

    priority: Priority
    """high, normal (default) or low."""


def submit_call(story: StoryLike, config: JobConfig = None, **options: Unpack[SubmitOptions]) -> Call:
    """Return a submit request with a key, so that sending it again creates no second job.

    A story may be data, a Story or a file, a configuration data or a Config. Raises StoryError or InputError if story
    or asset cannot be read, TypeError for an argument of a wrong type.
    """
    unknown = options.keys() - SubmitOptions.__annotations__.keys()
    if unknown:
        allowed = ", ".join(SubmitOptions.__annotations__)
        raise TypeError(f"{', '.join(sorted(unknown))}: is no option of a job; allowed: {allowed}")
    if isinstance(config, BaseModel):
        config = config.model_dump(mode="json", exclude_unset=True)
    base, when = options.get("base"), options.get("scheduled_for")
    if when is not None:
        as_instance(when, datetime, "scheduled_for")
    parts = read_parts(_paths(options.get("assets", ())))
    data, settings, sent = pack_job(
        story,
        as_mapping(config or {}, "config"),
        base=None if base is None else as_path(base, "base"),
        first_part=len(parts),
        send_assets=options.get("send_assets", False),
    )
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


def _paths(assets: Any) -> list[Path]:
    if isinstance(assets, str | bytes | Mapping) or not isinstance(assets, Iterable):
        raise wrong_type(assets, "assets", "a list of paths")
    return [as_path(path, f"assets[{number}]") for number, path in enumerate(assets)]


def one(request: Call, kind: type[Answer]) -> Steps[Answer]:
    """Send one request; `kind` is the model of its reply."""
    answer: Answer = yield request
    return answer


def submit_steps(submit: Call) -> Steps[Submitted]:
    """Submit a job, after checking its parts against the node's limits; raise InputError if they exceed them."""
    if submit.parts:
        pong: Pong = yield call("ping")
        size = sum(map(len, submit.parts))
        if len(submit.parts) > pong.max_parts:
            raise InputError(
                f"assets: got {len(submit.parts)} files to send; allowed: at most {pong.max_parts}"
            )
        if size > pong.max_message_bytes - 65536:
            raise InputError(
                f"assets: got {size} bytes to send; allowed: at most {pong.max_message_bytes} with the story"
            )
    made: Submitted = yield submit
    return made


def list_steps(status: JobStatus | str | None, *, page: int = LIST_PAGE) -> Steps[None]:
    """Show every job, the latest first; fetch page by page."""
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
"""The states of a job after a verb has succeeded."""


def changing_steps(verb: str, job_id: str) -> Steps[JobView]:
    """Cancel or retry a job; succeed too if a resent request conflicts because the first one had succeeded."""
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
    """Wait until the job has ended or `timeout` seconds are over; return its state.

    Raises UnreachableError only if the node has never answered; a later outage is waited out.
    """
    seconds = as_seconds(timeout, "timeout")
    end = None if seconds is None else time.monotonic() + seconds
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
