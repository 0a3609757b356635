"""The errors of the engine.

PipelineError                  base of all; carries `details` for programs
├── InputError                 the caller's input is wrong: permanent, exit status 2
│   ├── StoryError             a story file or object
│   ├── ConfigError            configuration, environment or option
│   ├── AssetReferenceError    a job's path, inline part or URL is missing or not allowed
│   └── UnavailableError       an encoder, compositor or service that does not work here
├── AssetError                 something a scene needs could not be found, made or read
│   ├── ImageGenerationError
│   ├── TTSError
│   ├── ServiceError           a service on the network failed, refused or is not set up
│   ├── FetchError             an asset's URL could not be read
│   └── FileChangedError       a file changed while a render used it
├── RenderingError             composing, encoding or writing failed
│   ├── CancelledError         the render was asked to stop
│   ├── SubprocessError        with argv, exit status and the last lines of a child process
│   └── EncoderError           with FFmpeg's last lines
├── NodeError                  a render node refused a request; `code` is the error code of the protocol
│   ├── UnreachableError       no answer in time
│   ├── AccessError            the node rejected this client's keys, or has another key than expected
│   ├── JobNotFoundError       no such job, or it belongs to another user
│   └── JobConflictError       the key is taken by another job, or the job's state does not allow it
└── JobError                   a job ended without a video: failed or cancelled
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any, Final, Literal

PASSING: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT),
        *(errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN),
    }
)
"""Errors of the system that time may mend: full and absent disks, networks that are not up. Negative ones are the resolver's."""


def error_number(error: BaseException) -> int | None:
    """Return the system's number of what caused an error; None if it was not the system."""
    number = getattr(error.__cause__, "errno", None)
    return number if isinstance(number, int) else None


class PipelineError(Exception):
    """Base of every error that the engine raises on purpose."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details

    @property
    def exit_status(self) -> int:
        """The status of a command that it ends: 2 if trying again cannot help before a person has changed something."""
        return 1


class InputError(PipelineError):
    """The input is wrong. A retry cannot help, unless the cause is in PASSING."""

    @property
    def exit_status(self) -> int:
        """1 if its cause may pass by itself, else 2."""
        number = error_number(self)
        return 1 if number is not None and (number < 0 or number in PASSING) else 2


class StoryError(InputError):
    """A story names something that cannot be rendered."""


class ConfigError(InputError):
    """A configuration key, environment variable or option is wrong."""


class AssetReferenceError(InputError):
    """A job names an asset that is missing or not allowed; `field` and `value` say which.

    `unusable` marks a file that the job may name, but that is missing or cannot be read.
    """

    def __init__(
        self, place: str, *, field: str, value: str, reason: str, allowed: str = "", unusable: bool = False
    ) -> None:
        shown = value if len(value) <= 200 else f"{value[:199]}…"
        shown = shown.encode("utf-8", "backslashreplace").decode()  # it may hold half of a surrogate pair
        message = f"{place}: got {shown!r}: {reason}" + (f"; allowed: {allowed}" if allowed else "")
        super().__init__(message, field=field, value=shown, allowed=allowed)
        self.field = field
        self.value = shown
        self.reason = reason
        self.allowed = allowed
        self.unusable = unusable


class UnavailableError(InputError):
    """An encoder, compositor or service that was asked for by name does not work on this machine."""


class AssetError(PipelineError):
    """A picture, clip, voice or sound that a scene needs failed."""


class ImageGenerationError(AssetError):
    """A scene's picture could not be made or read."""


class TTSError(AssetError):
    """A scene's narration could not be spoken."""


ServiceFault = Literal["busy", "denied", "rejected"]


class ServiceError(AssetError):
    """A service on the network did not do what it was asked.

    busy: no answer, an incomplete one, or too many requests; a retry may help. denied: no request of this render can
    succeed (key, quota, budget, unknown voice). rejected: this request is wrong. `retry_after`: seconds, if the service
    gave them.
    """

    def __init__(self, message: str, *, kind: ServiceFault, retry_after: float | None = None) -> None:
        super().__init__(message, kind=kind, permanent=kind != "busy")
        self.kind: ServiceFault = kind
        self.retry_after = retry_after

    def because(self, more: str) -> ServiceError:
        """Return the same error with more to its message."""
        return ServiceError(f"{self} ({more})", kind=self.kind, retry_after=self.retry_after)


class FetchError(AssetError):
    """A URL could not be read. Retry only if `kind` is transient.

    transient: no answer, an incomplete one, or a server error. refused: a URL or address that is not allowed.
    unusable: a complete answer that is no asset (404, a web page, too large).
    """

    def __init__(self, message: str, *, url: str, kind: Literal["transient", "refused", "unusable"]) -> None:
        super().__init__(message, url=url, kind=kind, permanent=kind != "transient")
        self.url = url
        self.kind = kind


class FileChangedError(AssetError):
    """A file changed while it was read, or between two reads of one render. A retry uses its new content."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=False)


class RenderingError(PipelineError):
    """The video could not be composed, encoded or written."""


class CancelledError(RenderingError):
    """The render was asked to stop."""


class SubprocessError(RenderingError):
    """A child process failed; the message ends with its last lines."""

    def __init__(self, what: str, *, argv: Sequence[str], returncode: int, stderr: str) -> None:
        if not isinstance(argv, Sequence):
            raise TypeError(f"argv: got {argv!r}; allowed: a list of text")
        tail = [line for line in str(stderr).strip().splitlines() if line.strip()][-12:]
        message = f"{what}: {next(iter(argv), '?')} ended with status {returncode}"
        if tail:
            message += "\n  " + "\n  ".join(tail)
        super().__init__(message, argv=list(argv), returncode=returncode, stderr_tail=tail)


class EncoderError(RenderingError):
    """An encoder failed: `what` says how, and the message ends with FFmpeg's last lines, which `log` holds.

    With `machine` the fault is the machine's, such as a lost GPU, and the same settings may work later; with `refused`
    they work when another program has ended its session.
    """

    def __init__(
        self, what: str, *, log: Sequence[str], machine: bool = False, refused: bool = False, **details: Any
    ) -> None:
        if isinstance(log, str) or not isinstance(log, Sequence):
            raise TypeError(f"log: got {log!r}; allowed: a list of text")
        tail = [line for line in map(str, log) if line.strip()][-12:]
        message = "\n  ".join([str(what), *tail])
        super().__init__(message, log=tail, machine=machine, refused=refused, **details)
        self.what = what
        self.log = tail
        self.machine = machine
        self.refused = refused


class NodeError(PipelineError):
    """A render node refused a request. `code` is the error code of the protocol; `retry_after`: seconds, if given."""

    def __init__(
        self, message: str, *, code: str = "INTERNAL", retry_after: float | None = None, **details: Any
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after, **details)
        self.code = code
        self.retry_after = retry_after


class UnreachableError(NodeError):
    """The node did not answer in time; the message has the URL and the seconds waited."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, code="UNREACHABLE", **details)


class AccessError(NodeError):
    """The node rejected this client's keys, or has another key than the client expects."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, code="ACCESS", **details)


class JobNotFoundError(NodeError):
    """There is no such job, or it belongs to another user."""


class JobConflictError(NodeError):
    """The key is taken by another job, or the job's state does not allow the request."""


class JobError(PipelineError):
    """A job ended without a video. `status` is failed or cancelled."""

    def __init__(self, message: str, *, job_id: str, status: str, **details: Any) -> None:
        super().__init__(message, job_id=job_id, status=status, **details)
        self.job_id = job_id
        self.status = status
