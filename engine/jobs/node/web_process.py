"""The node's side of the HTTP process, which is restarted if it crashes or is stuck.

    node → HTTP process    {"setup": {…}}      once: what it needs of the configuration, and its keys at the server
                           {"server": {…}}     the endpoints of the node's server; null while it is not running
    HTTP process → node    {"ready": {…}}      its URL
                           {"counters": {…}}   every second, for the metrics
                           {"error": TEXT}     why it cannot start, then exit status 2

Messages are JSON, one per line. No job depends on this process: if it ends, other clients notice nothing.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, UnavailableError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.node.server_process import (
    BACKOFF_SECONDS,
    BROKEN_STATUS,
    DISK_SECONDS,
    END_SECONDS,
    PAUSE_SECONDS,
    READ_BYTES,
    SILENT_SECONDS,
    STEADY_SECONDS,
)
from video_pipeline.engine.jobs.processes import signal_session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebKeys:
    """How the HTTP process proves to the server who it is: a CURVE key pair, and the secret to act for users."""

    public: str
    private: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def make(cls) -> WebKeys:
        """Make new ones; raise UnavailableError if a package is missing."""
        for module in ("zmq", "h11"):
            if importlib.util.find_spec(module) is None:
                raise UnavailableError(
                    f"web.enabled: {module} is not installed; pip install 'video-pipeline[farm,web]'"
                )
        import zmq

        public, private = zmq.curve_keypair()
        return cls(public.decode(), private.decode(), secrets.token_hex(32))


class WebProcess:
    """Starts and restarts the HTTP process. Use it in the node's main thread: the process dies with its thread."""

    def __init__(
        self,
        config: Config,
        folders: Folders,
        keys: WebKeys,
        *,
        guard: Guard,
        json_log: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        from video_pipeline.engine.jobs.curve import keys_dir

        self._folders, self._guard, self._clock = folders, guard, clock
        self._lease = max(config.node.lease, SILENT_SECONDS)
        web = config.web.model_dump(mode="json", exclude={"enabled"})
        self._setup = {
            **web,
            "parent": os.getpid(),
            "json_log": json_log,
            "log_level": config.error_handling.log_level,
            "max_message_bytes": int(config.node.max_message_mb * 1e6),
            "max_parts": config.node.max_parts,
            "keys": str(keys_dir(config)),
            "key_public": keys.public,
            "key_secret": keys.private,
            "secret": keys.secret,
        }
        self.url: str | None = None
        self.counters: Mapping[str, Any] = {}
        self.restarts = 0
        self._error: str | None = None
        self._was_ready = self._killed = False
        self._told: Mapping[str, Any] | None = None
        self._failures = 0
        self._start_at = self._turned = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._spawn()

    @property
    def trouble(self) -> str | None:
        """Why HTTP is not answered, None if it is."""
        return None if self.url is not None else "the HTTP process is not running"

    @property
    def pid(self) -> int | None:
        """Process id, None while it is not running."""
        return self._process.pid if self._process else None

    @property
    def descriptor(self) -> int | None:
        """The pipe that becomes readable when it sends a message; None while it is not running."""
        return self._process.stdout.fileno() if self._process and self._process.stdout else None

    def poll(self, endpoints: Mapping[str, Any] | None) -> None:
        """Read its messages, tell it where the server is, and restart it if it has died or is stuck.

        Raises ConfigError with its reason if it cannot start at all.
        """
        now = self._clock.monotonic()
        process = self._process
        if process is None:
            if now >= self._start_at:
                self.restarts += 1
                self._spawn()
            return
        self._read_messages(process)
        status = process.poll()
        if status is None:
            if endpoints is not self._told:
                self._told = endpoints
                self._tell(endpoints)
            self._check_alive(process, now)
            return
        self._close_process(process)
        if status == BROKEN_STATUS and not self._was_ready:
            raise ConfigError(self._error or "the HTTP process could not start")
        lived = now - self._spawned
        self._failures = 0 if lived >= STEADY_SECONDS else self._failures + 1
        wait = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._start_at = now + wait
        logger.error(
            "the HTTP process ended with status %d after %.1f s; restarting it in %g s", status, lived, wait
        )

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

    def _check_alive(self, process: subprocess.Popen[bytes], now: float) -> None:
        paused, self._turned = now - self._turned > PAUSE_SECONDS, now
        if paused:
            self._reported = now
        silent = now - self._reported
        if silent > (self._lease if self.url else DISK_SECONDS) and not self._killed:
            self._killed = True
            logger.error("killing the HTTP process: it has been stuck for %.0f s", silent)
            signal_session(process.pid, signal.SIGKILL)

    def _spawn(self) -> None:
        process = subprocess.Popen(
            module_command("video_pipeline.engine.jobs.web.main"),
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
        self._turned = self._reported = now
        self._killed = False
        self._told = None
        self._guard.add(process.pid)
        self._send({"setup": self._setup})

    def _tell(self, endpoints: Mapping[str, Any] | None) -> None:
        from video_pipeline.engine.jobs.node.probe import reachable

        if endpoints is None:
            self._send({"server": None})
            return
        urls = {name: reachable(str(endpoints[name])) for name in ("requests", "events")}
        self._send({"server": {**urls, "curve": endpoints["curve"], "public_key": endpoints["public_key"]}})

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except OSError as error:  # it has exited or is stuck; `poll` handles that
            logger.warning("cannot send to the HTTP process: %s", error)

    def _read_messages(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with suppress(OSError):
            while data := os.read(process.stdout.fileno(), READ_BYTES):
                self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "ready" in message:
                self.url, self._was_ready = message["ready"]["url"], True
                self._reported = self._clock.monotonic()
                logger.info("HTTP at %s; the page is at %s/", self.url, self.url)
            elif "counters" in message:
                self.counters, self._reported = message["counters"], self._clock.monotonic()
            elif "error" in message:
                self._error = str(message["error"])

    def _close_process(self, process: subprocess.Popen[bytes]) -> None:
        self._read_messages(process)
        self._guard.remove(process.pid)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        self._process, self.url = None, None
