"""The listening socket of the HTTP process, and how many connections it has at once.

At the limit a new connection replaces the one that has been without a request for longest, so clients that open
connections and send nothing, or a byte at a time, do not keep others out.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.web.exchange import READ_BYTES, DisconnectedError, Exchange, HttpConnection
from video_pipeline.engine.jobs.web.replies import HttpError
from video_pipeline.engine.jobs.web.settings import WebSettings

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 5.0
BACKLOG: Final = 256
OTHER_DESCRIPTORS: Final = 128
"""Descriptors that connections leave to everything else."""

Serve = Callable[[Exchange], Awaitable[None]]


def tls_context(settings: WebSettings) -> ssl.SSLContext | None:
    """Return what HTTPS needs, None for HTTP. Raises ConfigError naming the key."""
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        missing = "tls_cert" if settings.tls_cert is None else "tls_key"
        raise ConfigError(f"web.{missing}: is missing; HTTPS needs both web.tls_cert and web.tls_key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, settings.tls_cert, settings.tls_key)
    return context


def load_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Use a certificate for connections from now on. Raises ConfigError naming the file."""
    for name, path in (("tls_cert", cert), ("tls_key", key)):
        if not path.is_file():
            raise ConfigError(f"web.{name}: got {str(path)!r}, which is not a file")
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"web.tls_cert, web.tls_key: cannot use {cert} and {key}: {error}; "
            "allowed: a certificate chain and its key in PEM, without a password"
        ) from error


class Listener:
    """Accepts connections and passes their requests to `serve`."""

    def __init__(self, settings: WebSettings, serve: Serve, counters: Counter[str]) -> None:
        self._serve, self._counters = serve, counters
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(1, min(settings.max_connections, files - OTHER_DESCRIPTORS))
        self.tls = tls_context(settings)
        host, port = settings.host.strip("[]"), settings.port
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"web.host, web.port: cannot listen on {host}, port {port}: {error.strerror or error}; "
                "allowed: an address of this machine and a free port"
            ) from error
        self._socket.setblocking(False)
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._idle: dict[asyncio.Task[None], None] = {}
        """Connections without a whole head of a request, the one that is so for longest first."""

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def url(self) -> str:
        """The URL of the interface."""
        host, port = self._socket.getsockname()[:2]
        return f"http{'s' if self.tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"

    async def accept(self) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError as error:
                logger.warning("cannot accept an HTTP connection: %s", error)
                await asyncio.sleep(0.1)  # probably no descriptors are left
                continue
            if len(self._tasks) >= self._most and not self._drop_oldest():
                self._counters["connections_refused"] += 1
                connection.close()
                continue
            self._counters["connections"] += 1
            task = asyncio.create_task(self._handle(connection))
            self._tasks[task] = self._idle[task] = None
            task.add_done_callback(self._ended)
            await asyncio.sleep(
                0
            )  # a flood of connections must not keep those from ending that were replaced

    async def close(self) -> None:
        """Stop listening and end all connections."""
        self._socket.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop_oldest(self) -> bool:
        """End the connection that is idle for longest; return whether there was one."""
        oldest = next(iter(self._idle), None)
        if oldest is None:
            return False
        self._counters["connections_replaced"] += 1
        self._ended(oldest)
        oldest.cancel()
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._idle.pop(task, None)

    async def _handle(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                sock,
                ssl=self.tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self.tls else None,
            )
        except (OSError, asyncio.CancelledError) as error:
            self._counters["handshakes_failed"] += 1
            sock.close()
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = HttpConnection(reader, writer, self._counters)
        try:
            await self._requests(connection)
        except (DisconnectedError, TimeoutError, OSError):
            connection.abort()
        except BaseException:
            connection.abort()
            raise
        else:
            await connection.close()

    async def _requests(self, connection: HttpConnection) -> None:
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                exchange = await connection.next_exchange()
            except HttpError as error:
                self._counters[f"requests_{error.status}"] += 1
                await connection.refuse(error)
                await connection.linger()
                return
            if exchange is None:
                return
            self._idle.pop(task, None)
            try:
                await self._serve(exchange)
            finally:
                if exchange.status:
                    self._counters[f"requests_{exchange.status}"] += 1
            self._idle[task] = None
            if connection.has_unread_body:
                with suppress(OSError):
                    await connection.linger()
                return
