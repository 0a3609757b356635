"""The node's side of the HTTP process, which is restarted if it crashes or is stuck.

    node → HTTP process    {"setup": {…}}      once: what it needs of the configuration, and its keys at the server
                           {"server": {…}}     the endpoints of the node's server; null while it is not running
    HTTP process → node    {"ready": {…}}      its URL
                           {"counters": {…}}   every second, for the metrics
                           {"error": TEXT, "errno": N}   why it cannot start, then exit status 2

No job depends on this process: if it ends, other clients notice nothing.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.node.node_process import NodeProcess
from video_pipeline.engine.jobs.node.server_process import DISK_SECONDS, SILENT_SECONDS

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

        self._clock = clock
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
        self._reported = 0.0
        self._told: Mapping[str, Any] | None = None
        self._process = NodeProcess(
            "video_pipeline.engine.jobs.web.main", "the HTTP process", folders.state, guard=guard, clock=clock
        )
        self._process.start()
        self._begin()

    @property
    def trouble(self) -> str | None:
        """Why HTTP is not answered, None if it is."""
        return None if self.url is not None else "the HTTP process is not running"

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
        """The pipe that becomes readable when it sends a message; None while it is not running."""
        return self._process.descriptor

    def poll(self, endpoints: Mapping[str, Any] | None) -> None:
        """Read its messages, tell it where the server is, and restart it if it has died or is stuck.

        Raises ConfigError with its reason if it cannot start at all.
        """
        if self._process.pid is None:
            if self._process.restart_if_due():
                self._begin()
            return
        self._read_messages()
        if self._process.is_running():
            if endpoints is not self._told:
                self._told = endpoints
                self._tell(endpoints)
            self._check_alive()
            return
        self._read_messages()
        self.url = None
        self._process.bury()

    def close(self) -> None:
        """Stop it: close its input, kill it if it does not exit."""
        self._process.close()
        self.url = None

    def _begin(self) -> None:
        self._told, self._reported = None, self._process.started
        self._process.send(setup=self._setup)

    def _check_alive(self) -> None:
        now = self._clock.monotonic()
        if self._process.was_paused():
            self._reported = now
        silent = now - self._reported
        late = silent > (self._lease if self.url else DISK_SECONDS)
        self._process.kill_once(f"it has been stuck for {silent:.0f} s" if late else None)

    def _tell(self, endpoints: Mapping[str, Any] | None) -> None:
        from video_pipeline.engine.jobs.node.probe import reachable

        if endpoints is None:
            self._process.send(server=None)
            return
        urls = {name: reachable(str(endpoints[name])) for name in ("requests", "events")}
        self._process.send(
            server={**urls, "curve": endpoints["curve"], "public_key": endpoints["public_key"]}
        )

    def _read_messages(self) -> None:
        for message in self._process.messages():
            if "ready" in message:
                self.url = message["ready"]["url"]
                self._reported = self._clock.monotonic()
                logger.info("HTTP at %s; the page is at %s/", self.url, self.url)
            elif "counters" in message:
                self.counters, self._reported = message["counters"], self._clock.monotonic()
