"""The node's side of the server process, which is restarted if it crashes.

    node → server    {"setup": {…}}      once: configuration, slots, the node's process id and key, log format
                     {"drain": true}     answer submits with DRAINING; end of file: stop
                     {"drained": [NAME, …]}      the machines that operators had drained before it was restarted
                     {"changed": true}   the node has written to the ledger
                     {"full": true}      no job starts because a disk is full; false: jobs start again
                     {"slots": N}        how many slots there are now
    server → node    {"ready": {…}}      its endpoints
                     {"counters": {…}}   every second, for the metrics
                     {"changed": true}   the ledger has accepted writes of clients
                     {"drained": NAME, "on": true}   an operator drains a machine; false: it works again
                     {"error": TEXT, "errno": N}   why it cannot start, then exit status 2

Once a second the node pings the server through its socket; the process that writes the ledger answers each ping too.
If there is no answer, the node kills and restarts the server together with that process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.machines import machine_name
from video_pipeline.engine.jobs.node.node_process import NodeProcess
from video_pipeline.engine.jobs.processes import waits_for_disk

PROBE_SECONDS = 1.0
LATE_SECONDS = 3.0
"""A server that has not answered for this long counts as not ready."""

SILENT_SECONDS = 5.0
"""A server that makes no progress for this long, or for node.lease if that is longer, is killed."""

DISK_SECONDS = 60.0
"""The same limit for a server that waits for its disk, is still starting, or works but cannot be reached."""


class ServerProcess:
    """Starts and restarts the server process. Use it in the node's main thread: the process dies with its thread."""

    def __init__(
        self,
        config: Config,
        folders: Folders,
        *,
        slots: int,
        guard: Guard,
        json_log: bool = False,
        web: Mapping[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Start it. `web` has what it must know of the HTTP process: `web_key` and `web_secret`."""
        self._clock = clock
        self._setup = {
            "config": config.model_dump(mode="json", exclude_unset=True),
            "slots": slots,
            "parent": os.getpid(),
            "json_log": json_log,
            **(web or {}),
        }
        from video_pipeline.engine.jobs.node.probe import (
            ServerProbe,  # needs pyzmq, whose absence `serve` explains
        )

        self._lease = max(config.node.lease, SILENT_SECONDS)
        self._probe = ServerProbe()
        self._setup["node_key"] = self._probe.key.public.decode()
        # Monotonic times: of the server's last answer, of its last report, of its writer's last progress, and of the
        # next ping.
        self._answered = self._reported = self._wrote = self._ping_at = 0.0
        self._writes = 0
        self._draining = self._full = False
        self._name = machine_name()
        self.drained_machines: set[str] = set()
        """The machines that operators have drained."""
        self.endpoints: Mapping[str, Any] | None = None
        self.counters: Mapping[str, Any] = {}
        self._process = NodeProcess(
            "video_pipeline.engine.jobs.server.main",
            "the server process",
            folders.state,
            guard=guard,
            clock=clock,
        )
        self._process.start()
        self._begin()

    @property
    def ready(self) -> bool:
        """Whether the server process accepts requests."""
        return self.endpoints is not None

    @property
    def drained(self) -> bool:
        """Whether an operator has drained this machine."""
        return self._name in self.drained_machines

    @property
    def trouble(self) -> str | None:
        """Why requests are not answered, None if they are."""
        if self.endpoints is None:
            return "the server process is not running"
        silent = self._clock.monotonic() - min(self._answered, self._reported, self._wrote)
        return f"the server has not answered for {silent:.0f} s" if silent > LATE_SECONDS else None

    @property
    def pid(self) -> int | None:
        """Process id, None while it is not running."""
        return self._process.pid

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._process.restarts

    @property
    def descriptor(self) -> int | None:
        """The pipe that becomes readable when the server sends a message; None while it is not running."""
        return self._process.descriptor

    def poll(self) -> None:
        """Read its messages, and restart it if it has died or does not answer.

        Raises ConfigError with its reason if it cannot start at all.
        """
        if self._process.pid is None:
            if self._process.restart_if_due():
                self._begin()
            return
        self._read_messages()
        if self._process.is_running():
            self._check_alive()
            return
        self._read_messages()
        self._forget()
        self._process.bury()

    def changed(self) -> None:
        """Notify the server that the node has written to the ledger, so that it publishes the events."""
        self._process.send(changed=True)

    def send_full(self, full: bool) -> None:
        """Notify the server whether a full disk keeps jobs from starting; it reports that to clients."""
        if full != self._full:
            self._full = full
            self._process.send(full=full)

    def send_slots(self, slots: int) -> None:
        """Tell the server how many slots there are: those of a fleet come and go."""
        if slots != self._setup["slots"]:
            self._setup["slots"] = slots
            self._process.send(slots=slots)

    def drain(self) -> None:
        """Make it refuse new jobs."""
        self._draining = True
        self._process.send(drain=True)

    def close(self) -> None:
        """Stop it: close its input, kill it if it does not exit."""
        self._probe.close()
        self._process.close()
        self.endpoints = None

    def _check_alive(self) -> None:
        """Ping the server, and kill it if it or its writer makes no progress."""
        now = self._clock.monotonic()
        if self._process.was_paused():
            self._answered = self._reported = self._wrote = now
        if self._probe.answered():
            self._answered = now
        if self.ready and now >= self._ping_at:
            self._ping_at = now + PROBE_SECONDS
            self._probe.ask()
        if self.ready:
            fault = self._stuck(now)
        else:
            fault = "it has not started" if now - self._process.started > DISK_SECONDS else None
        self._process.kill_once(fault)

    def _stuck(self, now: float) -> str | None:
        """Return why a ready server must be killed, or None."""
        fault = None
        if now - self._reported > self._lease:
            fault = f"its loop has been stuck for {now - self._reported:.0f} s"
        elif now - self._wrote > self._lease:
            fault = f"the process that writes the ledger has been stuck for {now - self._wrote:.0f} s"
        longest = max(DISK_SECONDS, self._lease)
        if now - min(self._reported, self._wrote, self._answered) > longest:
            return fault or f"it has not answered for {now - self._answered:.0f} s"
        pid = self._process.pid
        return None if fault is None or pid is None or waits_for_disk(pid) else fault

    def _begin(self) -> None:
        self._answered = self._reported = self._wrote = self._ping_at = self._process.started
        self._writes = 0
        self._process.send(setup=self._setup)
        if self._draining:
            self._process.send(drain=True)
        if self.drained_machines:
            self._process.send(drained=sorted(self.drained_machines))
        if self._full:
            self._process.send(full=True)

    def _forget(self) -> None:
        self._probe.disconnect()
        self.endpoints = None

    def _read_messages(self) -> None:
        for message in self._process.messages():
            if "ready" in message:
                self._start_probe(message["ready"])
            elif "counters" in message:
                self._note_counters(message["counters"])
            elif "drained" in message:
                change = self.drained_machines.add if message["on"] else self.drained_machines.discard
                change(str(message["drained"]))

    def _start_probe(self, endpoints: Mapping[str, Any]) -> None:
        self.endpoints = endpoints
        self._probe.connect(endpoints)
        self._answered = self._reported = self._wrote = self._clock.monotonic()

    def _note_counters(self, counters: Mapping[str, Any]) -> None:
        """Record that the server's loop runs, and that its writer does if it has written or has nothing to write."""
        now = self._clock.monotonic()
        self.counters, self._reported = counters, now
        writes = int(counters.get("writes", 0))
        if writes != self._writes or not counters.get("writes_waiting"):
            self._writes, self._wrote = writes, now
