"""The connection of the HTTP process to the node's server: one DEALER for all users, and a SUB while anyone listens.

The server must never close this connection for what one HTTP client does: at most `max_bytes` of requests and
REQUESTS_MOST of them are under way, and replies are read as they arrive.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import zmq

from video_pipeline.engine.jobs.acting import acting_frames
from video_pipeline.engine.jobs.messages import MARKS, ErrorReply
from video_pipeline.engine.jobs.web.replies import STATUSES, HttpError
from video_pipeline.engine.jobs.web.settings import ServerEndpoints, WebSettings

logger = logging.getLogger(__name__)

REPLY_SECONDS: Final = 15.0
REQUESTS_MOST: Final = 512
SENT_COPIED_BYTES: Final = 64 * 1024
EVENTS_HWM: Final = 1000
"""Published events that wait; they only say that there is something new, so lost ones do no harm."""


@dataclass(frozen=True, slots=True)
class NodeReply:
    """A reply of the server: its body (JSON) and, of `fetch`, bytes of a file. `ok` is false for an ErrorReply."""

    ok: bool
    body: bytes
    data: Any = b""


def no_reply(why: str) -> HttpError:
    """Return the error of a request without a reply, which may have been carried out or not."""
    return HttpError(
        503, "NO_REPLY", f"{why}; it may have been carried out: send it again, with the same key if it submits",
        retry_after=1.0,
    )  # fmt: skip


def checked(reply: NodeReply) -> NodeReply:
    """Return a reply of the server; raise HttpError with the status of its code if it is an error."""
    if reply.ok:
        return reply
    error = ErrorReply.model_validate_json(reply.body)
    raise HttpError(
        STATUSES[error.code],
        error.code,
        error.message,
        field=error.field,
        retry_after=error.retry_after,
        allowed=error.allowed,
    )


class RequestGate:
    """Lets requests through in their order while at most `most` of them, and `size` bytes, are under way."""

    def __init__(self, *, most: int, size: int) -> None:
        self._most, self._size = most, size
        self._count = self._bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size: int) -> None:
        """Wait until a request of this size may be sent."""
        if not self._waiting and self._fits(size):
            self._add(size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(size)
            raise

    def leave(self, size: int) -> None:
        """Take a request out again."""
        self._count -= 1
        self._bytes -= size
        while self._waiting and (self._waiting[0][1].done() or self._fits(self._waiting[0][0])):
            waiting, turn = self._waiting.popleft()
            if not turn.done():
                self._add(waiting)
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._count < self._most and (self._count == 0 or self._bytes + size <= self._size)

    def _add(self, size: int) -> None:
        self._count += 1
        self._bytes += size


class ServerClient:
    """Asks the node's server for users. For one event loop; nothing blocks it."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._secret = settings.secret.get_secret_value()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._gate = RequestGate(most=REQUESTS_MOST, size=settings.max_message_bytes)
        self._numbers = itertools.count(1)
        self._replies: dict[bytes, asyncio.Future[NodeReply]] = {}
        self._endpoints: ServerEndpoints | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._events: zmq.Socket[bytes] | None = None
        self._on_event: Callable[[], None] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a server."""
        return self._socket is not None

    def connect(self, endpoints: ServerEndpoints) -> None:
        """Connect to a server that has just started."""
        self.disconnect()
        self._endpoints = endpoints
        self._socket = self._open(zmq.DEALER, endpoints.requests)
        self._watch(self._socket, self._receive)
        if self._on_event is not None:
            self._subscribe()

    def disconnect(self) -> None:
        """Close the sockets: the server has ended. Requests under way fail."""
        self._close(self._socket)
        self._close(self._events)
        self._socket = self._events = self._endpoints = None
        replies, self._replies = self._replies, {}
        for reply in replies.values():
            if not reply.done():
                reply.set_exception(no_reply("the node's server ended"))

    def close(self) -> None:
        """Close the sockets and release resources."""
        self.disconnect()
        self._context.destroy(0)

    async def ask(
        self,
        user: str,
        verb: str,
        body: bytes,
        parts: Sequence[bytes | memoryview] = (),
        *,
        seconds: float = REPLY_SECONDS,
    ) -> NodeReply:
        """Make a request for a user and return the reply. Raises HttpError (503) if there is none in time."""
        size = len(body) + sum(map(len, parts))
        try:
            async with asyncio.timeout(seconds):
                await self._gate.enter(size)
                try:
                    return await self._send(user, verb, body, parts)
                finally:
                    self._gate.leave(size)
        except TimeoutError:
            raise no_reply(f"the node did not reply within {seconds:g} s") from None

    def listen(self, on_event: Callable[[], None] | None) -> None:
        """Call `on_event` whenever the server has published an event; None: no longer."""
        self._on_event = on_event
        if on_event is None:
            self._close(self._events)
            self._events = None
        elif self._events is None and self._endpoints is not None:
            self._subscribe()

    async def _send(
        self, user: str, verb: str, body: bytes, parts: Sequence[bytes | memoryview]
    ) -> NodeReply:
        sock = self._socket
        if sock is None:
            raise HttpError(503, "BUSY", "the node's server is starting", retry_after=1.0)
        number = b"%d" % next(self._numbers)
        reply: asyncio.Future[NodeReply] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        frames = [*acting_frames(self._secret, user, [MARKS["json"], number, verb.encode(), body]), *parts]
        try:
            for frame in frames[:-1]:
                sock.send(frame, zmq.NOBLOCK | zmq.SNDMORE, copy=len(frame) <= SENT_COPIED_BYTES)
            sock.send(frames[-1], zmq.NOBLOCK, copy=len(frames[-1]) <= SENT_COPIED_BYTES)
            # ZeroMQ's descriptor reports changes only: what arrived meanwhile would otherwise stay unread.
            asyncio.get_running_loop().call_soon(self._receive)
            return await reply
        finally:
            self._replies.pop(number, None)

    def _receive(self) -> None:
        while self._socket is not None:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if len(frames) < 4:
                continue
            reply = self._replies.get(frames[1].bytes)
            if reply is not None and not reply.done():
                data = frames[4].buffer if len(frames) > 4 else b""
                reply.set_result(NodeReply(frames[2].bytes == b"ok", frames[3].bytes, data))

    def _subscribe(self) -> None:
        assert self._endpoints is not None
        self._events = self._open(zmq.SUB, self._endpoints.events)
        self._events.subscribe(b"")
        self._watch(self._events, self._event)

    def _event(self) -> None:
        found = False
        while self._events is not None:
            try:
                self._events.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            found = True
        if found and self._on_event is not None:
            self._on_event()

    def _open(self, kind: int, url: str) -> zmq.Socket[bytes]:
        assert self._endpoints is not None
        made = self._context.socket(kind)
        made.linger = 0
        made.ipv6 = "[" in url
        made.sndhwm, made.rcvhwm = 0, EVENTS_HWM if kind == zmq.SUB else 0
        made.setsockopt(zmq.HEARTBEAT_IVL, 2500)
        made.setsockopt(zmq.HEARTBEAT_TIMEOUT, 7500)
        if self._endpoints.curve:
            made.curve_publickey = self._settings.key_public.encode()
            made.curve_secretkey = self._settings.key_secret.get_secret_value().encode()
            made.curve_serverkey = (self._endpoints.public_key or "").encode()
        made.connect(url)
        return made

    def _watch(self, sock: zmq.Socket[bytes], read: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(sock.fileno(), read)
        loop.call_soon(read)

    def _close(self, sock: zmq.Socket[bytes] | None) -> None:
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close(0)
