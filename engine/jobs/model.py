"""The models of the job system: jobs and their states, attempts, failures, events."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
"""From the most to the least urgent; the rank of a priority is its index here."""

TITLE_MAX = 200
"""Characters of a title that a job keeps for lists."""

TIME_MAX = 253_370_764_800.0
"""9999-01-01, UTC, in seconds since 1970: later times exceed the last year of datetime in some time zones."""

JOB_ID_PATTERN = re.compile(r"job-[0-9a-f]{24}")
JOB_ID_WORDS = "the id of a job as `submit` and `list` print it: job- and 24 digits or letters from a to f"


class JobStatus(StrEnum):
    """The states of a job."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended; only a retry takes it out of this state."""
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


def new_job_id(at: float) -> str:
    """Return an unguessable id: the wall time `at` in units of 1/256 s, then 56 random bits.

    Ids of about the same time sort together, so that a commit changes few pages of the ledger's index.
    """
    return f"job-{int(at * 256) & 0xFFFFFFFFFF:010x}{secrets.token_hex(7)}"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to submit, already validated. `story` and `config` are JSON objects as text.

    `key` is the client's idempotency key; each owner has its own keys. Submits with the same key and the same
    `digest` (of story, config, priority and scheduled time) are one job. `title` is the story's, cut for lists.
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
    title: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the ledger keeps it. Times are seconds since 1970 (UTC).

    `attempts` counts the attempts that were charged to the job; `interruptions` those that ended through no fault of
    the job (the node was stopped, the GPU was lost). `fence` rises with every attempt: only the attempt with the
    latest fence may change the job. `percent`, `stage`, `fps` and `eta_seconds` describe the running attempt.
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
    title: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at rendering a job: its fence and what a worker needs for it."""

    job_id: str
    fence: int
    number: int
    story_id: str
    story: Mapping[str, Any]
    config: Mapping[str, Any]
    priority: Priority
    drawing: Mapping[str, Any] | None = None
    """Segments to draw for another machine's attempt at the job: `plan`, the SHA-256 of the plan's data in the shared storage, and
    their `numbers`. Nothing of it is published."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is. `percent`: of the whole job, 0 to 100; `fps`: frames rendered per second."""

    stage: str
    percent: float
    fps: float | None = None
    eta_seconds: float | None = None


FailureKind = Literal["permanent", "retryable", "machine"]
"""permanent: the input is invalid, so another attempt would fail too. retryable: another attempt may succeed; the
failed one is charged. machine: a fault of the node (GPU lost, disk full, no NVENC session free); another attempt
follows, and the failed one is not charged."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    `error_type`: the exception's class, or WorkerKilled, WorkerLost, JobTimeout, MemoryLimit, DiskLimit or
    DiskFull. `log_tail`: the last lines of the attempt's log.
    """

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
    "priority",
]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job.

    `seq` rises by one with every event of the ledger. Progress events are deleted when their job ends, so older
    numbers may be missing.
    """

    seq: int
    at: float
    job_id: str
    owner: str
    kind: EventKind
    status: JobStatus
    attempt: int
    details: Mapping[str, Any]
