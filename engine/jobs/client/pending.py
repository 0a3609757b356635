"""Pending requests of a client: when to send each again, and how to handle its reply. No sockets, no clock.

A request is sent until it has a reply or times out, each time with the same id and the same key. It is sent
again if the connection was lost, if no reply came for a while (then on a new connection: the "lazy pirate"
pattern), and after the delay that the node asked for (BUSY, RATE_LIMITED, DRAINING, STORAGE, INTERNAL).
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from video_pipeline.engine.errors import (
    ConfigError,
    InputError,
    JobConflictError,
    JobNotFoundError,
    NodeError,
    PipelineError,
    StoryError,
    UnreachableError,
)
from video_pipeline.engine.jobs.client.steps import Call
from video_pipeline.engine.jobs.encoding import decode, encode
from video_pipeline.engine.jobs.messages import MARKS, RETRYABLE, Encoding, ErrorReply, FileChunk, Message

RETRY_AFTER_SECONDS = 1.0
"""Delay before a retry if the node gave none."""
BYTES_PER_SECOND = 1_000_000
"""A request gets an additional second for this many bytes."""


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request without a reply. Times are monotonic seconds; `patience`: seconds to wait before a resend."""

    call: Call
    frames: tuple[bytes, ...]
    began: float
    deadline: float
    patience: float
    future: Future[Message] = field(default_factory=Future)
    due: float | None = 0.0
    sent_at: float | None = None
    sends: int = 0
    refusal: ErrorReply | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do now: the requests to send, whether to reconnect first, and the time of the next turn."""

    send: tuple[tuple[bytes, ...], ...]
    reconnect: bool
    next_turn: float


class PendingRequests:
    """The pending requests of one client. Not thread-safe, except `prepare`."""

    def __init__(self, url: str, *, timeout: float, retries: int, encoding: Encoding) -> None:
        self._url, self._timeout, self._retries, self._encoding = url, timeout, retries, encoding
        self._pending: dict[bytes, PendingRequest] = {}
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._pending)

    def prepare(self, call: Call, now: float) -> PendingRequest:
        """Return a framed request with an id of its own; pass it to `add`. Thread-safe.

        Raises InputError for a story or configuration that cannot be written.
        """
        request_id = f"{self._prefix}-{next(self._numbers)}".encode()
        try:
            body = encode(call.request, self._encoding)
        except (TypeError, ValueError) as error:
            raise InputError(f"{call.request.VERB}: {error}; allowed: what JSON can hold") from error
        frames = (MARKS[self._encoding], request_id, call.request.VERB.encode(), body, *call.parts)
        extra = call.holds + sum(map(len, frames)) / BYTES_PER_SECOND
        return PendingRequest(
            call,
            frames,
            began=now,
            deadline=now + self._timeout + extra,
            patience=self._timeout / (self._retries + 1) + extra,
        )

    def add(self, pending: PendingRequest) -> None:
        """Add a request, to be sent at the next turn."""
        self._pending[pending.frames[1]] = pending

    def turn(self, now: float, *, fault: str = "") -> Turn:
        """Return what to do now. Requests that have timed out fail; `fault` is the known reason, if any."""
        for request_id, pending in list(self._pending.items()):
            if pending.future.cancelled():
                del self._pending[request_id]
            elif now >= pending.deadline:
                self._fail(request_id, self._timeout_error(pending, now, fault))
        silent = any(
            pending.sent_at is not None and now - pending.sent_at >= pending.patience
            for pending in self._pending.values()
        )
        if silent:
            self.lost(now)
        send = []
        next_turn = now + 3600.0
        for pending in self._pending.values():
            if pending.due is not None and pending.due <= now:
                send.append(pending.frames)
                pending.sent_at, pending.due = now, None
                pending.sends += 1
            next_change = pending.due if pending.sent_at is None else pending.sent_at + pending.patience
            next_turn = min(next_turn, pending.deadline, next_change or next_turn)
        return Turn(tuple(send), silent, next_turn)

    def lost(self, now: float) -> None:
        """Handle a lost connection: schedule its requests again, each with exponential backoff."""
        for pending in self._pending.values():
            if pending.sent_at is not None:
                backoff = min(0.02 * 2 ** (pending.sends - 1), 2.0)
                pending.sent_at, pending.due = None, now + backoff

    def received(self, frames: Sequence[Any], now: float) -> None:
        """Process a reply; ignore it if it is malformed or its request is not pending."""
        if len(frames) not in (4, 5) or frames[0] not in MARKS.values():
            return
        mark, request_id, outcome, body = frames[:4]
        pending = self._pending.get(request_id)
        if pending is None:
            return
        encoding: Encoding = "json" if mark == MARKS["json"] else "msgpack"
        try:
            data = decode(body, encoding)
            if outcome == b"ok":
                self._finish(request_id, _with_data(pending.call.reply.model_validate(data), frames[4:]))
                return
            refusal = ErrorReply.model_validate(data)
        except (ValueError, ValidationError) as error:
            message = f"render node at {self._url}: a reply that does not follow the protocol: {error}"
            self._fail(request_id, NodeError(message))
            return
        if refusal.code in RETRYABLE:
            wait = RETRY_AFTER_SECONDS if refusal.retry_after is None else max(0.01, refusal.retry_after)
            if now + wait < pending.deadline:
                pending.sent_at, pending.due, pending.refusal = None, now + wait, refusal
                return
        self._fail(request_id, as_error(refusal, url=self._url, sends=pending.sends))

    def refuse(self, kind: type[NodeError], message: str) -> None:
        """Fail all pending requests."""
        for request_id in list(self._pending):
            self._fail(request_id, kind(f"render node at {self._url}: {message}"))

    def _timeout_error(self, pending: PendingRequest, now: float, fault: str) -> PipelineError:
        if pending.refusal is not None:
            return as_error(pending.refusal, url=self._url, sends=pending.sends)
        waited = now - pending.began
        why = fault or "connected, but the node did not answer"
        return UnreachableError(
            f"render node at {self._url}: no reply within {waited:.1f} s (to {pending.call.request.VERB}): {why}",
            url=self._url,
            waited=waited,
        )

    def _finish(self, request_id: bytes, answer: Message) -> None:
        future = self._pending.pop(request_id).future
        if future.set_running_or_notify_cancel():
            future.set_result(answer)

    def _fail(self, request_id: bytes, error: PipelineError) -> None:
        future = self._pending.pop(request_id).future
        if future.set_running_or_notify_cancel():
            future.set_exception(error)


def _with_data(reply: Message, parts: Sequence[bytes | memoryview]) -> Message:
    """Return a reply with the bytes that follow its body; raise ValueError if there are too few or too many parts."""
    if len(parts) != isinstance(reply, FileChunk):
        raise ValueError(f"{len(parts)} frames after the body")
    return reply.model_copy(update={"data": parts[0]}) if parts else reply


WRONG_INPUT: dict[str, type[InputError]] = {
    "INVALID_STORY": StoryError,
    "INVALID_CONFIG": ConfigError,
    "INVALID_ASSET": InputError,
    "BAD_REQUEST": InputError,
    "TOO_LARGE": InputError,
}
REFUSED: dict[str, type[NodeError]] = {"NOT_FOUND": JobNotFoundError, "CONFLICT": JobConflictError}


def as_error(refusal: ErrorReply, *, url: str, sends: int = 1) -> PipelineError:
    """Convert an error reply to an exception of this package."""
    details: dict[str, Any] = {"field": refusal.field, "allowed": refusal.allowed, "url": url, "sends": sends}
    if refusal.code in WRONG_INPUT:
        return WRONG_INPUT[refusal.code](refusal.message, code=refusal.code, **details)
    message = refusal.message
    if refusal.code in RETRYABLE:
        again = "" if refusal.retry_after is None else f"; try again in {refusal.retry_after:.1f} s"
        message = f"render node at {url}: {refusal.code}: {message}{again}"
    kind = REFUSED.get(refusal.code, NodeError)
    return kind(message, code=refusal.code, retry_after=refusal.retry_after, **details)
