"""A client's line to a node: one thread that owns its sockets and hands each answer to whoever waits for it.

Callers only put requests in and wait for futures, so any number of threads and event loops may share a line, and a
caller that stops waiting (a cancelled asyncio task) takes no message away from another.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from video_pipeline.engine.errors import AccessError, NodeError
from video_pipeline.engine.jobs.client.keys import ClientKeys, client_keys
from video_pipeline.engine.jobs.client.pending import PendingRequest, PendingRequests
from video_pipeline.engine.jobs.client.steps import Call
from video_pipeline.engine.jobs.client.transport import Subscription, TransportOptions
from video_pipeline.engine.jobs.messages import MARKS, Encoding, EventView, Message, Pong, decode

HEARTBEAT_MS = 2500
RECONNECT_MS, RECONNECT_MAX_MS = 50, 1000
NEWS_MAX = 10_000
"""Events kept for a watcher that does not take them; it reads the rest from the ledger."""

NOT_CONNECTED = "no connection could be made; is `video-pipeline serve` running there?"
LOST = "the connection was lost"
WRONG_NODE = "the handshake failed; is the node's public key the right one?"
NO_KEYS = "the handshake failed; does the node ask for keys (CURVE)?"
"""libzmq often ends a connection that brings no keys before it has said that it wants some; a later one may hear it."""


class ZmqTransport:
    """A line to a node over ZeroMQ. It connects at the first request, and again whenever that is needed."""

    def __init__(self, options: TransportOptions) -> None:
        options.check()
        self.url = options.connect
        keys = client_keys(options.key_file, options.node_key)
        self._loop = _SocketLoop(self.url, options, keys)
        self._finalizer = weakref.finalize(self, _SocketLoop.stop, self._loop)

    def ask(self, call: Call) -> Future[Message]:
        """Put a request under way. The future may be cancelled: then the answer is dropped when it comes."""
        pending = self._loop.exchange.prepare(call, time.monotonic())
        self._loop.hand(pending)
        return pending.future

    def subscribe(self, pong: Pong, job_id: str | None, notify: Callable[[], None]) -> Subscription:
        """Listen to the node's events; see `Transport`."""
        news = ZmqSubscription(self._loop, events_url(self.url, pong.events), (job_id or "").encode(), notify)
        self._loop.hand(news)
        return news

    def close(self) -> None:
        """Fail what is under way and close the sockets."""
        self._finalizer()


class ZmqSubscription:
    """What has come on a SUB socket."""

    def __init__(self, loop: _SocketLoop, url: str, topic: bytes, notify: Callable[[], None]) -> None:
        self._loop, self.url, self.topic, self._notify = loop, url, topic, notify
        self._frames: collections.deque[list[bytes]] = collections.deque(maxlen=NEWS_MAX)
        self.closed = False

    def put(self, frames: list[bytes]) -> None:
        """Keep a message; called by the line's thread."""
        self._frames.append(frames)
        self._notify()

    def take(self) -> list[EventView]:
        """Return what has come, without what cannot be read."""
        events = []
        while self._frames:
            frames = self._frames.popleft()
            try:
                _, mark, body = frames
                encoding: Encoding = "json" if mark == MARKS["json"] else "msgpack"
                events.append(EventView.model_validate(decode(body, encoding)))
            except ValueError:
                continue
        return events

    def close(self) -> None:
        """Close the socket."""
        self.closed = True
        self._loop.hand(self)


class _SocketLoop:
    """The thread and its sockets. It knows nothing of the ZmqTransport, so that a forgotten one can end it."""

    def __init__(self, url: str, options: TransportOptions, keys: ClientKeys | None) -> None:
        self.exchange = PendingRequests(
            url, timeout=options.timeout, retries=options.retries, encoding=options.encoding
        )
        self._url, self._keys = url, keys
        self._inbox: collections.deque[PendingRequest | ZmqSubscription] = collections.deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._pid = 0
        self._wake: socket.socket | None = None

    # Called by any thread.

    def hand(self, item: PendingRequest | ZmqSubscription) -> None:
        """Give the thread something to do; the first begins it."""
        with self._lock:
            if self._stopping:
                if isinstance(item, ZmqSubscription):
                    return  # its socket is closed with the others
                raise NodeError(f"render node at {self._url}: this client is closed")
            if self._thread is None:
                self._start()
            elif self._pid != os.getpid():
                raise NodeError(
                    f"render node at {self._url}: this client was used before the process forked; "
                    "allowed: a client of its own in each process"
                )
            self._inbox.append(item)
            assert self._wake is not None
            with contextlib.suppress(BlockingIOError):  # it has been woken often enough
                self._wake.send(b"!")

    def stop(self) -> None:
        """End the thread; what is under way fails."""
        with self._lock:
            self._stopping = True
            thread, wake = self._thread, self._wake
        if thread is None or self._pid != os.getpid():
            return
        assert wake is not None
        with contextlib.suppress(OSError):
            wake.send(b"!")
        if thread is not threading.current_thread():
            thread.join(5.0)

    def _start(self) -> None:
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="video-pipeline-client", daemon=True)
        self._thread.start()

    # Called by the thread alone.

    def _run(self) -> None:
        self._context = zmq.Context()
        self._context.set(zmq.IPV6, 1 if "[" in self._url else 0)
        self._poller = zmq.Poller()
        self._poller.register(self._woken, zmq.POLLIN)
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._trouble = NOT_CONNECTED
        self._news: dict[zmq.Socket[bytes], ZmqSubscription] = {}
        try:
            while not self._stopping:
                self._turn()
        finally:
            with self._lock:
                self._stopping = True
            self._take_inbox()
            self.exchange.refuse(NodeError, "this client was closed")
            self._disconnect()
            for sub in self._news:
                sub.close()
            self._context.term()
            self._woken.close()
            assert self._wake is not None
            self._wake.close()

    def _turn(self) -> None:
        self._take_inbox()
        now = time.monotonic()
        turn = self.exchange.turn(now, trouble=self._trouble)
        if turn.reconnect:
            self._disconnect()
        if self._socket is None and turn.send:
            self._connect()
        for frames in turn.send:
            assert self._socket is not None
            self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
        ready = self._poller.poll(int(max(0.0, turn.look_again - time.monotonic()) * 1000) + 1)
        for source, _ in ready:
            if source == self._woken.fileno():
                self._empty_wake()
            elif source is self._socket:
                self._receive()
            elif source is self._monitor:
                self._observe()
            elif source in self._news:
                self._hear(source)

    def _empty_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _take_inbox(self) -> None:
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, PendingRequest):
                self.exchange.add(item)
            elif not item.closed:
                self._listen(item)
            else:
                for sub, news in list(self._news.items()):
                    if news is item:
                        del self._news[sub]
                        self._poller.unregister(sub)
                        sub.close()

    def _new_socket(self, kind: int) -> zmq.Socket[bytes]:
        made: zmq.Socket[bytes] = self._context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        made.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
        made.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        made.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        if self._keys:
            made.curve_secretkey, made.curve_publickey = self._keys.secret, self._keys.public
            made.curve_serverkey = self._keys.node
        return made

    def _connect(self) -> None:
        made = self._new_socket(zmq.DEALER)
        made.setsockopt(zmq.SNDHWM, 0)
        made.setsockopt(zmq.RCVHWM, 0)
        self._socket, self._monitor = made, made.get_monitor_socket()
        self._trouble = NOT_CONNECTED
        self._poller.register(made, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        made.connect(self._url)

    def _disconnect(self) -> None:
        for old in (self._monitor, self._socket):
            if old is not None:
                self._poller.unregister(old)
        if self._socket is not None:
            self._socket.disable_monitor()
            self._socket.close()
        if self._monitor is not None:
            self._monitor.close()
        self._socket = self._monitor = None

    def _receive(self) -> None:
        for _ in range(256):
            try:
                assert self._socket is not None
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.exchange.received(frames, time.monotonic())

    def _observe(self) -> None:
        """Take note of what becomes of the connection; one that was lost is made anew, for what is still asked."""
        assert self._monitor is not None
        while self._monitor is not None and self._monitor.poll(0):
            told: dict[str, Any] = dict(recv_monitor_message(self._monitor))
            event, value = told["event"], told["value"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._trouble = ""
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._trouble = WRONG_NODE if self._keys else NO_KEYS
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._shut_out("the node does not know this client's key, or has taken it from its list")
            elif (
                event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                and value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
            ):
                self._shut_out(
                    "the node takes no keys: it runs without CURVE"
                    if self._keys
                    else "the node asks for keys (CURVE): name the client's key file and the node's public key"
                )
            elif event == zmq.EVENT_DISCONNECTED and self._trouble == "":
                self._receive()  # what came before the end counts
                self._disconnect()
                self.exchange.lost(time.monotonic())
                self._trouble = LOST

    def _shut_out(self, why: str) -> None:
        self._disconnect()
        self.exchange.refuse(AccessError, why)

    def _listen(self, news: ZmqSubscription) -> None:
        sub = self._new_socket(zmq.SUB)
        sub.setsockopt(zmq.RCVHWM, NEWS_MAX)
        sub.setsockopt(zmq.SUBSCRIBE, news.topic)
        sub.connect(news.url)
        self._news[sub] = news
        self._poller.register(sub, zmq.POLLIN)

    def _hear(self, sub: zmq.Socket[bytes]) -> None:
        for _ in range(256):
            try:
                self._news[sub].put(sub.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return


def events_url(url: str, events: str) -> str:
    """Return the URL of a node's events: on the host of its requests where only a port is told."""
    if events.startswith(("tcp://", "ipc://")):
        return events
    if url.startswith("ipc://"):
        return f"ipc://{events}"
    return f"{url.rpartition(':')[0]}:{events}"
