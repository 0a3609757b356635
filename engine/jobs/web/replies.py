"""HTTP replies: the statuses of the protocol's error codes, and errors that HTTP alone has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from pydantic import Field

from video_pipeline.engine.jobs.messages import ErrorCode, Message

Header = tuple[str, str]

JSON_TYPE: Final = "application/json"
STATUSES: Final[dict[str, int]] = {
    "BAD_REQUEST": 400,
    "UNSUPPORTED_VERSION": 400,
    "UNKNOWN_VERB": 400,
    "INVALID_STORY": 400,
    "INVALID_CONFIG": 400,
    "INVALID_ASSET": 400,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "TOO_LARGE": 413,
    "RATE_LIMITED": 429,
    "BUSY": 503,
    "DRAINING": 503,
    "STORAGE": 503,
    "INTERNAL": 500,
}
"""The HTTP status of each error code of the protocol."""

HttpCode = Literal[
    "UNAUTHORIZED",  # 401: no token, or one that gives no access
    "METHOD_NOT_ALLOWED",  # 405
    "TIMEOUT",  # 408: the body came too slowly
    "UNSUPPORTED_MEDIA_TYPE",  # 415
    "RANGE_NOT_SATISFIABLE",  # 416
    "NO_REPLY",  # 503: the node's server did not reply; the request may have been carried out or not
]
"""Codes of errors that only the HTTP interface has."""


class HttpErrorReply(Message):
    """The body of a reply with a status from 400 on. `field` and `allowed` are set if one field is wrong."""

    code: ErrorCode | HttpCode
    message: str
    field: str | None = None
    retry_after: float | None = Field(None, description="Seconds after which a retry may succeed.")
    allowed: tuple[str, ...] | None = None


class HttpError(Exception):
    """A request fails with this status and reply."""

    def __init__(
        self,
        status: int,
        code: ErrorCode | HttpCode,
        message: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        allowed: tuple[str, ...] | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = HttpErrorReply(
            code=code, message=message, field=field, retry_after=retry_after, allowed=allowed
        )

    def reply(self) -> HttpReply:
        """Return the reply."""
        more = retry_header(self.body.retry_after)
        return HttpReply(self.status, self.body.model_dump_json().encode(), (*self.headers, *more))


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply. `kind` is its Content-Type; `length` is that of the body if HEAD leaves it out."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()
    kind: str = JSON_TYPE
    length: int | None = None


def retry_header(seconds: float | None) -> tuple[Header, ...]:
    """Return the header Retry-After, in whole seconds and at least 1, if a retry may succeed."""
    return () if seconds is None else (("Retry-After", str(max(1, math.ceil(seconds)))),)


def reason_of(status: int) -> str:
    """Return the reason phrase of a status."""
    return HTTPStatus(status).phrase
