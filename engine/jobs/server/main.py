"""The front end of a node: the process that speaks ZeroMQ. It holds no job, and may crash.

    python -m video_pipeline.engine.jobs.server.main        spawned by the node, which it talks to in JSON, one object a line

    stdin    {"setup": {…}}                first: config (plain data), slots, parent (pid), json_log
             {"drain": true}               answer submits with DRAINING from now on
             end of file                   end
    stdout   {"ready": {"requests": URL, "events": URL, "curve": false, "public_key": null, "pid": 1}}
             {"error": TEXT}               it cannot begin; exit status 2
             {"counters": {NAME: N}}       each second, counted from the start

It answers requests on a ROUTER socket and publishes the ledger's new events on an XPUB socket. What is written
goes through a process of its own, `LedgerProcess`.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import zmq

from video_pipeline.engine.common.process import return_freed_memory
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import ConfigError, InputError, PipelineError
from video_pipeline.engine.jobs.curve import (
    AllowList,
    Authenticator,
    KeyPair,
    keys_dir,
    make_node_key,
    read_key,
)
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.logs import JsonFormatter, LineFormatter
from video_pipeline.engine.jobs.messages import LOCAL_USER, MARKS, encode
from video_pipeline.engine.jobs.processes import die_with_parent
from video_pipeline.engine.jobs.server.connections import Connections
from video_pipeline.engine.jobs.server.handler import Reply, RequestHandler
from video_pipeline.engine.jobs.server.ledger_process import LedgerProcess
from video_pipeline.engine.jobs.server.sockets import (
    bind,
    events_endpoint,
    parse_endpoint,
    prepare,
    wants_curve,
)
from video_pipeline.engine.jobs.server.views import event_view
from video_pipeline.engine.jobs.server.wire import Asked

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.02
BATCH_MESSAGES = 256
BATCH_SECONDS = 0.002
SEND_MORE, SEND_LAST = int(zmq.NOBLOCK) | int(zmq.SNDMORE), int(zmq.NOBLOCK)
"""Plain numbers: enumerations take microseconds to be joined, for each frame."""
POLL_BOTH = int(zmq.POLLIN) | int(zmq.POLLOUT)
HEAVY_VERBS = frozenset({b"list", b"events"})
BATCH_HEAVY = 2
"""Requests for a page, which takes milliseconds, in one batch: ZeroMQ takes turns among clients, so that one that
asks for many pages does not keep the others waiting."""
REPLIES_HWM = 4096
EVENTS_HWM = 20_000
"""Events that wait for one subscriber, about 200 bytes each; a slower one misses some, and sees it by `seq`."""
EVENTS_PAGE = 500
TOPIC_MAX_BYTES = 1024
FRAME_OVERHEAD_BYTES = 48
"""On the wire, at most: 9 of ZMTP, 33 of CURVE."""
FRAMES_READ_MAX: Final = 5000


class Server:
    """Sockets on one side, the ledger on the other, one loop between them."""

    def __init__(self, config: Config, *, slots: int = 0) -> None:
        node = config.node
        requests = parse_endpoint(node.bind, field="node.bind")
        events = events_endpoint(node, requests)
        self.curve = wants_curve(node, requests, events)
        self._keys = keys_dir(config)
        self.key = self._node_key() if self.curve else None
        if not self.curve and not (requests.is_local and events.is_local):
            logger.warning("node.curve is off: everybody who can reach %s may do everything", requests.url)
        path = Folders.of(config).ledger
        self._writer = LedgerProcess(path, node)  # while there is nothing yet that a fork would copy
        self._ledger = Ledger(path)
        self._writer.open()
        most = int(node.max_message_mb * 1e6)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, 64)
        self._allowed = AllowList(self._keys) if self.curve else None
        self._zap = Authenticator(self._context, self._allowed) if self._allowed else None
        self._router = self._context.socket(zmq.ROUTER)
        self._router.router_mandatory = True
        # Without a mark for what comes in, which Connections bounds by the byte: a connection that ZeroMQ has stopped
        # to read, that is then reset, and whose heartbeat is due aborts the process (out_event, "!_io_error").
        self._router.rcvhwm, self._router.sndhwm = 0, REPLIES_HWM
        self._events = self._context.socket(zmq.XPUB)
        self._events.xpub_verbose = True
        self._events.rcvhwm, self._events.sndhwm = 0, EVENTS_HWM
        self._connections = Connections(max_message=most, memory_budget=256_000_000 + 4 * most)
        prepare(self._router, requests, max_message=most, key=self.key)
        prepare(self._events, events, max_message=TOPIC_MAX_BYTES, key=self.key)
        self._connections.add(self._router, "requests")
        self._connections.add(self._events, "events")
        self.requests = bind(self._router, requests, field="node.bind")
        self.events = bind(self._events, events, field="node.events_bind")
        self._connections.start()
        port = self.events.removeprefix("ipc://") if events.kind == "ipc" else self.events.rpartition(":")[2]
        self._handler = RequestHandler(self._ledger, config, slots=slots, events=port)
        self._last_event = self._ledger.events.last_seq()
        self._ledger.file.changed()
        self._subscribed = False
        self._faults_told: list[str] = []
        self.counters: Counter[str] = Counter()

    def _node_key(self) -> KeyPair:
        if not (self._keys / "node.key_secret").exists():
            made = make_node_key(self._keys)
            logger.warning("the node had no key: %s was made, and every client needs a copy of it", made)
        return read_key(self._keys / "node.key_secret", secret=True)

    def close(self) -> None:
        """Close sockets and ledger."""
        while self._writer.pending:
            select.select(
                [self._writer.descriptor], [self._writer.descriptor] if self._writer.wants_room else [], []
            )
            self._writer.flush()
            self._send_all(self._handler.replies(self._writer.answered()))
        self._writer.close()
        self._connections.stop()
        self._context.destroy(0)
        self._ledger.close()

    def run(self, commands: Commands) -> None:
        """Serve until the commands end."""
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        if self._zap is not None:
            poller.register(self._zap.socket, zmq.POLLIN)
        poller.register(commands.descriptor, zmq.POLLIN)
        next_poll = next_second = 0.0
        while not commands.ended:
            poller.register(self._writer.descriptor, POLL_BOTH if self._writer.wants_room else zmq.POLLIN)
            ready = dict(poller.poll(max(0, int((next_poll - time.monotonic()) * 1000) + 1)))
            if commands.descriptor in ready:
                for command in commands.read():
                    self._command(command)
            if self._zap is not None and self._zap.socket in ready:
                self._zap.answer()
            if self._events in ready:
                self._subscriptions()
            if self._writer.descriptor in ready:
                self._writer.flush()
                self._send_all(self._handler.replies(self._writer.answered()))
            if self._router in ready:
                self._requests()
            now = time.monotonic()
            if now >= next_poll:
                next_poll = now + POLL_SECONDS
                self._publish()
                self._send_all(self._handler.over())
            if now >= next_second:
                next_second = now + 1
                self._look_at_keys()
                commands.tell({"counters": self.count()})

    def count(self) -> dict[str, int]:
        """Return everything that was counted."""
        total = self.counters + self._handler.counters + self._connections.counters
        total["connections_open"] = len(self._connections)
        if self._zap is not None:
            total["keys_refused"] = self._zap.refused
        return dict(total)

    def _command(self, command: Any) -> None:
        if isinstance(command, dict) and command.get("drain"):
            self._handler.draining = True

    # --- requests -----------------------------------------------------------------------------------------

    def _requests(self) -> None:
        batch: list[Asked] = []
        until = time.monotonic() + BATCH_SECONDS
        heavy = 0
        while len(batch) < BATCH_MESSAGES and heavy < BATCH_HEAVY and time.monotonic() < until:
            asked = self._receive()
            if asked is None:
                break
            batch.append(asked)
            heavy += not HEAVY_VERBS.isdisjoint(asked.frames[2:4])
        if batch:
            self.counters["batches"] += 1
            replies, writes = self._handler.begin(batch, busy=self._writer.is_full)
            self._writer.put(writes)
            self._send_all(replies)

    def _receive(self) -> Asked | None:
        """Return the next message; of one with too many frames only as many as are needed to refuse it."""
        router = self._router
        try:
            first = router.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        routing_id = first.bytes
        descriptor = _descriptor(first)
        user = _user(first) if self.curve else LOCAL_USER
        most = self._handler.limits.frames + 1
        frames: list[bytes] = []
        size = count = 0
        more = first.more
        while more and count <= most:
            frame = router.recv(zmq.NOBLOCK, copy=False)
            more = frame.more  # which costs less than to ask the socket
            size += len(frame)
            count += 1
            frames.append(frame.bytes)
        while more:  # ZeroMQ gives nothing else before the last of them
            rest = router.recv(zmq.NOBLOCK, copy=False)
            more = rest.more
            size += len(rest)
            count += 1
            if count == FRAMES_READ_MAX:
                self._connections.end(descriptor, f"a message of more than {count} frames")
        self.counters["bytes_in"] += size
        self._connections.delivered("requests", descriptor, user, size + count * FRAME_OVERHEAD_BYTES)
        if not user:
            return None  # cannot be: who is not let in is not heard
        return Asked(routing_id, user, frames, size, descriptor)

    def _send_all(self, replies: Iterable[Reply]) -> None:
        for back, body in replies:
            frames = back.frames(body)
            try:
                for frame in frames[:-1]:
                    self._router.send(frame, SEND_MORE)
                self._router.send(frames[-1], SEND_LAST)
            except zmq.ZMQError as error:
                if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                    raise
                self.counters["replies_dropped"] += 1  # the client has gone, or reads nothing
            else:
                self._connections.given(back.connection, sum(map(len, frames)))

    # --- events -------------------------------------------------------------------------------------------

    def _subscriptions(self) -> None:
        """Note whose the subscribers' connections are: of somebody who is let in no more they are ended."""
        for _ in range(BATCH_MESSAGES):
            try:
                frame = self._events.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            user = _user(frame) if self.curve else LOCAL_USER
            if user:
                self._connections.delivered("events", _descriptor(frame), user, len(frame))
            self.counters["subscriptions"] += 1
            self._subscribed = True

    def _heard(self) -> bool:
        """Say whether anybody would hear of an event."""
        if self._handler.holds_answers or self._connections.subscribers():
            return True
        # A subscription can be here before the word that somebody has connected.
        subscribed, self._subscribed = self._subscribed, False
        return subscribed

    def _publish(self) -> None:
        """Publish what is new in the ledger, and answer those who wait for it."""
        try:
            if not self._ledger.file.changed():
                return
            if not self._heard():
                self._last_event = self._ledger.events.last_seq()
                return
            while True:
                events = self._ledger.events.page(after=self._last_event, limit=EVENTS_PAGE)
                for event in events:
                    body = encode(event_view(event, public=True), "json")
                    self._events.send_multipart(
                        [event.job_id.encode(), MARKS["json"], body], zmq.NOBLOCK, copy=True
                    )
                if events:
                    self._last_event = events[-1].seq
                    self.counters["events"] += len(events)
                    self._send_all(self._handler.wake(events))
                if len(events) < EVENTS_PAGE:
                    return
        except LedgerError as error:
            logger.error("events cannot be read: %s", error)

    def _look_at_keys(self) -> None:
        if self._allowed is None:
            return
        gone = self._allowed.reload()
        if gone:
            self._connections.end_of(gone)
        if self._allowed.faults != self._faults_told:
            self._faults_told = self._allowed.faults
            for fault in self._faults_told:
                logger.error("%s", fault)


def _descriptor(frame: zmq.Frame) -> int:
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


def _user(frame: zmq.Frame) -> str:
    """Return whose key a frame came with; nobody's is what ZeroMQ makes itself when a connection ends."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


class Commands:
    """The node at the other end of stdin and stdout."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self._out = sys.stdout.fileno()
        self._rest = b""
        self.ended = False

    def setup(self) -> dict[str, Any] | None:
        """Wait for the first line and return it; None at the end. Raises ConfigError."""
        while not self.ended:
            select.select([self.descriptor], [], [])
            for first in self.read(most=1):
                setup = first.get("setup") if isinstance(first, dict) else None
                if not isinstance(setup, dict) or not isinstance(setup.get("config"), dict):
                    raise ConfigError('front end: the first line is to be {"setup": {"config": {…}, …}}')
                return setup
        return None

    def read(self, *, most: int = 1000) -> list[Any]:
        """Return the commands that have come."""
        if b"\n" not in self._rest:
            data = os.read(self.descriptor, 1 << 16)
            self.ended = not data
            self._rest += data
        found: list[Any] = []
        while b"\n" in self._rest and len(found) < most:
            line, self._rest = self._rest.split(b"\n", 1)
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def tell(self, message: dict[str, Any]) -> None:
        """Send a line; where the node does not read, it is left out."""
        line = json.dumps(message).encode() + b"\n"
        _, writable, _ = select.select([], [self._out], [], 0)
        if writable and len(line) <= select.PIPE_BUF:  # room for a whole line: pipes take it whole
            with suppress(BrokenPipeError):
                os.write(self._out, line)


def _start_logging(*, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _limit(config: Config) -> None:
    """Set the limits of the process: as many connections as the system allows, and the last belt of memory."""
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # ZeroMQ reserves a frame's size when its first bytes come, so this is of address space, not of memory held:
    # that is what Connections looks after.
    space = 4_000_000_000 + int(64 * config.node.max_message_mb * 1e6)
    resource.setrlimit(resource.RLIMIT_AS, (space, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> int:
    """Be a node's front end; return the exit status."""
    die_with_parent(os.getppid())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the node says when to end: by closing stdin
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return_freed_memory()
    commands = Commands()
    try:
        setup = commands.setup()
        if setup is None:
            return 0
        if "parent" in setup:
            die_with_parent(int(setup["parent"]))
        _start_logging(as_json=bool(setup.get("json_log")))
        config = load_config(setup["config"], environ=False)
        _limit(config)
        front = Server(config, slots=int(setup.get("slots", 0)))
    except PipelineError as error:
        commands.tell({"error": str(error)})
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    public = front.key.public.decode() if front.key else None
    commands.tell(
        {
            "ready": {
                "requests": front.requests,
                "events": front.events,
                "curve": front.curve,
                "public_key": public,
                "pid": os.getpid(),
            }
        }
    )
    try:
        front.run(commands)
    except Exception:
        logger.exception("the front end fails and ends; the node starts another")
        sys.stderr.flush()
        os._exit(1)  # without taking leave of sockets that may be what failed
    front.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
