"""The transport to a node in this process: the same requests and replies, without sockets."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import NodeError
from video_pipeline.engine.jobs.client.pending import PendingRequest, PendingRequests
from video_pipeline.engine.jobs.client.steps import Call
from video_pipeline.engine.jobs.client.transport import Subscription
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.messages import LOCAL_USER, EventView, Message, Pong
from video_pipeline.engine.jobs.server.handler import Reply, RequestHandler
from video_pipeline.engine.jobs.server.wire import IncomingRequest
from video_pipeline.engine.jobs.views import event_view

WHERE = "this process"
POLL_SECONDS = 0.02
EVENTS_AT_ONCE = 1000


class LocalTransport:
    """Answers requests from a ledger in a thread of its own, where `connect` opens the ledger."""

    def __init__(
        self, connect: Callable[[], Ledger], config: Config, *, slots: int, timeout: float = 15.0
    ) -> None:
        self._loop = _LedgerLoop(connect, config, slots=slots, timeout=timeout)
        self._finalizer = weakref.finalize(self, _LedgerLoop.stop, self._loop)

    def ask(self, call: Call) -> Future[Message]:
        """Start a request and return the future of its reply. The future may be cancelled."""
        pending = self._loop.requests.prepare(call, time.monotonic())
        self._loop.post(pending)
        return pending.future

    def subscribe(self, pong: Pong, job_id: str | None, notify: Callable[[], None]) -> Subscription:
        """Subscribe to the ledger's events; see `Transport`."""
        subscription = LocalSubscription(self._loop, job_id, notify)
        self._loop.post(subscription)
        return subscription

    def close(self) -> None:
        """Fail pending requests and close the ledger."""
        self._finalizer()


class LocalSubscription:
    """Events of the ledger; see `Subscription`."""

    def __init__(self, loop: _LedgerLoop, job_id: str | None, notify: Callable[[], None]) -> None:
        self._loop, self.job_id, self._notify = loop, job_id, notify
        self._events: queue.SimpleQueue[EventView] = queue.SimpleQueue()
        self.closed = False

    def put(self, event: EventView) -> None:
        """Buffer an event if it belongs to the watched job."""
        if self.job_id in (None, event.job_id):
            self._events.put(event)
            self._notify()

    def take(self) -> list[EventView]:
        """Return the events since the last call."""
        events = []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def close(self) -> None:
        """Unsubscribe."""
        self.closed = True
        self._loop.post(self)


class _LedgerLoop:
    """The thread with the ledger. It holds no reference to the LocalTransport, whose finalizer stops it."""

    def __init__(self, connect: Callable[[], Ledger], config: Config, *, slots: int, timeout: float) -> None:
        self.requests = PendingRequests(WHERE, timeout=timeout, retries=0, encoding="json")
        self._connect, self._config, self._slots = connect, config, slots
        self._inbox: queue.SimpleQueue[PendingRequest | LocalSubscription | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._subscriptions: list[LocalSubscription] = []
        self._last = 0

    def post(self, item: PendingRequest | LocalSubscription) -> None:
        """Queue an item for the thread; the first one starts it."""
        with self._lock:
            if self._closed:
                if isinstance(item, LocalSubscription):
                    return
                raise NodeError("the jobs of this process: this client is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="video-pipeline-jobs", daemon=True)
                self._thread.start()
            self._inbox.put(item)

    def stop(self) -> None:
        """Stop the thread; pending requests fail."""
        with self._lock:
            self._closed = True
        self._inbox.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            with self._connect() as ledger:
                handler = RequestHandler(ledger, self._config, slots=self._slots)
                self._last = ledger.events.last_seq()
                while not self._closed:
                    self._turn(ledger, handler)
        except Exception as error:
            self._closed = True
            self._read_inbox(0.0)
            self.requests.refuse(NodeError, f"cannot read the jobs: {error}")
        finally:
            self._read_inbox(0.0)
            self.requests.refuse(NodeError, "closed")

    def _turn(self, ledger: Ledger, handler: RequestHandler) -> None:
        turn = self.requests.turn(time.monotonic())
        replies: list[Reply] = []
        if turn.send:
            incoming = [
                IncomingRequest(b"", LOCAL_USER, frames, sum(map(len, frames))) for frames in turn.send
            ]
            replies += handler.answer(incoming)
        if ledger.file.changed():
            replies += self._publish(ledger, handler)
        replies += handler.expired()
        for route, message in replies:
            self.requests.received(route.frames(message)[1:], time.monotonic())
        if not replies:
            waiting = len(self.requests) > 0 or self._subscriptions
            self._read_inbox(POLL_SECONDS if waiting else None)

    def _publish(self, ledger: Ledger, handler: RequestHandler) -> list[Reply]:
        """Pass new events to the subscriptions; return the held replies that they complete."""
        replies: list[Reply] = []
        while True:
            events = ledger.events.page(after=self._last, limit=EVENTS_AT_ONCE)
            if not events:
                return replies
            self._last = events[-1].seq
            replies += handler.wake(events)
            for event in events:
                for subscription in self._subscriptions:
                    subscription.put(event_view(event))

    def _read_inbox(self, seconds: float | None) -> None:
        """Process the queued items after waiting up to `seconds` for one; None waits without a limit."""
        try:
            item = self._inbox.get(timeout=seconds) if seconds != 0.0 else self._inbox.get_nowait()
            while True:
                self._process(item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _process(self, item: PendingRequest | LocalSubscription | None) -> None:
        if isinstance(item, PendingRequest):
            self.requests.add(item)
        elif item is None:
            return
        elif item.closed:
            self._subscriptions = [
                subscription for subscription in self._subscriptions if subscription is not item
            ]
        else:
            self._subscriptions.append(item)
