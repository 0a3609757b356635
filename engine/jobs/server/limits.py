"""Limits per client: requests per second, and replies held for `wait` requests."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field

from video_pipeline.engine.jobs.server.wire import ReplyRoute

CLIENTS_MAX = 4096
"""Clients whose rate is kept; the one idle for longest is dropped first."""
WAITS_PER_CLIENT = 256
WAITS_MAX = 8192


class RateLimit:
    """Token buckets: each client gets `rate` requests per second, with a burst of one second's worth (at least 1)."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._buckets: OrderedDict[str | bytes, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str | bytes, now: float) -> float:
        """Take a token and return 0, or return the seconds until one is available."""
        bucket = self._buckets.get(client)
        if bucket is None:
            if len(self._buckets) >= CLIENTS_MAX:
                self._buckets.popitem(last=False)
            bucket = self._buckets[client] = [self._most, now]
        else:
            self._buckets.move_to_end(client)
        tokens = min(self._most, bucket[0] + (now - bucket[1]) * self._rate)
        bucket[1] = now
        if tokens < 1:
            bucket[0] = tokens
            return (1 - tokens) / self._rate
        bucket[0] = tokens - 1
        return 0.0


@dataclass(eq=False, slots=True)
class HeldWait:
    """A `wait` request whose reply is held until `until` (monotonic seconds)."""

    job_id: str
    client: str | bytes
    route: ReplyRoute
    until: float
    user: str = ""
    open: bool = True


@dataclass(slots=True)
class HeldWaits:
    """The `wait` requests that are held, a bounded number per client and in all."""

    _of_job: dict[str, list[HeldWait]] = field(default_factory=dict)
    _of_client: dict[str | bytes, int] = field(default_factory=dict)
    _queue: list[tuple[float, int, HeldWait]] = field(default_factory=list)
    _count: int = 0
    _number: int = 0

    def __len__(self) -> int:
        return self._count

    def add(self, held: HeldWait) -> bool:
        """Hold a request; return False if a limit is reached."""
        mine = self._of_client.get(held.client, 0)
        if mine >= WAITS_PER_CLIENT or self._count >= WAITS_MAX:
            return False
        self._of_client[held.client] = mine + 1
        self._of_job.setdefault(held.job_id, []).append(held)
        self._number += 1
        self._count += 1
        if len(self._queue) > 2 * self._count + 64:
            self._queue = [entry for entry in self._queue if entry[2].open]
            heapq.heapify(self._queue)
        heapq.heappush(self._queue, (held.until, self._number, held))
        return True

    def pop_job(self, job_id: str) -> list[HeldWait]:
        """Remove and return the requests held for a job."""
        return [self._release(held) for held in self._of_job.pop(job_id, [])]

    def pop_expired(self, now: float) -> list[HeldWait]:
        """Remove and return the requests whose time is over."""
        found = []
        while self._queue and (self._queue[0][0] <= now or not self._queue[0][2].open):
            held = heapq.heappop(self._queue)[2]
            if held.open:
                waiting = self._of_job[held.job_id]
                waiting.remove(held)
                if not waiting:
                    del self._of_job[held.job_id]
                found.append(self._release(held))
        return found

    def jobs(self) -> list[str]:
        """Return the ids of the jobs that requests are held for."""
        return list(self._of_job)

    def _release(self, held: HeldWait) -> HeldWait:
        held.open = False
        self._count -= 1
        left = self._of_client[held.client] - 1
        if left:
            self._of_client[held.client] = left
        else:
            del self._of_client[held.client]
        return held
