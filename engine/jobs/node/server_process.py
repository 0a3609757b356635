"""The front end as the node sees it: a process that may crash, and is started again.

    node → front end    {"setup": {…}}      once: configuration, slots, the node's process, how to log
                        {"drain": true}     answer submits with DRAINING; end of file: end
    front end → node    {"ready": {…}}      its endpoints
                        {"counters": {…}}   each second, for the metrics
                        {"error": TEXT}     why it cannot begin, then exit status 2

All of them are JSON, one a line, on its standard input and output. What it logs goes where the node's log goes.
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
"""A front end that has lived so long is started again at once; one that has not, after a growing wait."""

BACKOFF_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
END_SECONDS = 2.0
READ_BYTES = 1 << 16
BROKEN_STATUS = 2


class ServerProcess:
    """Starts the front end, hears it, and starts it again. Called from the thread that lives as long as the node."""

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
        self._deaths = 0
        self._start_at = 0.0
        self._error: str | None = None
        self.endpoints: Mapping[str, Any] | None = None
        self.counters: Mapping[str, Any] = {}
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._spawn()

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.endpoints is not None

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._process.pid if self._process else None

    def tend(self) -> None:
        """Hear what it has to say, and start it again where it has died.

        Raises ConfigError where it has never been able to begin, with its reason.
        """
        now = self._clock.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self.restarts += 1
                self._spawn()
            return
        self._hear(self._process)
        status = self._process.poll()
        if status is None:
            return
        self._hear(self._process)
        self._bury(self._process)
        if status == BROKEN_STATUS and not self._was_ready:
            raise ConfigError(self._error or "the front end could not begin")
        lived = now - self._spawned
        self._deaths = 0 if lived >= STEADY_SECONDS else self._deaths + 1
        wait = BACKOFF_SECONDS[min(self._deaths, len(BACKOFF_SECONDS) - 1)]
        self._start_at = now + wait
        logger.error(
            "the front end ended with status %d after %.1f s; it is started again in %g s",
            status,
            lived,
            wait,
        )

    def drain(self) -> None:
        """Have it take no more jobs."""
        self._draining = True
        self._say(drain=True)

    def close(self) -> None:
        """End it: asked, then killed."""
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
        self._bury(process)

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
        self._say(setup=self._setup)
        if self._draining:
            self._say(drain=True)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        self._guard.remove(process.pid)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        self._process, self.endpoints = None, None

    def _say(self, **message: Any) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except OSError as error:  # it has died, or is about to be found stuck by whoever waits for it
            logger.warning("the front end takes no message: %s", error)

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
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
