"""A real server process, and a client that sends raw frames to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack
import zmq

from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.jobs.ledger.ledger import Ledger

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A picture of one pixel, as PNG."""
STORY: dict[str, Any] = {"title": "A light", "scenes": [{"scene_id": "a", "text": "The lamp is lit."}]}


def node_config(folder: Path, **node: Any) -> Config:
    """Return the configuration of a node with free ports that keeps all its files in a folder."""
    (folder / "out").mkdir(parents=True, exist_ok=True)
    defaults = {"bind": "tcp://127.0.0.1:*", "state_path": str(folder / "state"), "min_free_mb": 0}
    return load_config(
        {
            "node": {**defaults, **node},
            "storage": {"output_path": str(folder / "out"), "cache_path": str(folder / "cache")},
        },
        environ=False,
    )


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process; a server's only child writes the ledger."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended meanwhile
            found += map(int, task.read_text(encoding="ascii").split())
    return found


def memory_of(pid: int) -> int:
    """Return the resident bytes (VmRSS) of a process and its children; shared memory counts in each."""
    held = 0
    for one in (pid, *children_of(pid)):
        status = Path(f"/proc/{one}/status").read_text(encoding="ascii")
        held += int(status.split("VmRSS:")[1].split()[0]) * 1024
    return held


class RunningServer:
    """A context manager that runs `python -m video_pipeline.engine.jobs.server.main` as a node does."""

    def __init__(self, config: Config, *, slots: int = 2, profile: Path | None = None) -> None:
        self.config = config
        how = ["-m", "cProfile", "-o", str(profile)] if profile else []
        self.process = subprocess.Popen(
            [sys.executable, *how, "-m", "video_pipeline.engine.jobs.server.main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.errors: deque[str] = deque(maxlen=5000)
        self.lines: deque[dict[str, Any]] = deque(maxlen=100)
        self._changed = threading.Condition()
        reads = (self._read_lines, self._read_errors)
        self._readers = [threading.Thread(target=read, daemon=True) for read in reads]
        for reader in self._readers:
            reader.start()
        self.tell(
            {
                "setup": {
                    "config": config.model_dump(mode="json"),
                    "slots": slots,
                    "parent": os.getpid(),
                    "json_log": False,
                }
            }
        )

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self.lines.append({"end": True})
            self._changed.notify_all()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.decode())

    def wait_for(self, name: str, *, timeout: float = FAST_SECONDS) -> Any:
        """Return the value of the next line from the process that has this name."""
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.lines:
                    if name in line:
                        return line[name]
                    if "end" in line:
                        raise AssertionError(f"the server process ended: {self.lines} {''.join(self.errors)}")
                if not self._changed.wait(until - time.monotonic()):
                    raise AssertionError(f"no {name} within {timeout} s: {''.join(self.errors)}")

    def counters(self) -> dict[str, int]:
        """Wait for the next report of the counters and return it."""
        with self._changed:
            self.lines.clear()
        found: dict[str, int] = self.wait_for("counters")
        return found

    def wait_until_counted(self, condition: Callable[[Mapping[str, int]], object], *, what: str = "") -> None:
        """Wait for a report of the counters for which a condition holds; one that is missing counts as 0."""
        wait_until(lambda: condition(Counter(self.counters())), what=what)

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a line to the process."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def __enter__(self) -> Self:
        try:
            ready = self.wait_for("ready")
        except BaseException:
            self.stop()
            raise
        self.requests: str = ready["requests"]
        self.events: str = ready["events"]
        self.public_key: str | None = ready["public_key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Close stdin, wait until the process exits and return its exit status."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            status = self.process.wait(FAST_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        for reader in self._readers:
            reader.join(FAST_SECONDS)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return status

    @property
    def memory(self) -> int:
        """Resident bytes (VmRSS) of the process and its child."""
        return memory_of(self.process.pid)

    def ledger(self) -> Ledger:
        """Open the ledger as the node does."""
        return Ledger(self.config.state_dir() / "ledger.sqlite3")


class Speaker:
    """A context manager with a DEALER socket that sends any frames, valid or not."""

    def __init__(
        self,
        url: str,
        *,
        encoding: str = "json",
        keys: tuple[bytes, bytes] | None = None,
        server: str | bytes | None = None,
        timeout: float = FAST_SECONDS,
    ) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(timeout * 1000)
        if keys is not None:
            assert server is not None
            self.socket.curve_publickey, self.socket.curve_secretkey = keys
            self.socket.curve_serverkey = server.encode() if isinstance(server, str) else server
        self.socket.connect(url)
        self.mark = b"VP1J" if encoding == "json" else b"VP1M"
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.destroy(0)

    def pack(self, body: Any) -> bytes:
        """Return a body in the speaker's encoding."""
        if self.mark == b"VP1J":
            return json.dumps(body).encode()
        packed: bytes = msgpack.packb(body)
        return packed

    def send(self, verb: str, body: Any = None, parts: Sequence[bytes] = ()) -> bytes:
        """Send a request and return its id."""
        self._number += 1
        request_id = str(self._number).encode()
        frames = [self.mark, request_id, verb.encode(), self.pack({} if body is None else body), *parts]
        self.socket.send_multipart(frames)
        return request_id

    def receive(self) -> tuple[bytes, bytes, Any]:
        """Return request id, outcome and body of the next reply."""
        mark, request_id, outcome, body = self.socket.recv_multipart()
        assert mark == self.mark
        return request_id, outcome, json.loads(body) if mark == b"VP1J" else msgpack.unpackb(body)

    def ask(self, verb: str, body: Any = None, parts: Sequence[bytes] = ()) -> Any:
        """Send a request and return the body of its reply, which must be `ok`."""
        request_id = self.send(verb, body, parts)
        got, outcome, reply = self.receive()
        assert (got, outcome) == (request_id, b"ok"), reply
        return reply

    def refused(self, verb: str, body: Any = None, parts: Sequence[bytes] = ()) -> Any:
        """Send a request that must be refused and return the error."""
        request_id = self.send(verb, body, parts)
        got, outcome, reply = self.receive()
        assert (got, outcome) == (request_id, b"error"), reply
        return reply
