"""The server process of a node: speaks ZeroMQ with clients. It keeps no job, so a crash loses none.

    python -m video_pipeline.engine.jobs.server.main        started by the node; they exchange JSON, one object per line

    stdin    {"setup": {…}}                first: config (plain data), slots, parent (pid), json_log, the public key
                                           that the node uses to ping the server, and of the HTTP process its
                                           public key and the secret with which it acts for users
             {"drain": true}               answer submits with DRAINING from now on: the node ends
             {"drained": [NAME, …]}        the machines that operators have drained
             end of file                   stop
    stdout   {"ready": {"requests": URL, "events": URL, "curve": false, "public_key": null, "pid": 1}}
             {"error": TEXT, "errno": N}   the server cannot start (N: of the system, or null); exit status 2
             {"counters": {NAME: N}}       every second, counted from the start
             {"drained": NAME, "on": true} an operator drains a machine; false: it works again

It answers requests on a ROUTER socket and publishes the ledger's new events on an XPUB socket. A process of its
own, `LedgerProcess`, writes the ledger.
"""

from __future__ import annotations

import logging
import os
import resource
import select
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import zmq

from video_pipeline.engine.common.process import return_freed_memory
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import InputError, PipelineError, error_number
from video_pipeline.engine.jobs.acting import ACTING_FRAMES, ActingCheck
from video_pipeline.engine.jobs.curve import (
    NODE_CLIENT,
    WEB_CLIENT,
    AllowList,
    Authenticator,
    KeyPair,
    keys_dir,
    make_node_key,
    read_key,
)
from video_pipeline.engine.jobs.encoding import encode
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.logs import JsonFormatter, LineFormatter
from video_pipeline.engine.jobs.messages import LOCAL_USER, MARKS
from video_pipeline.engine.jobs.processes import die_with_parent
from video_pipeline.engine.jobs.server.commands import Commands
from video_pipeline.engine.jobs.server.connections import Connections
from video_pipeline.engine.jobs.server.file_reader import FileReader
from video_pipeline.engine.jobs.server.handler import Reply, RequestHandler
from video_pipeline.engine.jobs.server.ledger_process import LedgerProcess
from video_pipeline.engine.jobs.server.sockets import (
    bind,
    events_endpoint,
    parse_endpoint,
    prepare,
    wants_curve,
)
from video_pipeline.engine.jobs.server.wire import IncomingRequest
from video_pipeline.engine.jobs.views import event_view

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.02
QUIET_POLL_SECONDS = 0.25
"""Polling intervals of the ledger: POLL_SECONDS after a change or while clients wait, QUIET_POLL_SECONDS otherwise."""
HELD_POLL_SECONDS = 0.002
"""Polling interval of the connections while reads of files wait for a client to read its replies."""

BATCH_MESSAGES = 256
BATCH_SECONDS = 0.002
SEND_MORE, SEND_LAST = int(zmq.NOBLOCK) | int(zmq.SNDMORE), int(zmq.NOBLOCK)
"""Plain numbers: joining enumerations would take microseconds per frame."""
SEND_COPIED_BYTES = 64 * 1024
"""Larger frames, parts of files, are sent without a copy."""
POLL_BOTH = int(zmq.POLLIN) | int(zmq.POLLOUT)
HEAVY_VERBS = frozenset({b"list", b"events", b"log", b"publications", b"letters"})
BATCH_HEAVY = 2
"""Page requests, which take milliseconds each, in one batch: ZeroMQ takes turns among clients, so a client that
asks for many pages does not delay the others."""
REPLIES_HWM = 4096
EVENTS_HWM = 20_000
"""Events buffered per subscriber, about 200 bytes each; a slower subscriber misses some and sees the gap in `seq`."""
EVENTS_PAGE = 500
TOPIC_MAX_BYTES = 1024
FRAME_OVERHEAD_BYTES = 48
"""Most bytes that ZMTP (9) and CURVE (33) add to a frame on the wire."""
FRAMES_READ_MAX: Final = 5000


class Server:
    """Answers requests and publishes events in one loop, between the sockets and the ledger."""

    def __init__(
        self,
        config: Config,
        *,
        slots: int = 0,
        node_key: str | None = None,
        web_key: str | None = None,
        web_secret: str | None = None,
    ) -> None:
        node = config.node
        self._acting = ActingCheck(web_secret)
        requests = parse_endpoint(node.bind, field="node.bind")
        events = events_endpoint(node, requests)
        self.curve = wants_curve(node, requests, events)
        self._keys = keys_dir(config)
        self.key = self._node_key() if self.curve else None
        if not self.curve and not (requests.is_local and events.is_local):
            logger.warning("node.curve is off: anyone who can reach %s has full access", requests.url)
        path = Folders.of(config).ledger
        self._writer = LedgerProcess(path, node)  # forks before there are sockets and threads
        self._ledger = Ledger(path)
        self._writer.open()
        most = int(node.max_message_mb * 1e6)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, 64)
        processes = ((node_key, NODE_CLIENT), (web_key, WEB_CLIENT))
        own = {key.encode(): name for key, name in processes if key is not None}
        self._allowed = AllowList(self._keys, always=own) if self.curve else None
        self._zap = Authenticator(self._context, self._allowed) if self._allowed else None
        self._router = self._context.socket(zmq.ROUTER)
        self._router.router_mandatory = True
        # No receive limit here (Connections bounds the bytes): a limit makes ZeroMQ stop reading a connection, and if
        # that is then reset while its heartbeat is due, ZeroMQ aborts the process (out_event, "!_io_error").
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
        self._drains: deque[dict[str, Any]] = deque()
        """What the node has yet to be told of operators' drains."""
        self._handler = RequestHandler(
            self._ledger, config, slots=slots, events=port, on_drain=self._note_drain
        )
        self._files = FileReader(self._connections.unread)
        self._last_event = self._ledger.events.last_seq()
        self._ledger.file.changed()
        self._subscribed = self._wrote = False
        self._logged_faults: list[str] = []
        self.counters: Counter[str] = Counter()

    def _node_key(self) -> KeyPair:
        if not (self._keys / "node.key_secret").exists():
            made = make_node_key(self._keys)
            logger.warning("the node had no key: created %s; every client needs a copy of it", made)
        return read_key(self._keys / "node.key_secret", secret=True)

    def close(self) -> None:
        """Finish the pending writes, then close the sockets and the ledger."""
        while self._writer.pending:
            select.select(
                [self._writer.descriptor], [self._writer.descriptor] if self._writer.wants_write else [], []
            )
            self._writer.flush()
            self._send_all(self._handler.replies(self._writer.answered()))
        self._writer.close()
        self._files.close()
        self._connections.stop()
        self._context.destroy(0)
        self._ledger.close()

    def run(self, commands: Commands) -> None:
        """Serve until the node closes the command pipe."""
        poller = self._poller(commands)
        next_poll = next_second = last_poll = 0.0
        for command in commands.received():
            self._command(command)
        while not commands.ended:
            poller.register(self._writer.descriptor, POLL_BOTH if self._writer.wants_write else zmq.POLLIN)
            seconds = next_poll - time.monotonic()
            if self._files.held:
                seconds = min(seconds, HELD_POLL_SECONDS)
            ready = dict(poller.poll(max(0, int(seconds * 1000) + 1)))
            if commands.descriptor in ready:
                for command in commands.read():
                    self._command(command)
                next_poll = min(next_poll, last_poll + POLL_SECONDS)
            if self._zap is not None and self._zap.socket in ready:
                self._zap.answer()
            if self._events in ready:
                self._subscriptions()
            if self._writer.descriptor in ready:
                self._writer.flush()
                answered = self._writer.answered()
                self.counters["writes"] += len(answered)
                self._wrote |= bool(answered)
                next_poll = min(next_poll, last_poll + POLL_SECONDS)
                self._send_all(self._handler.replies(answered))
            if self._files.descriptor in ready:
                self._send_all(self._handler.replies(self._files.answered()))
            if self._files.held:
                self._files.start()
            if self._router in ready:
                self._requests()
            now = time.monotonic()
            while self._drains and commands.send(self._drains[0]):
                self._drains.popleft()
            if now >= next_poll:
                last_poll = now
                # The node and the writer say when there is something new; other programs may write, too.
                next_poll = now + (POLL_SECONDS if self._handler.holds_replies else QUIET_POLL_SECONDS)
                if self._wrote:
                    self._wrote = not commands.send({"changed": True})
                    next_poll = now + POLL_SECONDS if self._wrote else next_poll
                self._publish()
                self._send_all(self._handler.expired())
            if now >= next_second:
                next_second = now + 1
                self._reload_keys()
                commands.send({"counters": self.count()})

    def _poller(self, commands: Commands) -> zmq.Poller:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        if self._zap is not None:
            poller.register(self._zap.socket, zmq.POLLIN)
        poller.register(commands.descriptor, zmq.POLLIN)
        poller.register(self._files.descriptor, zmq.POLLIN)
        return poller

    def count(self) -> dict[str, int]:
        """Return all counters."""
        total = self.counters + self._handler.counters + self._connections.counters
        total["connections_open"] = len(self._connections)
        total["writes_waiting"] = self._writer.pending
        if self._zap is not None:
            total["keys_refused"] = self._zap.refused
        return dict(total)

    def _command(self, command: Any) -> None:
        if isinstance(command, dict) and command.get("drain"):
            self._handler.stop()
        if isinstance(command, dict) and "drained" in command:
            self._handler.set_drained(command["drained"])
        if isinstance(command, dict) and "full" in command:
            self._handler.full = bool(command["full"])
        if isinstance(command, dict) and "slots" in command:
            self._handler.slots = int(command["slots"])

    def _note_drain(self, machine: str, on: bool) -> None:
        self._drains.append({"drained": machine, "on": on})

    # --- requests -----------------------------------------------------------------------------------------

    def _requests(self) -> None:
        batch: list[IncomingRequest] = []
        until = time.monotonic() + BATCH_SECONDS
        heavy = 0
        while len(batch) < BATCH_MESSAGES and heavy < BATCH_HEAVY and time.monotonic() < until:
            request = self._receive()
            if request is None:
                break
            batch.append(request)
            heavy += not HEAVY_VERBS.isdisjoint(request.frames[2:4])
        if batch:
            self.counters["batches"] += 1
            replies, writes, reads = self._handler.begin(batch, busy=self._writer.is_full)
            self._writer.put(writes)
            self._send_all(replies)
            self._send_all(self._handler.replies(self._files.put(reads)))

    def _receive(self) -> IncomingRequest | None:
        """Return the next message, or None; keep only as many frames as refusing one with too many needs."""
        router = self._router
        try:
            first = router.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        routing_id = first.bytes
        descriptor = _descriptor(first)
        user = _user(first) if self.curve else LOCAL_USER
        most = self._handler.limits.frames + 1 + ACTING_FRAMES
        frames: list[bytes] = []
        size = count = 0
        more = first.more
        while more and count <= most:
            frame = router.recv(zmq.NOBLOCK, copy=False)
            more = frame.more  # cheaper than asking the socket
            size += len(frame)
            count += 1
            frames.append(frame.bytes)
        while more:  # ZeroMQ delivers nothing else before the last frame
            rest = router.recv(zmq.NOBLOCK, copy=False)
            more = rest.more
            size += len(rest)
            count += 1
            if count == FRAMES_READ_MAX:
                self._connections.end(descriptor, f"a message of more than {count} frames")
        self.counters["bytes_in"] += size
        self._connections.delivered("requests", descriptor, user, size + count * FRAME_OVERHEAD_BYTES)
        if not user:
            return None  # ZeroMQ delivers nothing of unauthenticated clients
        for_user, rest_frames = self._acting.user_and_frames(user, frames, curve=self.curve)
        return IncomingRequest(routing_id, for_user, rest_frames, size, descriptor)

    def _send_all(self, replies: Iterable[Reply]) -> None:
        for route, body in replies:
            frames = route.frames(body)
            try:
                for frame in frames[:-1]:
                    self._router.send(frame, SEND_MORE)
                self._router.send(frames[-1], SEND_LAST, copy=len(frames[-1]) <= SEND_COPIED_BYTES)
            except zmq.ZMQError as error:
                if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                    raise
                self.counters["replies_dropped"] += 1  # the client is gone or does not read
            else:
                self._connections.queued(route.connection, sum(map(len, frames)))

    # --- events -------------------------------------------------------------------------------------------

    def _subscriptions(self) -> None:
        """Map subscribers to users, so that the connections of revoked users can be closed."""
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

    def _has_listeners(self) -> bool:
        """Return whether anyone subscribes to events or waits for a job."""
        if self._handler.holds_replies or self._connections.subscribers():
            return True
        # A subscription can arrive before the monitor reports its connection.
        subscribed, self._subscribed = self._subscribed, False
        return subscribed

    def _publish(self) -> None:
        """Publish new events of the ledger and answer the requests that wait for them."""
        try:
            if not self._ledger.file.changed():
                return
            if not self._has_listeners():
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
            logger.error("cannot read events: %s", error)

    def _reload_keys(self) -> None:
        if self._allowed is None:
            return
        gone = self._allowed.reload()
        if gone:
            self._connections.end_users(gone)
        if self._allowed.faults != self._logged_faults:
            self._logged_faults = self._allowed.faults
            for fault in self._logged_faults:
                logger.error("%s", fault)


def _descriptor(frame: zmq.Frame) -> int:
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


def _user(frame: zmq.Frame) -> str:
    """Return the user who sent a frame; empty for the frames that ZeroMQ makes when a connection ends."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def _start_logging(*, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _set_limits(config: Config) -> None:
    """Set the limits of the process: as many descriptors as the system allows, no core dump, the address space."""
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # ZeroMQ reserves the size of a frame when its first bytes arrive, so this bounds address space; Connections bounds
    # the memory in use.
    space = 4_000_000_000 + int(64 * config.node.max_message_mb * 1e6)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (min(space, hard) if hard != resource.RLIM_INFINITY else space, hard)
    )


def main() -> int:
    """Run the server process of a node; return the exit status."""
    die_with_parent(os.getppid())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the node closes stdin to stop this process
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
        _set_limits(config)
        server = Server(
            config,
            slots=int(setup.get("slots", 0)),
            **{name: setup.get(name) for name in ("node_key", "web_key", "web_secret")},
        )
    except PipelineError as error:
        commands.send({"error": str(error), "errno": error_number(error)})
        if isinstance(error, InputError):
            return 2  # the node ends with this error
        print(f"error: {error}", file=sys.stderr)
        return 1
    public = server.key.public.decode() if server.key else None
    commands.send(
        {
            "ready": {
                "requests": server.requests,
                "events": server.events,
                "curve": server.curve,
                "public_key": public,
                "pid": os.getpid(),
            }
        }
    )
    try:
        server.run(commands)
    except Exception:
        logger.exception("the server process failed; the node restarts it")
        sys.stderr.flush()
        os._exit(1)  # without closing the sockets, which may be what failed
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
