"""A node in this process as clients talk to it: the same requests and answers, without sockets."""

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
from video_pipeline.engine.jobs.server.views import event_view
from video_pipeline.engine.jobs.server.wire import IncomingRequest

WHERE = "this process"
POLL_SECONDS = 0.02
EVENTS_AT_ONCE = 1000


class LocalTransport:
    """Answers requests from a ledger in a thread of its own. `connect` opens the ledger, in that thread."""

    def __init__(
        self, connect: Callable[[], Ledger], config: Config, *, slots: int, timeout: float = 15.0
    ) -> None:
        self._loop = _LedgerLoop(connect, config, slots=slots, timeout=timeout)
        self._finalizer = weakref.finalize(self, _LedgerLoop.stop, self._loop)

    def ask(self, call: Call) -> Future[Message]:
        """Put a request under way. The future may be cancelled."""
        pending = self._loop.exchange.prepare(call, time.monotonic())
        self._loop.hand(pending)
        return pending.future

    def subscribe(self, pong: Pong, job_id: str | None, notify: Callable[[], None]) -> Subscription:
        """Listen to the ledger's events as they come."""
        news = LocalSubscription(self._loop, job_id, notify)
        self._loop.hand(news)
        return news

    def close(self) -> None:
        """Fail what is under way and close the ledger."""
        self._finalizer()


class LocalSubscription:
    """Events as they come; see `Subscription`."""

    def __init__(self, loop: _LedgerLoop, job_id: str | None, notify: Callable[[], None]) -> None:
        self._loop, self.job_id, self._notify = loop, job_id, notify
        self._events: queue.SimpleQueue[EventView] = queue.SimpleQueue()
        self.closed = False

    def put(self, event: EventView) -> None:
        """Keep an event where it is of the job that is listened to."""
        if self.job_id in (None, event.job_id):
            self._events.put(event)
            self._notify()

    def take(self) -> list[EventView]:
        """Return what has come since the last call."""
        events = []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def close(self) -> None:
        """End it."""
        self.closed = True
        self._loop.hand(self)


class _LedgerLoop:
    """The thread that has the ledger. It knows nothing of the link, so that a forgotten one can end it."""

    def __init__(self, connect: Callable[[], Ledger], config: Config, *, slots: int, timeout: float) -> None:
        self.exchange = PendingRequests(WHERE, timeout=timeout, retries=0, encoding="json")
        self._connect, self._config, self._slots = connect, config, slots
        self._inbox: queue.SimpleQueue[PendingRequest | LocalSubscription | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._news: list[LocalSubscription] = []
        self._last = 0

    def hand(self, item: PendingRequest | LocalSubscription) -> None:
        """Give the thread something to do; the first begins it."""
        with self._lock:
            if self._closed:
                if isinstance(item, LocalSubscription):
                    return
                raise NodeError("the jobs of this process: closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="video-pipeline-jobs", daemon=True)
                self._thread.start()
            self._inbox.put(item)

    def stop(self) -> None:
        """End the thread; what is under way fails."""
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
            self._take(0.0)
            self.exchange.refuse(NodeError, f"the jobs cannot be read: {error}")
        finally:
            self._take(0.0)
            self.exchange.refuse(NodeError, "closed")

    def _turn(self, ledger: Ledger, handler: RequestHandler) -> None:
        turn = self.exchange.turn(time.monotonic())
        replies: list[Reply] = []
        if turn.send:
            asked = [IncomingRequest(b"", LOCAL_USER, frames, sum(map(len, frames))) for frames in turn.send]
            replies += handler.answer(asked)
        if ledger.file.changed():
            replies += self._publish(ledger, handler)
        replies += handler.expired()
        for route, message in replies:
            self.exchange.received(route.frames(message)[1:], time.monotonic())
        if not replies:
            waiting = len(self.exchange) > 0 or self._news
            self._take(POLL_SECONDS if waiting else None)

    def _publish(self, ledger: Ledger, handler: RequestHandler) -> list[Reply]:
        """Hand new events to those who listen, and return the answers that they were waited for."""
        replies: list[Reply] = []
        while True:
            events = ledger.events.page(after=self._last, limit=EVENTS_AT_ONCE)
            if not events:
                return replies
            self._last = events[-1].seq
            replies += handler.wake(events)
            for event in events:
                for news in self._news:
                    news.put(event_view(event))

    def _take(self, seconds: float | None) -> None:
        """Take what has been handed in, waiting for it; without `seconds` until it comes."""
        try:
            item = self._inbox.get(timeout=seconds) if seconds != 0.0 else self._inbox.get_nowait()
            while True:
                self._sort(item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _sort(self, item: PendingRequest | LocalSubscription | None) -> None:
        if isinstance(item, PendingRequest):
            self.exchange.add(item)
        elif item is None:
            return
        elif item.closed:
            self._news = [news for news in self._news if news is not item]
        else:
            self._news.append(item)
