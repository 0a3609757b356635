"""The messages between clients and a node: requests, replies and events; `encoding` writes and reads their bodies.

A request is a ZeroMQ message of at least four frames, a reply of four, or five if it carries a part of a file:

    request   PROTOCOL + encoding | request id | verb    | body | inline asset …
    reply     PROTOCOL + encoding | request id | outcome | body | bytes
    event     job id              | PROTOCOL + encoding  | body

PROTOCOL is `VP1`, the encoding `J` (JSON) or `M` (MessagePack); a reply has the encoding of its request. The
request id is up to 64 bytes that the client chooses; the reply repeats it. docs/protocol.md has examples, byte by byte.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.json_schema import SkipJsonSchema

from video_pipeline.engine.jobs.model import (
    JOB_ID_PATTERN,
    JOB_ID_WORDS,
    TIME_MAX,
    EventKind,
    JobStatus,
    Priority,
)

PROTOCOL = b"VP1"
REQUEST_ID_MAX_BYTES = 64
WAIT_MAX_SECONDS = 30.0
LIST_MAX = 1000
BODY_MAX_BYTES = 4 * 1024 * 1024
"""Largest body; inline assets are frames of their own, limited by the node."""
BODY_MAX_CONTAINERS = 50_000
"""Most lists and objects in a body: an empty one takes one byte in the body and at least 56 in memory. A story of
2000 scenes, each with two moves between rectangles, a styled caption and a transition, has 26,000."""
SMALL_BODY_MAX_BYTES = 16 * 1024
"""Largest body of every verb but submit: a larger one is invalid, and slow to reject by its content."""
CHUNK_MAX_BYTES = 1024 * 1024
"""Most bytes of a file in one reply."""
LOCAL_USER: Final = "local"
"""User name of clients without CURVE: they are on this machine and may see and change all jobs."""

INLINE_PREFIX = "inline:"
"""`inline:0` in a story refers to the first inline asset of the request."""

Encoding = Literal["json", "msgpack"]
MARKS: dict[Encoding, bytes] = {"json": PROTOCOL + b"J", "msgpack": PROTOCOL + b"M"}

ErrorCode = Literal[
    "BAD_REQUEST",  # not a message of this protocol, or a field is wrong
    "UNSUPPORTED_VERSION",  # another protocol version; `allowed` lists the supported ones
    "UNKNOWN_VERB",
    "TOO_LARGE",  # the message, or the number of its parts
    "INVALID_STORY",
    "INVALID_CONFIG",
    "INVALID_ASSET",  # a path outside the allowed roots, a missing inline part, a forbidden URL
    "FORBIDDEN",  # only the local user and those of node.operators may do it
    "NOT_FOUND",
    "CONFLICT",  # the key was used for other content, or the job's state (or its files') does not allow the request
    "BUSY",  # the queue is full; `retry_after` says when to try again
    "RATE_LIMITED",
    "DRAINING",  # the node is shutting down and accepts no new jobs
    "STORAGE",  # disk full or read-only: nothing was accepted
    "INTERNAL",
]
RETRYABLE: frozenset[str] = frozenset({"BUSY", "RATE_LIMITED", "DRAINING", "STORAGE", "INTERNAL"})


class Message(BaseModel):
    """A body; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


KEY_PATTERN: Final = re.compile(r"[!-~]+")


def _check_job_id(value: str) -> str:
    if not JOB_ID_PATTERN.fullmatch(value):
        raise ValueError(f"allowed: {JOB_ID_WORDS}")
    return value


def _check_key(value: str) -> str:
    if not KEY_PATTERN.fullmatch(value):
        raise ValueError("allowed: 1 to 128 letters, digits and signs of ASCII, without spaces")
    return value


JobId = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_check_job_id),
    Field(json_schema_extra={"pattern": f"^{JOB_ID_PATTERN.pattern}$"}),
]
Key = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=128),
    AfterValidator(_check_key),
    Field(json_schema_extra={"pattern": f"^{KEY_PATTERN.pattern}$"}),
]
FILE_NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""Names of a job's files, none of which leads to another folder or is hidden."""


def _check_file_name(value: str) -> str:
    if not FILE_NAME_PATTERN.fullmatch(value):
        raise ValueError("allowed: a name that the verb files returns")
    return value


FileName = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_check_file_name),
    Field(json_schema_extra={"pattern": f"^{FILE_NAME_PATTERN.pattern}$"}),
]
UserName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128)]
Whole = Annotated[int, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True)]

_YEAR = r"(19[7-9]\d|[2-8]\d{3}|9[0-8]\d{2}|99[0-8]\d|999[0-8])"
_TIME = rf"^{_YEAR}-\d{{2}}-\d{{2}}T\d{{2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?(Z|[+-]\d{{2}}:\d{{2}})$"


def _written_time(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and re.search(_TIME, value, re.ASCII)):
        return value
    raise ValueError("allowed: a time from 1970 to 9998 with its zone, such as '2027-01-31T18:00:00Z'")


def _in_range(value: datetime) -> datetime:
    if not 0 <= value.timestamp() < TIME_MAX:
        raise ValueError("allowed: a time from 1970 to 9998, UTC")
    return value


Time = Annotated[
    AwareDatetime,
    BeforeValidator(_written_time),
    AfterValidator(_in_range),
    Field(json_schema_extra={"pattern": _TIME}),
]


class Submit(Message):
    """Submit a story. The reply is sent after the job is on the disk."""

    VERB: ClassVar[str] = "submit"

    story: dict[str, Any] = Field(description="A story, as `video-pipeline schema story` describes it.")
    config: dict[str, Any] = Field(
        default_factory=dict, description="Sections of the configuration for this job."
    )
    priority: Priority = "normal"
    key: Key | None = Field(
        None, description="Chosen by the client: the same key and content again is the same job."
    )
    scheduled_for: Time | None = Field(None, description="Not before this time.")
    max_attempts: Whole | None = Field(None, ge=1, le=100, description="Default: processing.retry_attempts.")


class Status(Message):
    """Get one job."""

    VERB: ClassVar[str] = "status"

    job_id: JobId


def _check_list_status(value: Any) -> Any:
    known = (*JobStatus, "scheduled")
    if value is not None and (not isinstance(value, str) or value not in known):
        raise ValueError(f"allowed: {', '.join(known)}")
    return value


class List(Message):
    """Get jobs, the latest first."""

    VERB: ClassVar[str] = "list"

    status: Annotated[JobStatus | Literal["scheduled"] | None, BeforeValidator(_check_list_status)] = Field(
        None, description="Only jobs in this state; scheduled: queued jobs that wait for a scheduled time."
    )
    limit: Whole = Field(100, ge=1, le=LIST_MAX)
    before: JobId | None = Field(None, description="Only jobs that were submitted before this one.")
    user: UserName | None = Field(None, description="Only jobs of this user.")


class Cancel(Message):
    """Cancel a job that has not ended."""

    VERB: ClassVar[str] = "cancel"

    job_id: JobId


class Retry(Message):
    """Queue a failed or cancelled job again, with all its attempts."""

    VERB: ClassVar[str] = "retry"

    job_id: JobId


class Wait(Message):
    """Get a job when it has ended, or its current state after `timeout` seconds."""

    VERB: ClassVar[str] = "wait"

    job_id: JobId
    timeout: Seconds = Field(WAIT_MAX_SECONDS, ge=0, le=WAIT_MAX_SECONDS, description="Seconds.")


class Events(Message):
    """Get the events after a sequence number."""

    VERB: ClassVar[str] = "events"

    after: Whole = Field(0, ge=0, lt=2**63)
    limit: Whole = Field(LIST_MAX, ge=1, le=LIST_MAX)
    job_id: JobId | None = None


class Files(Message):
    """Get the names, sizes and checksums of a completed job's files."""

    VERB: ClassVar[str] = "files"

    job_id: JobId


class Fetch(Message):
    """Get a part of a completed job's file. The reply's fifth frame has the bytes: fewer at the end of the file, none behind it."""

    VERB: ClassVar[str] = "fetch"

    job_id: JobId
    name: FileName
    offset: Whole = Field(0, ge=0, lt=2**63, description="Where the part begins, in bytes.")
    length: Whole = Field(CHUNK_MAX_BYTES, ge=1, le=CHUNK_MAX_BYTES, description="Bytes.")


class Stats(Message):
    """Get counts of jobs, the queue and the slots of the node."""

    VERB: ClassVar[str] = "stats"


class Ping(Message):
    """Get the node's version, protocols and limits."""

    VERB: ClassVar[str] = "ping"

    writer: bool = Field(
        False,
        strict=True,
        description="Reply only after the process that writes the ledger has answered too.",
    )


class PublicationView(Message):
    """A post or delivery of a finished video. `files`: where each file is, by its name, on platforms that keep files."""

    platform: str
    account: str
    state: str
    due_at: AwareDatetime = Field(description="When it is carried on next.")
    url: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
    error: str | None = None


class JobView(Message):
    """A job in the form that clients get. Times are ISO 8601 in UTC."""

    job_id: str
    story_id: str
    status: JobStatus
    priority: Priority
    attempts: int
    max_attempts: int
    created_at: AwareDatetime
    scheduled_for: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    cancel_requested: bool = False
    key: str | None = None
    stage: str | None = None
    percent: float | None = None
    fps: float | None = None
    eta_seconds: float | None = Field(None, description="Estimated seconds left.")
    error_type: str | None = None
    error_message: str | None = None
    log_tail: tuple[str, ...] = ()
    title: str | None = Field(None, description="The story's, at most 200 characters of it.")
    user: str | None = Field(None, description="Who submitted it.")
    result: dict[str, Any] | None = Field(
        None, description="Of a completed job: video_path, thumbnail_path, subtitles, metadata, video_info …"
    )
    publications: tuple[PublicationView, ...] = Field(
        (), description="Of a completed job whose video is published or delivered; not in the reply to list."
    )


class Submitted(Message):
    """The reply to submit. `created` is false if the key had been used for the same job before."""

    job_id: str
    status: JobStatus
    created: bool


class Jobs(Message):
    """The reply to list. Pass `before` in the next request to get the next page; null: there is none."""

    jobs: tuple[JobView, ...]
    before: str | None = None


class EventView(Message):
    """An event of a job. The PUB socket publishes it without those `details` that reveal the job's content."""

    seq: int
    at: AwareDatetime
    job_id: str
    kind: EventKind
    status: JobStatus
    attempt: int
    details: dict[str, Any] = Field(
        default={},
        description="stage, percent, fps and eta_seconds of progress; error_type, error_message, retry_in; priority.",
    )


class EventsReply(Message):
    """The reply to events. `last` is the ledger's latest number; `more`: request the events after the last one here."""

    events: tuple[EventView, ...]
    last: int
    more: bool


class JobFile(Message):
    """A file of a completed job; `sha256` in hexadecimal digits."""

    name: FileName
    role: str = Field(description="video, thumbnail, srt, vtt, ass, words, metadata or manifest.")
    size: Whole = Field(ge=0, lt=2**63, description="Bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class JobFiles(Message):
    """The reply to files; the video is the first."""

    job_id: JobId
    files: tuple[JobFile, ...]


class FileChunk(Message):
    """The reply to fetch. `data` is no part of the body: its bytes are the fifth frame."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    offset: Whole
    file_size: Whole = Field(description="Bytes of the whole file.")
    data: SkipJsonSchema[bytes | memoryview] = Field(default=b"", exclude=True, repr=False)


class StatsReply(Message):
    """The reply to stats: the user's jobs by state, the queue of the whole node, its slots."""

    jobs: dict[JobStatus, int]
    queued: int
    max_queued: int
    slots: int
    running: int
    draining: bool
    uptime_seconds: float


class Pong(Message):
    """The reply to ping. `user` is the client's name according to the node."""

    node: str
    version: str
    protocols: tuple[str, ...]
    encodings: tuple[Encoding, ...]
    user: str
    time: AwareDatetime
    events: str = Field(description="Port or path of the PUB socket.")
    last_event: int
    max_message_bytes: int
    max_parts: int


class ErrorReply(Message):
    """The reply to a failed request. `field` and `allowed` are set if one field is wrong."""

    code: ErrorCode
    message: str
    field: str | None = None
    retry_after: float | None = Field(None, description="Seconds after which a retry may succeed.")
    allowed: tuple[str, ...] | None = None
