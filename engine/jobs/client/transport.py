"""The interface between a client and a node, over ZeroMQ or inside this process."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from video_pipeline.engine.common.arguments import as_path, as_seconds, as_str
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.client.steps import Call
from video_pipeline.engine.jobs.messages import MARKS, Encoding, EventView, Message, Pong


class Subscription(Protocol):
    """Published events of one job or of all; some may be missing."""

    def take(self) -> list[EventView]:
        """Return the events since the last call."""

    def close(self) -> None:
        """Unsubscribe."""


class Transport(Protocol):
    """A connection to a node, or to a node in this process. Thread-safe."""

    def ask(self, call: Call) -> Future[Message]:
        """Start a request and return the future of its reply. The future may be cancelled."""

    def subscribe(self, pong: Pong, job_id: str | None, notify: Callable[[], None]) -> Subscription:
        """Subscribe to events; `notify` is called from another thread when there are events to take."""

    def close(self) -> None:
        """Fail pending requests and release resources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """The URL of a node and the options of the connection; see ConnectOptions."""

    connect: str
    timeout: float = 15.0
    retries: int = 2
    encoding: Encoding = "json"
    key_file: str | os.PathLike[str] | None = None
    node_key: str | os.PathLike[str] | None = None

    def check(self) -> None:
        """Raise ConfigError if an option is wrong."""
        for name, key in (("key_file", self.key_file), ("node_key", self.node_key)):
            if key is not None:
                as_path(key, name)
        if not as_str(self.connect, "connect").startswith(("tcp://", "ipc://")):
            raise ConfigError(f"connect: got {self.connect!r}; allowed: tcp://HOST:PORT or ipc://PATH")
        timeout = as_seconds(self.timeout, "timeout")
        if timeout is None or not 0 < timeout < math.inf:
            raise ConfigError(f"timeout: got {self.timeout!r}; allowed: seconds above 0")
        if type(self.retries) is not int or self.retries < 0:
            raise ConfigError(f"retries: got {self.retries!r}; allowed: a whole number >= 0")
        if not isinstance(self.encoding, str) or self.encoding not in MARKS:
            raise ConfigError(f"encoding: got {self.encoding!r}; allowed: {', '.join(MARKS)}")
