"""A node without workers: its real server and HTTP processes, and raw connections to the latter."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.server import node_config
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.curve import keys_dir
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.server_process import ServerProcess
from video_pipeline.engine.jobs.node.web_process import WebKeys, WebProcess
from video_pipeline.engine.jobs.tokens import make_token


def web_config(folder: Path, web: Mapping[str, Any] | None = None, **node: Any) -> Config:
    """Return the configuration of a node with HTTP at a free port."""
    config = node_config(folder, **node)
    return config.override("web", **{"enabled": True, "port": 0, **(web or {})})


class WebNode:
    """A context manager that runs both processes as a node does, in a thread that restarts them."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folders = Folders.of(config)
        self.folders.make()
        Ledger(self.folders.ledger).close()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.fault: Exception | None = None
        self.draining = False

    def _run(self) -> None:
        guard = Guard(self.folders.state)
        keys = WebKeys.make()
        known = {"web_key": keys.public, "web_secret": keys.secret}
        self.server = ServerProcess(self.config, self.folders, slots=2, guard=guard, web=known)
        self.web = WebProcess(self.config, self.folders, keys, guard=guard)
        try:
            while not self._stop.wait(0.005):
                self.server.poll()
                self.web.poll(self.server.endpoints)
                if self.draining:
                    self.draining = False
                    self.server.drain()
        except Exception as error:
            self.fault = error
        finally:
            self.web.close()
            self.server.close()
            guard.close()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(FAST_SECONDS)

    def wait_until_ready(self) -> None:
        """Wait until both processes answer."""
        wait_until(self._answers, what="the HTTP process is ready")

    def _answers(self) -> bool:
        if self.fault is not None:
            raise self.fault
        try:
            ready = self.server.endpoints is not None and self.web.url is not None
            return ready and get(self.url + "/ping", verify=False).status_code in (200, 401, 403)
        except (AttributeError, httpx.HTTPError):
            return False

    @property
    def url(self) -> str:
        """The URL of the HTTP process."""
        assert self.web.url is not None
        return self.web.url

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    @property
    def requests(self) -> str:
        """The URL of the server for ZeroMQ."""
        assert self.server.endpoints is not None
        return str(self.server.endpoints["requests"])

    @property
    def keys(self) -> Path:
        """The folder of keys and tokens."""
        return keys_dir(self.config)

    def counters(self) -> Mapping[str, int]:
        """Return the next counters that the HTTP process reports."""
        before = self.web.counters
        wait_until(lambda: self.web.counters is not before, what="a report of the HTTP process")
        return self.web.counters

    def server_counters(self) -> Mapping[str, int]:
        """Return the next counters that the server reports."""
        before = self.server.counters
        wait_until(lambda: self.server.counters is not before, what="a report of the server")
        return self.server.counters

    def ledger(self) -> Ledger:
        """Open the ledger as the node does."""
        return Ledger(self.folders.ledger)

    def client(self, user: str | None = None, **options: Any) -> httpx.Client:
        """Return a client, with a new token of a user."""
        headers = {} if user is None else {"Authorization": f"Bearer {make_token(self.keys, user).text}"}
        made = httpx.Client(
            base_url=self.url, headers=headers, timeout=FAST_SECONDS, trust_env=False, **options
        )
        if user is not None:
            wait_until(
                lambda: get(f"{self.url}/ping", headers=headers, verify=False).status_code != 401,
                what=f"the token of {user}",
            )
        return made


def get(url: str, **options: Any) -> httpx.Response:
    """Send a GET request without a client, with time for a busy computer."""
    return httpx.get(url, **{"timeout": FAST_SECONDS, **options})


@contextmanager
def raw(node: WebNode, *, seconds: float = FAST_SECONDS) -> Iterator[socket.socket]:
    """Open a bare connection to the HTTP process."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=seconds) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """Return what arrives until the connection ends."""
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def get_bytes(path: str, *lines: str) -> bytes:
    """Return a GET request as bytes."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


class EventStream:
    """The events of a stream, read line by line. Use in a `with` block of `httpx.Client.stream`."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        self.comments = 0

    def next(self) -> tuple[int, dict[str, Any]]:
        """Return the id and the data of the next event; raise StopIteration at the end of the stream."""
        number = 0
        while True:
            line = next(self._lines)
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                return number, json.loads(line[6:])
