"""The ZeroMQ transport of a client: one thread owns the sockets and completes the futures of requests.

Callers only queue requests and wait for futures, so threads and event loops can share a transport, and a caller that
stops waiting (a cancelled asyncio task) does not affect the others.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from video_pipeline.engine.errors import AccessError, NodeError
from video_pipeline.engine.jobs.client.keys import ClientKeys, client_keys
from video_pipeline.engine.jobs.client.pending import PendingRequest, PendingRequests
from video_pipeline.engine.jobs.client.steps import Call
from video_pipeline.engine.jobs.client.transport import KEY_NAMES, Subscription, TransportOptions
from video_pipeline.engine.jobs.encoding import decode
from video_pipeline.engine.jobs.messages import MARKS, Encoding, EventView, Message, Pong

HEARTBEAT_MS = 2500
RECONNECT_MS, RECONNECT_MAX_MS = 50, 1000
EVENTS_MAX = 10_000
"""Events buffered for a slow watcher; it reads the others from the ledger."""

FRAME_COPIED_BYTES = 64 * 1024
"""Frames up to this size are copied, which takes less time than not to."""

NOT_CONNECTED = "could not connect; is `video-pipeline serve` running there?"
LOST = "the connection was lost"
_BOTH_KEYS = " and ".join(KEY_NAMES.values())
WRONG_NODE = f"the handshake failed; check the node's public key, {KEY_NAMES['node_key']}"
NO_KEYS = f"the handshake failed; the node may require keys (CURVE): {_BOTH_KEYS}"
"""libzmq often closes a connection without keys before it reports why; a later connection may get the reason."""


class ZmqTransport:
    """A transport over ZeroMQ. It connects at the first request and reconnects when needed."""

    def __init__(self, options: TransportOptions) -> None:
        options.check()
        self.url = options.connect
        keys = client_keys(options.key_file, options.node_key)
        self._loop = _SocketLoop(self.url, options, keys)
        self._finalizer = weakref.finalize(self, _SocketLoop.stop, self._loop)

    def ask(self, call: Call) -> Future[Message]:
        """Start a request and return the future of its reply. If it is cancelled, the reply is dropped."""
        pending = self._loop.requests.prepare(call, time.monotonic())
        self._loop.post(pending)
        return pending.future

    def subscribe(self, pong: Pong, job_id: str | None, notify: Callable[[], None]) -> Subscription:
        """Subscribe to the node's events; see `Transport`."""
        subscription = ZmqSubscription(
            self._loop, events_url(self.url, pong.events), (job_id or "").encode(), notify
        )
        self._loop.post(subscription)
        return subscription

    def close(self) -> None:
        """Fail pending requests and close the sockets."""
        self._finalizer()


class ZmqSubscription:
    """The events received on a SUB socket."""

    def __init__(self, loop: _SocketLoop, url: str, topic: bytes, notify: Callable[[], None]) -> None:
        self._loop, self.url, self.topic, self._notify = loop, url, topic, notify
        self._frames: collections.deque[list[bytes]] = collections.deque(maxlen=EVENTS_MAX)
        self.closed = False

    def put(self, frames: list[bytes]) -> None:
        """Buffer a message; called by the transport's thread."""
        self._frames.append(frames)
        self._notify()

    def take(self) -> list[EventView]:
        """Return the events since the last call; skip malformed ones."""
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
        self._loop.post(self)


class _SocketLoop:
    """The thread and its sockets. It holds no reference to the ZmqTransport, whose finalizer stops it."""

    def __init__(self, url: str, options: TransportOptions, keys: ClientKeys | None) -> None:
        self.requests = PendingRequests(
            url, timeout=options.timeout, retries=options.retries, encoding=options.encoding
        )
        self._url, self._keys = url, keys
        self._inbox: collections.deque[PendingRequest | ZmqSubscription] = collections.deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._pid = 0
        self._wake: socket.socket | None = None

    # Thread-safe:

    def post(self, item: PendingRequest | ZmqSubscription) -> None:
        """Queue an item for the thread; the first one starts it."""
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
                    "create one client per process"
                )
            self._inbox.append(item)
            assert self._wake is not None
            with contextlib.suppress(BlockingIOError):  # enough wake-ups are pending
                self._wake.send(b"!")

    def stop(self) -> None:
        """Stop the thread; pending requests fail."""
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

    # Called by the thread only:

    def _run(self) -> None:
        self._context = zmq.Context()
        self._context.set(zmq.IPV6, 1 if "[" in self._url else 0)
        self._poller = zmq.Poller()
        self._poller.register(self._woken, zmq.POLLIN)
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._fault = NOT_CONNECTED
        self._subscriptions: dict[zmq.Socket[bytes], ZmqSubscription] = {}
        try:
            while not self._stopping:
                self._turn()
        finally:
            with self._lock:
                self._stopping = True
            self._process_inbox()
            self.requests.refuse(NodeError, "this client was closed")
            self._disconnect()
            for sub in self._subscriptions:
                sub.close()
            self._context.term()
            self._woken.close()
            assert self._wake is not None
            self._wake.close()

    def _turn(self) -> None:
        self._process_inbox()
        now = time.monotonic()
        turn = self.requests.turn(now, fault=self._fault)
        if turn.reconnect:
            self._disconnect()
        if self._socket is None and turn.send:
            self._connect()
        if not self._send(turn.send):
            return
        ready = self._poller.poll(int(max(0.0, turn.next_turn - time.monotonic()) * 1000) + 1)
        for source, _ in ready:
            if source == self._woken.fileno():
                self._empty_wake()
            elif source is self._socket:
                self._receive()
            elif source is self._monitor:
                self._observe()
            elif source in self._subscriptions:
                self._receive_events(source)

    def _send(self, messages: Sequence[tuple[bytes, ...]]) -> bool:
        """Send messages; return False if the connection is gone, and its requests were refused or scheduled again.

        ZeroMQ drops a connection that the node refuses some time before it reports why.
        """
        try:
            for frames in messages:
                assert self._socket is not None
                self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
        except zmq.Again:
            self._observe()
            if self._socket is not None:
                self._disconnect()
                self.requests.lost(time.monotonic())
            return False
        return True

    def _empty_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _process_inbox(self) -> None:
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, PendingRequest):
                self.requests.add(item)
            elif not item.closed:
                self._subscribe(item)
            else:
                for sub, subscription in list(self._subscriptions.items()):
                    if subscription is item:
                        del self._subscriptions[sub]
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
        self._fault = NOT_CONNECTED
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
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            # Parts of files are large, and are written from ZeroMQ's memory; all else is copied out of it.
            parts = [frame.buffer if len(frame) > FRAME_COPIED_BYTES else frame.bytes for frame in frames[4:]]
            self.requests.received([*(frame.bytes for frame in frames[:4]), *parts], time.monotonic())

    def _observe(self) -> None:
        """Process connection events: note why the handshake fails, and reconnect after a lost connection."""
        assert self._monitor is not None
        while self._monitor is not None and self._monitor.poll(0):
            report: dict[str, Any] = dict(recv_monitor_message(self._monitor))
            event, value = report["event"], report["value"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._fault = ""
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._fault = WRONG_NODE if self._keys else NO_KEYS
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._refuse_access("the node does not know this client's key, or it was revoked")
            elif (
                event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                and value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
            ):
                self._refuse_access(
                    f"the node does not use keys (CURVE); connect without {_BOTH_KEYS}"
                    if self._keys
                    else f"the node requires keys (CURVE): give {_BOTH_KEYS}"
                )
            elif event == zmq.EVENT_DISCONNECTED and self._fault == "":
                self._receive()  # replies that arrived before the connection ended
                self._disconnect()
                self.requests.lost(time.monotonic())
                self._fault = LOST

    def _refuse_access(self, why: str) -> None:
        self._disconnect()
        self.requests.refuse(AccessError, why)

    def _subscribe(self, subscription: ZmqSubscription) -> None:
        sub = self._new_socket(zmq.SUB)
        sub.setsockopt(zmq.RCVHWM, EVENTS_MAX)
        sub.setsockopt(zmq.SUBSCRIBE, subscription.topic)
        sub.connect(subscription.url)
        self._subscriptions[sub] = subscription
        self._poller.register(sub, zmq.POLLIN)

    def _receive_events(self, sub: zmq.Socket[bytes]) -> None:
        for _ in range(256):
            try:
                self._subscriptions[sub].put(sub.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return


def events_url(url: str, events: str) -> str:
    """Return the URL of a node's events; if `events` is only a port, on the host of the requests."""
    if events.startswith(("tcp://", "ipc://")):
        return events
    if url.startswith("ipc://"):
        return f"ipc://{events}"
    return f"{url.rpartition(':')[0]}:{events}"
