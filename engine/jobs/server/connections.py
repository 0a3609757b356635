"""The connections of the front end, watched by the byte: what one sends without end, or never reads, ends it.

ZeroMQ's limit of a message is one of each frame, and it keeps the frames of a message until the last has come: a
message without end grows until memory is gone. The kernel knows what came in and went out on each connection
(TCP_INFO), the front end what it got and gave; the difference is what is in between. Local sockets (ipc) have no
such count: who may open them is of this user, and the memory limit is what is left.
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
SLACK_BYTES = 1 << 20
EVENTS_ALLOWANCE_BYTES = 256 * 1024
"""What a subscriber may send: subscriptions and signs of life."""
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
    """A connection. `delivered` and `given` are counted by the front end, the rest by the watch."""

    descriptor: int
    side: Side
    peer: tuple[Any, ...] | None
    since: float
    user: str = ""
    delivered: int = 0
    given: int = 0
    base_received: int = 0
    base_out: int = 0
    received: int = 0
    ended: bool = False

    @property
    def undelivered(self) -> int:
        """Bytes that came in and were not delivered."""
        return self.received - self.base_received - self.delivered


class Connections:
    """Every connection of the two sockets, and the thread that watches them."""

    def __init__(self, *, max_message: int, memory_budget: int) -> None:
        self._most_undelivered = 2 * max_message + SLACK_BYTES
        self._memory_budget = memory_budget
        self._open: dict[tuple[Side, int], Connection] = {}
        """By the side too: a descriptor goes from one to the other, and each side's news come by themselves."""
        self._monitors: dict[zmq.Socket[bytes], Side] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="connections", daemon=True)
        self._quiet_rss = self._quiet_most = 0
        self._over_since: float | None = None
        self._trim_at = float("inf")
        self.counters: Counter[str] = Counter()

    def add(self, sock: zmq.Socket[bytes], side: Side) -> None:
        """Watch a socket; before it is bound."""
        events = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
        events |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        events |= zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_ACCEPT_FAILED
        self._monitors[sock.get_monitor_socket(events)] = side

    def start(self) -> None:
        """Begin to watch."""
        self._quiet_rss = _resident()
        self._quiet_most = self._quiet_rss + self._memory_budget
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join(2)

    def __len__(self) -> int:
        return len(self._open)

    def subscribers(self) -> int:
        """Return how many connections the socket of events has."""
        return sum(connection.side == "events" for connection in list(self._open.values()))

    def delivered(self, side: Side, descriptor: int, user: str, size: int) -> None:
        """Note that a whole message came from a connection, whose it is, and its bytes on the wire, rather too many."""
        connection = self._open.get((side, descriptor))
        if connection is not None:
            connection.delivered += size
            connection.user = user

    def given(self, descriptor: int, size: int) -> None:
        """Note that bytes were handed to ZeroMQ for a connection that makes requests."""
        connection = self._open.get(("requests", descriptor))
        if connection is not None:
            connection.given += size

    def end(self, descriptor: int, reason: str) -> None:
        """End a connection that makes requests."""
        connection = self._open.get(("requests", descriptor))
        if connection is not None and not connection.ended:
            self._end(connection, reason)

    def end_of(self, users: Collection[str]) -> None:
        """End the connections of users."""
        for connection in list(self._open.values()):
            if connection.user in users:
                self._end(connection, f"{connection.user} is no longer let in")

    # --- the thread ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        poller = zmq.Poller()
        for monitor in self._monitors:
            poller.register(monitor, zmq.POLLIN)
        due = 0.0
        while not self._stop.is_set():
            try:
                for monitor, _ in poller.poll(int(TICK_SECONDS * 1000)):
                    self._read(monitor)
                now = time.monotonic()
                if now >= due:
                    due = now + TICK_SECONDS
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
            return  # gone already
        connection = Connection(descriptor, side, peer, time.monotonic())
        self._open[side, descriptor] = connection
        if len(self._open) > CONNECTIONS_MAX:
            self._end(connection, f"more than {CONNECTIONS_MAX} connections")

    def _check(self, now: float) -> None:
        pending = 0
        largest: Connection | None = None
        for connection in list(self._open.values()):
            counts = self._count(connection)
            if counts is None:
                continue
            out, connection.received = counts
            if connection.side == "events":
                age = now - connection.since
                if connection.received > EVENTS_ALLOWANCE_BYTES + EVENTS_ALLOWANCE_PER_SECOND * age:
                    self._end(connection, f"a subscriber has sent {connection.received} bytes")
                continue
            undelivered = connection.undelivered
            if undelivered < 0:  # all is delivered, with what was counted too many
                connection.base_received += undelivered
                undelivered = 0
            if undelivered > self._most_undelivered:
                self._end(connection, f"a message without end: {undelivered} bytes so far")
                continue
            unread = connection.given - (out - connection.base_out)
            if unread <= 0:
                connection.given, connection.base_out = 0, out
            elif unread > UNREAD_MAX_BYTES:
                self._end(connection, f"it does not read its replies: {unread} bytes wait")
                continue
            pending += undelivered
            if largest is None or undelivered > largest.undelivered:
                largest = connection
        self._check_memory(now, pending, largest)

    def _check_memory(self, now: float, pending: int, largest: Connection | None) -> None:
        """End the connection that most is held for where memory grows by more than its bytes can tell.

        A frame of two bytes on the wire takes 64 in memory: a message of empty frames is small to the last.
        """
        resident = _resident()
        if pending < SMALL_BYTES:
            # Not without end: what is not seen here (local sockets) must not pass for the usual.
            self._quiet_rss = min(resident, self._quiet_most)
        growth = resident - self._quiet_rss
        tiny = growth > 64 * 1024 * 1024 + 4 * pending
        if (
            largest is not None
            and largest.undelivered > SMALL_BYTES
            and (tiny or growth > self._memory_budget)
        ):
            self._end(largest, f"{growth >> 20} MB are held for messages that have not ended")
        if growth <= 2 * self._memory_budget:
            self._over_since = None
        elif self._over_since is None:
            self._over_since = now
        elif now - self._over_since > 2:
            logger.critical("the front end holds %d MB and ends; the node starts another", resident >> 20)
            os._exit(EXIT_MEMORY)

    def _count(self, connection: Connection) -> tuple[int, int] | None:
        """Return what the peer has taken and sent, in bytes, or None where that is not known."""
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
                    return  # the descriptor is another connection's by now
                # The kernel forgets the rest at once, and the other end hears of it even where it only writes.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self.counters["connections_ended"] += 1
        self._trim_at = time.monotonic() + 0.2
        logger.warning(
            "a connection of %s was ended: %s", connection.user or connection.peer or "ipc", reason
        )


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Look at a descriptor that is ZeroMQ's as a socket, without closing it."""
    sock = socket.socket(fileno=descriptor)
    try:
        yield sock
    finally:
        sock.detach()


def _peer(sock: socket.socket) -> tuple[Any, ...] | None:
    """Return the address of a connection's other end; None of a local socket, which has none."""
    name = sock.getpeername()
    return tuple(name) if isinstance(name, tuple) else None


def _resident() -> int:
    """Return the bytes that this process holds in memory."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _trim() -> None:
    """Give freed memory back to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
