"""Ledger writes that requests ask for, in one durable commit per batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs.ledger.errors import (
    DamagedJob,
    KeyConflict,
    LedgerError,
    QueueFull,
    UnknownJob,
    WrongState,
)
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.queue import SubmitResult
from video_pipeline.engine.jobs.messages import LOCAL_USER
from video_pipeline.engine.jobs.model import Job, NewJob, Priority
from video_pipeline.engine.jobs.server.wire import RequestError
from video_pipeline.engine.jobs.views import job_view

logger = logging.getLogger(__name__)

STORAGE_RETRY_SECONDS = 10.0
INTERNAL = m.ErrorReply(
    code="INTERNAL", message="the request caused an internal error; see the node's log", retry_after=1.0
)


@dataclass(frozen=True, slots=True)
class JobChange:
    """A change of a job that a user asks for; `ping` changes nothing and has no job. `value`: the new priority."""

    verb: Literal["cancel", "retry", "priority", "ping"]
    job_id: str
    user: str
    value: Priority = "normal"


Write = NewJob | JobChange


class LedgerWriter:
    """Applies the writes of requests to a ledger. Not thread-safe."""

    def __init__(self, ledger: Ledger, node: Node) -> None:
        self._ledger = ledger
        self._node = node

    def write(self, writes: Sequence[Write]) -> list[m.Message]:
        """Apply writes in one commit and return the replies once it is on the disk; if it fails, none is applied."""
        answers = self._commit(writes)
        if answers is not None:
            return answers
        if len(writes) == 1:
            return [INTERNAL]
        # One write broke the commit of all: commit each separately, so that only that one fails.
        return [answer for write in writes for answer in self._commit([write]) or [INTERNAL]]

    def _commit(self, writes: Sequence[Write]) -> list[m.Message] | None:
        """Apply writes in one commit; return None if a bug broke it."""
        try:
            with self._ledger.file.group():
                submits = iter(self._submit([write for write in writes if isinstance(write, NewJob)]))
                return [
                    next(submits) if isinstance(write, NewJob) else self._change(write) for write in writes
                ]
        except LedgerError as error:
            logger.error("no request was accepted: %s", error)
            return [storage_reply(error)] * len(writes)
        except Exception:
            logger.exception("a commit of %d requests failed", len(writes))
            return None

    def _submit(self, jobs: Sequence[NewJob]) -> list[m.Message]:
        if not jobs:
            return []
        node = self._node
        results = self._ledger.queue.submit_all(
            jobs, ageing=node.ageing, max_queued=node.max_queued, reserve=node.high_reserve
        )
        return [_submitted(result) for result in results]

    def _change(self, change: JobChange) -> m.Message:
        if change.verb == "ping":
            return m.Message()
        try:
            visible_job(self._ledger, self._node, change.job_id, change.user)
            return job_view(self._changed_job(change), in_full=sees_all(self._node, change.user))
        except (WrongState, DamagedJob) as error:
            return RequestError("CONFLICT", str(error), field="job_id").reply
        except UnknownJob:
            return not_found(change.job_id).reply
        except RequestError as refusal:
            return refusal.reply

    def _changed_job(self, change: JobChange) -> Job:
        jobs = self._ledger.jobs
        if change.verb == "priority":
            return jobs.change_priority(change.job_id, change.value, ageing=self._node.ageing)
        return jobs.request_cancel(change.job_id) if change.verb == "cancel" else jobs.retry(change.job_id)


def _submitted(result: SubmitResult) -> m.Message:
    if isinstance(result, KeyConflict):
        return RequestError("CONFLICT", str(result), field="key").reply
    if isinstance(result, QueueFull):
        return RequestError("BUSY", str(result), retry_after=result.retry_after).reply
    return m.Submitted.model_construct(job_id=result.job_id, status=result.status, created=result.created)


def storage_reply(error: LedgerError) -> m.ErrorReply:
    """Return the reply for a ledger that cannot be read or written."""
    return m.ErrorReply(code="STORAGE", message=str(error), retry_after=STORAGE_RETRY_SECONDS)


def visible_job(ledger: Ledger, node: Node, job_id: str, user: str) -> Job:
    """Return a job; raise RequestError if it does not exist or the user may not see it."""
    job = ledger.jobs.get(job_id)
    if job is None or not (job.owner == user or sees_all(node, user)):
        raise not_found(job_id)
    return job


def sees_all(node: Node, user: str) -> bool:
    """Return whether a user may see the jobs of all users."""
    return user == LOCAL_USER or user in node.operators


def not_found(job_id: str) -> RequestError:
    """Return the error for a job that does not exist or belongs to another user."""
    return RequestError("NOT_FOUND", f"there is no job {job_id}", field="job_id")
