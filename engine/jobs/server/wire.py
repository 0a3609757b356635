"""Parse and check the frames of requests, and write the frames of replies. No sockets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from video_pipeline.engine.common.validation import explain, path_text, show
from video_pipeline.engine.jobs.encoding import decode, encode
from video_pipeline.engine.jobs.messages import (
    MARKS,
    PROTOCOL,
    REQUEST_ID_MAX_BYTES,
    SMALL_BODY_MAX_BYTES,
    Encoding,
    ErrorCode,
    ErrorReply,
    FileChunk,
    Message,
)
from video_pipeline.engine.jobs.verbs import REQUESTS, Request

PROTOCOLS = (PROTOCOL.decode(),)
HEAD_FRAMES = 4
_ENCODINGS: dict[bytes, Encoding] = {mark: encoding for encoding, mark in MARKS.items()}
_VERSION = re.compile(rb"(VP[0-9]{1,4})[A-Z]?")
OK = b"ok"
ERROR = b"error"


class RequestError(Exception):
    """A request fails; `reply` is the error reply."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        allowed: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reply = ErrorReply(
            code=code,
            message=message,
            field=field,
            retry_after=retry_after,
            allowed=None if allowed is None else tuple(allowed),
        )


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """A received message. `connection` is the descriptor of its socket, or -1 if unknown.

    `frames` excludes the routing id and is cut after more frames than a request may have; `size` is in bytes, of
    all frames.
    """

    routing_id: bytes
    user: str
    frames: Sequence[bytes]
    size: int
    connection: int = -1


@dataclass(frozen=True, slots=True)
class EncodedReply:
    """An encoded reply body; `code` is the error code, None if it is no error."""

    code: str | None
    body: bytes

    @classmethod
    def of(cls, message: Message, encoding: Encoding) -> EncodedReply:
        """Encode a message."""
        return cls(message.code if isinstance(message, ErrorReply) else None, encode(message, encoding))


@dataclass(frozen=True, slots=True)
class ReplyRoute:
    """Destination and encoding of a reply. `head` is the empty frame that a REQ socket sends, if any."""

    routing_id: bytes
    head: tuple[bytes, ...]
    request_id: bytes
    encoding: Encoding
    connection: int = -1

    def frames(self, answer: Message | EncodedReply) -> list[bytes | memoryview]:
        """Return the frames of a reply, the routing id first."""
        encoded = answer if isinstance(answer, EncodedReply) else EncodedReply.of(answer, self.encoding)
        outcome = ERROR if encoded.code else OK
        more = [answer.data] if isinstance(answer, FileChunk) else []
        return [
            self.routing_id,
            *self.head,
            MARKS[self.encoding],
            self.request_id,
            outcome,
            encoded.body,
            *more,
        ]


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest size of a request in bytes, and most inline assets."""

    message_bytes: int
    parts: int

    @property
    def frames(self) -> int:
        """Most frames of a request, including the empty one of a REQ socket."""
        return HEAD_FRAMES + 1 + self.parts


def reply_route(request: IncomingRequest) -> tuple[ReplyRoute, Sequence[bytes]]:
    """Return the route of the reply, even for malformed frames, and the frames without a REQ socket's empty one."""
    frames = request.frames
    head: tuple[bytes, ...] = ()
    if frames and not frames[0]:
        head, frames = (b"",), frames[1:]
    encoding = _ENCODINGS.get(frames[0], "json") if frames else "json"
    request_id = frames[1] if len(frames) > 1 and len(frames[1]) <= REQUEST_ID_MAX_BYTES else b""
    return ReplyRoute(request.routing_id, head, request_id, encoding, request.connection), frames


def read_request(frames: Sequence[bytes], size: int, limits: Limits) -> tuple[Request, Sequence[bytes]]:
    """Return a checked request and its inline assets; raise RequestError if it is invalid."""
    mark = frames[0] if frames else b""
    if mark not in _ENCODINGS:
        _refuse_mark(mark)
    if size > limits.message_bytes:
        raise RequestError(
            "TOO_LARGE",
            f"message: has {size} bytes; allowed: at most {limits.message_bytes}",
            field="message",
        )
    parts = len(frames) - HEAD_FRAMES
    if parts > limits.parts:
        raise RequestError(
            "TOO_LARGE", f"message: too many inline assets; allowed: at most {limits.parts}", field="message"
        )
    if parts < 0:
        raise RequestError(
            "BAD_REQUEST",
            f"message: has {len(frames)} frames; allowed: protocol, request id, verb, body, and inline assets",
            field="message",
        )
    if len(frames[1]) > REQUEST_ID_MAX_BYTES:
        raise RequestError(
            "BAD_REQUEST",
            f"request id: has {len(frames[1])} bytes; allowed: at most {REQUEST_ID_MAX_BYTES}",
            field="request id",
        )
    return _read_body(frames), frames[HEAD_FRAMES:]


def _refuse_mark(mark: bytes) -> None:
    shown = show(mark[:16])
    version = _VERSION.fullmatch(mark)
    if version and version[1] != PROTOCOL:
        raise RequestError(
            "UNSUPPORTED_VERSION",
            f"protocol: got {shown}; allowed: {', '.join(PROTOCOLS)}",
            field="protocol",
            allowed=PROTOCOLS,
        )
    allowed = [known.decode() for known in _ENCODINGS]
    raise RequestError(
        "BAD_REQUEST",
        f"protocol: got {shown}; allowed: {', '.join(allowed)}",
        field="protocol",
        allowed=allowed,
    )


def _read_body(frames: Sequence[bytes]) -> Request:
    verb = frames[2].decode("ascii", "replace") if len(frames[2]) <= 64 else "…"
    model = REQUESTS.get(verb)
    if model is None:
        raise RequestError(
            "UNKNOWN_VERB",
            f"verb: got {show(verb)}; allowed: {', '.join(REQUESTS)}",
            field="verb",
            allowed=tuple(REQUESTS),
        )
    body = frames[3]
    if len(frames) > HEAD_FRAMES and verb != "submit":
        raise RequestError("BAD_REQUEST", f"{verb}: has inline assets; allowed: none", field="message")
    if len(body) > SMALL_BODY_MAX_BYTES and verb != "submit":
        raise RequestError(
            "TOO_LARGE",
            f"body: has {len(body)} bytes; allowed: at most {SMALL_BODY_MAX_BYTES} for {verb}",
            field="body",
        )
    try:
        data = decode(body, _ENCODINGS[frames[0]])
    except ValueError as error:
        code: ErrorCode = "TOO_LARGE" if "allowed: at most" in str(error) else "BAD_REQUEST"
        raise RequestError(code, str(error), field="body") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        field = path_text(error.errors(include_url=False)[0]["loc"])
        raise RequestError(
            "BAD_REQUEST", "\n".join(explain(error, model, where=verb)), field=field[:200] or "body"
        ) from error
