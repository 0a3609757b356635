"""Messages about a node besides its jobs: priorities, logs, machines, publications, dead letters.

They are bodies of the protocol as those of `messages` are, and `verbs` lists them.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from video_pipeline.engine.jobs.messages import JobId, Message, PublicationView, Whole
from video_pipeline.engine.jobs.model import Priority
from video_pipeline.engine.publish.states import PublicationState

LOG_LINES_MAX: Final = 1000
PAGE_MAX: Final = 1000
NUMBER_END: Final = 2**63
"""Numbers of publications and notifications are below this."""

MachineName = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ShortText = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2000)]
Number = Annotated[int, Field(strict=True, ge=1, lt=NUMBER_END)]


class ChangePriority(Message):
    """Give a queued job another priority. It keeps the time at which it joined the queue."""

    VERB: ClassVar[str] = "priority"

    job_id: JobId
    priority: Priority


class ReadLog(Message):
    """Get the last lines of the log of a job's latest attempt, also while it runs. For operators."""

    VERB: ClassVar[str] = "log"

    job_id: JobId
    lines: Whole = Field(100, ge=1, le=LOG_LINES_MAX)


class ListMachines(Message):
    """Get the machines that render."""

    VERB: ClassVar[str] = "machines"


class Drain(Message):
    """Let a machine start and accept no further jobs; what it renders goes on. For operators."""

    VERB: ClassVar[str] = "drain"

    machine: MachineName | None = Field(None, description="Its name; null: the machine of the node.")
    on: bool = Field(True, strict=True, description="false: it works again.")


def _known_state(value: Any) -> Any:
    if value is not None and (not isinstance(value, str) or value not in set(PublicationState)):
        raise ValueError(f"allowed: {', '.join(PublicationState)}")
    return value


class ListPublications(Message):
    """Get publications, the latest first."""

    VERB: ClassVar[str] = "publications"

    state: Annotated[PublicationState | None, BeforeValidator(_known_state)] = Field(
        None, description="Only those in this state."
    )
    limit: Whole = Field(100, ge=1, le=PAGE_MAX)
    before: Number | None = Field(None, description="Only those with a lower number.")


class Resolve(Message):
    """Say what became of a publication whose platform could not tell: it was found there, or it is missing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "oneOf": [
                {
                    "properties": {"outcome": {"const": "found"}, "post_id": {"type": "string"}},
                    "required": ["post_id"],
                },
                {
                    "properties": {
                        "outcome": {"const": "missing"},
                        "post_id": {"type": "null"},
                        "url": {"type": "null"},
                    }
                },
            ]
        },
    )

    VERB: ClassVar[str] = "resolve"

    number: Number
    outcome: Literal["found", "missing"] = Field(description="missing: it is published again.")
    post_id: ShortText | None = Field(None, description="The id of the post that was found.")
    url: ShortText | None = Field(None, description="Where the post that was found is seen.")

    @model_validator(mode="after")
    def _check_outcome(self) -> Self:
        if (self.outcome == "found") != (self.post_id is not None):
            raise ValueError("post_id: give it with the outcome found, and not with missing")
        if self.outcome == "missing" and self.url is not None:
            raise ValueError("url: allowed with the outcome found")
        return self


class ListLetters(Message):
    """Get notifications that could not be delivered (dead letters), the latest first. For operators."""

    VERB: ClassVar[str] = "letters"

    limit: Whole = Field(100, ge=1, le=PAGE_MAX)


class Resend(Message):
    """Deliver a dead letter again, with the same id. For operators."""

    VERB: ClassVar[str] = "resend"

    number: Number


class LogReply(Message):
    """The reply to log. `attempt`: which attempt wrote it, counted with those that were not charged; 0: none began."""

    job_id: JobId
    attempt: int
    lines: tuple[str, ...]


class GpuView(Message):
    """A GPU of a machine."""

    name: str
    memory_mib: int
    driver: str


class DiskView(Message):
    """The file system of a folder of the node: state, output, temp or cache."""

    folder: str
    free_bytes: int
    total_bytes: int


class CacheView(Message):
    """The cache of a machine. Segments are counted since the machine started."""

    bytes: int
    files: int
    segments: int = 0
    segments_from_cache: int = 0


class MachineView(Message):
    """A machine that renders. `jobs` are the running ones that the caller may see, `running` counts all."""

    name: MachineName
    state: Literal["ready", "draining", "not ready", "gone"]
    reasons: tuple[str, ...] = Field((), description="Why it is not ready, and what else is wrong with it.")
    version: str
    cores: int
    memory_bytes: int
    slots: int
    warm: int = Field(description="Slots whose worker is ready or renders.")
    running: int
    jobs: tuple[str, ...] = ()
    gpus: tuple[GpuView, ...] = ()
    nvenc_sessions: int | None = Field(None, description="Most at once; null: none of its GPUs encodes.")
    disks: tuple[DiskView, ...] = ()
    cache: CacheView | None = None
    started_at: AwareDatetime
    seen_at: AwareDatetime = Field(description="When it reported this.")


class Machines(Message):
    """The reply to machines and to drain."""

    machines: tuple[MachineView, ...]


class ListedPublication(PublicationView):
    """A publication in the reply to publications."""

    number: int
    title: str
    user: str
    job_id: str | None = None


class PublicationsReply(Message):
    """The reply to publications. Pass `before` in the next request to get the next page; null: there is none."""

    publications: tuple[ListedPublication, ...]
    before: int | None = None


class DeadLetter(Message):
    """A notification. `target`: webhook/NAME, command/NAME or alert/NAME; `subject`: what it is about."""

    number: int
    target: str
    type: str
    subject: str
    state: str
    attempts: int
    error: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class DeadLetters(Message):
    """The reply to letters."""

    letters: tuple[DeadLetter, ...]
