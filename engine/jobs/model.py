"""What a job is: its states, what is kept of it, and what happens to it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
"""From the most urgent to the least; a job's rank is its place here."""

JOB_ID_PATTERN = re.compile(r"job-[0-9a-f]{24}")


class JobStatus(StrEnum):
    """The states of a job, in the guide's words."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether a job stays in this state by itself."""
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


def new_job_id(at: float) -> str:
    """Return an id that nobody can guess: 56 random bits after the time of `at` in 1/256 s.

    Ids of one time lie together, which saves the ledger's index a page written for each of them.
    """
    return f"job-{int(at * 256) & 0xFFFFFFFFFF:010x}{secrets.token_hex(7)}"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that a client hands in, checked. `story` and `config` are JSON objects, written as text.

    `key` is the client's idempotency key, one of `owner`'s: the same key with the same `digest` (of story,
    config, priority and time) is the same job.
    """

    owner: str
    story_id: str
    story: str
    config: str = "{}"
    priority: Priority = "normal"
    key: str | None = None
    digest: str = ""
    scheduled_for: float | None = None
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the ledger has it. Times are seconds since 1970 (UTC).

    `attempts` counts those that were charged to the job; `interruptions` those that ended through no fault of
    its own (the node was stopped, the GPU was lost). `fence` rises with every attempt: only the attempt that
    holds the latest may change the job. `percent`, `stage`, `fps` and `eta_seconds` are of the running attempt.
    """

    job_id: str
    owner: str
    story_id: str
    status: JobStatus
    priority: Priority
    attempts: int
    max_attempts: int
    interruptions: int
    fence: int
    created_at: float
    scheduled_for: float | None
    started_at: float | None
    finished_at: float | None
    cancel_requested: bool
    key: str | None
    stage: str | None
    percent: float | None
    fps: float | None
    eta_seconds: float | None
    error_type: str | None
    error_message: str | None
    log_tail: tuple[str, ...]
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a job, fenced: what a worker needs to know."""

    job_id: str
    fence: int
    number: int
    story_id: str
    story: Mapping[str, Any]
    config: Mapping[str, Any]
    priority: Priority


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is. `percent` is of the whole job, 0 to 100; `fps` of the frames being rendered."""

    stage: str
    percent: float
    fps: float | None = None
    eta_seconds: float | None = None


FailureKind = Literal["permanent", "retryable", "machine"]
"""permanent: the input is wrong and stays wrong. retryable: worth another attempt, which is charged.
machine: the node's own trouble (GPU lost, disk full, NVENC sessions taken); another attempt, not charged."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `error_type` is the exception's class or WorkerKilled, WorkerLost, JobTimeout,
    MemoryLimit; `log_tail` the last lines of its log."""

    kind: FailureKind
    error_type: str
    message: str
    log_tail: tuple[str, ...] = ()


EventKind = Literal[
    "queued",
    "processing",
    "progress",
    "retrying",
    "requeued",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job. `seq` rises by one with every event of the ledger; events of progress
    are deleted when the job ends, so numbers can be missing where a ledger is read from the past."""

    seq: int
    at: float
    job_id: str
    owner: str
    kind: EventKind
    status: JobStatus
    attempt: int
    details: Mapping[str, Any]
