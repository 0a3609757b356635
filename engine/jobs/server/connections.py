"""Limits on connections: close one that sends an endless message or does not read its replies.

ZeroMQ limits the size of a frame, not of a message, and holds the frames of a message until the last has arrived:
an endless message would exhaust the memory. The kernel counts the bytes received and sent on each connection
(TCP_INFO), the server counts what it took and queued; the difference is in ZeroMQ's buffers. Local sockets (ipc)
have no such counts: only this user can open them, and for them the memory limit alone applies.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import zmq
from zmq.utils.monitor import recv_monitor_message

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.02
QUIET_TICK_SECONDS = 0.1
"""How often byte counts are checked: while anything arrives; and while little does, on few connections. A fast local
sender fills less than the memory budget in a quiet tick."""

QUIET_CONNECTIONS = 8
BUSY_SECONDS = 2.0

SLACK_BYTES = 1 << 20
EVENTS_ALLOWANCE_BYTES = 256 * 1024
"""Bytes that a subscriber may send at once, for subscriptions and heartbeats."""
EVENTS_ALLOWANCE_PER_SECOND = 1024
UNREAD_MAX_BYTES = 16 * 1024 * 1024
SMALL_BYTES = 64 * 1024
CONNECTIONS_MAX = 4096
EXIT_MEMORY = 70

TCP_INFO = 11
_COUNTS = struct.Struct("=QQ")
_COUNTS_OFFSET = 120  # tcpi_bytes_acked, tcpi_bytes_received: linux/tcp.h

Side = Literal["requests", "events"]


@dataclass(slots=True)
class Connection:
    """A connection and its byte counts: the server counts `delivered` and `queued`, the watching thread the rest."""

    descriptor: int
    side: Side
    peer: tuple[Any, ...] | None
    since: float
    user: str = ""
    delivered: int = 0
    queued: int = 0
    base_received: int = 0
    base_out: int = 0
    received: int = 0
    ended: bool = False

    @property
    def undelivered(self) -> int:
        """Bytes received but not yet delivered as a whole message."""
        return self.received - self.base_received - self.delivered


class Connections:
    """The connections of both sockets, and the thread that watches them."""

    def __init__(self, *, max_message: int, memory_budget: int) -> None:
        self._most_undelivered = 2 * max_message + SLACK_BYTES
        self._memory_budget = memory_budget
        self._open: dict[tuple[Side, int], Connection] = {}
        """Keyed by side too: both sockets reuse descriptors, and their monitors report independently."""
        self._monitors: dict[zmq.Socket[bytes], Side] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="connections", daemon=True)
        self._quiet_rss = self._quiet_most = 0
        self._over_since: float | None = None
        self._trim_at = float("inf")
        self._busy_until = 0.0
        self.counters: Counter[str] = Counter()

    def add(self, sock: zmq.Socket[bytes], side: Side) -> None:
        """Watch a socket; call it before binding."""
        events = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
        events |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        events |= zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_ACCEPT_FAILED
        self._monitors[sock.get_monitor_socket(events)] = side

    def start(self) -> None:
        """Start the watching thread."""
        self._quiet_rss = _resident()
        self._quiet_most = self._quiet_rss + self._memory_budget
        self._thread.start()

    def stop(self) -> None:
        """Stop the watching thread."""
        self._stop.set()
        self._thread.join(2)

    def __len__(self) -> int:
        return len(self._open)

    def subscribers(self) -> int:
        """Return the number of connections to the events socket."""
        return sum(connection.side == "events" for connection in list(self._open.values()))

    def delivered(self, side: Side, descriptor: int, user: str, size: int) -> None:
        """Record a whole message from a connection: its user and its bytes on the wire, an upper bound."""
        connection = self._open.get((side, descriptor))
        if connection is not None:
            connection.delivered += size
            connection.user = user

    def queued(self, descriptor: int, size: int) -> None:
        """Record reply bytes that were passed to ZeroMQ."""
        connection = self._open.get(("requests", descriptor))
        if connection is not None:
            connection.queued += size

    def unread(self, descriptor: int) -> int:
        """Return the reply bytes that a client has not read; 0 if the kernel does not report them."""
        connection = self._open.get(("requests", descriptor))
        counts = None if connection is None else self._count(connection)
        if connection is None or counts is None:
            return 0
        return max(0, connection.queued - (counts[0] - connection.base_out))

    def end(self, descriptor: int, reason: str) -> None:
        """Close a connection of the requests socket."""
        connection = self._open.get(("requests", descriptor))
        if connection is not None and not connection.ended:
            self._end(connection, reason)

    def end_users(self, users: Collection[str]) -> None:
        """Close all connections of some users."""
        for connection in list(self._open.values()):
            if connection.user in users:
                self._end(connection, f"the key of {connection.user} was revoked")

    # --- the thread ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        poller = zmq.Poller()
        for monitor in self._monitors:
            poller.register(monitor, zmq.POLLIN)
        due = 0.0
        while not self._stop.is_set():
            try:
                quiet = len(self._open) <= QUIET_CONNECTIONS and time.monotonic() >= self._busy_until
                tick = QUIET_TICK_SECONDS if quiet else TICK_SECONDS
                for monitor, _ in poller.poll(int(tick * 1000)):
                    self._read(monitor)
                now = time.monotonic()
                if now >= due:
                    due = now + tick
                    self._check(now)
                    if now >= self._trim_at:
                        self._trim_at = float("inf")
                        _trim()
            except zmq.ContextTerminated:
                return
            except Exception:
                logger.exception("watching the connections failed")
                self._stop.wait(1)

    def _read(self, monitor: zmq.Socket[bytes]) -> None:
        side = self._monitors[monitor]
        for _ in range(256):
            try:
                message = recv_monitor_message(monitor, zmq.NOBLOCK)
            except zmq.Again:
                return
            event, descriptor = message["event"], message["value"]
            if event == zmq.EVENT_ACCEPTED:
                self._accept(descriptor, side)
            elif event in (zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED):
                self._open.pop((side, descriptor), None)
            elif event == zmq.EVENT_ACCEPT_FAILED:
                self.counters["accepts_failed"] += 1
            else:
                self.counters["handshakes_failed"] += 1

    def _accept(self, descriptor: int, side: Side) -> None:
        self.counters["connections"] += 1
        try:
            with _borrowed(descriptor) as sock:
                peer = _peer(sock)
        except OSError:
            return  # already closed
        connection = Connection(descriptor, side, peer, time.monotonic())
        self._open[side, descriptor] = connection
        if len(self._open) > CONNECTIONS_MAX:
            self._end(connection, f"more than {CONNECTIONS_MAX} connections")

    def _check(self, now: float) -> None:
        pending = arrived = 0
        largest: Connection | None = None
        for connection in list(self._open.values()):
            counts = self._count(connection)
            if counts is None:
                continue
            arrived += counts[1] - connection.received
            out, connection.received = counts
            if connection.side == "events":
                age = now - connection.since
                if connection.received > EVENTS_ALLOWANCE_BYTES + EVENTS_ALLOWANCE_PER_SECOND * age:
                    self._end(connection, f"a subscriber has sent {connection.received} bytes")
                continue
            undelivered = connection.undelivered
            if undelivered < 0:  # all is delivered; `delivered` is an upper bound
                connection.base_received += undelivered
                undelivered = 0
            if undelivered > self._most_undelivered:
                self._end(connection, f"an endless message: {undelivered} bytes so far")
                continue
            unread = connection.queued - (out - connection.base_out)
            if unread <= 0:
                connection.queued, connection.base_out = 0, out
            elif unread > UNREAD_MAX_BYTES:
                self._end(connection, f"it does not read its replies: {unread} bytes are buffered")
                continue
            pending += undelivered
            if largest is None or undelivered > largest.undelivered:
                largest = connection
        if pending or arrived > SMALL_BYTES:
            self._busy_until = now + BUSY_SECONDS
        self._check_memory(now, pending, largest)

    def _check_memory(self, now: float, pending: int, largest: Connection | None) -> None:
        """Close the connection with the most undelivered bytes if memory grows more than the byte counts explain.

        A frame of two bytes on the wire takes 64 in memory, so an endless message of empty frames looks small.
        """
        resident = _resident()
        if pending < SMALL_BYTES:
            # Bounded: the memory of local sockets, which are not counted, must not become the baseline.
            self._quiet_rss = min(resident, self._quiet_most)
        growth = resident - self._quiet_rss
        tiny = growth > 64 * 1024 * 1024 + 4 * pending
        if (
            largest is not None
            and largest.undelivered > SMALL_BYTES
            and (tiny or growth > self._memory_budget)
        ):
            self._end(largest, f"unfinished messages take {growth >> 20} MB")
        if growth <= 2 * self._memory_budget:
            self._over_since = None
        elif self._over_since is None:
            self._over_since = now
        elif now - self._over_since > 2:
            logger.critical("the server process takes %d MB and exits; the node restarts it", resident >> 20)
            os._exit(EXIT_MEMORY)

    def _count(self, connection: Connection) -> tuple[int, int] | None:
        """Return the bytes that the peer has acknowledged and sent, or None if the kernel does not report them."""
        if connection.ended or connection.peer is None:
            return None
        try:
            with _borrowed(connection.descriptor) as sock:
                info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
        except OSError:
            return None
        if len(info) < _COUNTS_OFFSET + _COUNTS.size:
            return None
        acked, received = _COUNTS.unpack_from(info, _COUNTS_OFFSET)
        return acked, received

    def _end(self, connection: Connection, reason: str) -> None:
        connection.ended = True
        try:
            with _borrowed(connection.descriptor) as sock:
                if _peer(sock) != connection.peer:
                    return  # another connection has reused the descriptor
                # A reset: the kernel drops its buffers at once, and a peer that only writes notices it.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self.counters["connections_ended"] += 1
        self._trim_at = time.monotonic() + 0.2
        logger.warning("closed a connection of %s: %s", connection.user or connection.peer or "ipc", reason)


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Use a descriptor of ZeroMQ as a socket, without closing it."""
    sock = socket.socket(fileno=descriptor)
    try:
        yield sock
    finally:
        sock.detach()


def _peer(sock: socket.socket) -> tuple[Any, ...] | None:
    """Return the peer address of a connection; None for a local socket, which has none."""
    name = sock.getpeername()
    return tuple(name) if isinstance(name, tuple) else None


def _resident() -> int:
    """Return the resident memory of this process in bytes."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _trim() -> None:
    """Return freed memory to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
