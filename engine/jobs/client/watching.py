"""Watch jobs without missing events: published events announce changes, and the ledger holds all events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Self

from video_pipeline.engine.errors import UnreachableError
from video_pipeline.engine.jobs.client.steps import Answer, Call, Pause, Show, Steps, call
from video_pipeline.engine.jobs.client.transport import Subscription, Transport
from video_pipeline.engine.jobs.messages import LOCAL_USER, EventsReply, EventView, JobView, Pong

logger = logging.getLogger(__name__)

FIRST_POLL_SECONDS = 0.25
"""Delay of the first poll: events published before the subscription took effect are only in the ledger."""
POLL_SECONDS = 2.0
REPLAY_EVERY_SECONDS = 0.1
STATUS_EVERY = 10
"""Polls without events after which the status of the job is requested."""


class WatchState:
    """The subscription of a watch; `notify` is called from another thread when there are events."""

    def __init__(self, transport: Transport, notify: Callable[[], None]) -> None:
        self._transport, self._notify = transport, notify
        self._subscription: Subscription | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def open(self, pong: Pong, job_id: str | None) -> None:
        """Subscribe, or subscribe again, to one job or to all."""
        self.close()
        self._subscription = self._transport.subscribe(pong, job_id, self._notify)

    def take(self) -> list[EventView]:
        """Return the events received since the last call."""
        return self._subscription.take() if self._subscription else []

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription:
            self._subscription.close()
            self._subscription = None


def watch_steps(state: WatchState, job_id: str | None, after: int | None) -> Steps[None]:
    """Show every event after `after` once and in order, until the job's last one.

    A published progress event with the next number is shown directly. Changes of state are read from the ledger,
    because published events omit details; so are all events if a number is missing, if nothing was published for a
    while, or after the node was unreachable. Without `after`, a job is shown from its beginning and all jobs from now
    on. Once the node has answered, later outages are waited out.
    """
    pong: Pong = yield call("ping")
    view: JobView | None = None
    if job_id is not None:
        view = yield call("status", job_id=job_id)
    begin = pong.last_event if job_id is None else 0
    last = begin if after is None else after
    # All events go to every subscriber, and only the ledger knows their owners.
    own = job_id is not None or pong.user == LOCAL_USER
    state.open(pong, job_id)
    patience, idle, replayed = FIRST_POLL_SECONDS, 0, -1.0
    behind = True
    while True:
        newest: EventView | None = None
        if behind:
            pause = replayed + REPLAY_EVERY_SECONDS - time.monotonic()
            if pause > 0:
                yield Pause(pause, news=False)
            more = True
            while more:
                reply = yield from _until_answered(call("events", after=last, job_id=job_id), EventsReply)
                for newest in reply.events:
                    last = newest.seq
                    yield Show(newest)
                more = reply.more and bool(reply.events)
            last = reply.last  # lower if the ledger was replaced, higher if other jobs had events
            replayed = time.monotonic()
        if job_id is not None and newest is not None and newest.status.is_terminal:
            return
        if view is not None and view.status.is_terminal and newest is None:
            return
        if newest is not None and idle:
            # The ledger had events that were not received: the node may have restarted at another address.
            pong = yield from _until_answered(call("ping"), Pong)
            state.open(pong, job_id)
        has_news = yield Pause(patience)
        batch = state.take() if has_news else []
        behind = not batch
        idle = 0 if batch else idle + 1
        patience = POLL_SECONDS
        view = None
        for event in batch:
            if event.seq <= last:
                continue
            if not own or event.seq != last + 1 or event.kind != "progress":
                behind = True
                break
            last = event.seq
            yield Show(event)
        if job_id is not None and idle and idle % STATUS_EVERY == 0:
            view = yield from _until_answered(call("status", job_id=job_id), JobView)


def _until_answered(request: Call, kind: type[Answer]) -> Steps[Answer]:
    """Repeat a request until there is a reply, of the model `kind`."""
    while True:
        try:
            answer: Answer = yield request
            return answer
        except UnreachableError as error:
            logger.warning("%s; still trying", error)
