"""The node's side of the server process, which is restarted if it crashes.

    node → server    {"setup": {…}}      once: configuration, slots, the node's process id and key, log format
                     {"drain": true}     answer submits with DRAINING; end of file: stop
                     {"drained": [NAME, …]}      the machines that operators had drained before it was restarted
                     {"changed": true}   the node has written to the ledger
                     {"full": true}      no job starts because a disk is full; false: jobs start again
    server → node    {"ready": {…}}      its endpoints
                     {"counters": {…}}   every second, for the metrics
                     {"changed": true}   the ledger has accepted writes of clients
                     {"drained": NAME, "on": true}   an operator drains a machine; false: it works again
                     {"error": TEXT}     why it cannot start, then exit status 2

Messages are JSON, one per line, on its standard input and output. It logs to the standard error of the node.

Once a second the node pings the server through its socket; the process that writes the ledger answers each ping too.
If there is no answer, the node kills and restarts the server together with that process.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.machines import machine_name
from video_pipeline.engine.jobs.processes import signal_session, waits_for_disk

logger = logging.getLogger(__name__)

STEADY_SECONDS = 5.0
"""A process that ran at least this long is restarted at once; otherwise the delay grows."""

BACKOFF_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
END_SECONDS = 2.0

PROBE_SECONDS = 1.0
LATE_SECONDS = 3.0
"""A server that has not answered for this long counts as not ready."""

SILENT_SECONDS = 5.0
"""A server that makes no progress for this long, or for node.lease if that is longer, is killed."""

DISK_SECONDS = 60.0
"""The same limit for a server that waits for its disk, is still starting, or works but cannot be reached."""

PAUSE_SECONDS = 1.0
"""If a turn of the node's own loop is later than this, the node was paused: the server gets its full time again."""

READ_BYTES = 1 << 16
BROKEN_STATUS = 2


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
        self._folders, self._guard, self._clock = folders, guard, clock
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
        # Monotonic times: of the last turn, of the server's last answer, of its last report, of its writer's last
        # progress, and of the next ping.
        self._turned = self._answered = self._reported = self._wrote = self._ping_at = 0.0
        self._writes, self._killed = 0, False
        self._draining = self._full = False
        self._name = machine_name()
        self.drained_machines: set[str] = set()
        """The machines that operators have drained."""
        self._was_ready = False
        self._failures = 0
        self._start_at = 0.0
        self._error: str | None = None
        self.endpoints: Mapping[str, Any] | None = None
        self.counters: Mapping[str, Any] = {}
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._spawn()

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
        return self._process.pid if self._process else None

    def poll(self) -> None:
        """Read its messages, and restart it if it has died or does not answer.

        Raises ConfigError with its reason if it cannot start at all.
        """
        now = self._clock.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self.restarts += 1
                self._spawn()
            return
        self._read_messages(self._process)
        status = self._process.poll()
        if status is None:
            self._check_alive(self._process, now)
            return
        self._read_messages(self._process)
        self._close_process(self._process)
        if status == BROKEN_STATUS and not self._was_ready:
            raise ConfigError(self._error or "the server process could not start")
        lived = now - self._spawned
        self._failures = 0 if lived >= STEADY_SECONDS else self._failures + 1
        wait = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._start_at = now + wait
        logger.error(
            "the server process ended with status %d after %.1f s; restarting it in %g s",
            status,
            lived,
            wait,
        )

    @property
    def descriptor(self) -> int | None:
        """The pipe that becomes readable when the server sends a message; None while it is not running."""
        return self._process.stdout.fileno() if self._process and self._process.stdout else None

    def changed(self) -> None:
        """Notify the server that the node has written to the ledger, so that it publishes the events."""
        self._send(changed=True)

    def send_full(self, full: bool) -> None:
        """Notify the server whether a full disk keeps jobs from starting; it reports that to clients."""
        if full != self._full:
            self._full = full
            self._send(full=full)

    def drain(self) -> None:
        """Make it refuse new jobs."""
        self._draining = True
        self._send(drain=True)

    def close(self) -> None:
        """Stop it: close its input, kill it if it does not exit."""
        process = self._process
        self._probe.close()
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.close()
            process.wait(timeout=END_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            signal_session(process.pid, signal.SIGKILL)
            process.wait()
        self._close_process(process)

    def _check_alive(self, process: subprocess.Popen[bytes], now: float) -> None:
        """Ping the server, and kill it if it or its writer makes no progress."""
        paused, self._turned = now - self._turned > PAUSE_SECONDS, now
        if paused:
            self._answered = self._reported = self._wrote = now
        if self._probe.answered():
            self._answered = now
        if self.ready and now >= self._ping_at:
            self._ping_at = now + PROBE_SECONDS
            self._probe.ask()
        if self.ready:
            fault = self._stuck(now)
        else:
            fault = "it has not started" if now - self._spawned > DISK_SECONDS else None
        if fault is None:
            self._killed = False
        elif not self._killed:
            self._killed = True
            logger.error("killing the server process: %s", fault)
            signal_session(process.pid, signal.SIGKILL)

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
        assert self._process is not None
        return None if fault is None or waits_for_disk(self._process.pid) else fault

    def _spawn(self) -> None:
        process = subprocess.Popen(
            module_command("video_pipeline.engine.jobs.server.main"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=child_environment(self._folders.state),
            bufsize=0,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        now = self._clock.monotonic()
        self._process, self._buffer, self._spawned = process, b"", now
        self._turned = self._answered = self._reported = self._wrote = self._ping_at = now
        self._writes, self._killed = 0, False
        self._guard.add(process.pid)
        self._send(setup=self._setup)
        if self._draining:
            self._send(drain=True)
        if self.drained_machines:
            self._send(drained=sorted(self.drained_machines))
        if self._full:
            self._send(full=True)

    def _close_process(self, process: subprocess.Popen[bytes]) -> None:
        self._guard.remove(process.pid)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        self._probe.disconnect()
        self._process, self.endpoints = None, None

    def _send(self, **message: Any) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except BlockingIOError:  # it is behind, and will read the ledger anyway when it continues
            if "changed" not in message:
                logger.warning("cannot send to the server process: its pipe is full")
        except OSError as error:  # it has exited or is stuck; `poll` or `close` handles that
            logger.warning("cannot send to the server process: %s", error)

    def _read_messages(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        try:
            while data := os.read(process.stdout.fileno(), READ_BYTES):
                self._buffer += data
        except OSError:
            pass
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if not isinstance(message, dict):
                continue
            if "ready" in message:
                self._start_probe(message["ready"])
            elif "counters" in message:
                self._note_counters(message["counters"])
            elif "drained" in message:
                change = self.drained_machines.add if message["on"] else self.drained_machines.discard
                change(str(message["drained"]))
            elif "error" in message:
                self._error = str(message["error"])

    def _start_probe(self, endpoints: Mapping[str, Any]) -> None:
        self.endpoints, self._was_ready = endpoints, True
        self._probe.connect(endpoints)
        self._answered = self._reported = self._wrote = self._clock.monotonic()

    def _note_counters(self, counters: Mapping[str, Any]) -> None:
        """Record that the server's loop runs, and that its writer does if it has written or has nothing to write."""
        now = self._clock.monotonic()
        self.counters, self._reported = counters, now
        writes = int(counters.get("writes", 0))
        if writes != self._writes or not counters.get("writes_waiting"):
            self._writes, self._wrote = writes, now
