"""The HTTP server of a node: /metrics, /healthz and /readyz.

It runs in threads beside the node's loop. It reads one short request per connection, within a deadline, and serves a
bounded number of connections at once. At the bound a new connection replaces the oldest one whose request is still
incomplete, so clients that open connections and send nothing do not keep probes out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.node.http.metrics import Metrics

logger = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 16
REQUEST_MAX_BYTES: Final = 8192
REQUEST_SECONDS: Final = 5.0
REPLY_SECONDS: Final = 10.0
DROP_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 30.0
"""A loop without a turn for this long counts as dead."""

_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]\r?\n")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The reasons why a node accepts no jobs; none if it does. `warnings` name what it works without."""

    reasons: Sequence[str] = ("the node is starting",)
    warnings: Sequence[str] = ()


class Health:
    """The health of the node's loop. Thread-safe."""

    def __init__(self) -> None:
        self._readiness = Readiness()
        self._turned = time.monotonic()

    def update(self, readiness: Readiness) -> None:
        """Record a turn of the loop and the node's readiness."""
        self._readiness = readiness
        self._turned = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the loop is running."""
        return time.monotonic() - self._turned < STUCK_SECONDS

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons why the node accepts no jobs now."""
        stuck = () if self.alive else ("the node's loop is stuck",)
        return (*stuck, *self._readiness.reasons)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the node works without."""
        return tuple(self._readiness.warnings)


class HealthServer:
    """Serves GET and HEAD of /metrics, /healthz and /readyz. A context manager.

    `bind` is HOST:PORT, an IPv6 address in brackets, port 0 for any free one. Raises ConfigError if it cannot listen.
    """

    def __init__(
        self,
        bind: str,
        *,
        metrics: Metrics,
        health: Health,
        request_seconds: float = REQUEST_SECONDS,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._metrics, self._health = metrics, health
        self._request_seconds = request_seconds
        self._free = threading.BoundedSemaphore(connections_max)
        self._lock = threading.Lock()
        self._reading: dict[socket.socket, None] = {}
        """Connections whose request is not complete, the oldest first."""
        host, port = parse_bind(bind)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=64)
        except OSError as error:
            raise ConfigError(
                f"node.http_bind: cannot listen on {bind}: {error.strerror or error}; "
                "allowed: a free HOST:PORT of this machine, or null for none"
            ) from error
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="health", daemon=True)
        self._thread.start()

    def __enter__(self) -> HealthServer:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=2)

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._closing:
                    return
                logger.warning("cannot accept a connection at node.http_bind: %s", error)
                time.sleep(0.1)  # probably no descriptors are left
                continue
            if not self._free.acquire(blocking=False):
                self._drop_oldest()
                if not self._free.acquire(timeout=DROP_SECONDS):
                    connection.close()
                    continue
            with self._lock:
                self._reading[connection] = None
            try:
                threading.Thread(target=self._serve, args=(connection,), name="health", daemon=True).start()
            except RuntimeError:  # cannot start a thread
                with self._lock:
                    self._reading.pop(connection, None)
                self._free.release()
                connection.close()

    def _drop_oldest(self) -> None:
        """Wake the thread of the oldest connection whose request is not complete: it ends."""
        with self._lock:
            oldest = next(iter(self._reading), None)
            if oldest is not None:
                del self._reading[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                head = self._head(connection)
                with self._lock:
                    self._reading.pop(connection, None)
                if head is not None:
                    connection.settimeout(REPLY_SECONDS)
                    connection.sendall(self._reply(head))
                    connection.shutdown(socket.SHUT_WR)
        except Exception:  # no request may stop the node
            logger.exception("a request at node.http_bind failed")
        finally:
            with self._lock:
                self._reading.pop(connection, None)
            self._free.release()

    def _head(self, connection: socket.socket) -> bytes | None:
        """Return the head of a request, cut at REQUEST_MAX_BYTES, or None if it does not arrive in time."""
        deadline = time.monotonic() + self._request_seconds
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < REQUEST_MAX_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            connection.settimeout(left)
            data = connection.recv(REQUEST_MAX_BYTES - len(head))
            if not data:
                return None
            head += data
        return head

    def _reply(self, head: bytes) -> bytes:
        match = _LINE.match(head)
        if match is None or len(head) >= REQUEST_MAX_BYTES:
            return _response(400, b"not a short HTTP/1 request\n", _TEXT)
        verb, path = match.group(1), match.group(2).partition(b"?")[0]
        status, body, kind = self._page(path)
        if status != 404 and verb not in (b"GET", b"HEAD"):
            return _response(405, b"allowed: GET, HEAD\n", _TEXT, b"Allow: GET, HEAD\r\n")
        return _response(status, body, kind, is_head=verb == b"HEAD")

    def _page(self, path: bytes) -> tuple[int, bytes, str]:
        if path == b"/metrics":
            body, kind = self._metrics.render()
            return 200, body, kind
        if path == b"/healthz":
            alive = self._health.alive
            return (200 if alive else 503), _json(alive=alive), "application/json"
        if path == b"/readyz":
            reasons, warnings = self._health.reasons, self._health.warnings
            more = {"warnings": warnings} if warnings else {}
            body = _json(ready=not reasons, reasons=reasons, **more)
            return (503 if reasons else 200), body, "application/json"
        return 404, b"allowed: /metrics, /healthz, /readyz\n", _TEXT


def parse_bind(bind: str) -> tuple[str, int]:
    """Parse HOST:PORT into host and port; raise ConfigError naming node.http_bind."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]+)):([0-9]{1,5})", bind)
    if match is None or int(match.group(3)) > 65535:
        raise ConfigError(
            f"node.http_bind: got {bind!r}; allowed: HOST:PORT, such as 127.0.0.1:5580 or [::1]:5580"
        )
    return match.group(1) or match.group(2), int(match.group(3))


def _json(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _response(status: int, body: bytes, kind: str, extra: bytes = b"", *, is_head: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n"
    ).encode()
    return head + extra + b"\r\n" + (b"" if is_head else body)
