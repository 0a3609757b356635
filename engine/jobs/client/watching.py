"""Watching jobs without missing anything: published events say that there is news, the ledger says what it is."""

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
"""Soon after the start: what was published before the subscription was in force is only in the ledger."""
POLL_SECONDS = 2.0
REPLAY_EVERY_SECONDS = 0.1
STATUS_EVERY = 10
"""Polls without news after which the job itself is looked at."""


class WatchState:
    """Where published events come in; `ring` is called from another thread when there are some."""

    def __init__(self, transport: Transport, ring: Callable[[], None]) -> None:
        self._transport, self._ring = transport, ring
        self._subscription: Subscription | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def open(self, pong: Pong, job_id: str | None) -> None:
        """Listen (anew) to one job or to all."""
        self.close()
        self._subscription = self._transport.subscribe(pong, job_id, self._ring)

    def take(self) -> list[EventView]:
        """Return what has come."""
        return self._subscription.take() if self._subscription else []

    def close(self) -> None:
        """Listen no more."""
        if self._subscription:
            self._subscription.close()
            self._subscription = None


def watch_steps(stand: WatchState, job_id: str | None, after: int | None) -> Steps[None]:
    """Show every event after `after`, in order, each once, until the job's last one.

    Progress that was published with the next number is shown as it is. Changes of state, of which the published
    event does not tell all, are read from the ledger; so is everything where a number is missing, where nothing
    was published for a while, and where the node was away. Without
    `after` a job is shown from its beginning, and all jobs from now on. Once the node has answered, its absence is
    waited out.
    """
    pong: Pong = yield call("ping")
    view: JobView | None = None
    if job_id is not None:
        view = yield call("status", job_id=job_id)
    begin = pong.last_event if job_id is None else 0
    last = begin if after is None else after
    # All events of a node are published to every subscriber; whose they are is known to the ledger alone.
    own = job_id is not None or pong.user == LOCAL_USER
    stand.open(pong, job_id)
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
                reply = yield from _insist(call("events", after=last, job_id=job_id), EventsReply)
                for newest in reply.events:
                    last = newest.seq
                    yield Show(newest)
                more = reply.more and bool(reply.events)
            last = reply.last  # below, where the ledger was begun anew; above, where others had news
            replayed = time.monotonic()
        if job_id is not None and newest is not None and newest.status.is_terminal:
            return
        if view is not None and view.status.is_terminal and newest is None:
            return
        if newest is not None and idle:
            # The ledger had news that were not published to us: the node may have begun anew, elsewhere.
            pong = yield from _insist(call("ping"), Pong)
            stand.open(pong, job_id)
        told = yield Pause(patience)
        batch = stand.take() if told else []
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
            view = yield from _insist(call("status", job_id=job_id), JobView)


def _insist(asking: Call, kind: type[Answer]) -> Steps[Answer]:
    """Ask until there is an answer, of the model `kind`."""
    while True:
        try:
            answer: Answer = yield asking
            return answer
        except UnreachableError as error:
            logger.warning("%s; still trying", error)
