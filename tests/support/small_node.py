"""A minimal node: a real ROUTER socket whose replies a test defines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import zmq

from video_pipeline.engine.jobs.encoding import decode, encode
from video_pipeline.engine.jobs.messages import MARKS, ErrorReply, Message, Pong
from video_pipeline.engine.jobs.verbs import REQUESTS, Request

Answer = Message | None
Manners = Callable[[int, Request, Sequence[bytes]], Answer]
"""Gets the number of the request, the request and its parts; returns the reply, or None for no reply."""


def pong(events: str = "0", **fields: Any) -> Pong:
    """Return the answer to a ping."""
    return Pong(
        **{
            "node": "small",
            "version": "0",
            "protocols": ("VP1",),
            "encodings": ("json", "msgpack"),
            "user": "local",
            "time": datetime.now(UTC),
            "events": events,
            "last_event": 0,
            "max_message_bytes": 1_000_000,
            "max_parts": 4,
            **fields,
        }
    )


class SmallNode:
    """Binds, replies by `manners` and records the requests. It can be stopped and started again."""

    def __init__(self, manners: Manners, *, port: int = 0) -> None:
        self._manners, self.port = manners, port
        self.asked: list[tuple[bytes, bytes, Request]] = []
        """Routing id, request id and request of each message."""
        self._stop = threading.Event()

    @property
    def url(self) -> str:
        """The URL of its socket."""
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Bind and answer."""
        self._stop.clear()
        self._context = zmq.Context()
        router = self._context.socket(zmq.ROUTER)
        router.linger = 0
        router.router_mandatory = True
        if self.port:
            router.bind(self.url)
        else:
            # Below the ports that the system gives to connections: a client that tries again and again would else
            # come to be given the very port that it tries, and hold it. And above those of `free_port`.
            self.port = router.bind_to_random_port("tcp://127.0.0.1", min_port=30_000, max_port=32_000)
        self._thread = threading.Thread(target=self._answer, args=(router,))
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the socket and wait until the port is free; every connection is lost."""
        self._stop.set()
        self._thread.join()
        self._context.term()  # a closed socket's port is given up by another thread, some time later: this waits

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answer(self, router: zmq.Socket[bytes]) -> None:
        while not self._stop.is_set():
            if not router.poll(10):
                continue
            routing, mark, request_id, verb, body, *parts = router.recv_multipart()
            encoding = "json" if mark == MARKS["json"] else "msgpack"
            request = REQUESTS[verb.decode()].model_validate(decode(body, encoding))
            self.asked.append((routing, request_id, request))
            answer = self._manners(len(self.asked) - 1, request, parts)
            if answer is not None:
                outcome = b"error" if isinstance(answer, ErrorReply) else b"ok"
                with contextlib.suppress(zmq.ZMQError):  # the client has disconnected
                    router.send_multipart([routing, mark, request_id, outcome, encode(answer, encoding)])
        router.close()
