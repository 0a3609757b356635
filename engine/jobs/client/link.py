"""What clients talk through: a line to a node over ZeroMQ, or a node in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypedDict, Unpack

from video_pipeline.engine.errors import ConfigError, UnavailableError
from video_pipeline.engine.jobs.client.calls import Call
from video_pipeline.engine.jobs.messages import MARKS, Encoding, EventView, Message, Pong

DEFAULT_URL = "tcp://127.0.0.1:5570"


class Subscription(Protocol):
    """News of one job or of all, as they are published; some may be missing."""

    def take(self) -> list[EventView]:
        """Return what has come since the last call."""

    def close(self) -> None:
        """End it."""


class Link(Protocol):
    """What clients talk through: a line to a node, or a node in this process."""

    def ask(self, call: Call) -> Future[Message]:
        """Put a request under way. The future may be cancelled."""

    def subscribe(self, pong: Pong, job_id: str | None, notify: Callable[[], None]) -> Subscription:
        """Begin to listen; `notify` is called from another thread when there is something to take."""

    def close(self) -> None:
        """Fail what is under way and give everything back."""


class ConnectOptions(TypedDict, total=False):
    """How to talk to a node."""

    timeout: float
    """Seconds for an answer (15)."""
    retries: int
    """How often within them the request is sent anew on a fresh connection where nothing came (2)."""
    encoding: Encoding
    """json (default) or msgpack."""
    key_file: str | os.PathLike[str] | None
    """The client's secret key, where the node asks for keys (CURVE)."""
    node_key: str | os.PathLike[str] | None
    """The node's public key: a file, or the 40 characters themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """Where a node is and how to talk to it; see ConnectOptions."""

    connect: str = ""
    timeout: float = 15.0
    retries: int = 2
    encoding: Encoding = "json"
    key_file: str | os.PathLike[str] | None = None
    node_key: str | os.PathLike[str] | None = None

    def url(self) -> str:
        """Return where the node is: as given, from VIDEO_PIPELINE_CONNECT, or on this machine."""
        url = self.connect or os.environ.get("VIDEO_PIPELINE_CONNECT") or DEFAULT_URL
        if not url.startswith(("tcp://", "ipc://")):
            raise ConfigError(f"connect: got {url!r}; allowed: tcp://HOST:PORT or ipc://PATH")
        return url

    def check(self) -> None:
        """Raise ConfigError where an option is wrong."""
        if not self.timeout > 0:
            raise ConfigError(f"timeout: got {self.timeout!r}; allowed: seconds above 0")
        if self.retries < 0:
            raise ConfigError(f"retries: got {self.retries!r}; allowed: a whole number >= 0")
        if self.encoding not in MARKS:
            raise ConfigError(f"encoding: got {self.encoding!r}; allowed: {', '.join(MARKS)}")


def connect_to(url: str, **options: Unpack[ConnectOptions]) -> Link:
    """Return a line to the node at a URL. It connects when it is first used."""
    try:
        from video_pipeline.engine.jobs.client.line import Line
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"{error.name}: is not installed; a render node is talked to with: pip install 'video-pipeline[farm]'"
        ) from error
    return Line(LineOptions(connect=url, **options))
