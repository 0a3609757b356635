"""Load generator for a render node: sixteen client sockets in one loop, cheap enough that the node is the limit."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from video_pipeline.engine.jobs.messages import MARKS

MARK = MARKS["json"]
_MORE = int(zmq.SNDMORE)
SCENES = 10
LATER = "2100-01-01T00:00:00Z"
"""Start time of every job, far in the future: only accepting jobs is measured, not rendering."""


def story_of(size_bytes: int, number: int) -> dict[str, object]:
    """Return a story of ten scenes, a minute of video, whose JSON has about `size_bytes` bytes."""
    words = "The keeper climbed the stairs, and the lamp was cold. "
    each = max(1, size_bytes // SCENES - 50)
    text = (words * (each // len(words) + 1))[:each]
    scenes = [{"scene_id": f"s{index}", "text": text, "narration": ""} for index in range(SCENES)]
    return {"id": f"load-{number}", "title": f"Load {number}", "scenes": scenes}


def submit_body(size_bytes: int, number: int) -> bytes:
    """Return the body of a submit request with a unique idempotency key."""
    return json.dumps(
        {"story": story_of(size_bytes, number), "key": secrets.token_hex(12), "scheduled_for": LATER}
    ).encode()


@dataclass(slots=True)
class Load:
    """Results of a load: the seconds from each request to its reply, in the order of the replies."""

    latencies_s: list[float] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    refused: int = 0
    wall_s: float = 0.0

    def quantile_ms(self, share: float) -> float:
        """Return the latency quantile `share` (0 to 1) in milliseconds."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    @property
    def per_second(self) -> float:
        """Replies a second."""
        return len(self.latencies_s) / self.wall_s


class Clients:
    """Connected sockets with at most one pending request each, like clients that wait for each reply."""

    def __init__(self, url: str, count: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._sockets = []
        for _ in range(count):
            socket = self._context.socket(zmq.DEALER)
            socket.linger = 0
            socket.connect(url)
            self._poller.register(socket, zmq.POLLIN)
            self._sockets.append(socket)

    def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(0)

    def run(
        self, verb: bytes, bodies: Iterator[bytes] | Sequence[bytes], *, rate: float | None = None
    ) -> Load:
        """Send every body and wait for every reply.

        If `rate` is given, that many requests a second fall due whether or not a client is free, and latency
        counts from the due time, with the wait for a free client. Otherwise each client sends its next request
        as soon as it has a reply.
        """
        load = Load()
        free = deque(self._sockets)
        due_of: dict[zmq.Socket[bytes], float] = {}
        waiting = iter(bodies)
        started = time.perf_counter()
        sent = 0
        following = next(waiting, None)
        while following is not None or due_of:
            now = time.perf_counter()
            while following is not None and free and (rate is None or now >= started + sent / rate):
                socket = free.popleft()
                due_of[socket] = now if rate is None else started + sent / rate
                for frame in (MARK, b"%d" % sent, verb):
                    socket.send(frame, _MORE)
                socket.send(following)
                sent += 1
                following = next(waiting, None)
            pause_ms = 1000
            if following is not None and free and rate is not None:
                pause_ms = max(0, int(1000 * (started + sent / rate - time.perf_counter())))
            for socket, _ in self._poller.poll(pause_ms):
                _, _, outcome, body = socket.recv_multipart()
                load.latencies_s.append(time.perf_counter() - due_of.pop(socket))
                load.refused += outcome != b"ok"
                load.answers.append(body)
                free.append(socket)
        load.wall_s = time.perf_counter() - started
        return load


def fsync_ms(path: Path, *, size_bytes: int = 4096, count: int = 300) -> list[float]:
    """Return the milliseconds of single appends with fsync, sorted."""
    taken = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        block = b"x" * size_bytes
        for _ in range(count):
            started = time.perf_counter()
            os.write(descriptor, block)
            os.fsync(descriptor)
            taken.append(1000 * (time.perf_counter() - started))
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(taken)
