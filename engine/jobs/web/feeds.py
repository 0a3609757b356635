"""Streams of events: each user's new events are read once from the node and given to all streams of that user.

The node publishes that something happened; what it was, and that the user may see it, says the verb `events`. A stream
that begins earlier, or is slow, reads the events that it has missed from the ledger by itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.jobs.model import TERMINAL
from video_pipeline.engine.jobs.web.replies import HttpError
from video_pipeline.engine.jobs.web.server_client import ServerClient, checked

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.1
"""Shortest time between two reads of a user's new events."""
LOOK_SECONDS: Final = 15.0
"""How often they are read although the node has published nothing: published events can be lost."""
FAULT_SECONDS: Final = 1.0
KEPT: Final = 1000
"""Most events that a feed keeps for its streams."""
PAGE: Final = 200
LAST_SEQ: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class FedEvent:
    """An event: its number in the ledger, its job, whether the job has ended with it, and its JSON."""

    seq: int
    job_id: str
    ends: bool
    text: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the number up to which none is missing, and whether there are more after it."""

    events: Sequence[FedEvent]
    upto: int
    more: bool = False


async def read_events(
    client: ServerClient, user: str, *, after: int, limit: int = PAGE, job_id: str | None = None
) -> EventPage:
    """Return events from the ledger. Raises HttpError if the node refuses or does not reply."""
    wanted: dict[str, Any] = {"after": after, "limit": limit}
    if job_id is not None:
        wanted["job_id"] = job_id
    data = json.loads(checked(await client.ask(user, "events", json.dumps(wanted).encode())).body)
    found = [_fed(event) for event in data["events"]]
    more = bool(data["more"] and found)
    return EventPage(found, found[-1].seq if more else data["last"], more)


def _fed(event: dict[str, Any]) -> FedEvent:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return FedEvent(event["seq"], event["job_id"], event["status"] in TERMINAL, text)


class UserFeed:
    """The new events of one user since the feed began."""

    def __init__(self, client: ServerClient, user: str) -> None:
        self._client, self._user = client, user
        self._events: deque[FedEvent] = deque()
        self._since = self.seen = LAST_SEQ
        """`_events` has all events after `_since` up to `seen`."""
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        self.streams = 0
        self._task = asyncio.create_task(self._run())

    def notify(self) -> None:
        """Note that the node has published an event."""
        self._news.set()

    def close(self) -> None:
        """Stop reading."""
        self._task.cancel()

    async def changed(self, position: int, seconds: float) -> None:
        """Wait until there may be events after a number, or for some seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not self.has_news(position):  # also what was announced before this began to run
                    await self._changed.wait()
        except TimeoutError:
            return

    async def after(self, position: int, job_id: str | None) -> EventPage:
        """Return events after a number, of one job or of all; raise HttpError if the node does not give them."""
        if position < self._since:
            return await read_events(self._client, self._user, after=position, job_id=job_id)
        found = [
            event
            for event in self._events
            if event.seq > position and (job_id is None or event.job_id == job_id)
        ]
        return EventPage(found, max(position, self.seen))

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except HttpError as error:
                await asyncio.sleep(error.body.retry_after or FAULT_SECONDS)
                continue
            except Exception:
                logger.exception("cannot read events of a user")
                await asyncio.sleep(FAULT_SECONDS)
                continue
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self) -> None:
        """Read what is new; at first only how far the ledger is."""
        self._news.clear()
        if self.seen == LAST_SEQ:
            page = await read_events(self._client, self._user, after=LAST_SEQ, limit=1)
            self._since = self.seen = page.upto
            self._announce()
        while True:
            page = await read_events(self._client, self._user, after=self.seen)
            self._events.extend(page.events)
            while len(self._events) > KEPT:
                self._since = self._events.popleft().seq
            if page.upto > self.seen:
                self.seen = page.upto
                self._announce()
            if not page.more:
                return

    def has_news(self, position: int) -> bool:
        """Return whether there may be events after a number."""
        return position < self.seen < LAST_SEQ

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Feeds:
    """The feeds of the users who have streams; the node publishes nothing for nobody."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client
        self._feeds: dict[str, UserFeed] = {}

    def open(self, user: str) -> UserFeed:
        """Return the feed of a user for one more stream; `close` it afterwards."""
        feed = self._feeds.get(user)
        if feed is None:
            feed = self._feeds[user] = UserFeed(self._client, user)
            self._client.listen(self._notify)
        feed.streams += 1
        return feed

    def close(self, user: str) -> None:
        """End the use of a feed by one stream."""
        feed = self._feeds[user]
        feed.streams -= 1
        if not feed.streams:
            del self._feeds[user]
            feed.close()
        if not self._feeds:
            self._client.listen(None)

    def _notify(self) -> None:
        for feed in self._feeds.values():
            feed.notify()
