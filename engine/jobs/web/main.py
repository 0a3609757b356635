"""The HTTP process of a node: it translates HTTP into requests to the node's server. It keeps no job.

python -m video_pipeline.engine.jobs.web.main      started by the node; they exchange JSON, one object per line

stdin    {"setup": {…}}          first: WebSettings
         {"server": {…}}         the server's endpoints, whenever it has started; null: it has ended
         end of file             stop
stdout   {"ready": {"url": URL, "pid": 1}}
         {"error": TEXT, "errno": N}   it cannot start (N: of the system, or null); exit status 2
         {"counters": {NAME: N}} every second, counted from the start
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from video_pipeline.engine.common.process import load_nothing_idle, return_freed_memory
from video_pipeline.engine.errors import ConfigError, error_number
from video_pipeline.engine.jobs.logs import JsonFormatter, LineFormatter
from video_pipeline.engine.jobs.processes import die_with_parent
from video_pipeline.engine.jobs.web.application import Application
from video_pipeline.engine.jobs.web.listener import Listener, load_certificate
from video_pipeline.engine.jobs.web.server_client import ServerClient
from video_pipeline.engine.jobs.web.settings import ServerEndpoints, WebSettings

logger = logging.getLogger(__name__)

REPORT_SECONDS = 1.0
CERTIFICATE_SECONDS = 60.0
"""How often it is checked whether the certificate was replaced."""
SPARE_DESCRIPTORS = 256


class WebServer:
    """The listener, the application and the pipes to the node."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._counters: Counter[str] = Counter()
        self._client = ServerClient(settings)
        self._application = Application(settings, self._client)
        self._listener = Listener(settings, self._application.serve, self._counters)
        self._certificate = self._certificate_state()
        if self._application.access.token_required and not len(self._application.access.tokens):
            logger.warning(
                "HTTP: every request needs a token, and there is none: video-pipeline keys token NAME"
            )
        if self._application.access.token_required and self._listener.tls is None:
            logger.warning(
                "HTTP: without web.tls_cert, tokens and videos are sent in plain text: use it behind a proxy with TLS"
            )

    async def run(self, commands: asyncio.StreamReader) -> None:
        """Serve until the node closes the command pipe."""
        send({"ready": {"url": self._listener.url, "pid": os.getpid()}})
        accepting = asyncio.create_task(self._listener.accept())
        reporting = asyncio.create_task(self._report())
        try:
            while line := await commands.readline():
                command = json.loads(line)
                if "server" in command:
                    if command["server"] is None:
                        self._client.disconnect()
                    else:
                        self._client.connect(ServerEndpoints.model_validate(command["server"]))
        finally:
            accepting.cancel()
            reporting.cancel()
            await self._listener.close()
            self._client.close()

    async def _report(self) -> None:
        turns = 0
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            turns += 1
            self._application.reload_tokens()
            if turns % CERTIFICATE_SECONDS == 0:
                self._reload_certificate()
            held = self._application.held
            now = {
                "connections_open": len(self._listener),
                "streams_open": held.streams.held,
                "downloads_open": held.downloads.held,
            }
            send({"counters": {**self._counters, **now}})

    def _reload_certificate(self) -> None:
        state = self._certificate_state()
        cert, key, context = self._settings.tls_cert, self._settings.tls_key, self._listener.tls
        if state == self._certificate or cert is None or key is None or context is None:
            return
        self._certificate = state
        try:
            load_certificate(context, cert, key)
        except ConfigError as error:
            logger.error("the earlier certificate stays: %s", error)
        else:
            logger.info("HTTP: the certificate was replaced")

    def _certificate_state(self) -> object:
        with suppress(OSError):
            files = [path for path in (self._settings.tls_cert, self._settings.tls_key) if path is not None]
            return [(status.st_mtime_ns, status.st_ino) for status in (path.stat() for path in files)]
        return None


def send(message: dict[str, Any]) -> None:
    """Send a message to the node; drop it if the pipe is full or closed."""
    with suppress(BrokenPipeError, BlockingIOError):
        os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


async def _serve_http(settings: WebSettings) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_on_exception)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await WebServer(settings).run(reader)


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no task has handled, but for connections that their clients have broken."""
    error = context.get("exception")
    if not isinstance(error, OSError):
        logger.error("HTTP: %s: %r", context.get("message"), error)


def _limit_web_process(settings: WebSettings) -> None:
    """Set the limits of the process: descriptors, no core dump, the address space."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = settings.max_connections + SPARE_DESCRIPTORS
    with suppress(ValueError, OSError):
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (files if hard == resource.RLIM_INFINITY else min(files, hard), hard)
        )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    space = 3_000_000_000 + 16 * settings.max_message_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (space if hard == resource.RLIM_INFINITY else min(space, hard), hard)
    )


def main() -> int:
    """Run the HTTP process of a node; return the exit status."""
    die_with_parent(os.getppid())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the node closes stdin to stop this process
    return_freed_memory()
    load_nothing_idle()
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as commands:
        line = commands.readline()  # and nothing after it
    os.set_blocking(sys.stdout.fileno(), False)
    if not line:
        return 0
    settings = WebSettings.model_validate(json.loads(line)["setup"])
    die_with_parent(settings.parent)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.json_log else LineFormatter())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    _limit_web_process(settings)
    try:
        asyncio.run(_serve_http(settings))
    except ConfigError as error:
        send({"error": str(error), "errno": error_number(error)})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
