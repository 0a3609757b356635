"""The node's side of the server process, which is restarted if it crashes.

    node → server    {"setup": {…}}      once: configuration, slots, the node's process id, log format
                     {"drain": true}     answer submits with DRAINING; end of file: stop
    server → node    {"ready": {…}}      its endpoints
                     {"counters": {…}}   every second, for the metrics
                     {"error": TEXT}     why it cannot start, then exit status 2

Messages are JSON, one per line, on its standard input and output. It logs to the standard error of the node.
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
from video_pipeline.engine.jobs.processes import signal_session

logger = logging.getLogger(__name__)

STEADY_SECONDS = 5.0
"""A process that ran at least this long is restarted at once; otherwise the delay grows."""

BACKOFF_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
END_SECONDS = 2.0
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
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._folders, self._guard, self._clock = folders, guard, clock
        self._setup = {
            "config": config.model_dump(mode="json"),
            "slots": slots,
            "parent": os.getpid(),
            "json_log": json_log,
        }
        self._draining = False
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
    def pid(self) -> int | None:
        """Process id, None while it is not running."""
        return self._process.pid if self._process else None

    def poll(self) -> None:
        """Read its messages, and restart it if it has died.

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

    def drain(self) -> None:
        """Make it refuse new jobs."""
        self._draining = True
        self._send(drain=True)

    def close(self) -> None:
        """Stop it: close its input, kill it if it does not exit."""
        process = self._process
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
        self._process, self._buffer, self._spawned = process, b"", self._clock.monotonic()
        self._guard.add(process.pid)
        self._send(setup=self._setup)
        if self._draining:
            self._send(drain=True)

    def _close_process(self, process: subprocess.Popen[bytes]) -> None:
        self._guard.remove(process.pid)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        self._process, self.endpoints = None, None

    def _send(self, **message: Any) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except OSError as error:  # it has died or is stuck; `poll` or `close` handles that
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
                self.endpoints, self._was_ready = message["ready"], True
            elif "counters" in message:
                self.counters = message["counters"]
            elif "error" in message:
                self._error = str(message["error"])
