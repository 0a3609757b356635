"""One HTTP/1.1 connection: requests are read within deadlines and limits, replies are written no faster than read.

h11 parses and frames; this module moves the bytes. A connection has one request at a time and reads nothing ahead of
it, so what a client sends in advance stays in the kernel.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final

import h11

from video_pipeline.engine.jobs.web.replies import Header, HttpError, HttpReply, reason_of

HEAD_MAX_BYTES: Final = 16 * 1024
IDLE_SECONDS: Final = 60.0
"""How long a connection may stay open between requests."""
HEAD_SECONDS: Final = 10.0
"""How long the head of a request may take from its first byte on."""
BODY_SECONDS: Final = 30.0
BODY_BYTES_A_SECOND: Final = 16 * 1024
"""A body may take BODY_SECONDS, and longer while it arrives faster than this."""
WRITE_SECONDS: Final = 30.0
"""How long a client may take to read what was written, at most a part of a file."""
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 4 * 1024 * 1024
"""What is still read of a request that was refused, so that the client gets the reply before the connection ends."""
READ_BYTES: Final = 64 * 1024
UNSENT_BYTES: Final = 64 * 1024

_CONTINUE: Final = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")


class DisconnectedError(Exception):
    """The connection has ended, or its client is too slow."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of a request. Names of headers are in lower case; values given several times are joined by commas."""

    method: str
    target: str
    headers: Mapping[str, str]
    has_body: bool

    @classmethod
    def of(cls, event: h11.Request) -> RequestHead:
        """Return the head that h11 has parsed."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in event.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""
        return cls(event.method.decode("ascii"), event.target.decode("latin-1"), headers, has_body)


@dataclass(slots=True)
class Exchange:
    """A request and the reply to it. `more` are headers that every reply gets."""

    connection: HttpConnection
    head: RequestHead
    more: tuple[Header, ...] = ()
    status: int = 0
    """The status of the reply once its head is written."""
    path: str = field(default="", init=False)

    @property
    def is_head(self) -> bool:
        """Whether the reply must have no body."""
        return self.head.method == "HEAD"

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises HttpError (408) if it is too slow."""
        async for part in self.connection.body():
            yield part

    async def reply(self, reply: HttpReply) -> None:
        """Write a whole reply."""
        length = len(reply.body) if reply.length is None else reply.length
        headers = [*reply.headers]
        if reply.status not in (204, 304):
            headers += [("Content-Type", reply.kind), ("Content-Length", str(length))]
        body = [h11.Data(data=reply.body)] if reply.body and not self.is_head else []
        await self.connection.write(self._response(reply.status, headers), *body, h11.EndOfMessage())

    async def start(self, status: int, headers: Sequence[Header]) -> None:
        """Write the head of a reply; without a Content-Length its body may have any length."""
        await self.connection.write(self._response(status, headers))

    def _response(self, status: int, headers: Sequence[Header]) -> h11.Response:
        given = {name.lower() for name, _ in headers}
        all_headers = [
            ("Date", formatdate(usegmt=True)),
            ("X-Content-Type-Options", "nosniff"),
            *self.more,
            *headers,
        ]
        if "cache-control" not in given:
            all_headers.append(("Cache-Control", "no-store"))
        if self.connection.has_unread_body and "connection" not in given:
            all_headers.append(("Connection", "close"))
        self.status = status
        return h11.Response(
            status_code=status,
            reason=reason_of(status).encode(),
            headers=[
                (name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in all_headers
            ],
        )

    async def send(self, data: Any) -> None:
        """Write a part of the reply's body (bytes or a view of them), and wait while the client does not read."""
        await self.connection.write(h11.Data(data=data))

    async def end(self) -> None:
        """End the reply."""
        await self.connection.write(h11.EndOfMessage())

    async def until_closed(self) -> None:
        """Wait until the client closes the connection or sends anything more."""
        await self.connection.until_closed()


def _check_framing(event: h11.Request, head: RequestHead) -> None:
    """Raise HttpError (400) if a proxy may have found another end of the body than h11 (RFC 9112, 6.1)."""
    if "transfer-encoding" in head.headers:
        if "content-length" in head.headers:
            raise HttpError(
                400, "BAD_REQUEST", "no valid HTTP/1.1 request: Content-Length and Transfer-Encoding"
            )
        if event.http_version == b"1.0":
            raise HttpError(400, "BAD_REQUEST", "no valid HTTP/1.0 request: Transfer-Encoding")


class HttpConnection:
    """A connection of a client. Every method raises DisconnectedError if it has ended."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counters: Counter[str]
    ) -> None:
        self._reader, self._writer, self._counters = reader, writer, counters
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX_BYTES)
        writer.transport.set_write_buffer_limits(high=UNSENT_BYTES)

    @property
    def has_unread_body(self) -> bool:
        """Whether the request has a body of which not everything was read."""
        return self._http.their_state in (h11.SEND_BODY, h11.ERROR)

    async def next_exchange(self) -> Exchange | None:
        """Return the next request, None if there is none. Raises HttpError (400, 431) if it is malformed."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is not h11.IDLE:
            return None
        begun = bool(self._http.trailing_data[0])
        deadline = time.monotonic() + (HEAD_SECONDS if begun else IDLE_SECONDS)
        while True:
            event = self._next_event()
            if event is h11.NEED_DATA:
                data = await self._read(deadline)
                if not begun:
                    begun, deadline = True, time.monotonic() + HEAD_SECONDS
                self._http.receive_data(data)
            elif isinstance(event, h11.Request):
                if event.http_version not in (b"1.0", b"1.1"):
                    raise HttpError(400, "BAD_REQUEST", "no valid HTTP/1.1 request: another version of HTTP")
                head = RequestHead.of(event)
                _check_framing(event, head)
                if not head.has_body:
                    self._next_event()  # the end of the request
                return Exchange(self, head)
            else:
                return None

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body of the request as it arrives."""
        if self._http.they_are_waiting_for_100_continue:
            await self.write(_CONTINUE)
        began, got = time.monotonic(), 0
        while self.has_unread_body:
            event = self._next_event()
            if event is h11.NEED_DATA:
                try:
                    data = await self._read(began + BODY_SECONDS + got / BODY_BYTES_A_SECOND)
                except TimeoutError:
                    raise HttpError(408, "TIMEOUT", "the body of the request came too slowly") from None
                got += len(data)
                self._http.receive_data(data)
            elif isinstance(event, h11.Data):
                yield bytes(event.data)

    async def write(self, *events: h11.Event) -> None:
        """Write parts of a reply, and wait until little of them is unsent."""
        pieces = [
            piece
            for event in events
            for piece in self._http.send_with_data_passthrough(event) or ()
            if len(piece)
        ]
        self._counters["bytes_out"] += sum(map(len, pieces))
        self._writer.writelines(pieces)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writer.drain()
        except (TimeoutError, OSError) as error:
            raise DisconnectedError from error

    async def until_closed(self) -> None:
        """Wait until the client closes the connection or sends anything."""
        try:
            await self._reader.read(1)
        except OSError as error:
            raise DisconnectedError from error

    async def refuse(self, error: HttpError) -> None:
        """Reply to what could not be parsed as a request."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reply = error.reply()
            headers = [
                (b"Content-Type", reply.kind.encode()),
                (b"Content-Length", b"%d" % len(reply.body)),
                (b"Connection", b"close"),
            ]
            head = h11.Response(status_code=reply.status, headers=headers, reason=b"Error")
            await self.write(head, h11.Data(data=reply.body), h11.EndOfMessage())

    async def linger(self) -> None:
        """Read on for a moment, so that a reply to a request that was not read as a whole arrives."""
        try:
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                got = 0
                while got < LINGER_BYTES and (data := await self._reader.read(READ_BYTES)):
                    got += len(data)
        except (TimeoutError, OSError):
            return

    def abort(self) -> None:
        """Close the connection without sending what is unsent."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection after what is unsent."""
        self._writer.close()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self.abort()

    def _next_event(self) -> Any:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint if error.error_status_hint in (400, 431, 501) else 400
            raise HttpError(status, "BAD_REQUEST", f"no valid HTTP/1.1 request: {error}") from error

    async def _read(self, deadline: float) -> bytes:
        """Return what has arrived, b"" at the end. Raises TimeoutError."""
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await self._reader.read(READ_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            raise DisconnectedError from error
