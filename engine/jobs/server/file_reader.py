"""A thread that reads jobs' files, so that a slow disk does not stop the server, and what bounds its memory.

A client that asks for more than it takes must not fill the memory with replies: while UNREAD_BYTES of replies to a
connection are unread or being read, its further reads wait, and those of other connections go on.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs.server.result_files import answer_read
from video_pipeline.engine.jobs.server.work import Work
from video_pipeline.engine.jobs.server.writes import INTERNAL

logger = logging.getLogger(__name__)

UNREAD_BYTES = 8 * 1024 * 1024
"""Most bytes of a connection's replies that are unread or being read; about half of what closes a connection."""
READING_MOST = 4
"""Reads that the thread has at once, of all connections: what they hold in memory until they are sent."""
WAITS_PER_CONNECTION, WAITS_IN_ALL = 64, 4096
"""Most reads that wait; above either, further ones are refused."""
AT_ONCE = 4
"""Replies that are sent before other requests have their turn."""
BUSY = m.ErrorReply(code="BUSY", message="too many reads of files wait", retry_after=0.2)


class FileReader:
    """Reads files in the order of the requests, connections in turn. `descriptor` is readable if there are replies.

    `unread` returns the bytes of replies that a connection has not read. All methods are for one thread.
    """

    def __init__(self, unread: Callable[[int], int]) -> None:
        self._unread = unread
        self._waiting: dict[bytes, deque[Work]] = {}
        self._waits = 0
        self._reading: Counter[bytes] = Counter()
        self._in: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._out: deque[Work] = deque()
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="files", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether reads wait for a client to read its replies, so that `start` is to be called again soon."""
        return self._waits > 0 and self._reading.total() < READING_MOST

    def put(self, works: Sequence[Work]) -> list[Work]:
        """Queue reads and return those that are refused, with their reply."""
        refused = []
        for work in works:
            mine = self._waiting.get(work.route.routing_id, ())
            if len(mine) >= WAITS_PER_CONNECTION or self._waits >= WAITS_IN_ALL:
                work.reply = BUSY
                refused.append(work)
            else:
                self._waiting.setdefault(work.route.routing_id, deque()).append(work)
                self._waits += 1
        self.start()
        return refused

    def start(self) -> None:
        """Give the thread the next reads, one of each connection in turn."""
        passed_over = 0
        while self._waiting and passed_over < len(self._waiting) and self._reading.total() < READING_MOST:
            client = next(iter(self._waiting))
            mine = self._waiting.pop(client)
            if self._has_room(mine[0]):
                self._waits -= 1
                self._reading[client] += 1
                self._in.put(mine.popleft())
                passed_over = 0
            else:
                passed_over += 1
            if mine:
                self._waiting[client] = mine  # the last in turn

    def answered(self) -> list[Work]:
        """Return some requests that now have a reply."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        works = [self._out.popleft() for _ in range(min(AT_ONCE, len(self._out)))]
        for work in works:
            self._reading[work.route.routing_id] -= 1
            if not self._reading[work.route.routing_id]:
                del self._reading[work.route.routing_id]
        if self._out:
            self._notify()
        return works

    def close(self) -> None:
        """Stop the thread after its current read."""
        self._in.put(None)
        self._thread.join(5)
        if not self._thread.is_alive():  # a disk that does not answer may still hold it
            os.close(self.descriptor)
            os.close(self._wake)

    def _has_room(self, work: Work) -> bool:
        reading = (self._reading[work.route.routing_id] + 1) * m.CHUNK_MAX_BYTES
        return self._unread(work.route.connection) + reading <= UNREAD_BYTES

    def _notify(self) -> None:
        with suppress(BlockingIOError):  # enough wake-ups are pending
            os.write(self._wake, b"!")

    def _run(self) -> None:
        while (work := self._in.get()) is not None:
            assert work.read is not None
            try:
                work.reply = answer_read(work.read)
            except Exception:
                logger.exception("a read of a job's files failed")
                work.reply = INTERNAL
            self._out.append(work)
            self._notify()
